"""What a listing costs, and that one request is bounded in time: counted by a proxy before a real S3 server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.auth.permissions import DatasetContext, open_dataset
from headwater.domain.dataset import NewDataset
from headwater.domain.key_range import KeyRange, Resume
from headwater.domain.objects import StoredObject, StorePage
from headwater.domain.permissions import Permission
from headwater.domain.users import NewToken, Principal
from headwater.domain.window import Window
from headwater.service.admin import create_dataset, create_token, find_dataset
from headwater.service.configure import put_datasource
from headwater.service.context import ServiceContext, open_context
from headwater.service.listing import pages as listing_pages
from headwater.service.listing.dated_source import DatedSource
from headwater.service.listing.pages import ListingRequest, SamplesPage, list_samples, read_page
from headwater.service.listing.store_source import StoreSource
from headwater.settings import Settings
from headwater.stores.base import Store
from headwater.testing.fault_proxy import Delay, FaultProxy
from headwater.web.app import create_app
from tests.servers import KEY_ID, SECRET, moto_server, s3_client
from tests.stores.memory import ListingStore

ADA = Principal("ada")
BUCKET = "costs"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url, s3_client(url) as client:
        client.create_bucket(Bucket=BUCKET)
        for folder, suffix, count in FOLDERS:
            for index in range(count):
                client.put_object(Bucket=BUCKET, Key=f"{folder}/{index:03}.{suffix}", Body=b"")
        yield url


FOLDERS = [
    ("own/.lightly/predictions/task", "json", 60),
    ("own/a", "png", 12),
    ("plain/a", "png", 100),
    ("mixed/a", "txt", 45),
    ("mixed/b", "png", 5),
    ("mixed/c", "txt", 50),
]


@asynccontextmanager
async def _service(
    folder: Path, endpoint: str, path: str, page_size: int
) -> AsyncIterator[tuple[ServiceContext, DatasetContext]]:
    """A service with a dataset on `path` of the bucket behind `endpoint`."""
    settings = Settings.load(
        {
            "HEADWATER_DATA_DIR": str(folder / "data"),
            "HEADWATER_ALLOWED_ENDPOINTS": "127.0.0.1",
            "HEADWATER_PAGE_SIZE": str(page_size),
        }
    )
    async with open_context(settings) as ctx:
        dataset = await ctx.catalog.datasets.add("ada", NewDataset(name="costs"))
        config = {
            "type": "OBS",
            "fullPath": f"{BUCKET}/{path}",
            "obsEndpoint": endpoint,
            "obsAccessKeyId": KEY_ID,
            "obsSecretAccessKey": SECRET,
        }
        await put_datasource(ctx, await open_dataset(ctx.catalog.datasets, ADA, dataset.id, Permission.WRITE), config)
        yield ctx, await open_dataset(ctx.catalog.datasets, ADA, dataset.id, Permission.READ)


async def _pages(
    ctx: ServiceContext, dataset: DatasetContext, start: int | None = None, end: int | None = None
) -> list[SamplesPage]:
    pages = [await list_samples(ctx, dataset, ListingRequest(start=start, end=end))]
    while pages[-1].has_more:
        pages.append(await list_samples(ctx, dataset, ListingRequest(cursor=pages[-1].cursor)))
    return pages


async def test_each_page_costs_one_request_however_deep_it_is(tmp_path: Path, moto: str) -> None:
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "plain", 10) as (ctx, dataset):
            costs, cursor = [], None
            while True:
                before = len(proxy.requests)
                page = await list_samples(ctx, dataset, ListingRequest(cursor=cursor))
                costs.append((len(proxy.requests) - before, len(page.samples)))
                cursor = page.cursor
                if not page.has_more:
                    break
    assert costs == [(1, 10)] * 10


async def test_keys_that_are_no_samples_are_read_once(tmp_path: Path, moto: str) -> None:
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "mixed", 10) as (ctx, dataset):
            pages = await _pages(ctx, dataset)
    names = [sample.file_name for page in pages for sample in page.samples]
    assert names == [f"b/{index:03}.png" for index in range(5)]
    assert len(proxy.requests) <= 100 / 10 * 1.5
    assert len(pages) == 2, "as long as little was found and time is left, a request reads on"


async def test_an_empty_listing_is_one_page(tmp_path: Path, moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_pages, "PAGE_SECONDS", 60.0)
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "plain", 10) as (ctx, dataset):
            pages = await _pages(ctx, dataset, start=1, end=2)
    assert [len(page.samples) for page in pages] == [0]
    assert len(proxy.requests) == 10


async def test_the_lightly_folder_is_left_out_without_reading_it(tmp_path: Path, moto: str) -> None:
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "own", 10) as (ctx, dataset):
            pages = await _pages(ctx, dataset)
    assert [sample.file_name for page in pages for sample in page.samples] == [f"a/{i:03}.png" for i in range(12)]
    assert len(proxy.requests) == 3, "60 predictions would have been six requests of their own"


async def test_an_empty_window_sends_no_request_to_the_store(tmp_path: Path, moto: str) -> None:
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "plain", 10) as (ctx, dataset):
            (page,) = await _pages(ctx, dataset, start=10, end=9)
            last = await list_samples(ctx, dataset, ListingRequest(cursor=page.cursor))
    assert (page.samples, page.has_more, last.samples, last.has_more) == ([], False, [], False)
    assert proxy.requests == []


async def test_a_slow_store_makes_pages_short_and_loses_no_file(tmp_path: Path, moto: str) -> None:
    """One request of a user works for seconds at most, then hands back a cursor."""
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "mixed", 10) as (ctx, dataset):
            proxy.faults.extend([Delay(1.2)] * 5)
            began = time.monotonic()
            first = await list_samples(ctx, dataset, ListingRequest())
            assert time.monotonic() - began < 6
            assert first.has_more
            assert len(proxy.requests) < 6
            rest = first
            names = [sample.file_name for sample in first.samples]
            while rest.has_more:
                rest = await list_samples(ctx, dataset, ListingRequest(cursor=rest.cursor))
                names += [sample.file_name for sample in rest.samples]
    assert names == [f"b/{index:03}.png" for index in range(5)]


class _OrderedByUtf16(ListingStore):
    """A store that lists in the order of UTF-16, as some servers do, and can begin after any key."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = sorted(keys, key=_utf16)
        self.pages = 0

    async def list_page(self, prefix: str, after: str | None, limit: int, marker: str | None = None) -> StorePage:
        self.pages += 1
        assert self.pages < 50, "the listing does not advance"
        left = [key for key in self.keys if after is None or _utf16(key) > _utf16(after)]
        found = [StoredObject(key, 1, 0, None) for key in left[:limit]]
        return StorePage(found, left[limit - 1] if len(left) > limit else None)


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


