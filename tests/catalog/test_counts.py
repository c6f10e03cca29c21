"""What listings counted, in the catalog (`datasets.count_samples`), on SQLite and PostgreSQL."""

import asyncio
import time
from dataclasses import replace

import pytest

from headwater.domain.dataset import NewDataset
from headwater.domain.datasource import Datasource, Purpose
from headwater.domain.ids import new_id
from headwater.domain.purposes import Reconfigured
from headwater.domain.window import LAST_SECOND, Window
from tests.catalog.values import config, put


async def counted(catalog, dataset_id):
    dataset = await catalog.datasets.get(dataset_id)
    return dataset.n_samples, dataset.size_in_bytes


@pytest.fixture
async def listed(catalog):
    """A dataset with an input datasource, and a function that counts what a listing of it found."""
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    other = await catalog.datasets.add("ann", NewDataset(name="dogs"))
    for each in (dataset, other):
        await catalog.datasources.change(each.id, put(each.id, config(fullPath="a/b")))
    ((source,),) = (await catalog.datasources.ids([dataset.id])).values()

    async def count(start, end, samples, size, source=source):
        before = await catalog.datasets.get(dataset.id)
        await catalog.datasets.count_samples(dataset.id, source, Window(start, end), samples, size)
        after = await catalog.datasets.get(dataset.id)
        assert replace(after, n_samples=0, size_in_bytes=0) == replace(before, n_samples=0, size_in_bytes=0)
        assert await counted(catalog, other.id) == (0, 0)
        return after.n_samples, after.size_in_bytes

    return dataset.id, count


async def test_counts_continue_from_the_counted_second(catalog, listed):
    _, count = listed
    assert await count(101, 200, 9, 9) == (0, 0), "not from 0"
    assert await count(0, 100, 5, 5_000_000_000_000) == (5, 5_000_000_000_000)
    assert await count(101, 200, 2, 20) == (7, 5_000_000_000_020)
    assert await count(101, 200, 2, 20) == (7, 5_000_000_000_020), "the same again"
    assert await count(150, 300, 2, 20) == (7, 5_000_000_000_020), "overlaps"
    assert await count(202, 300, 2, 20) == (7, 5_000_000_000_020), "leaves a second out"
    assert await count(201, 200, 2, 20) == (7, 5_000_000_000_020), "no second at all"
    assert await count(201, 201, 1, 1) == (8, 5_000_000_000_021)
    assert await count(0, 201, 3, 30) == (3, 30), "counts from 0 replace the others, without what was deleted"
    assert await count(202, 300, 1, 1) == (4, 31)


async def test_count_from_0_does_not_replace_a_later_one_unless_it_is_in_the_future(catalog, listed):
    """A listing that ended late, or a listing of the oldest files, left a gap that no later window closed."""
    _, count = listed
    now = int(time.time())
    assert await count(0, now - 10, 5, 5) == (5, 5)
    assert await count(0, now - 20, 4, 4) == (5, 5)
    assert await count(0, LAST_SECOND, 6, 6) == (6, 6)
    assert await count(0, now - 10, 7, 7) == (7, 7)
    assert await count(now - 9, now, 1, 1) == (8, 8)


async def test_counts_are_only_those_of_the_present_input_datasource(catalog, listed):
    dataset_id, count = listed
    ((source,),) = (await catalog.datasources.ids([dataset_id])).values()
    assert await count(0, 100, 5, 50) == (5, 50)
    assert await count(101, 200, 1, 1, new_id()) == (5, 50)
    await catalog.datasources.change(dataset_id, put(dataset_id, config(fullPath="a/b", s3SecretAccessKey="new one")))
    assert await count(101, 200, 1, 1) == (6, 51), "new credentials for the same location"

    def move(stored):
        (old,) = stored
        return Reconfigured((Datasource(new_id(), dataset_id, config(fullPath="a/c")), replace_purpose(old)), True)

    def replace_purpose(old):
        return Datasource(old.id, dataset_id, old.config.model_copy(update={"purpose": Purpose.LIGHTLY}))

    await catalog.datasources.change(dataset_id, move)
    assert await counted(catalog, dataset_id) == (0, 0)
    assert await count(0, 100, 5, 50, source) == (0, 0), "a listing that ended after the move"
    assert await count(201, 300, 5, 50, source) == (0, 0)
    input_id = next(each.id for each in await catalog.datasources.list(dataset_id) if each.id != source)
    assert await count(201, 300, 5, 50, input_id) == (0, 0), "nothing was counted"
    assert await count(0, 300, 2, 20, input_id) == (2, 20)
    await catalog.datasets.count_samples(new_id(), input_id, Window(0, 300), 2, 20)


async def test_window_counted_concurrently_is_counted_once(catalog, listed):
    dataset_id, _ = listed
    ((source,),) = (await catalog.datasources.ids([dataset_id])).values()
    await catalog.datasets.count_samples(dataset_id, source, Window(0, 0), 1, 10)
    for second in range(1, 6):
        await asyncio.gather(
            *(catalog.datasets.count_samples(dataset_id, source, Window(second, second), 1, 10) for _ in range(4))
        )
    assert await counted(catalog, dataset_id) == (6, 60)
