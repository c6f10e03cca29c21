"""A bucket, its writers and the clients of a service that lists it: what the exact feed promises is checked here.

Everything is real except the store and the clock: requests go through `list_samples` and `split_listing` of two
services on one catalog, as two replicas would. A page can be held after the store was read, so that requests overlap.

`World.check` ends with two polls that nothing disturbs. A version is LOST if it stands then and was in no acknowledged
window; it came TWICE if it was in more than one.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from headwater.auth.permissions import DatasetContext
from headwater.catalog.catalog import Catalog
from headwater.catalog.feed.feeds import FeedCatalog
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.feed import FeedListing, Range
from headwater.domain.key_order import Order
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.service.admin import find_dataset
from headwater.service.configure import put_datasource
from headwater.service.context import ServiceContext, open_context
from headwater.service.listing.pages import ListingRequest, list_samples, split_listing
from headwater.service.watermark import set_watermark
from headwater.settings import Settings
from headwater.stores.base import Method, Store
from headwater.stores.registry import StoreRegistry
from tests.stores.memory import ListingStore, by_path, by_utf_8, by_utf_16

PAGE_SIZE = 3

FAR_AHEAD = 10_000
"""Seconds further than any listing may promise."""


@dataclass
class Layout:
    """How a store lists: the order that it reports, its real order, and the names of objects."""

    name: str
    order: Order | None
    by: Callable[[str], Any]
    keys: Sequence[Key]


PLAIN = tuple(f"{name}.png" for name in ("a/1", "a/2", "a-1", "b", "c/d/e", "é", "z", "zz"))
AMBIGUOUS = (
    "a/1.png",
    "a-1.png",
    "a.png",
    "b/\U0001f600.png",
    "b/\ufffd1.png",
    "b/\ufffd2.png",
    "c.png",
    "\U0001f600.png",
)

LAYOUTS = (
    Layout("code points", Order.CODE_POINTS, by_utf_8, PLAIN),
    Layout("UTF-16", Order.UTF16_AMBIGUOUS, by_utf_16, AMBIGUOUS),
    Layout("UTF-8, not known for certain", Order.UTF16_AMBIGUOUS, by_utf_8, AMBIGUOUS),
    Layout("paths", Order.SLASH_FIRST, by_path, PLAIN),
    Layout("unknown", None, by_path, AMBIGUOUS),
)


class HostileStore(ListingStore):
    """The store of one request. It remembers which versions it has listed, and returns them as read URLs."""

    list_limit = PAGE_SIZE

    def __init__(self, world: World) -> None:
        self._world = world
        self._versions: dict[Key, int] = {}

    async def order(self) -> Order | None:
        return self._world.layout.order

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        world, by = self._world, self._world.layout.by
        keys = sorted((key for key in world.bucket if after is None or by(key) > by(after)), key=by)
        page = [StoredObject(key, 1, world.bucket[key][1], str(world.bucket[key][0])) for key in keys[:limit]]
        self._versions |= {found.key: int(found.etag or 0) for found in page}
        gate, world.gate = world.gate, None
        if gate is not None:
            await gate.wait()
        return StorePage(page, page[-1].key if len(keys) > limit else None)

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        return [str(self._versions[key]) for key in keys]


@dataclass
class Listing:
    """A listing of a client: the cursors of its parts that are not at their end, and what it was handed out."""

    end: int
    cursors: list[str]
    handed_out: set[tuple[Key, int]] = field(default_factory=set)
    old_cursors: list[str] = field(default_factory=list)
    in_flight: asyncio.Task[None] | None = None
    gate: asyncio.Event | None = None

    @property
    def is_done(self) -> bool:
        return not self.cursors and self.in_flight is None


class Services:
    """Two services on one catalog; a world in them is a dataset."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        settings = Settings.load({"HEADWATER_PAGE_SIZE": str(PAGE_SIZE), **environ})
        self.contexts = [self.runner.run(self._stack.enter_async_context(open_context(settings))) for _ in range(2)]
        self._count = 0

    def close(self) -> None:
        self.runner.run(self._stack.aclose())
        self.runner.close()

    def world(self, layout: Layout) -> World:
        self._count += 1
        return World(self, layout, f"world {self._count}")


