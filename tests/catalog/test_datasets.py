"""Datasets in the catalog, on SQLite and PostgreSQL."""

import asyncio
import time
from dataclasses import replace

import pytest

from headwater.catalog.feed.listings import ListingStart
from headwater.domain.dataset import DatasetCreator, DatasetType, ImageType, NewDataset
from headwater.domain.errors import NameTakenError
from headwater.domain.feed import FIRST, LAST, FeedMode
from headwater.domain.ids import is_id, new_id
from headwater.domain.key_order import Order
from headwater.domain.sharing import owned_by
from headwater.domain.window import LAST_SECOND
from tests.catalog.values import config, dataset_with_datasources, put

NOW = 1_700_000_000
EVERYTHING = NewDataset(
    name="all of it",
    type=DatasetType.VIDEOS,
    img_type=ImageType.THUMBNAIL,
    creator=DatasetCreator.USER_WORKER,
    parent_id=new_id(),
    include_all_files=True,
    feed=FeedMode.DATES,
)


@pytest.mark.parametrize("new", [NewDataset(name="plain"), EVERYTHING], ids=["plain", "everything"])
async def test_added_dataset_is_stored_unchanged(catalog, new):
    before = time.time_ns() // 1_000_000
    made = await catalog.datasets.add("ann", new)
    assert is_id(made.id)
    assert (made.owner, made.watermark) == ("ann", 0)
    assert before <= made.created_at == made.modified_at <= time.time_ns() // 1_000_000
    assert {name: getattr(made, name) for name in new.__slots__} == {name: getattr(new, name) for name in new.__slots__}
    assert await catalog.datasets.get(made.id) == made
    assert await dataset_with_datasources(catalog, made.id) == (made, [])
    assert await catalog.users.exists("ann")


async def test_unknown_dataset_is_none_and_cannot_be_changed(catalog):
    absent = new_id()
    assert await catalog.datasets.get(absent) is None
    assert await dataset_with_datasources(catalog, absent) is None
    assert await catalog.datasources.list(absent) == []
    assert not await catalog.datasets.rename(absent, "name")
    assert not await catalog.datasets.delete(absent)
    assert not await catalog.datasets.set_watermark(absent, 1, NOW)
    assert await catalog.datasources.change(absent, put(absent, config())) is None


async def test_name_is_unique_per_owner(catalog):
    await catalog.datasets.add("ann", NewDataset(name="cats"))
    with pytest.raises(NameTakenError, match="'cats'"):
        await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasets.add("bob", NewDataset(name="cats"))
    await catalog.datasets.add("ann", NewDataset(name="Cats"))
    assert len(await catalog.datasets.list(None)) == 3


async def test_rename_changes_name_and_modified_at_only(catalog):
    made = await catalog.datasets.add("ann", NewDataset(name="cats"))
    other = await catalog.datasets.add("ann", NewDataset(name="dogs"))
    with pytest.raises(NameTakenError, match="'dogs'"):
        await catalog.datasets.rename(made.id, "dogs")
    assert await catalog.datasets.get(made.id) == made
    await asyncio.sleep(0.002)
    assert await catalog.datasets.rename(made.id, "birds")
    renamed = await catalog.datasets.get(made.id)
    assert renamed == replace(made, name="birds", modified_at=renamed.modified_at)
    assert renamed.modified_at > made.modified_at
    assert await catalog.datasets.rename(made.id, "birds")
    assert await catalog.datasets.get(other.id) == other
    await catalog.datasets.add("ann", NewDataset(name="cats"))


async def test_list_orders_by_time_made_with_limit_and_offset(catalog):
    made = [await catalog.datasets.add(("ann", "bob")[i % 2], NewDataset(name=f"set {9 - i}")) for i in range(6)]
    made.sort(key=lambda dataset: (dataset.created_at, dataset.id))
    ann = [dataset for dataset in made if dataset.owner == "ann"]
    assert await catalog.datasets.list(None) == made
    assert await catalog.datasets.list(owned_by("ann")) == ann
    assert await catalog.datasets.list(owned_by("nobody")) == []
    assert await catalog.datasets.list(None, limit=2) == made[:2]
    assert await catalog.datasets.list(None, offset=4) == made[4:]
    assert await catalog.datasets.list(None, limit=2, offset=3) == made[3:5]
    assert await catalog.datasets.list(owned_by("ann"), limit=5, offset=1) == ann[1:]
    assert await catalog.datasets.list(None, limit=10**30) == made
    assert await catalog.datasets.list(None, offset=10**30) == []


