"""Acknowledged writes are never lost: concurrent writers, and processes killed at any point."""

import asyncio
import random

import pytest

from headwater.catalog.catalog import Catalog
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import NameTakenError
from headwater.domain.purposes import Reconfigured
from headwater.domain.sharing import owned_by
from headwater.domain.users import NewToken
from tests.catalog.processes import KEYRING, count_on, next_number, start
from tests.catalog.values import config, dataset_with_datasources, put


async def test_concurrent_changes_lose_no_update(catalog):
    """A read and a write that were not one transaction lost the change made between them."""
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    decide = count_on(dataset.id)

    async def reader():
        for _ in range(30):
            _, held = await dataset_with_datasources(catalog, dataset.id)
            assert len(held) <= 1

    await asyncio.gather(*(catalog.datasources.change(dataset.id, decide) for _ in range(60)), reader())
    assert (await catalog.datasources.list(dataset.id))[0].config.full_path == "bucket/60"


async def test_concurrent_writes_of_all_kinds_are_kept(catalog):
    made = await asyncio.gather(
        *(catalog.datasets.add(f"user {number % 3}", NewDataset(name=f"set {number}")) for number in range(30)),
    )
    await asyncio.gather(
        *(catalog.datasources.change(dataset.id, put(dataset.id, config("S3"))) for dataset in made),
        *(catalog.tokens.add(f"user {number % 3}", NewToken(), bytes([number])) for number in range(30)),
    )
    marked = await asyncio.gather(
        *(catalog.datasets.set_watermark(dataset.id, n + 1, 1_700_000_000) for n, dataset in enumerate(made))
    )
    assert all(marked)
    assert {dataset.watermark for dataset in await catalog.datasets.list(None)} == set(range(1, 31))
    assert len(await catalog.tokens.list()) == 30


async def test_concurrent_adds_of_one_name_succeed_once(catalog):
    results = await asyncio.gather(
        *(catalog.datasets.add("ann", NewDataset(name="cats")) for _ in range(8)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Dataset"] + ["NameTakenError"] * 7
    assert all(isinstance(result, NameTakenError) for result in results if isinstance(result, Exception))
    assert len(await catalog.datasets.list(owned_by("ann"))) == 1


async def test_cancelled_writes_are_atomic(catalog):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    dice = random.Random(5)
    for number in range(1, 40):
        both = (next_number(dataset.id, number), *put(dataset.id, config("LOCAL", purpose="LIGHTLY"))(()).datasources)
        task = asyncio.create_task(
            catalog.datasources.change(dataset.id, lambda _, both=both: Reconfigured(both, False))
        )
        await asyncio.sleep(dice.random() * 0.004)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await catalog.datasources.change(dataset.id, lambda stored: Reconfigured(tuple(stored), False))
    held = await catalog.datasources.list(dataset.id)
    assert [source.config.purpose.value for source in held] in ([], ["INPUT_OUTPUT", "LIGHTLY"])


async def test_two_processes_create_and_write_one_catalog_concurrently(url):
    """With SQLite this failed with SQLITE_BUSY_SNAPSHOT, or with `database is locked` as it set the journal mode."""
    processes = [start("count", url, "40") for _ in range(2)]
    output = [await asyncio.to_thread(process.communicate) for process in processes]
    assert [each[0] for each in output] == ["counted\n"] * 2
    assert [process.returncode for process in processes] == [0, 0]
    catalog = await Catalog.open(url, KEYRING)
    (dataset,) = await catalog.datasets.list(None)
    assert (await catalog.datasources.list(dataset.id))[0].config.full_path == "bucket/80"
    await catalog.close()


@pytest.mark.slow
async def test_killed_process_loses_no_acknowledged_write(url):
    dice = random.Random()
    output: list[str] = []
    for attempt in range(3 if url.startswith("sqlite") else 2):
        process = start("acknowledge", url, f"user {attempt}")
        assert process.stdout is not None
        output += [process.stdout.readline() for _ in range(dice.randrange(1, 60))]
        process.kill()
        # What it printed before it was killed was acknowledged too; the last line may be incomplete.
        output += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        process.wait()
        process.stdout.close()
    assert len(output) > 3
    await _check_acknowledged(url, [line.rstrip("\n").split(" ") for line in output])


async def _check_acknowledged(url: str, output: list[list[str]]) -> None:
    catalog = await Catalog.open(url, KEYRING)
    tokens = {token.id: token for token in await catalog.tokens.list()}
    for what, identity, *rest in output:
        if what == "token":
            assert tokens[identity].user == f"user {rest[1]}"
        elif what == "revoke":
            assert tokens[identity].revoked_at is not None
        elif what == "delete":
            assert await catalog.datasets.get(identity) is None
        else:
            found = await dataset_with_datasources(catalog, identity)
            assert found is not None, (what, identity)
            dataset, held = found
            number = rest[-1]
            assert dataset.name in (f"set {number}", f"renamed {number}")
            if what == "rename":
                assert dataset.name == f"renamed {number}"
            if what == "watermark":
                assert dataset.watermark == int(number)
            if what == "datasource":
                assert (held[0].id, held[0].config.secret) == (rest[0], f"secret {number}")
    await catalog.close()
