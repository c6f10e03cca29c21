"""What a history works with: a bucket, a clock, and consumers who list the bucket through the HTTP API."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.feed.client import Answer
from tests.feed.clocks import BEGINNING
from tests.feed.servers import Installation
from tests.feed.verdict import Faults, Handout, judge
from tests.servers import KEY_ID, SECRET

KEYS = 8
AGES = (0, 0, -1, -5, -60, 1, 40)
"""The dates of new objects, in seconds relative to the clock: most in the past, some in the future."""

SKEWS = (0, 0, 3, -3, -30)
"""How far the clock of a poller may be ahead of that of the server."""

FAR_SKEW = 5_000
"""A clock this far ahead, more than an hour, is promised to work only if nobody else lists the datasource."""

EVERYTHING_SECONDS = 100_000
"""A reader whose window ends this far in the future wants everything."""

QUIET_SECONDS = (10_000, 20_000)
"""When the last polls happen, after the last change: after every date and every skew."""


class Page(NamedTuple):
    """A page of a listing."""

    handouts: list[Handout]
    cursor: str
    has_more: bool


class World:
    """The bucket and the clock of one history.

    Args:
        running: the servers.
        rng: the source of all choices.

    Attributes:
        events: a line for each event.
    """

    def __init__(self, running: Installation, rng: random.Random) -> None:
        self.running = running
        self.rng = rng
        self.clock = running.new_clock()
        self.bucket = running.new_bucket()
        self.consumers: list[Consumer] = []
        self.events: list[str] = []

    def say(self, text: str) -> None:
        """Record an event, with the seconds since the beginning."""
        self.events.append(f"{self.clock.now - BEGINNING:>6}  {text}")

    async def add_consumer(self) -> Consumer:
        """Create a dataset on the bucket."""
        while True:
            created = await self._send("POST", "/v1/datasets", {}, {"name": f"set {os.urandom(8).hex()}"})
            if created.status == 201:
                break  # else the server was killed after it had created the dataset, and the name is taken
        consumer = Consumer(self, created.json["id"])
        config = {
            "type": "OBS",
            "fullPath": self.bucket.name,
            "obsEndpoint": self.running.buckets.endpoint,
            "obsAccessKeyId": KEY_ID,
            "obsSecretAccessKey": SECRET,
            "purpose": "INPUT",
        }
        await self.call("PUT", consumer.path, {}, config)
        self.consumers.append(consumer)
        return consumer

    async def call(self, method: str, path: str, query: dict[str, Any], body: Any = None) -> Any:
        """Send a request to any of the servers; return the decoded body. It must succeed."""
        answer = await self._send(method, path, query, body)
        assert answer.status == 200, (method, path, query, answer)
        return answer.json

    async def _send(self, method: str, path: str, query: dict[str, Any], body: Any) -> Answer:
        client = self.running.client
        server = self.rng.randrange(client.servers)
        return await client.call(method, path, query, body, clock=self.clock.number, server=server)

    def change(self) -> None:
        """Put, replace or delete an object."""
        key = f"set/{self.rng.randrange(KEYS)}.jpg"
        if self.rng.random() < 0.2:
            self.say(f"delete {key}")
            self.bucket.delete(key)
        else:
            self.put(key, self.rng.choice(AGES))

    def put(self, key: str, age: int) -> None:
        """Put an object with a date relative to the clock."""
        self.bucket.put(key, self.clock.now + age)
        self.say(f"put {key} version {self.bucket.versions}, date {age:+}")

    def fill(self) -> None:
        """Put a few objects as they are at the beginning of a history."""
        for _ in range(self.rng.randint(0, 5)):
            self.put(f"set/{self.rng.randrange(KEYS)}.jpg", -self.rng.randint(0, 100))

    async def finish(self) -> list[Faults]:
        """Poll twice when nothing changes any more; return the faults of each consumer."""
        for later in QUIET_SECONDS:
            self.clock.now += later
            for consumer in self.consumers:
                quiet = consumer.poll()
                while not quiet.is_done:
                    await quiet.page(self.rng)
                await consumer.acknowledge(quiet)
        standing = {key: stored.version for key, stored in self.bucket.objects.items()}
        self.running.buckets.remove(self.bucket)
        return [judge(consumer.windows, standing) for consumer in self.consumers]


@dataclass
class Consumer:
    """A dataset whose poller owns the watermark, and what the poller has acknowledged.

    Attributes:
        world: the bucket and the clock.
        dataset: the id of the dataset.
        skew: how far the clock of the poller is ahead, in seconds.
        shards: into how many shards its listings are split; None if they are not.
        watermark: the last acknowledged second.
        windows: what each acknowledged window contained.
        cursors: old cursors, which anyone may use again.
    """

    world: World
    dataset: str
    skew: int = 0
    shards: int | None = None
    watermark: int = 0
    windows: list[list[Handout]] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The path of the datasource."""
        return f"/v1/datasets/{self.dataset}/datasource"

    async def page(self, query: dict[str, Any]) -> Page:
        """Request a page, and find out which versions of its files it can mean."""
        bucket = self.world.bucket
        sent = bucket.tick()
        found = await self.world.call("GET", f"{self.path}/list", query)
        received = bucket.tick()
        names = [row["fileName"] for row in found["data"]]
        handouts = [Handout(name, bucket.served_between(sent, received, name)) for name in names]
        assert all(handout.possible for handout in handouts), f"files that the bucket did not list: {names}"
        return Page(handouts, found["cursor"], found["hasMore"])

    def poll(self) -> Listing:
        """Return a listing of all that is new, as the poller's clock has it."""
        return self.listing(self.watermark + 1, self.world.clock.now + self.skew, self.shards)

    def listing(self, first: int, last: int | None, shards: int | None = None) -> Listing:
        """Return a listing of a window; without `last`, up to now."""
        window = {"from": first} if last is None else {"from": first, "to": last}
        return Listing(self, window, shards)

    def window_of_others(self, rng: random.Random) -> tuple[int, int | None]:
        """Return the first and the last second of a window that another reader may want; None is now."""
        now = self.world.clock.now
        first = rng.choice([0, 0, now - 10, self.watermark + 1])
        if rng.random() < 0.05:
            return first, now + 500  # hides what is new from everyone until then, so it is rare
        return first, rng.choice([now, None, now - 20, now + 5, now + EVERYTHING_SECONDS, now + self.skew])

    async def acknowledge(self, listing: Listing) -> None:
        """Set the watermark to the end of the window."""
        self.watermark = max(self.watermark, listing.window["to"])
        self.world.say(f"acknowledge {self.watermark - BEGINNING}")
        body = {"processedUntilTimestamp": self.watermark}
        await self.world.call("PUT", f"{self.path}/processedUntilTimestamp", {}, body)
        self.windows.append(listing.handouts)