async def test_list_by_name_is_exact_and_case_sensitive(catalog):
    ann = await catalog.datasets.add("ann", NewDataset(name="cats"))
    bob = await catalog.datasets.add("bob", NewDataset(name="cats"))
    await catalog.datasets.add("ann", NewDataset(name="cats and dogs"))
    assert {dataset.id for dataset in await catalog.datasets.list(None, name="cats")} == {ann.id, bob.id}
    assert await catalog.datasets.list(owned_by("bob"), name="cats") == [bob]
    assert await catalog.datasets.list(None, name="cat") == []
    assert await catalog.datasets.list(None, name="Cats") == []


async def test_list_by_prefix_is_case_sensitive_and_has_no_wildcards(catalog):
    """`_` and `%` are wildcards of LIKE, which takes no notice of letter case on SQLite; a dictionary's order does not
    keep names with a prefix together on PostgreSQL."""
    names = ["a_b", "axb", "a_b c", "A_b", "a_", "a_-", "a b", "ab", "a-b", "b_a", "a_zz", "aZ", "a_B", "a_b_1"]
    for name in names:
        await catalog.datasets.add("ann", NewDataset(name=name))
    await catalog.datasets.add("bob", NewDataset(name="a_b"))
    for prefix in ["a_b", "a_", "a", "A", "a%", "a_b ", "z", "a-", "a_z", *names]:
        found = await catalog.datasets.list(owned_by("ann"), prefix=prefix)
        assert {each.name for each in found} == {name for name in names if name.startswith(prefix)}, prefix
        assert found == [each for each in await catalog.datasets.list(owned_by("ann")) if each in found]
    assert [each.owner for each in await catalog.datasets.list(None, prefix="a_b_")] == ["ann"]
    assert len(await catalog.datasets.list(None, prefix="a_b")) == 4
    assert await catalog.datasets.list(owned_by("ann"), prefix="a_", limit=1, offset=1) == [
        (await catalog.datasets.list(owned_by("ann"), prefix="a_"))[1]
    ]


async def test_list_applies_newest_before_limit_and_offset(catalog):
    made = [await catalog.datasets.add("ann", NewDataset(name=f"set {number}")) for number in range(5)]
    await catalog.datasets.add("bob", NewDataset(name="set"))
    made.sort(key=lambda dataset: (dataset.created_at, dataset.id))
    assert await catalog.datasets.list(owned_by("ann"), newest=3) == made[2:]
    assert await catalog.datasets.list(owned_by("ann"), 2, 1, newest=3) == made[3:]
    assert await catalog.datasets.list(owned_by("ann"), newest=10**30) == made
    assert await catalog.datasets.list(owned_by("ann"), newest=3, prefix="no") == []


async def test_list_by_ids_returns_each_known_dataset_once(catalog, monkeypatch):
    monkeypatch.setattr("headwater.catalog.datasets.MAX_IDS_PER_QUERY", 2)
    made = [await catalog.datasets.add("ann", NewDataset(name=f"set {number}")) for number in range(4)]
    ids = [made[3].id, new_id(), made[0].id, made[1].id, made[3].id]
    assert await catalog.datasets.list_by_ids(None, ids) == sorted(
        [made[0], made[1], made[3]], key=lambda dataset: (dataset.created_at, dataset.id)
    )
    assert await catalog.datasets.list_by_ids(None, []) == []


async def test_list_children_returns_direct_children_of_all_owners(catalog):
    parent = await catalog.datasets.add("ann", NewDataset(name="parent"))
    made = [
        await catalog.datasets.add(owner, NewDataset(name="child", parent_id=parent.id)) for owner in ("ann", "bob")
    ]
    await catalog.datasets.add("ann", NewDataset(name="not a child", parent_id=made[0].id))
    assert {each.id for each in await catalog.datasets.list_children(None, parent.id)} == {each.id for each in made}
    assert await catalog.datasets.list_children(None, new_id()) == []