class _MarkersOnly(_OrderedByUtf16):
    """A store that continues only by its own marker."""

    @property
    def can_start_after(self) -> bool:
        return False

    async def list_page(self, prefix: str, after: str | None, limit: int, marker: str | None = None) -> StorePage:
        assert after is None or marker == after, "the listing begins again"
        page = await super().list_page(prefix, after, limit)
        return page._replace(marker=page.resume_after)


async def _list_all(store: Store, page_size: int) -> list[str]:
    """Return the keys of all pages of raw samples, every file included."""
    source = DatedSource(StoreSource(store, KeyRange()), "", Window(0, 10), include_all_files=True)
    resume, listed = Resume(), list[str]()
    while True:
        page = await read_page(source, resume, page_size)
        listed += [each.key for each in page.objects]
        if page.resume is None:
            return listed
        resume = page.resume


async def test_a_store_with_another_order_is_listed_to_its_end() -> None:
    """Keys of `.lightly/` after the position that follows the folder sent the listing back, again and again."""
    lightly = [f".lightly/{name}" for name in ("a.png", "z.png", "（1）.png", "（2）.png", "（3）.png", "🦊.png")]
    samples = [f"{number}.png" for number in range(5)]
    assert await _list_all(_OrderedByUtf16([*lightly, *samples]), 2) == samples


async def test_a_store_that_cannot_begin_after_a_key_is_read_through_the_lightly_folder() -> None:
    """The listing began again at the first page to get past the folder that it had just reached."""
    store = _MarkersOnly([f"(before {number}.png" for number in range(20)] + [".lightly/a.json", "a.png"])
    assert await _list_all(store, 4) == [key for key in store.keys if not key.startswith(".lightly/")]
    assert store.pages <= 7


