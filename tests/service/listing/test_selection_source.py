"""Listing by relevant filenames: exactly what the file names, and nothing else is asked for.

Source: contract.md#relevant-filenames.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.domain.datasource import Datasource, parse_config
from headwater.domain.errors import RelevantFilenamesInvalidError, StoreUnavailableError
from headwater.domain.key_order import Order
from headwater.domain.objects import StoredObject, StorePage
from headwater.domain.selection import (
    MOST_BYTES,
    MOST_PATTERNS,
    MOST_PREFIXES,
    PATTERN_BYTES,
    PREFIX_BYTES,
    Selection,
    SelectionParser,
)
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.service import selection_cache
from headwater.service.listing.selection_source import collect, find_selection_split_points
from headwater.service.selection_cache import RANGE, SelectionCache
from headwater.settings import Settings
from headwater.stores.registry import StoreRegistry
from tests.stores.memory import MemoryStore, by_path, by_utf_8, by_utf_16

SOURCE = Datasource("1" * 24, "d" * 24, parse_config({"type": "LOCAL", "fullPath": "a"}))
NAME = ".lightly/relevant.txt"
FILLING = (b" " * 1023 + b"\n") * (9 * 2**10)
"""Lines without names, 9 MiB of them."""


def planned(*lines: str) -> Selection:
    parser = SelectionParser(NAME)
    parser.feed("\n".join(lines).encode())
    return parser.finish()


class Watched(MemoryStore):
    """Keeps what it was asked for."""

    asked: list[tuple[str, str | None, int]]

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.asked = []

    async def list_page(self, prefix: str, after: str | None, limit: int, marker: str | None = None) -> StorePage:
        self.asked.append((prefix, after, limit))
        return await super().list_page(prefix, after, limit, marker)


async def listed(
    store: MemoryStore,
    plan: Selection,
    *,
    folder: str = "",
    limit: int = 1000,
    after: str | None = None,
    until: str | None = None,
    order: str = "",
    hurry: bool = False,
) -> list[list[str]]:
    pages: list[list[str]] = []
    marker = None
    while True:
        found = await collect(
            store,
            plan,
            folder=folder,
            after=after,
            marker=marker,
            until=until,
            order=order,
            limit=limit,
            stop_at=0 if hurry else time.monotonic() + 60,
        )
        pages.append([each.key for each in found.objects])
        assert len(pages[-1]) <= limit
        after, marker = found.resume_after, found.marker
        if after is None:
            return pages
        assert len(pages) < 2000, "it stands still"


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
def test_it_lists_what_the_plan_selects_once(
    keys: set[str],
    data: st.DataObject,
    starts: list[str],
    folder: str,
    limit: int,
    page: int,
    order_name: str,
    starts_after: bool,
    hurry: bool,
    shards: int,
) -> None:
    order, by = ORDERS[order_name]
    sort_text: Sequence[str] = sorted(keys, key=by)  # type: ignore[arg-type]  # comparable each with its own kind
    can_be_named = [key for key in sort_text if not key.startswith("/") and not {".", ".."} & set(key.split("/"))]
    named = data.draw(st.lists(st.sampled_from(can_be_named), max_size=40)) if can_be_named else []
    plan = planned(*named, "absent", "ab/absent", *(f"{start}*" for start in starts if not start.startswith("/")))
    expected = sorted(
        key for key in keys if plan.selects(key) and key.startswith(folder) and not key.startswith("absent")
    )

    def store() -> MemoryStore:
        return MemoryStore(sort_text, order=order, by=by, list_limit=page, starts_after=starts_after)

    async def all_ways() -> None:
        pages = await listed(store(), plan, folder=folder, limit=limit, hurry=hurry)
        assert sorted(key for each in pages for key in each) == expected
        used = store()
        bounds, told = await find_selection_split_points(used, plan, folder, shards)
        assert len(bounds) < shards or not bounds
        parts = [
            key
            for after, until in zip([None, *bounds], [*bounds, None], strict=True)
            for each in await listed(
                used, plan, folder=folder, limit=limit, after=after, until=until, order=told, hurry=hurry
            )
            for key in each
        ]
        assert sorted(parts) == expected

    if starts_after or not starts:  # a store that cannot start after a key is read by its own markers, not by bounds
        asyncio.run(all_ways())


async def test_names_that_lie_densely_are_answered_by_the_page() -> None:
    keys = [f"day/{index:06}.png" for index in range(20_000)]
    store = Watched(keys)
    pages = await listed(store, planned(*keys[5000:15_000]), limit=10_000)
    assert [key for page in pages for key in page] == keys[5000:15_000]
    assert len(store.asked) <= 10_000 / 1000 * 2
    assert store.read_keys < 25_000


async def test_names_that_lie_far_apart_are_asked_for_one_by_one() -> None:
    keys = [f"day/{index:06}.png" for index in range(100_000)]
    store = Watched(keys)
    wanted = keys[::500]
    pages = await listed(store, planned(*wanted), limit=1000)
    assert [key for page in pages for key in page] == wanted
    assert len(store.asked) <= len(wanted) * 1.1
    assert store.read_keys < 2 * 130 * len(wanted) / 64 + 2 * len(wanted)


async def test_nothing_is_asked_for_beyond_the_prefixes() -> None:
    keys = sorted([f"{folder}/{index:04}.png" for folder in "abcdef" for index in range(2000)])
    store = Watched(keys)
    pages = await listed(store, planned("b/*", "d/1*", "e/0007.png"))
    found = [key for page in pages for key in page]
    assert found == [key for key in keys if key.startswith(("b/", "d/1")) or key == "e/0007.png"]
    assert {prefix for prefix, _, _ in store.asked} == {"b/", "d/1", "e/0007.png"}
    assert store.read_keys == len(found)


@pytest.mark.parametrize("order", ["utf-16", "path"])
async def test_a_page_answers_for_many_names_in_other_orders_too(order: str) -> None:
    told, by = ORDERS[order]
    keys = sorted([f"day{part}/{index:04}.png" for part in ("", "-1", ".x", "2") for index in range(1000)], key=by)  # type: ignore[arg-type]
    store = Watched(keys, order=told, by=by)
    wanted = keys[::2]
    pages = await listed(store, planned(*wanted, *(f"{name}.absent" for name in wanted)))
    assert sorted(key for page in pages for key in page) == sorted(wanted)
    assert len(store.asked) < len(wanted) / 10


async def test_a_file_that_changed_meanwhile_hides_nothing() -> None:
    """That a prefix was listed to its end says nothing of a wider one, which stands in its place by now."""
    store = MemoryStore([f"a/{index}.png" for index in range(9)] + ["b.png"])
    narrow = await collect(
        store, planned("a/3*", "b.png"), folder="", after=None, marker=None, until=None, order="", limit=1, stop_at=0
    )
    assert [each.key for each in narrow.objects] == ["a/3.png"]
    rest = await collect(
        store,
        planned("a/*", "b.png"),
        folder="",
        after=narrow.resume_after,
        marker=narrow.marker,
        until=None,
        order="",
        limit=99,
        stop_at=time.monotonic() + 60,
    )
    assert {each.key for each in rest.objects} >= {f"a/{index}.png" for index in range(4, 9)} | {"b.png"}


async def test_patterns_that_take_long_make_pages_short() -> None:
    keys = [f"{index:03}.png" for index in range(50)]
    plan = planned("* *7.png", "017.png")
    pages = await listed(MemoryStore(keys), plan, hurry=True)
    assert len(pages) >= len(keys) - 5
    assert [key for page in pages for key in page] == [key for key in keys if key[2] != "7" or key == "017.png"]


async def test_a_folder_of_files_is_listed_alike(tmp_path: Path) -> None:
    chosen = random.Random(1)
    keys = sorted({"/".join(chosen.choices(["a", "a-b", "a.c", "ü", "z z"], k=3)) + f"{n}.png" for n in range(150)})
    for key in keys:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).touch()
    plan = planned(*chosen.sample(keys, 40), "a/a/*", "ü/* *1.png !**/a1.png", "a-b/absent", "zz")
    expected = [key for key in keys if plan.selects(key)]
    stores = StoreRegistry(
        Settings.load({"HEADWATER_LOCAL_ROOT": str(tmp_path), "HEADWATER_DATA_DIR": str(tmp_path / "d")}),
        [bytes(32)],
        Transport(Egress()),
    )
    config = parse_config({"type": "LOCAL", "fullPath": ""})
    store = stores.open(Datasource("1" * 24, "d" * 24, config))
    for limit in (3, 1000):
        pages: list[list[str]] = []
        after, marker = None, None
        while True:
            found = await collect(
                store,
                plan,
                folder="",
                after=after,
                marker=marker,
                until=None,
                order="",
                limit=limit,
                stop_at=time.monotonic() + 60,
            )
            pages.append([each.key for each in found.objects])
            after, marker = found.resume_after, found.marker
            if after is None:
                break
        assert [key for page in pages for key in page] == expected
    await stores.aclose()


async def test_a_request_stops_in_time_and_goes_on_where_it_stood() -> None:
    keys = [f"{index:05}.png" for index in range(3000)]
    pages = await listed(MemoryStore(keys), planned(*keys[::7]), hurry=True)
    assert len(pages) > 1
    assert [key for page in pages for key in page] == keys[::7]


class Files(MemoryStore):
    """Holds one file, which may change while it is read."""

    def __init__(self, data: bytes, changes: int = 0, etag: str | None = "e") -> None:
        super().__init__([NAME, NAME + ".bak"])
        self.data = data
        self.etag = etag
        self.reads = 0
        self._changes = changes

    async def list_page(self, prefix: str, after: str | None, limit: int, marker: str | None = None) -> StorePage:
        page = await super().list_page(prefix, after, limit, marker)
        etag = self.etag and f"{self.etag}{self._changes}"
        return page._replace(objects=[StoredObject(each.key, len(self.data), 7, etag) for each in page.objects])

    async def read(self, key: str, limit: int, start: int = 0) -> bytes:
        self.reads += 1
        if self._changes and start:
            self._changes -= 1
        return self.data[start : start + limit]


async def test_a_file_is_read_in_ranges_and_once_as_long_as_it_stays() -> None:
    data = b"".join(b"folder/%09d.png\n" % index for index in range(100_000))
    store, files = Files(data), SelectionCache()
    plans = await asyncio.gather(*(files.plan(store, SOURCE, NAME) for _ in range(5)))
    assert len(plans[0].names) == 100_000
    assert store.reads == -(-len(data) // RANGE)
    store.data, store.etag = b"a.png", "f"
    assert (await files.plan(store, SOURCE, NAME)).names.part(0, 9) == ["a.png"]


async def test_what_is_kept_is_told_by_the_memory_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern takes a multiple of its text: by that alone, small files of many patterns filled the memory."""
    largest = MOST_BYTES + MOST_PREFIXES * PREFIX_BYTES + MOST_PATTERNS * PATTERN_BYTES
    assert largest <= selection_cache.CACHED_BYTES
    monkeypatch.setattr(selection_cache, "CACHED_BYTES", 2**20)
    files = SelectionCache()
    line = " ".join(["folder/*", *(f"{index}*" for index in range(600))]).encode()
    first, second = Files(line), Files(line, etag="other")
    for store in (first, first, second, second, first):
        await files.plan(store, SOURCE, NAME)
    assert (first.reads, second.reads) == (2, 1)


