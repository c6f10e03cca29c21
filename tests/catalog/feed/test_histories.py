"""The catalog keeps the promise of the exact feed in any history: no version is lost, none is handed out twice.

The feed is the real one. Around it writers, a poller and other readers do what they like: the poller lists from its
watermark, acknowledges, or crashes and begins again; others list any window, stop in the middle, and use old cursors
again; a page may be overtaken by another request between the answer of the store and the merge. Listings may be split
into shards, which are read in any order.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.feed.listings import StartedListing
from headwater.domain.feed import range_of_keys
from headwater.domain.key_order import Order
from headwater.domain.objects import StoredObject
from tests.catalog.feed.fed import Fed, found, make_fed

KEYS = "abcdefgh"
PAGE = 3
AHEAD = 30
"""How far the clock of a poller may be ahead."""


@dataclass
class World:
    """A bucket, its feed, the clock, and what was acknowledged."""

    fed: Fed
    dice: random.Random
    now: int = 10_000
    bucket: dict[str, StoredObject] = field(default_factory=dict)
    watermark: int = 0
    versions: int = 0
    acknowledged: Counter[StoredObject] = field(default_factory=Counter)
    stale: int = 0

    def write(self) -> None:
        """Put or delete an object."""
        key = self.dice.choice(KEYS)
        if self.dice.random() < 0.2:
            self.bucket.pop(key, None)
        else:
            self.versions += 1
            created = max(1, self.now + self.dice.choice([0, 0, -1, -5, -60, 1, 40]))
            self.bucket[key] = found(key, self.versions, created)

    async def begin(self, first: int, last: int) -> Listing:
        """Begin a listing of a window."""
        points = sorted(self.dice.sample(KEYS, self.dice.choice([0, 0, 1, 2])))
        ends = zip([None, *points], [*points, None], strict=True)
        shards = [Shard(begin, end, begin) for begin, end in ends]
        return Listing(self, first, last, await self.fed.begin(last, self.now), shards)

    async def acknowledge(self, listing: Listing) -> None:
        """Set the watermark after what a listing has handed out was processed."""
        self.watermark = max(self.watermark, listing.last)
        assert await self.fed.catalog.datasets.set_watermark(self.fed.dataset, self.watermark, self.now)
        self.acknowledged.update(set(listing.handed_out))


@dataclass
class Shard:
    """A part of a listing, and how far it was read."""

    begin: str | None
    last: str | None
    after: str | None
    done: bool = False


@dataclass
class Listing:
    """A listing in progress; a copy of it is its old cursors."""

    world: World
    first: int
    last: int
    started: StartedListing
    shards: list[Shard]
    handed_out: list[StoredObject] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return all(shard.done for shard in self.shards)

    async def page(self, *, overtaken: bool = False) -> None:
        """Read one page of a shard, merge it, and hand out what is in the window."""
        world = self.world
        shard = world.dice.choice([shard for shard in self.shards if not shard.done] or self.shards)
        while True:
            state = await world.fed.state()
            keys = [
                key
                for key in sorted(world.bucket)
                if (shard.after is None or key > shard.after) and (shard.last is None or key <= shard.last)
            ]
            objects = [world.bucket[key] for key in keys[:PAGE]]
            up_to = objects[-1].key if len(keys) > PAGE else shard.last
            if overtaken:
                overtaken = False
                world.write()
                await (await world.begin(0, world.now)).page()
            merged = await world.fed.read(self.started, objects, shard.after, up_to, state=state, now=world.now)
            if merged is not None:
                break
            world.stale += 1
        times = zip(objects, merged.times, strict=True)
        self.handed_out += [each for each, time in times if self.first <= time <= self.last]
        shard.after = up_to
        if len(keys) <= PAGE:
            shard.done = True
            part = range_of_keys(shard.begin, shard.last, Order.CODE_POINTS)
            if await world.fed.catalog.feed.end(self.started.listing, part):
                await world.fed.catalog.feed.remove_unseen(self.started.listing)

    def restart(self) -> None:
        """Go back to the first pages."""
        for shard in self.shards:
            shard.after, shard.done = shard.begin, False

    def old_cursors(self) -> Listing:
        """Return cursors that can be used again."""
        shards = [
            replace(shard) if not shard.done else Shard(shard.begin, shard.last, shard.begin) for shard in self.shards
        ]
        return replace(self, handed_out=[], shards=shards)


async def play(world: World, steps: int) -> None:
    """Play a random history."""
    dice = world.dice
    skew = dice.choice([0, 0, 3, -3, -30, AHEAD])
    poll: Listing | None = None
    others: list[Listing] = []
    cursors: list[Listing] = []
    cursors_of_poll: list[Listing] = []
    for _ in range(steps):
        what = dice.random()
        if what < 0.3:
            world.write()
        elif what < 0.5:
            world.now += dice.choice([0, 1, 1, 2])
        elif what < 0.65:
            if others and dice.random() < 0.7:
                other = dice.choice(others)
                await other.page(overtaken=dice.random() < 0.2)
                cursors.append(other.old_cursors())
                if other.done or dice.random() < 0.2:
                    others.remove(other)
            elif cursors and dice.random() < 0.4:
                await dice.choice(cursors).old_cursors().page()
            else:
                first = dice.choice([0, world.now - 10, world.watermark + 1])
                others.append(await world.begin(first, world.now + dice.choice([0, -20, 5, 5000])))
        elif poll is None:
            poll = await world.begin(world.watermark + 1, world.now + skew)
        elif not poll.done:
            await poll.page(overtaken=dice.random() < 0.2)
            if not poll.done:
                cursors_of_poll.append(poll.old_cursors())  # others use it once the listing has ended
            if dice.random() < 0.1:
                poll.restart()  # repeats its requests, and uses the answers to both
        else:
            cursors, cursors_of_poll = cursors + cursors_of_poll, []
            if dice.random() < 0.75:  # else it crashes before it acknowledges
                await world.acknowledge(poll)
            poll = None
    for later in (100, 200):  # two quiet polls
        world.now += later
        quiet = await world.begin(world.watermark + 1, world.now + skew)
        while not quiet.done:
            await quiet.page()
        await world.acknowledge(quiet)


@pytest.mark.parametrize("order", [Order.CODE_POINTS, None], ids=["ordered", "unordered"])
@pytest.mark.parametrize("seed", range(6))
async def test_no_version_is_lost_or_handed_out_twice(catalog: Catalog, order: Order | None, seed: int) -> None:
    dice = random.Random(seed)
    stale = 0
    for number in range(2):
        world = World(await make_fed(catalog, f"{seed} {number}", order), dice)
        await play(world, 90)
        assert [each for each in world.bucket.values() if each not in world.acknowledged] == [], "lost"
        assert [each for each, times in world.acknowledged.items() if times > 1] == [], "handed out twice"
        assert await world.fed.positions() == [key.encode() for key in sorted(world.bucket)]
        assert await world.fed.counts() == (len(world.bucket), len(world.bucket))
        stale += world.stale
    assert stale, "no page was overtaken"
