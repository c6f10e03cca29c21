"""Pages that are merged into the index: what changes, and which pages are stale."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from headwater.catalog import database as database_module
from headwater.catalog.catalog import Catalog
from headwater.catalog.feed import record as feed_record
from headwater.catalog.feed.record import CHANGES_KEPT_MS
from headwater.catalog.keyring import Keyring
from headwater.catalog.sqlite_database import SqliteDatabase
from headwater.catalog.tables import feed_changes
from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.objects import StoredObject
from headwater.net.users import current_user, working_for
from tests.catalog.feed.fed import NOW, Fed, count_rows, found, make_fed, several


async def test_a_page_inserts_replaces_and_removes_rows_of_its_range(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all([found("a"), found("b", size=10), found("c"), found("d")])
    assert await fed.counts() == (4, 13)
    started = await fed.begin(NOW + 1)
    page = await fed.read(started, [found("b", 1, NOW, 20), found("bb", size=5)], "a", "c")
    assert page is not None
    assert page.times == [NOW + 1, NOW + 1]
    assert await fed.positions() == [b"a", b"b", b"bb", b"d"]
    assert await fed.counts() == (4, 27)
    page = await fed.read(started, [], "d", None)
    assert page is not None
    assert page.times == []
    assert await fed.counts() == (4, 27)
    await fed.read(started, [], None, None)
    assert (await fed.counts(), await fed.positions()) == ((0, 0), [])


async def test_a_file_that_came_back_is_new(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    assert await fed.list_all([found("a")]) == {"a": NOW - 1000}
    assert await fed.list_all([]) == {}
    assert await fed.list_all([found("a")], NOW + 5) == {"a": NOW + 1}


async def test_a_page_that_brings_nothing_new_changes_nothing(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    objects = several("abc")
    await fed.list_all(objects)
    state = await fed.state()
    started = await fed.begin(NOW + 50)
    page = await fed.read(started, objects[1:], "a", None)
    assert page is not None
    assert page.times == [NOW - 1000] * 2
    assert (await fed.state()).changes == state.changes


async def test_what_a_request_finds_after_its_repetition_was_answered_is_late(catalog: Catalog) -> None:
    """The client has used the answer to the repetition, so nothing new may come into its window."""
    fed = await make_fed(catalog)
    await fed.list_all(several("abc"))
    started = await fed.begin(NOW + 50)
    state = await fed.state()
    answered = await fed.read(started, several("ab"), None, "b", state=state)
    assert answered is not None
    new = [*several("a"), found("aa", 0, NOW + 20), *several("b")]
    page = await fed.read(started, new, None, "b", state=state, now=NOW + 40)
    assert page is not None
    assert (page.times[1], page.late.count) == (NOW + 51, 1)
    page = await fed.read(started, [found("bb", 0, NOW + 20), *several("c")], "b", None, state=state, now=NOW + 40)
    assert page is not None
    assert (page.times[0], page.late.count) == (NOW + 20, 0), "nobody else has read this part"


async def test_a_request_that_reads_a_page_again_is_not_its_own_repetition(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all(several("abc"))
    started, other = await fed.begin(NOW + 50), await fed.begin(NOW)
    state = await fed.state()
    assert await fed.read(other, [*several("a"), found("b", 1), *several("c")]) is not None
    new = [*several("a"), found("aa", 0, NOW + 20), found("b", 1), *several("c")]
    assert await fed.read(started, new, state=state, request=b"one") is None
    page = await fed.read(started, new, request=b"one", now=NOW + 40)
    assert page is not None
    assert page.times[1] == NOW + 20


async def test_a_page_is_stale_if_its_range_has_changed_since_the_store_was_asked(catalog: Catalog) -> None:
    """Else an answer of the store from before would undo what a later one has brought."""
    fed = await make_fed(catalog)
    await fed.list_all(several("bdfh"))
    slow, fast = await fed.begin(), await fed.begin()
    state = await fed.state()
    before = several("df")
    assert await fed.read(fast, [found("d", 1)], "c", "e") is not None
    assert await fed.read(slow, before, "c", "g", state=state) is None
    assert await fed.read(slow, before, "a", "z", state=state) is None
    assert await fed.read(slow, several("bh", version=7), None, None, state=state) is None
    assert await fed.positions() == [b"b", b"d", b"f", b"h"], "a stale page changes nothing"
    assert await fed.read(slow, [found("f", 1)], "e", "g", state=state) is not None, "nothing has changed there"
    assert await fed.read(slow, [found("b", 1)], None, "c", state=state) is not None
    assert await fed.read(slow, [found("d", 2), found("f", 1)], "c", "g") is not None, "it was read again"


async def test_a_removal_makes_pages_stale(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all(several("bdf"))
    slow, fast = await fed.begin(), await fed.begin()
    state = await fed.state()
    assert await fed.read(fast, [], "c", "e") is not None
    assert await fed.read(slow, several("df"), "c", "g", state=state) is None
    assert await fed.positions() == [b"b", b"f"]


async def test_a_page_of_certain_objects_is_stale_if_one_of_them_has_changed(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all(several("bdf"))
    slow, fast = await fed.begin(), await fed.begin()
    state = await fed.state()
    assert await fed.read(fast, [found("d", 1)], "c", "e") is not None
    assert await fed.read_some(slow, several("bd"), state=state) is None
    assert await fed.read_some(slow, [], state=state) is not None
    page = await fed.read_some(slow, [found("b", 3), found("x")], state=await fed.state())
    assert page is not None
    assert await fed.positions() == [b"b", b"d", b"f", b"x"], "such a page removes nothing"


async def test_where_the_index_has_changed_is_forgotten_in_time(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = await make_fed(catalog)
    clock = 1_000_000
    monkeypatch.setattr(feed_record, "now_ms", lambda: clock)
    monkeypatch.setattr(feed_record, "FORGET_CHANGES_EVERY", 1)
    started = await fed.begin()
    for number in range(4):
        await fed.read(started, several("ab", version=number))
    assert await count_rows(catalog, feed_changes) == 4
    clock += CHANGES_KEPT_MS
    await fed.read(started, several("ab", version=5))
    assert await count_rows(catalog, feed_changes) == 5
    clock += 1
    await fed.read(started, several("ab", version=6))
    assert await count_rows(catalog, feed_changes) == 2


async def test_merging_into_a_feed_that_was_dropped_is_an_error(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all(several("ab"))
    started = await fed.begin()
    state = await fed.state()
    assert await catalog.feed.drop(fed.dataset)
    assert await catalog.feed.state(state.feed) is None
    for objects in (several("abc"), several("ab", version=1)):
        with pytest.raises(CatalogUnavailableError, match="send it again"):
            await fed.read(started, objects, state=state)
    with pytest.raises(CatalogUnavailableError):
        await fed.end(started)


@pytest.mark.parametrize("seed", range(3))
async def test_counts_are_those_of_the_rows_after_any_merges(catalog: Catalog, seed: int) -> None:
    dice = random.Random(seed)
    keys = [f"{number:02}" for number in range(25)]
    fed, other = await make_fed(catalog), await make_fed(catalog, "other")
    await other.list_all(several("xyz", size=5))
    store: dict[str, StoredObject] = {}
    index: dict[str, StoredObject] = {}
    await fed.list_all([])
    for version in range(50):
        for key in dice.sample(keys, dice.randint(0, 4)):
            store[key] = found(key, version, NOW - dice.randint(0, 50), dice.randint(0, 99))
        for key in dice.sample(sorted(store), min(len(store), dice.randint(0, 2))):
            del store[key]
        after, up_to = sorted(dice.sample([None, *keys, "99"], 2), key=lambda key: key or "")
        expected = {key: each for key, each in sorted(store.items()) if (after or "") < key <= str(up_to)}
        page = await fed.read(await fed.begin(NOW + version), list(expected.values()), after, up_to)
        assert page is not None
        index = {key: each for key, each in index.items() if not (after or "") < key <= str(up_to)} | expected
        assert await fed.counts() == (len(index), sum(each.size for each in index.values()))
    assert await fed.positions() == [key.encode() for key in sorted(index)]
    assert await other.counts() == (3, 15)


async def test_of_two_replicas_that_merge_one_range_one_wins(catalogs: tuple[Catalog, Catalog]) -> None:
    """The other one must read the store again. Else an older answer could undo a newer one, or a count be lost."""
    one = await make_fed(catalogs[0])
    replicas = (one, one._replace(catalog=catalogs[1]))
    await one.list_all(several("abc"))
    for version in range(1, 11):
        stores = [[found("a", version, NOW, size), found("d", version, NOW, size)] for size in (version, 2 * version)]
        started = [await each.begin(NOW + 500) for each in replicas]
        state = await one.state()
        calls = zip(replicas, started, stores, strict=True)
        pages = await asyncio.gather(*(each.read(begun, store, state=state) for each, begun, store in calls))
        (loser,) = [number for number, page in enumerate(pages) if page is None]
        for number in (1 - loser, loser):
            if number == loser:
                assert await replicas[loser].read(started[loser], stores[loser]) is not None
            assert await one.counts() == (2, sum(each.size for each in stores[number]))
            assert await replicas[1].positions() == [b"a", b"d"]


async def test_two_replicas_that_merge_different_ranges_lose_no_update(catalogs: tuple[Catalog, Catalog]) -> None:
    one = await make_fed(catalogs[0])
    other = one._replace(catalog=catalogs[1])
    started = await one.begin()

    async def walk(fed: Fed, letters: str) -> None:
        for letter in letters:
            keys = [f"{letter}{number}" for number in range(5)]
            state = await fed.state()
            while await fed.read(started, several(keys, size=2), letter, f"{letter}9", state=state) is None:
                state = await fed.state()

    await asyncio.gather(walk(one, "abcdef"), walk(other, "ghijkl"), walk(one, "mnopq"), walk(other, "rstuv"))
    record = await one.record()
    assert (record.n_rows, record.n_bytes) == (110, 220)
    assert len(await other.positions()) == 110


@pytest.mark.parametrize("n_feeds", [6, 2, 1])
async def test_pages_of_one_user_leave_room_for_others(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, n_feeds: int
) -> None:
    """Pages of all feeds queued for the one writer: behind a user with a hundred datasets, others waited for all.

    Then pages of all feeds of a user were merged one by one, although PostgreSQL has four connections for writes.
    """
    feeds = [await make_fed(catalog, name=f"fed {number}") for number in range(n_feeds + 1)]
    started = [await fed.begin() for fed in feeds]
    database = catalog.feed._database
    write, begun, go_on = database.write, list[str](), asyncio.Event()

    async def slow(work: Callable[[Any], Any], *, durable: bool = True) -> Any:
        begun.append(current_user())
        await go_on.wait()
        return await write(work, durable=durable)

    monkeypatch.setattr(database, "write", slow)
    tasks = []
    for user, several_feeds in (("eve", [*range(n_feeds)] * 3), ("ada", [n_feeds])):
        with working_for(user):
            reads = [feeds[number].read(started[number], several("abc")) for number in several_feeds]
            tasks += [asyncio.create_task(read) for read in reads]
    expected = min(database.merges_per_user, n_feeds)
    async with asyncio.timeout(30):
        while "ada" not in begun or begun.count("eve") < expected:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert begun.count("eve") == expected, "pages of one feed would wait for each other"
    assert database.merges_per_user == (1 if isinstance(database, SqliteDatabase) else 2)
    go_on.set()
    await asyncio.gather(*tasks)


async def test_requests_of_one_user_do_not_wait_for_each_other_to_give_up(
    sqlite_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process held SQLite's lock, the shards of a listing waited 10, 20, 30 … seconds for their turn."""
    catalog = await Catalog.open(sqlite_url, keyring)
    feeds = [await make_fed(catalog, name=f"fed {number}") for number in range(2)]
    started = [await fed.begin() for fed in feeds]
    monkeypatch.setattr(database_module, "WAIT_SECONDS", 1.0)

    async def seconds(number: int) -> float:
        began = time.monotonic()
        with database_module.limit_waits(), pytest.raises(CatalogUnavailableError, match="try again"):
            await feeds[number].read(started[number], several("abc"))
        return time.monotonic() - began

    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with working_for("ada"):
        waited = await asyncio.gather(*(seconds(number % 2) for number in range(5)))
    other.execute("ROLLBACK")
    other.close()
    assert min(waited) > 0.8
    assert max(waited) < 2.0
    assert await feeds[0].read(started[0], several("abc")) is not None, "all turns were given back"
    await catalog.close()
