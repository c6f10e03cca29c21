"""When a feed is dropped, what then becomes of its rows, and which counts a dataset has."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.feed import rows
from headwater.catalog.tables import feed_changes, feed_listings, feed_rows, feed_walked, feeds
from headwater.domain.dataset import Dataset, NewDataset
from headwater.domain.feed import FeedMode
from headwater.domain.ids import new_id
from headwater.domain.sharing import owned_by
from tests.catalog.feed.fed import NOW, Fed, count_rows, found, make_fed, several
from tests.catalog.values import config, put


async def fed_with_index(catalog: Catalog, name: str = "fed") -> Fed:
    fed = await make_fed(catalog, name)
    await fed.list_all(several("abcdefg", size=2))
    return fed


async def test_a_dropped_feed_is_swept_in_parts_and_another_one_stays(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS_PER_TRANSACTION", 3)
    fed, other = await fed_with_index(catalog), await fed_with_index(catalog, "other")
    feed, kept = (await fed.state()).feed, (await other.state()).feed
    await catalog.feed.end((await fed.begin()).listing, (b"a", b"b"))
    assert await catalog.feed.sweep() == 0
    assert await count_rows(catalog, feed_rows) == 14, "feeds in use are not swept"
    assert await catalog.feed.drop(fed.dataset)
    assert not await catalog.feed.drop(fed.dataset)
    assert await count_rows(catalog, feed_rows, feed) == 7
    removed: list[int] = []
    write = catalog._database.write

    async def write_and_count(work, **limits):
        done = await write(work, **limits)
        removed.append(await count_rows(catalog, feed_rows, feed))
        return done

    monkeypatch.setattr(catalog._database, "write", write_and_count)
    assert await catalog.feed.sweep() == 1
    assert removed == [4, 1, 0, 0], "three rows in each transaction, then the feed"
    for table in (feed_rows, feed_walked, feed_changes, feed_listings):
        assert await count_rows(catalog, table, feed) == 0
    assert await count_rows(catalog, feeds) == 1
    assert await count_rows(catalog, feed_rows, kept) == 7
    assert await other.counts() == (7, 14)
    assert await catalog.feed.sweep() == 0


async def test_a_new_feed_never_gets_the_id_of_a_dropped_one(catalog: Catalog) -> None:
    """A cursor names its feed by its id."""
    fed = await fed_with_index(catalog)
    seen = set()
    for _ in range(3):
        seen.add((await fed.state()).feed)
        await catalog.feed.drop(fed.dataset)
        await catalog.feed.sweep()
        await fed.begin()
    seen.add((await fed.state()).feed)
    assert len(seen) == 4


async def test_counts_stay_when_a_feed_is_dropped_until_the_next_one_is_complete(catalog: Catalog) -> None:
    fed = await fed_with_index(catalog)
    await catalog.feed.drop(fed.dataset)
    assert await fed.counts() == (7, 14)
    started = await fed.begin()
    await fed.read(started, several("ab"), None, "b")
    assert await fed.counts() == (7, 14)
    await catalog.feed.drop(fed.dataset)
    assert await fed.counts() == (7, 14), "the counts of a feed that is not complete are worth nothing"
    await fed.list_all(several("xyz"))
    assert await fed.counts() == (3, 3)


async def test_a_watermark_counts_as_promised_in_the_next_feed(catalog: Catalog) -> None:
    fed = await fed_with_index(catalog)
    await catalog.datasets.set_watermark(fed.dataset, NOW, NOW)
    await catalog.feed.drop(fed.dataset)
    assert await fed.list_all(several("a")) == {"a": NOW - 1000}, "its date, as when a feed begins"
    assert (await fed.list_all([*several("a"), found("b")], NOW + 1))["b"] == NOW + 1


async def test_moving_to_other_data_drops_the_feed(catalog: Catalog) -> None:
    fed = await fed_with_index(catalog)
    await catalog.datasources.change(fed.dataset, put(fed.dataset, config(fullPath="a/other")))
    assert await catalog.feed.id_of(fed.dataset) is None
    assert await fed.counts() == (0, 0)
    ((source,),) = (await catalog.datasources.ids([fed.dataset])).values()
    moved = fed._replace(datasource=source)
    assert await moved.list_all(several("a")) == {"a": NOW - 1000}, "what the old data has promised is forgotten"
    assert await catalog.feed.sweep() == 1
    assert await moved.counts() == (1, 1)


async def test_new_credentials_for_the_same_data_keep_the_feed(catalog: Catalog) -> None:
    fed = await fed_with_index(catalog)
    feed = (await fed.state()).feed
    await catalog.datasources.change(
        fed.dataset, put(fed.dataset, config(fullPath="s3://a/b/", s3SecretAccessKey="another"))
    )
    assert (await fed.begin()).listing.feed == feed
    assert await fed.counts() == (7, 14)


async def test_another_purpose_for_the_same_data_keeps_the_feed(catalog: Catalog) -> None:
    fed = await fed_with_index(catalog)
    feed = (await fed.state()).feed
    await catalog.datasources.change(fed.dataset, put(fed.dataset, config(fullPath="a/b", purpose="INPUT")))
    source = next(each for each in await catalog.datasources.list(fed.dataset) if each.config.purpose == "INPUT")
    assert source.id != fed.datasource
    assert (await fed._replace(datasource=source.id).begin()).listing.feed == feed
    assert await fed.counts() == (7, 14)


async def test_deleting_a_dataset_drops_its_feed(catalog: Catalog) -> None:
    fed, other = await fed_with_index(catalog), await fed_with_index(catalog, "other")
    state = await fed.state()
    assert await catalog.datasets.delete(fed.dataset)
    assert await catalog.feed.id_of(fed.dataset) is None
    assert await catalog.feed.state(state.feed) is None
    assert await catalog.feed.sweep() == 1
    assert await count_rows(catalog, feed_rows) == 7
    assert await other.counts() == (7, 14)


@pytest.mark.parametrize(
    ("feed", "effective", "dropped"),
    [
        (FeedMode.DATES, FeedMode.DATES, True),
        (None, FeedMode.DATES, True),
        (None, FeedMode.EXACT, False),
        (FeedMode.EXACT, FeedMode.EXACT, False),
    ],
)
async def test_listing_by_date_drops_the_feed(
    catalog: Catalog, feed: FeedMode | None, effective: FeedMode, dropped: bool
) -> None:
    fed, other = await fed_with_index(catalog), await fed_with_index(catalog, "other")
    assert await catalog.datasets.set_feed(fed.dataset, feed, effective)
    assert (await catalog.feed.id_of(fed.dataset) is None) is dropped
    assert await fed.counts() == (7, 14)
    dataset = await catalog.datasets.get(fed.dataset)
    assert dataset is not None
    assert dataset.feed is feed
    assert await catalog.feed.id_of(other.dataset) is not None
    assert not await catalog.datasets.set_feed(new_id(), feed, effective)


async def test_every_query_for_datasets_has_the_counts_of_the_index(catalog: Catalog) -> None:
    fed, unread, partly = await make_fed(catalog), await make_fed(catalog, "unread"), await make_fed(catalog, "partly")
    parent = new_id()
    child = await catalog.datasets.add("ann", NewDataset(name="child", parent_id=parent))
    await catalog.datasources.change(child.id, put(child.id, config(fullPath="a/b")))
    ((source,),) = (await catalog.datasources.ids([child.id])).values()
    await Fed(catalog, child.id, source).list_all(several("ab", size=2_000_000_000_000))
    await fed.list_all(several("abc", size=3))
    await partly.read(await partly.begin(), several("ab"), None, "b")
    expected = {
        fed.dataset: (3, 9),
        child.id: (2, 4_000_000_000_000),
        unread.dataset: (0, 0),
        partly.dataset: (0, 0),
    }

    def counts(datasets: Sequence[Dataset]) -> dict[str, tuple[int, int]]:
        return {each.id: (each.n_samples, each.size_in_bytes) for each in datasets}

    assert counts(await catalog.datasets.list(owned_by("ann"))) == expected
    assert counts(await catalog.datasets.list(None, newest=4)) == expected
    assert counts(await catalog.datasets.list(None, name="fed")) == {fed.dataset: (3, 9)}
    assert counts(await catalog.datasets.list_by_ids(None, list(expected))) == expected
    assert counts(await catalog.datasets.list_children(None, parent)) == {child.id: expected[child.id]}
    for dataset_id in expected:
        one = await catalog.datasets.get(dataset_id)
        with_datasources = await catalog.datasets.find_with_datasources(dataset_id)
        assert one is not None
        assert with_datasources is not None
        assert counts([one]) == counts([with_datasources[0]]) == {dataset_id: expected[dataset_id]}
        assert len(with_datasources[1]()) == 1