class World:
    """A bucket, the clock, the clients, and what was acknowledged."""

    def __init__(self, services: Services, layout: Layout, name: str) -> None:
        self.layout = layout
        self.now = 100_000
        self.ticks: Callable[[], bool] = lambda: False
        """Whether a second passes before the service reads its clock the next time."""
        self.is_locked: Callable[[], bool] = lambda: False
        """Whether the catalog is locked when a listing ends, if its end need not be recorded."""
        self.removals: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """What is still to be done in the background: remove rows of deleted objects."""
        self.bucket: dict[Key, tuple[int, int]] = {}
        self.gate: asyncio.Event | None = None
        self.watermark = 0
        self.acknowledged: Counter[tuple[Key, int]] = Counter()
        self.versions = 0
        self._run = services.runner.run
        self._services = [
            replace(
                ctx,
                now=self._read_clock,
                stores=cast(StoreRegistry, _Stores(self)),
                catalog=cast(Catalog, _Catalog(ctx.catalog, self)),
            )
            for ctx in services.contexts
        ]
        self._turn = 0
        self.dataset = self._run(self._create(name))

    def _read_clock(self) -> float:
        if self.ticks():
            self.now += 1
        return float(self.now)

    async def _create(self, name: str) -> DatasetContext:
        ctx = self._services[0]
        dataset = await ctx.catalog.datasets.add("ada", NewDataset(name=name))
        await put_datasource(ctx, await find_dataset(ctx, dataset.id), {"type": "LOCAL", "fullPath": ""})
        return await find_dataset(ctx, dataset.id)

    @property
    def _ctx(self) -> ServiceContext:
        """The service that answers the next request: each in turn."""
        self._turn += 1
        return self._services[self._turn % 2]

    def put(self, key: Key, date: int) -> None:
        """Create or overwrite an object."""
        if self.layout.order is None and not self._is_complete():
            # Until everything was listed once, the dates of new objects must be right where the order is not known.
            date = self.now
        self.versions += 1
        self.bucket[key] = (self.versions, max(1, date))

    def begin(self, first: int, end: int, *, hold: bool = False) -> Listing:
        """Begin a listing with its first page; `hold` as in `page`."""
        listing = Listing(end, [])
        self._answer(listing, ListingRequest(start=first, end=end), hold=hold)
        return listing

    def begin_shards(self, first: int, end: int, shards: int) -> Listing:
        """Begin a listing that is split into shards."""
        request = ListingRequest(start=first, end=end)
        return Listing(end, self._run(split_listing(self._ctx, self.dataset, request, shards)).cursors)

    def page(self, listing: Listing, number: int = 0, *, hold: bool = False) -> None:
        """Read the next page of one part of a listing.

        Args:
            listing: the listing.
            number: which of its parts.
            hold: let the request wait after it has read the store, until `release`.
        """
        cursor = listing.cursors.pop(number % len(listing.cursors))
        listing.old_cursors.append(cursor)
        self._answer(listing, ListingRequest(cursor=cursor), hold=hold)

    def read_to_end(self, listing: Listing) -> None:
        """Read all pages that are left of a listing."""
        while not listing.is_done:
            self.page(listing)

    def poll(self, skew: int) -> None:
        """Poll once without disturbance, and acknowledge."""
        listing = self.begin(self.watermark + 1, self.now + skew)
        self.read_to_end(listing)
        self.acknowledge(listing)

    def list_everything(self) -> None:
        """List without a window; fail if the listing is not what stands.

        Only if everything was listed before: in a first listing, new objects without a place come one window later.
        """
        ticks, self.ticks = self.ticks, lambda: False  # what is dated ahead would come with the next listing
        was_complete = self._is_complete()
        listing = Listing(self.now, [])
        self._answer(listing, ListingRequest(), hold=False)
        self.read_to_end(listing)
        self.ticks = ticks
        assert listing.handed_out == set(self._standing()) or not was_complete

    def _answer(self, listing: Listing, request: ListingRequest, *, hold: bool) -> None:
        work = self._page(listing, request)
        if not hold:
            self._run(work)
            return
        listing.gate = self.gate = asyncio.Event()
        self._run(self._start(listing, work))

    async def _start(self, listing: Listing, work: Any) -> None:
        listing.in_flight = asyncio.create_task(work)
        while self.gate is not None and not listing.in_flight.done():
            await asyncio.sleep(0.0005)
        self.gate = None

    def release(self, listing: Listing) -> None:
        """Let a page that was held go on, and wait for its answer."""
        task, gate = listing.in_flight, listing.gate
        listing.in_flight = listing.gate = None
        assert task is not None
        assert gate is not None
        gate.set()

        async def finish() -> None:
            await task

        self._run(finish())

    def again(self, listing: Listing, number: int) -> None:
        """Let a listing ask for an earlier page again and go on from there, besides what it does already."""
        listing.cursors.append(listing.old_cursors[number % len(listing.old_cursors)])

    def read_old_cursor(self, cursor: str) -> None:
        """Use a cursor of some listing again, without acknowledging anything."""
        self._run(self._page(Listing(0, []), ListingRequest(cursor=cursor)))

    async def _page(self, listing: Listing, request: ListingRequest) -> None:
        page = await list_samples(self._ctx, self.dataset, request)
        listing.handed_out |= {(sample.file_name, int(sample.read_url)) for sample in page.samples}
        if page.has_more:
            listing.cursors.append(page.cursor)

    def acknowledge(self, listing: Listing) -> None:
        """Set the watermark to the end of a listing that was read completely."""
        self.watermark = max(self.watermark, listing.end)
        self._run(set_watermark(self._ctx, self.dataset, self.watermark))
        self.acknowledged.update(listing.handed_out)

    def remove_unseen(self) -> None:
        """Let the background work of the listings that have ended happen."""
        for remove in self.removals:
            self._run(remove())
        self.removals.clear()

    def check(self, skew: int) -> None:
        """Poll twice without disturbance; fail if a version was lost or came twice, or if the counts are wrong."""
        self.is_locked = lambda: False  # rows of deleted objects may only leave the index when a listing ends
        for _ in range(2):
            self.now += 2 * FAR_AHEAD
            self.poll(skew)
        self.remove_unseen()
        lost = [each for each in self._standing() if each not in self.acknowledged]
        twice = [each for each, count in self.acknowledged.items() if count > 1]
        assert (lost, twice) == ([], []), f"lost {lost}, twice {twice}"
        summary = self._run(self._services[0].catalog.feed.summary(self.dataset.id))
        assert summary is not None
        assert summary.record.complete
        assert (summary.record.n_rows, summary.record.n_bytes) == (len(self.bucket), len(self.bucket))

    def _is_complete(self) -> bool:
        summary = self._run(self._services[0].catalog.feed.summary(self.dataset.id))
        return summary is not None and summary.record.complete

    def _standing(self) -> list[tuple[Key, int]]:
        return [(key, version) for key, (version, _) in self.bucket.items()]


