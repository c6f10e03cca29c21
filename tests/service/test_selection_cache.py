"""Relevant-filenames files are read once, and again when they change."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headwater.domain.datasource import Datasource, parse_config
from headwater.domain.errors import RelevantFilenamesInvalidError, StoreUnavailableError
from headwater.domain.objects import StoredObject, StorePage
from headwater.domain.selection import PATTERN_BYTES, PREFIX_BYTES
from headwater.domain.selection_parser import MAX_FILE_BYTES, MAX_PATTERNS, MAX_PREFIXES, SelectionParser
from headwater.net.users import working_for
from headwater.service import selection_cache
from headwater.service.selection_cache import READ_BYTES, SelectionCache
from tests.stores.memory import MemoryStore

DATASOURCE = Datasource("1" * 24, "d" * 24, parse_config({"type": "LOCAL", "fullPath": "a"}))
FILE = ".lightly/relevant.txt"
NINE_MIB_OF_BLANK_LINES = (b" " * 1023 + b"\n") * (9 * 2**10)


class FileStore(MemoryStore):
    """A store with one file, which may change while it is read."""

    def __init__(self, data: bytes, changes: int = 0, etag: str | None = "e") -> None:
        super().__init__([FILE, FILE + ".bak"])
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


async def test_an_unchanged_file_is_read_once() -> None:
    data = b"".join(b"folder/%09d.png\n" % index for index in range(100_000))
    store, cache = FileStore(data), SelectionCache()
    selections = await asyncio.gather(*(cache.load(store, DATASOURCE, FILE) for _ in range(5)))
    assert len(selections[0].names) == 100_000
    assert store.reads == -(-len(data) // READ_BYTES)
    store.data, store.etag = b"a.png", "f"
    assert (await cache.load(store, DATASOURCE, FILE)).names.part(0, 9) == ["a.png"]


async def test_the_limit_of_the_cache_counts_the_memory_of_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the size of files was counted, so small files with many patterns filled the memory."""
    largest = MAX_FILE_BYTES + MAX_PREFIXES * PREFIX_BYTES + MAX_PATTERNS * PATTERN_BYTES
    assert largest <= selection_cache.MAX_CACHED_BYTES
    monkeypatch.setattr(selection_cache, "MAX_CACHED_BYTES", 2**20)
    cache = SelectionCache()
    line = " ".join(["folder/*", *(f"{index}*" for index in range(600))]).encode()
    first, second = FileStore(line), FileStore(line, etag="other")
    for store in (first, first, second, second, first):
        await cache.load(store, DATASOURCE, FILE)
    assert (first.reads, second.reads) == (2, 1)


async def test_a_file_without_an_etag_is_read_each_time() -> None:
    store, cache = FileStore(b"a.png", etag=None), SelectionCache()
    for text in (b"b.png", b"c.png"):
        store.data = text
        assert (await cache.load(store, DATASOURCE, FILE)).names.part(0, 9) == [text.decode()]


async def test_a_file_that_grows_while_it_is_read_is_read_completely() -> None:
    class Growing(FileStore):
        async def read(self, key: str, limit: int, start: int = 0) -> bytes:
            if not self.reads:
                self.data += b"\nlonger.png"
            return await super().read(key, limit, start)

    selection = await SelectionCache().load(Growing(b"a.png\nlong"), DATASOURCE, FILE)
    assert selection.names.part(0, 9) == ["a.png", "long", "longer.png"]


async def test_a_file_that_is_slow_to_read_delays_no_other() -> None:
    class Hanging(FileStore):
        async def read(self, key: str, limit: int, start: int = 0) -> bytes:
            await asyncio.sleep(3600)
            return b""

    cache = SelectionCache()
    hanging = asyncio.create_task(cache.load(Hanging(b"a.png"), DATASOURCE, FILE))
    await asyncio.sleep(0.01)
    assert (await cache.load(FileStore(b"b.png", etag="other"), DATASOURCE, FILE)).names.part(0, 9) == ["b.png"]
    hanging.cancel()


