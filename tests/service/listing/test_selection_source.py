"""Listings by relevant filenames: exactly what the file selects, and no requests for anything else.

Source: contract.md#relevant-filenames.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.domain.datasource import Datasource, parse_config
from headwater.domain.errors import RelevantFilenamesInvalidError
from headwater.domain.gitignore import PatternList
from headwater.domain.key_order import Order
from headwater.domain.key_range import KeyRange, Resume
from headwater.domain.objects import StorePage
from headwater.domain.selection import Selection
from headwater.domain.selection_parser import SelectionParser
from headwater.net.compute import compute
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.net.users import working_for
from headwater.service.listing import selection_source
from headwater.service.listing.selection_source import SelectionSource
from headwater.service.listing.splitting import find_selection_split_points
from headwater.settings import Settings
from headwater.stores.base import Store
from headwater.stores.registry import StoreRegistry
from tests.stores.memory import MemoryStore, by_path, by_utf_8, by_utf_16


def select(*lines: str) -> Selection:
    """Return the selection of a file with these lines."""
    parser = SelectionParser(".lightly/relevant.txt")
    parser.feed("\n".join(lines).encode())
    return parser.finish()


class RecordingStore(MemoryStore):
    """Records the pages that are requested: prefix, key after which to begin, limit."""

    pages: list[tuple[str, str | None, int]]

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.pages = []

    async def list_page(self, prefix: str, after: str | None, limit: int, marker: str | None = None) -> StorePage:
        self.pages.append((prefix, after, limit))
        return await super().list_page(prefix, after, limit, marker)


async def list_pages(
    store: Store,
    selection: Selection,
    key_range: KeyRange = KeyRange(),  # noqa: B008  a constant
    *,
    limit: int = 1000,
    after: str | None = None,
    out_of_time: bool = False,
) -> list[list[str]]:
    """Return the keys of each page of a listing; with `out_of_time`, the deadline of each page is over at once."""
    source = SelectionSource(store, selection, key_range)
    pages: list[list[str]] = []
    resume: Resume | None = Resume(after)
    while resume is not None:
        found = await source.page(resume, limit, 0 if out_of_time else time.monotonic() + 60)
        pages.append([each.key for each in found.objects])
        assert len(pages[-1]) <= limit
        assert len(pages) < 2000, "the listing does not advance"
        resume = found.resume
    return pages


ALPHABET = "ab/.é\ue000🙂"
keys_of = st.sets(st.text(ALPHABET, min_size=1, max_size=6), max_size=60)
ORDERS = {
    "utf-8": (Order.CODE_POINTS, by_utf_8),
    "utf-16": (Order.UTF16_AMBIGUOUS, by_utf_16),
    "path": (Order.SLASH_FIRST, by_path),
}


@settings(max_examples=150, deadline=None)
@given(
    keys_of,
    st.data(),
    st.lists(st.text("ab/é", max_size=3), max_size=3),
    st.sampled_from(["", "a", "a/"]),
    st.integers(1, 9),
    st.integers(1, 6),
    st.sampled_from(sorted(ORDERS)),
    st.booleans(),
    st.booleans(),
    st.integers(1, 5),
)
def test_each_selected_key_is_listed_once(
    keys: set[str],
    data: st.DataObject,
    starts: list[str],
    folder: str,
    limit: int,
    page: int,
    order_name: str,
    starts_after: bool,
    out_of_time: bool,
    shards: int,
) -> None:
    order, by = ORDERS[order_name]
    listing: Sequence[str] = sorted(keys, key=by)  # type: ignore[arg-type]  # comparable each with its own kind
    can_be_named = [key for key in listing if not key.startswith("/") and not {".", ".."} & set(key.split("/"))]
    named = data.draw(st.lists(st.sampled_from(can_be_named), max_size=40)) if can_be_named else []
    selection = select(*named, "absent", "ab/absent", *(f"{start}*" for start in starts if not start.startswith("/")))
    expected = sorted(
        key for key in keys if selection.selects(key) and key.startswith(folder) and not key.startswith("absent")
    )

    def store() -> MemoryStore:
        return MemoryStore(listing, order=order, by=by, list_limit=page, starts_after=starts_after)

    async def all_ways() -> None:
        pages = await list_pages(store(), selection, KeyRange(folder), limit=limit, out_of_time=out_of_time)
        assert sorted(key for each in pages for key in each) == expected
        split_store = store()
        split = await find_selection_split_points(split_store, selection, folder, shards)
        assert len(split.points) < shards or not split.points
        parts = [
            key
            for after, last_key in zip([None, *split.points], [*split.points, None], strict=True)
            for page in await list_pages(
                split_store,
                selection,
                KeyRange(folder, last_key, split.order),
                limit=limit,
                after=after,
                out_of_time=out_of_time,
            )
            for key in page
        ]
        assert sorted(parts) == expected

    if starts_after or not starts:  # a store that cannot start after a key is read by its own markers, not by bounds
        asyncio.run(all_ways())


async def test_names_close_together_are_found_on_few_pages() -> None:
    keys = [f"day/{index:06}.png" for index in range(20_000)]
    store = RecordingStore(keys)
    pages = await list_pages(store, select(*keys[5000:15_000]), limit=10_000)
    assert [key for page in pages for key in page] == keys[5000:15_000]
    assert len(store.pages) <= 10_000 / 1000 * 2
    assert store.read_keys < 25_000


async def test_names_far_apart_are_looked_up_one_by_one() -> None:
    keys = [f"day/{index:06}.png" for index in range(100_000)]
    store = RecordingStore(keys)
    wanted = keys[::500]
    pages = await list_pages(store, select(*wanted), limit=1000)
    assert [key for page in pages for key in page] == wanted
    assert len(store.pages) <= len(wanted) * 1.1
    assert store.read_keys < 2 * 130 * len(wanted) / 64 + 2 * len(wanted)


async def test_only_selected_prefixes_are_requested() -> None:
    keys = sorted([f"{folder}/{index:04}.png" for folder in "abcdef" for index in range(2000)])
    store = RecordingStore(keys)
    pages = await list_pages(store, select("b/*", "d/1*", "e/0007.png"))
    found = [key for page in pages for key in page]
    assert found == [key for key in keys if key.startswith(("b/", "d/1")) or key == "e/0007.png"]
    assert {prefix for prefix, _, _ in store.pages} == {"b/", "d/1", "e/0007.png"}
    assert store.read_keys == len(found)


@pytest.mark.parametrize("order", ["utf-16", "path"])
async def test_names_close_together_are_found_on_few_pages_in_other_orders(order: str) -> None:
    told, by = ORDERS[order]
    keys = sorted([f"day{part}/{index:04}.png" for part in ("", "-1", ".x", "2") for index in range(1000)], key=by)  # type: ignore[arg-type]
    store = RecordingStore(keys, order=told, by=by)
    wanted = keys[::2]
    pages = await list_pages(store, select(*wanted, *(f"{name}.absent" for name in wanted)))
    assert sorted(key for page in pages for key in page) == sorted(wanted)
    assert len(store.pages) < len(wanted) / 10


async def test_a_file_that_changed_between_pages_hides_nothing() -> None:
    """A prefix that was finished was taken for a wider prefix, which the changed file has in its place."""
    store = MemoryStore([f"a/{index}.png" for index in range(9)] + ["b.png"])
    narrow = await SelectionSource(store, select("a/3*", "b.png"), KeyRange()).page(Resume(), 1, deadline=0)
    assert [each.key for each in narrow.objects] == ["a/3.png"]
    assert narrow.resume == Resume("a/3", prefix_done=True)
    wide = SelectionSource(store, select("a/*", "b.png"), KeyRange())
    rest = await wide.page(narrow.resume, 99, time.monotonic() + 60)
    assert {each.key for each in rest.objects} >= {f"a/{index}.png" for index in range(4, 9)} | {"b.png"}


async def test_slow_patterns_make_pages_short() -> None:
    keys = [f"{index:03}.png" for index in range(50)]
    selection = select("* *7.png", "017.png")
    pages = await list_pages(MemoryStore(keys), selection, out_of_time=True)
    assert len(pages) >= len(keys) - 5
    assert [key for page in pages for key in page] == [key for key in keys if key[2] != "7" or key == "017.png"]


async def test_a_local_folder_is_listed_like_a_bucket(tmp_path: Path) -> None:
    chosen = random.Random(1)
    keys = sorted({"/".join(chosen.choices(["a", "a-b", "a.c", "ü", "z z"], k=3)) + f"{n}.png" for n in range(150)})
    for key in keys:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).touch()
    selection = select(*chosen.sample(keys, 40), "a/a/*", "ü/* *1.png !**/a1.png", "a-b/absent", "zz")
    expected = [key for key in keys if selection.selects(key)]
    stores = StoreRegistry(
        Settings.load({"HEADWATER_LOCAL_ROOT": str(tmp_path), "HEADWATER_DATA_DIR": str(tmp_path / "d")}),
        [bytes(32)],
        Transport(Egress()),
    )
    config = parse_config({"type": "LOCAL", "fullPath": ""})
    store = stores.open(Datasource("1" * 24, "d" * 24, config))
    for limit in (3, 1000):
        pages = await list_pages(store, selection, limit=limit)
        assert [key for page in pages for key in page] == expected
    stores.close()


async def test_a_page_ends_at_its_deadline_and_the_next_one_continues() -> None:
    keys = [f"{index:05}.png" for index in range(3000)]
    pages = await list_pages(MemoryStore(keys), select(*keys[::7]), out_of_time=True)
    assert len(pages) > 1
    assert [key for page in pages for key in page] == keys[::7]


async def test_time_is_checked_between_the_patterns_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time was checked between keys only: a key with thousands of patterns held a page long after its time."""
    keys = [f"{index:03}.png" for index in range(50)]
    matched = []

    def slow(self: PatternList, key: str, pause: Callable[[], None]) -> bool:
        matched.append(key)
        for _ in range(3 if key == keys[0] else 200):
            time.sleep(0.01)
            pause()
        return False

    monkeypatch.setattr(PatternList, "excludes", slow)
    source = SelectionSource(MemoryStore(keys), select("* x"), KeyRange())
    began = time.monotonic()
    page = await source.page(Resume(), 1000, began + 0.4)
    assert time.monotonic() - began < 1.5
    assert ([each.key for each in page.objects], page.resume) == ([keys[0]], Resume(keys[0]))
    assert set(matched) == {*keys[:2]}
    page = await source.page(page.resume or Resume(), 1000, time.monotonic() + 0.1)
    assert ([each.key for each in page.objects], page.resume) == ([keys[1]], Resume(keys[1]))


