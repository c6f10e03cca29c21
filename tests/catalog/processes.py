"""What tests run in separate processes: `start("fill", url)`.

A process prints a line for each write that was acknowledged, immediately. The test reads its standard output.
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
from headwater.domain.sharing import owned_by
from headwater.domain.users import NewToken

KEYRING = Keyring([("test", bytes(range(32)))])


def start(action: str, url: str, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a process that performs an action on the catalog at `url`.

    Args:
        action: `open`, `count`, `acknowledge` or `fill`.
        url: the URL of the database.
        arguments: the arguments of the action.
        prefix: a command that runs the process, such as `setpriv`.
    """
    return subprocess.Popen(
        [*prefix, sys.executable, "-W", "error", "-m", "tests.catalog.processes", action, url, *arguments],
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
    """Return a decision that reads the number in the datasource of a dataset and writes the next one."""

    def decide(stored: Sequence[Datasource]) -> Reconfigured:
        number = int(stored[0].config.location.prefix.rstrip("/")) if stored else 0
        return Reconfigured((next_number(dataset_id, number + 1),), input_moved=False)

    return decide


async def count(catalog: Catalog, times: int) -> None:
    """Increment the number of one dataset in several tasks. The first process makes the dataset."""
    try:
        dataset = await catalog.datasets.add("ann", NewDataset(name="count"))
    except NameTakenError:
        (dataset,) = await catalog.datasets.list(owned_by("ann"), name="count")

    async def repeat() -> None:
        for _ in range(times // 4):
            assert await catalog.datasources.change(dataset.id, count_on(dataset.id))

    await asyncio.gather(*(repeat() for _ in range(4)))
    say("counted")


def _only(source: Datasource, _stored: Sequence[Datasource]) -> Reconfigured:
    return Reconfigured((source,), True)


async def acknowledge(catalog: Catalog, owner: str) -> None:
    """Write forever, and print each write after it was acknowledged."""
    number = 0
    while True:
        number += 1
        token = await catalog.tokens.add(owner, NewToken(), f"{owner} {number}".encode())
        say("token", token.id, owner, number)
        dataset = await catalog.datasets.add(owner, NewDataset(name=f"set {number}"))
        say("dataset", dataset.id, owner, number)
        source = next_number(dataset.id, number)
        await catalog.datasources.change(dataset.id, partial(_only, source))
        say("datasource", dataset.id, source.id, number)
        await catalog.datasets.set_watermark(dataset.id, number, 1_700_000_000)
        say("watermark", dataset.id, number)
        await catalog.datasets.rename(dataset.id, f"renamed {number}")
        say("rename", dataset.id, number)
        await catalog.tokens.revoke(token.id)
        say("revoke", token.id)
        gone = await catalog.datasets.add(owner, NewDataset(name="gone"))
        await catalog.datasets.delete(gone.id)
        say("delete", gone.id)


async def fill(catalog: Catalog) -> None:
    """Write until files may not grow any more, and continue after they may again."""
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
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
                try:
                    await catalog.ping()
                except CatalogUnavailableError:
                    say("not ready")
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                await catalog.ping()
                say("ready again")
    say("refused", refused)


async def main() -> None:
    action, url, *arguments = sys.argv[1:]
    try:
        catalog = await Catalog.open(url, KEYRING)
    except StartupError as error:
        say(error.message)
        return
    try:
        if action == "count":
            await count(catalog, int(arguments[0]))
        elif action == "acknowledge":
            await acknowledge(catalog, arguments[0])
        elif action == "fill":
            await fill(catalog)
        else:
            say("opened")
    finally:
        await catalog.close()


if __name__ == "__main__":
    asyncio.run(main())
