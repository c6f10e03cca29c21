"""What a listing costs, and that one request is bounded in time: counted by a proxy before a real S3 server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headwater.auth.permissions import DatasetContext, open_dataset
from headwater.domain.cursor import Cursor
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import LocationInvalidError, TooManyRequestsError
from headwater.domain.objects import StoredObject, StorePage
from headwater.domain.permissions import Permission
from headwater.domain.users import Principal
from headwater.domain.window import Window
from headwater.service import limits
from headwater.service.configure import put_datasource
from headwater.service.context import ServiceContext, open_context
from headwater.service.limits import RequestLimiter
from headwater.service.listing.pages import ListingRequest, SamplesPage, _collect, list_samples
from headwater.service.verify import Verification, _try_read
from headwater.settings import Settings
from headwater.stores.base import Method, Store
from headwater.testing.fault_proxy import Delay, FaultProxy
from tests.servers import KEY_ID, SECRET, moto_server, s3_client

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
        dataset = await ctx.catalog.add_dataset("ada", NewDataset(name="costs"))
        config = {
            "type": "OBS",
            "fullPath": f"{BUCKET}/{path}",
            "obsEndpoint": endpoint,
            "obsAccessKeyId": KEY_ID,
            "obsSecretAccessKey": SECRET,
        }
        await put_datasource(ctx, await open_dataset(ctx.catalog, ADA, dataset.id, Permission.WRITE), config)
        yield ctx, await open_dataset(ctx.catalog, ADA, dataset.id, Permission.READ)


async def _pages(
    ctx: ServiceContext, dataset: DatasetContext, start: int | None = None, end: int | None = None
) -> list[SamplesPage]:
    pages = [await list_samples(ctx, dataset, ListingRequest(start=start, end=end))]
    while pages[-1].has_more:
        pages.append(await list_samples(ctx, dataset, ListingRequest(cursor=pages[-1].cursor)))
    return pages


async def test_a_listing_costs_one_request_for_each_page_deep_and_shallow_alike(tmp_path: Path, moto: str) -> None:
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


async def test_keys_that_are_no_samples_cost_no_more_than_reading_them_once(tmp_path: Path, moto: str) -> None:
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "mixed", 10) as (ctx, dataset):
            pages = await _pages(ctx, dataset)
    names = [sample.file_name for page in pages for sample in page.samples]
    assert names == [f"b/{index:03}.png" for index in range(5)]
    assert len(proxy.requests) <= 100 / 10 * 1.5
    assert len(pages) == 2, "as long as little was found and time is left, a request reads on"


async def test_a_window_without_files_is_read_in_one_request_of_the_user(tmp_path: Path, moto: str) -> None:
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "plain", 10) as (ctx, dataset):
            pages = await _pages(ctx, dataset, start=1, end=2)
    assert [len(page.samples) for page in pages] == [0]
    assert len(proxy.requests) == 10


async def test_the_own_folder_is_stepped_over_rather_than_read(tmp_path: Path, moto: str) -> None:
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "own", 10) as (ctx, dataset):
            pages = await _pages(ctx, dataset)
    assert [sample.file_name for page in pages for sample in page.samples] == [f"a/{i:03}.png" for i in range(12)]
    assert len(proxy.requests) == 3, "60 predictions would have been six requests of their own"


async def test_an_empty_window_asks_the_store_nothing(tmp_path: Path, moto: str) -> None:
    with FaultProxy(moto) as proxy:
        async with _service(tmp_path, proxy.url, "plain", 10) as (ctx, dataset):
            (page,) = await _pages(ctx, dataset, start=10, end=9)
            again = await list_samples(ctx, dataset, ListingRequest(cursor=page.cursor))
    assert (page.samples, page.has_more, again.samples, again.has_more) == ([], False, [], False)
    assert proxy.requests == []


async def test_a_slow_store_makes_pages_short_and_loses_nothing(tmp_path: Path, moto: str) -> None:
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


class _OrderedByUtf16(Store):
    """A store whose names stand in the order of UTF-16, as those of some servers do; it goes on after any name."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = sorted(keys, key=_utf16)
        self.pages = 0

    async def list_page(self, prefix: str, after: str | None, limit: int, marker: str | None = None) -> StorePage:
        self.pages += 1
        assert self.pages < 50, "the listing goes round in circles"
        left = [key for key in self.keys if after is None or _utf16(key) > _utf16(after)]
        found = [StoredObject(key, 1, 0, None) for key in left[:limit]]
        return StorePage(found, left[limit - 1] if len(left) > limit else None)

    async def sign(self, keys: Sequence[str], ttl: int, method: Method = "GET") -> list[str]:
        raise NotImplementedError

    async def read(self, key: str, limit: int, start: int = 0) -> bytes:
        raise NotImplementedError

    async def write(self, key: str, data: bytes) -> None:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