async def test_patterns_that_take_too_long_for_one_key_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing cannot continue in the middle of a key: each page would have taken minutes of processor time."""
    monkeypatch.setattr(selection_source, "MAX_KEY_SECONDS", 0.05)
    slow = " ".join(f"a*/**/a*/**/b{number}" for number in range(400))
    source = SelectionSource(MemoryStore(["a.png", "/".join(["aaa"] * 250)]), select(f"* {slow}"), KeyRange())
    with pytest.raises(RelevantFilenamesInvalidError, match="matching the patterns takes more than"):
        await source.page(Resume(), 1000, time.monotonic() + 60)


async def test_a_page_ends_if_other_requests_of_the_user_take_the_time() -> None:
    """A request waited for a thread for as long as the requests before it took, however many there were."""
    go_on = threading.Event()
    keys = [f"{index:03}.png" for index in range(5)]
    source = SelectionSource(MemoryStore(keys), select("b/*", "* *1.png"), KeyRange())
    with working_for("eve"):
        blocked = asyncio.create_task(compute(go_on.wait, 20))
        await asyncio.sleep(0.02)
        page = await source.page(Resume(), 1000, time.monotonic() + 0.05)
        assert (page.objects, page.resume) == ([], Resume())
    with working_for("ada"):
        page = await source.page(Resume(), 1000, time.monotonic() + 5)
        assert (len(page.objects), page.resume) == (4, None)
    go_on.set()
    await blocked


async def test_patterns_of_one_user_do_not_keep_others_waiting() -> None:
    """All users shared one executor: a few requests with many patterns delayed a request of another user by minutes."""
    slow = select("* " + " ".join(f"a*/**/a*/**/b{number}" for number in range(500)))
    long_keys = ["/".join(["aaa"] * 250) + f"/{number:03}.png" for number in range(50)]
    requests = []
    with working_for("eve"):
        for _ in range(40):
            source = SelectionSource(MemoryStore(long_keys), slow, KeyRange())
            requests.append(asyncio.create_task(source.page(Resume(), 1000, time.monotonic() + 30)))
    await asyncio.sleep(0.1)
    with working_for("ada"):
        async with asyncio.timeout(5):  # the requests before it take eleven seconds for their first keys alone
            source = SelectionSource(MemoryStore(["a.png", "b.png"]), select("* a*"), KeyRange())
            page = await source.page(Resume(), 1000, time.monotonic() + 5)
    assert [each.key for each in page.objects] == ["b.png"]
    assert not any(request.done() for request in requests)
    for request in requests:
        request.cancel()