async def test_a_file_that_keeps_changing_is_an_error() -> None:
    data = b"a.png\n" * (READ_BYTES // 5)
    assert (await SelectionCache().load(FileStore(data, changes=1), DATASOURCE, FILE)).names.part(0, 9) == ["a.png"]
    with pytest.raises(StoreUnavailableError, match="changes while it is read"):
        await SelectionCache().load(FileStore(data, changes=9), DATASOURCE, FILE)


@pytest.mark.slow
async def test_the_cache_is_bounded() -> None:
    cache = SelectionCache()
    for number in range(8):
        store = FileStore(b"%012d.png\n" % number + NINE_MIB_OF_BLANK_LINES, etag=str(number))
        await cache.load(store, DATASOURCE, FILE)
        reads = store.reads
        await cache.load(store, DATASOURCE, FILE)
        assert store.reads == reads
    first = FileStore(b"%012d.png\n" % 0 + NINE_MIB_OF_BLANK_LINES, etag="0")
    await cache.load(first, DATASOURCE, FILE)
    assert first.reads, "the first file was removed for later ones"


async def test_a_missing_file_is_refused() -> None:
    with pytest.raises(RelevantFilenamesInvalidError, match=r"there is no file \.lightly/other"):
        await SelectionCache().load(FileStore(b""), DATASOURCE, ".lightly/other")


# --- one user does not make others wait ---


class Silent(FileStore):
    """A store that says that the file exists and never sends it."""

    async def read(self, key: str, limit: int, start: int = 0) -> bytes:
        self.reads += 1
        await asyncio.sleep(3600)
        return b""


async def test_files_of_one_user_that_never_arrive_do_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """All users shared four places: forty requests to a silent store kept everyone's files waiting for minutes."""
    monkeypatch.setattr(selection_cache, "LOAD_SECONDS", 1.0)
    cache = SelectionCache()
    silent = [Silent(b"a.png", etag=str(number)) for number in range(40)]
    with working_for("eve"):
        loads = [asyncio.create_task(cache.load(store, DATASOURCE, FILE)) for store in silent]
    await asyncio.sleep(0.05)
    assert sum(store.reads for store in silent) == selection_cache.MAX_CONCURRENT_READS_PER_USER
    with working_for("ada"):
        async with asyncio.timeout(0.5):
            found = await cache.load(FileStore(b"b.png", etag="other"), DATASOURCE, FILE)
    assert found.names.part(0, 9) == ["b.png"]
    async with asyncio.timeout(10):  # not one after the other
        failed = await asyncio.gather(*loads, return_exceptions=True)
    assert all(isinstance(each, StoreUnavailableError) and "takes longer than" in each.message for each in failed)
    # A user with a single request may wait for the places of others.
    assert all("the server is busy" in str(each) and "you have" not in str(each) for each in failed)


async def test_large_files_of_one_user_displace_no_files_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Selections were dropped by their age alone: one user's files made every page of others read theirs again."""
    monkeypatch.setattr(selection_cache, "MAX_CACHED_BYTES", 10_000)
    cache = SelectionCache()
    small = FileStore(b"a.png\n" * 300)
    with working_for("ada"):
        await cache.load(small, DATASOURCE, FILE)
    with working_for("eve"):
        for number in range(9):
            large = FileStore(b"b.png\n" * 800, etag=f"eve {number}")
            await cache.load(large, DATASOURCE, FILE)
        await cache.load(large, DATASOURCE, FILE)
    with working_for("ada"):
        await cache.load(small, DATASOURCE, FILE)
    assert (small.reads, large.reads) == (1, 1)


async def test_many_patterns_are_compiled_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling the patterns of one file held a thread of the executor that everyone used, for seconds."""
    fed = []
    parse = SelectionParser.feed

    def feed(parser: SelectionParser, chunk: bytes) -> None:
        fed.append((len(chunk), threading.current_thread().name.partition("-")[0]))
        parse(parser, chunk)

    monkeypatch.setattr(SelectionParser, "feed", feed)
    line = b"* " + b" ".join(b"x%d" % number for number in range(3000)) + b"\n"
    await SelectionCache().load(FileStore(line * 9), DATASOURCE, FILE)
    assert len(fed) > 2
    assert {thread for _, thread in fed} == {"compute"}
    assert max(size for size, _ in fed) <= selection_cache.PARSED_BYTES