class Shard:
    """A part of a listing, or a whole one that is not split. `query` requests its next page."""

    def __init__(self, query: dict[str, Any]) -> None:
        self.query = query
        self.pages: list[tuple[dict[str, Any], list[Handout]]] = []
        self.is_done = False

    def add(self, page: Page) -> None:
        """Add the page that was requested."""
        self.pages.append((self.query, page.handouts))
        self.query, self.is_done = {"cursor": page.cursor}, not page.has_more


class Listing:
    """A listing in progress."""

    def __init__(self, consumer: Consumer, window: dict[str, int], shards: int | None) -> None:
        self.consumer = consumer
        self.window = window
        self._shard_count = shards
        self.shards: list[Shard] = [] if shards else [Shard(dict(window))]
        self._repeated: list[Handout] = []

    @property
    def is_done(self) -> bool:
        """Whether everything was listed."""
        return bool(self.shards) and all(shard.is_done for shard in self.shards)

    @property
    def _shown(self) -> str:
        return ", ".join(f"{name} {seconds - BEGINNING}" for name, seconds in self.window.items())

    @property
    def handouts(self) -> list[Handout]:
        """All that was handed out so far."""
        pages = [handout for shard in self.shards for _, page in shard.pages for handout in page]
        return pages + self._repeated

    @property
    def cursors(self) -> list[str]:
        """The cursors that were used or can be used next."""
        queries = [query for shard in self.shards for query, _ in shard.pages]
        queries += [shard.query for shard in self.shards]
        return [query["cursor"] for query in queries if "cursor" in query]

    async def split(self) -> None:
        """Split the listing into shards."""
        query = {**self.window, "dncShards": self._shard_count}
        found = await self.consumer.world.call("GET", f"{self.consumer.path}/list/dnc", query)
        self.shards = [Shard({"cursor": cursor}) for cursor in found["cursors"]]
        self._say(f"split {self._shown} into {len(self.shards)}")

    async def page(self, rng: random.Random) -> None:
        """Read the next page of any shard, or split the listing if that comes first."""
        if not self.shards:
            await self.split()
            return
        await self.page_of(rng.choice([shard for shard in self.shards if not shard.is_done]))

    async def page_of(self, shard: Shard) -> None:
        """Read the next page of a shard."""
        query = shard.query
        page = await self.consumer.page(query)
        shard.add(page)
        files = [(key, *sorted(possible)) for key, possible in page.handouts]
        self._say(f"page of {'a cursor' if 'cursor' in query else self._shown}: {files}")

    def repeat(self, rng: random.Random) -> None:
        """Go back to a page of any shard that was read before: the requests from there on are sent again.

        What they returned before is used as well, or never arrived.
        """
        shard = rng.choice([shard for shard in self.shards if shard.pages] or [None])
        if shard is None:
            return
        index = rng.randrange(len(shard.pages))
        if rng.random() < 0.5:
            self._repeated += [handout for _, page in shard.pages[index:] for handout in page]
        shard.query, shard.is_done = shard.pages[index][0], False
        del shard.pages[index:]
        self._say("repeat")

    def _say(self, text: str) -> None:
        world = self.consumer.world
        world.say(f"consumer {world.consumers.index(self.consumer)}: {text}")