async def test_touch_changes_modified_at_only(catalog):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await asyncio.sleep(0.002)
    assert await catalog.datasets.touch(dataset.id)
    touched = await catalog.datasets.get(dataset.id)
    assert touched == replace(dataset, modified_at=touched.modified_at)
    assert touched.modified_at > dataset.modified_at
    assert not await catalog.datasets.touch(new_id())


async def test_watermark_is_kept_with_new_credentials_and_reset_by_a_move(catalog):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config("S3", fullPath="s3://a/b")))
    assert await catalog.datasets.set_watermark(dataset.id, 1577836800, NOW)
    await catalog.datasources.change(
        dataset.id, put(dataset.id, config("S3", fullPath="a/b/", s3SecretAccessKey="another"))
    )
    assert (await catalog.datasets.get(dataset.id)).watermark == 1577836800
    await catalog.datasources.change(dataset.id, put(dataset.id, config("S3", fullPath="a/c")))
    assert (await catalog.datasets.get(dataset.id)).watermark == 0


async def test_watermark_accepts_any_second_including_earlier_ones(catalog):
    dataset, other = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two")]
    for each in (dataset, other):
        await catalog.datasources.change(each.id, put(each.id, config()))
    for seconds in (1, LAST_SECOND, 5, 0, 7):
        assert await catalog.datasets.set_watermark(dataset.id, seconds, NOW)
        assert (await catalog.datasets.get(dataset.id)).watermark == seconds
    assert (await catalog.datasets.get(other.id)).watermark == 0


@pytest.mark.parametrize(("purpose", "allowed"), [("INPUT_OUTPUT", True), ("INPUT", True), ("LIGHTLY", False)])
async def test_watermark_needs_a_datasource_for_raw_samples(catalog, purpose, allowed):
    dataset, other = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two")]
    await catalog.datasources.change(other.id, put(other.id, config()))
    assert not await catalog.datasets.set_watermark(dataset.id, 5, NOW)
    await catalog.datasources.change(dataset.id, put(dataset.id, config(purpose=purpose)))
    assert await catalog.datasets.set_watermark(dataset.id, 6, NOW) is allowed
    assert (await catalog.datasets.get(dataset.id)).watermark == (6 if allowed else 0)


async def test_delete_removes_everything_of_the_dataset_and_nothing_else(catalog):
    gone, kept = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("gone", "kept")]
    for dataset in (gone, kept):
        await catalog.datasources.change(dataset.id, put(dataset.id, config(purpose="INPUT")))
        await catalog.datasources.change(dataset.id, put(dataset.id, config("GCS", purpose="LIGHTLY")))
    before = await dataset_with_datasources(catalog, kept.id)
    assert await catalog.datasets.delete(gone.id)
    assert not await catalog.datasets.delete(gone.id)
    assert await dataset_with_datasources(catalog, gone.id) is None
    assert await catalog.datasources.list(gone.id) == []
    assert await dataset_with_datasources(catalog, kept.id) == before
    assert (await catalog.datasets.add("ann", NewDataset(name="gone"))).watermark == 0


async def test_progress_is_that_of_the_oldest_datasets(catalog):
    """With the watermark, and the time at which a listing of the feed last ended: the newest one may not have."""
    ids = [(await catalog.datasets.add("ann", NewDataset(name=f"set {number}"))).id for number in range(3)]
    ids.sort()
    await catalog.datasources.change(ids[1], put(ids[1], config()))
    (_, (datasource, *_)) = await dataset_with_datasources(catalog, ids[1])
    start = ListingStart(ids[1], datasource.id, Order.CODE_POINTS, 10, NOW)
    ended = await catalog.feed.begin(start)
    await catalog.feed.begin(start)
    assert await catalog.datasets.set_watermark(ids[1], NOW, NOW)
    assert [tuple(row) for row in await catalog.datasets.progress(2)] == [(ids[0], 0, None), (ids[1], NOW, None)]
    before = time.time_ns() // 1_000_000
    await catalog.feed.end(ended.listing, (FIRST, LAST))
    rows = await catalog.datasets.progress(5)
    assert [row.id for row in rows] == ids
    assert before <= rows[1].ended_at <= time.time_ns() // 1_000_000
    assert await catalog.datasets.progress(0) == []