async def test_a_store_of_another_order_is_listed_to_its_end() -> None:
    """Names of `.lightly/` that stood behind the place after it sent the listing back there, for ever."""
    own = [f".lightly/{name}" for name in ("a.png", "z.png", "（1）.png", "（2）.png", "（3）.png", "🦊.png")]
    samples = [f"{number}.png" for number in range(5)]
    store = _OrderedByUtf16([*own, *samples])
    state = Cursor("0" * 24, "place", Window(0, 10), None)
    listed: list[str] = []
    while not state.done:
        found = await _collect(store, state, include_all_files=True, page_size=2)
        listed += [each.key for each in found.objects]
        state = state._replace(after=found.resume_after, marker=found.marker, done=found.resume_after is None)
    assert listed == samples


async def test_a_store_that_cannot_begin_after_any_key_is_read_through_the_own_folder() -> None:
    """It began anew at its first page, to get past a folder that it had just reached."""
    store = _FromTheFirst([f"(before {number}.png" for number in range(20)] + [".lightly/a.json", "a.png"])
    state = Cursor("0" * 24, "place", Window(0, 10), None)
    listed: list[str] = []
    while not state.done:
        found = await _collect(store, state, include_all_files=True, page_size=4)
        listed += [each.key for each in found.objects]
        state = state._replace(after=found.resume_after, marker=found.marker, done=found.resume_after is None)
    assert listed == [key for key in store.keys if not key.startswith(".lightly/")]
    assert store.pages <= 7


class _FromTheFirst(_OrderedByUtf16):
    """A store that goes on by its own marker alone."""

    @property
    def can_start_after(self) -> bool:
        return False

    async def list_page(self, prefix: str, after: str | None, limit: int, marker: str | None = None) -> StorePage:
        assert after is None or marker == after, "the listing begins anew"
        page = await super().list_page(prefix, after, limit)
        return page._replace(marker=page.resume_after)


class _Archive(_OrderedByUtf16):
    """A store whose first objects are archived."""

    async def read(self, key: str, limit: int, start: int = 0) -> bytes:
        if key.startswith("archived"):
            raise LocationInvalidError("The object is archived: restore it first", "InvalidObjectState")
        return b"x"


async def test_an_archived_object_says_nothing_of_the_access() -> None:
    """One archived object that came first made canRead false."""
    result = Verification()
    await _try_read(_Archive([]), ["archived 1", "archived 2", "a.png"], result)
    assert (result.can_read, result.errors) == (True, {})
    result = Verification()
    await _try_read(_Archive([]), ["archived 1"], result)
    assert not result.can_read
    assert "archived" in result.errors["canRead"]


def test_one_user_has_so_many_requests_under_way_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST", 2)
    limiter = RequestLimiter()
    with limiter.of("ada"), limiter.of("ada"), limiter.of("bob"):
        with pytest.raises(TooManyRequestsError) as caught, limiter.of("ada"):
            pass
        assert caught.value.retry_after is not None
    with limiter.of("ada"), limiter.of("ada"):
        pass
