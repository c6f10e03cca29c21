"""What tests run in processes of their own: `start("fill", url)`, and the test reads what it says.

A process says on its standard output what was acknowledged to it, one line each, at once.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.domain.dataset import NewDataset
from headwater.domain.datasource import Datasource, parse_config
from headwater.domain.errors import CatalogUnavailableError, NameTakenError, StartupError
from headwater.domain.ids import new_id
from headwater.domain.purposes import Reconfigured

KEYRING = Keyring([("test", bytes(range(32)))])


def start(what: str, url: str, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a process that does one of the things below with the catalog at `url`.

    Args:
        what: `open`, `count`, `acknowledge` or `fill`.
        url: of the database.
        arguments: those of what it does.
        prefix: a command that runs the process, such as `setpriv`.
    """
    return subprocess.Popen(
        [*prefix, sys.executable, "-W", "error", "-m", "tests.catalog.processes", what, url, *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def say(*words: object) -> None:
    print(*words, flush=True)


def next_number(dataset_id: str, number: int) -> Datasource:
    members = {
        "type": "OBS",
        "fullPath": f"bucket/{number}",
        "obsEndpoint": "https://obs.example.com",
        "obsAccessKeyId": "test-key-id",
        "obsSecretAccessKey": f"secret {number}",
    }
    return Datasource(new_id(), dataset_id, parse_config(members))


def count_on(dataset_id: str) -> Callable[[Sequence[Datasource]], Reconfigured]:
    """A decision that reads the number in a dataset's datasource and writes the next one."""

    def decide(stored: Sequence[Datasource]) -> Reconfigured:
        number = int(stored[0].config.location.prefix.rstrip("/")) if stored else 0
        return Reconfigured((next_number(dataset_id, number + 1),), input_moved=False)

    return decide


async def count(catalog: Catalog, times: int) -> None:
    """Count on in one dataset, which whoever comes first makes, in several tasks."""
    try:
        dataset = await catalog.datasets.add("ann", NewDataset(name="count"))
    except NameTakenError:
        (dataset,) = await catalog.datasets.list("ann", name="count")

    async def repeat() -> None:
        for _ in range(times // 4):
            assert await catalog.datasources.change(dataset.id, count_on(dataset.id))

    await asyncio.gather(*(repeat() for _ in range(4)))
    say("counted")


def _only(source: Datasource, _stored: Sequence[Datasource]) -> Reconfigured:
    return Reconfigured((source,), True)


async def acknowledge(catalog: Catalog, owner: str) -> None:
    """Write for ever, and say what every write was once it has been acknowledged."""
    number = 0
    while True:
        number += 1
        token = await catalog.tokens.add(owner, False, f"{owner} {number}".encode())
        say("token", token.id, owner, number)
        dataset = await catalog.datasets.add(owner, NewDataset(name=f"set {number}"))
        say("dataset", dataset.id, owner, number)
        source = next_number(dataset.id, number)
        await catalog.datasources.change(dataset.id, partial(_only, source))
        say("datasource", dataset.id, source.id, number)
        await catalog.datasets.set_watermark(dataset.id, number)
        say("watermark", dataset.id, number)
        await catalog.datasets.rename(dataset.id, f"renamed {number}")
        say("rename", dataset.id, number)
        await catalog.tokens.revoke(token.id)
        say("revoke", token.id)
        gone = await catalog.datasets.add(owner, NewDataset(name="gone"))
        await catalog.datasets.delete(gone.id)
        say("delete", gone.id)


async def fill(catalog: Catalog) -> None:
    """Write until no file may grow any more, then with room again."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    refused = 0
    for number in range(200):
        try:
            dataset = await catalog.datasets.add("ann", NewDataset(name=f"{number} " + "x" * 2000))
            say("dataset", dataset.id)
        except CatalogUnavailableError:
            refused += 1
            if refused == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    say("refused", refused)


async def main() -> None:
    what, url, *arguments = sys.argv[1:]
    try:
        catalog = await Catalog.open(url, KEYRING)
    except StartupError as error:
        say(error.message)
        return
    try:
        if what == "count":
            await count(catalog, int(arguments[0]))
        elif what == "acknowledge":
            await acknowledge(catalog, arguments[0])
        elif what == "fill":
            await fill(catalog)
        else:
            say("opened")
    finally:
        await catalog.close()


if __name__ == "__main__":
    asyncio.run(main())
