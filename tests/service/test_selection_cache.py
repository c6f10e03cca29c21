"""Relevant-filenames files are read once, and again when they change."""

from __future__ import annotations

import asyncio

import pytest

from headwater.domain.datasource import Datasource, parse_config
from headwater.domain.errors import RelevantFilenamesInvalidError, StoreUnavailableError
from headwater.domain.objects import StoredObject, StorePage
from headwater.domain.selection import PATTERN_BYTES, PREFIX_BYTES
from headwater.domain.selection_parser import MAX_FILE_BYTES, MAX_PATTERNS, MAX_PREFIXES
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