class _Stores:
    """What a `StoreRegistry` is to a service here."""

    def __init__(self, world: World) -> None:
        self._world = world

    def open(self, datasource: object) -> Store:
        return HostileStore(self._world)


class _Catalog:
    """The catalog, with a feed that does not record every end of a listing."""

    def __init__(self, catalog: Catalog, world: World) -> None:
        self._catalog = catalog
        self.feed = _Feed(catalog.feed, world)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)


class _Feed:
    def __init__(self, feed: FeedCatalog, world: World) -> None:
        self._feed = feed
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    async def end(self, listing: FeedListing, part: Range | None, *, needed: bool = True) -> bool:
        if not needed and self._world.is_locked():
            raise CatalogUnavailableError("locked")
        return await self._feed.end(listing, part, needed=needed)

    async def remove_unseen(self, listing: FeedListing) -> None:
        self._world.removals.append(lambda: self._feed.remove_unseen(listing))


MEMORY = Path("/dev/shm")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for a catalog, in memory if the system has such a folder: these tests do not test durability."""
    with tempfile.TemporaryDirectory(prefix="headwater-feed-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder) / "data"


def settings_for(folder: Path, database_url: str | None = None) -> dict[str, str]:
    """Return the settings of services with their own data folder, and perhaps with a database."""
    given = {"HEADWATER_DATA_DIR": str(folder), "HEADWATER_LOCAL_ROOT": str(folder.parent)}
    return given | ({"HEADWATER_DATABASE_URL": database_url} if database_url else {})