async def test_a_file_without_an_etag_is_read_each_time() -> None:
    store, files = Files(b"a.png", etag=None), SelectionCache()
    for text in (b"b.png", b"c.png"):
        store.data = text
        assert (await files.plan(store, SOURCE, NAME)).names.part(0, 9) == [text.decode()]


async def test_a_file_that_grew_meanwhile_is_not_cut() -> None:
    class Growing(Files):
        async def read(self, key: str, limit: int, start: int = 0) -> bytes:
            if not self.reads:
                self.data += b"\nlonger.png"
            return await super().read(key, limit, start)

    plan = await SelectionCache().plan(Growing(b"a.png\nlong"), SOURCE, NAME)
    assert plan.names.part(0, 9) == ["a.png", "long", "longer.png"]


async def test_a_file_that_is_slow_to_read_holds_up_no_other() -> None:
    class Hanging(Files):
        async def read(self, key: str, limit: int, start: int = 0) -> bytes:
            await asyncio.sleep(3600)
            return b""

    files = SelectionCache()
    hanging = asyncio.create_task(files.plan(Hanging(b"a.png"), SOURCE, NAME))
    await asyncio.sleep(0.01)
    assert (await files.plan(Files(b"b.png", etag="other"), SOURCE, NAME)).names.part(0, 9) == ["b.png"]
    hanging.cancel()


async def test_a_file_that_changes_is_read_again_and_then_given_up() -> None:
    data = b"a.png\n" * (RANGE // 5)
    assert (await SelectionCache().plan(Files(data, changes=1), SOURCE, NAME)).names.part(0, 9) == ["a.png"]
    with pytest.raises(StoreUnavailableError, match="changes while it is read"):
        await SelectionCache().plan(Files(data, changes=9), SOURCE, NAME)


async def test_what_is_kept_is_bounded() -> None:
    files = SelectionCache()
    for number in range(8):
        store = Files(b"%012d.png\n" % number + FILLING, etag=str(number))
        await files.plan(store, SOURCE, NAME)
        reads = store.reads
        await files.plan(store, SOURCE, NAME)
        assert store.reads == reads
    first = Files(b"%012d.png\n" % 0 + FILLING, etag="0")
    await files.plan(first, SOURCE, NAME)
    assert first.reads, "it made room for later ones"


async def test_it_is_not_there() -> None:
    with pytest.raises(RelevantFilenamesInvalidError, match=r"there is no file \.lightly/other"):
        await SelectionCache().plan(Files(b""), SOURCE, ".lightly/other")