Costs = list[tuple[int, int]]


@asynccontextmanager
async def _counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: str
) -> AsyncIterator[Callable[..., Awaitable[Costs]]]:
    """A function that lists 25 files and returns how often each page read from the catalog and wrote to it."""
    files = tmp_path / "files"
    (files / ".lightly/metadata").mkdir(parents=True)
    for number in range(25):
        (files / f"{number:02}.png").touch()
    for number in range(3):
        (files / f".lightly/metadata/{number}.json").touch()
    (files / ".lightly/relevant.txt").write_text("*\n")
    settings = Settings.load(
        {
            "HEADWATER_DATA_DIR": str(tmp_path / "data"),
            "HEADWATER_LOCAL_ROOT": str(files),
            "HEADWATER_PAGE_SIZE": "10",
            "HEADWATER_FEED": feed,
        }
    )
    async with open_context(settings) as ctx:
        token, known = await create_token(ctx, "ada", NewToken())
        await ctx.catalog.tokens.record_use(known.id, int(time.time() * 1000))  # once an hour, a request records it
        dataset = await create_dataset(ctx, "ada", NewDataset(name="queries"))
        await put_datasource(ctx, await find_dataset(ctx, dataset.id), {"type": "LOCAL", "fullPath": ""})
        calls: list[str] = []
        database = ctx.catalog._database

        def count(name: str) -> None:
            original = getattr(database, name)

            async def counted(work: Any, **options: bool) -> Any:
                calls.append(name)
                return await original(work, **options)

            monkeypatch.setattr(database, name, counted)

        count("read")
        count("write")
        transport = httpx.ASGITransport(app=create_app(ctx))
        async with httpx.AsyncClient(transport=transport, base_url="http://headwater.test") as client:

            async def costs_of_pages(operation: str = "list", **query: str) -> Costs:
                costs: Costs = []
                while True:
                    calls.clear()
                    path = f"/v1/datasets/{dataset.id}/datasource/{operation}"
                    answer = await client.get(path, params={"token": token, **query})
                    body = answer.json()
                    assert len(body["data"]) > 2
                    costs.append((calls.count("read"), calls.count("write")))
                    if not body["hasMore"]:
                        return costs
                    query = {**query, "cursor": body["cursor"]}

            yield costs_of_pages


async def test_what_pages_of_an_exact_feed_cost_the_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that brings nothing new reads the token, the dataset with its datasources, the feed, and its rows.

    An exact feed costs more than listings by date on purpose: it knows every file.
    """
    async with _counting(tmp_path, monkeypatch, "exact") as costs:
        now = int(time.time())
        soon, later = str(now + 100), str(now + 200)
        assert await costs(to=soon) == [(2, 2), (3, 1), (3, 2)], "registered, merged, and ended"
        assert await costs(to=soon) == [(3, 1), (4, 0), (4, 1)], "registered, nothing new, and ended"
        assert await costs(to=later) == [(2, 2), (3, 1), (3, 2)], "it makes the latest promise: requests are claimed"
        assert await costs("metadata/list") == [(2, 0)], "files under `.lightly/` are in no feed"


async def test_what_pages_by_date_cost_the_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token, and the dataset with its datasources. A new listing looks for an index to drop, too."""
    async with _counting(tmp_path, monkeypatch, "dates") as costs:
        for _ in range(2):
            assert await costs() == [(3, 0), (2, 0), (2, 0)]
        assert await costs("metadata/list") == [(2, 0)]


async def test_what_pages_by_relevant_filenames_cost_the_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a page made four queries, and decrypted the same secret twice.

    It is merged into the index only if the datasource was read completely before.
    """
    # One window for all: a listing that makes the latest promise would claim its requests, which costs more.
    query = {"relevantFilenamesFileName": ".lightly/relevant.txt", "to": str(int(time.time()) + 100)}
    async with _counting(tmp_path, monkeypatch, "exact") as costs:
        assert await costs(**query) == [(3, 0), (2, 0), (2, 0)]
        await costs(to=query["to"])
        assert await costs(**query) == [(4, 1), (4, 0), (4, 1)]
