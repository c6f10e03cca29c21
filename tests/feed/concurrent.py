"""Histories in which pollers, readers and writers work at the same time, on a bucket whose pages arrive late.

Requests to the store and merges of different listings overlap, and an outdated page may arrive after a newer one. The
choices of each actor repeat with the seed; how they overlap does not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine

from tests.feed.variants import Variant
from tests.feed.world import FAR_SKEW, SKEWS, Consumer, Listing, Shard, World

POLLS = 6
READERS = 2
CHANGES = 30
SLOW_SECONDS = 0.03
"""The longest delay of most pages."""

VERY_SLOW_SECONDS = 0.15
"""The longest delay of a few pages."""


class _Poller:
    """The poller of a consumer: reads all shards at once, repeats requests, and crashes sometimes."""

    def __init__(self, world: World, consumer: Consumer, variant: Variant, rng: random.Random) -> None:
        self._world = world
        self._consumer = consumer
        self._variant = variant
        self._rng = rng
        self._given_up: list[asyncio.Task[object]] = []

    async def run(self) -> None:
        """Poll several times; wait for the answers to requests that were given up."""
        for _ in range(POLLS):
            await asyncio.sleep(self._rng.uniform(0, 0.02))
            await self._poll()
        await asyncio.gather(*self._given_up)

    async def _poll(self) -> None:
        rng, consumer = self._rng, self._consumer
        is_split = self._variant.shards and rng.random() < 0.5
        consumer.shards = rng.randint(2, 4) if is_split else None
        listing = consumer.poll()
        if is_split:
            await listing.split()
        await asyncio.gather(*(self._read(listing, shard) for shard in listing.shards))
        if rng.random() < 0.2:
            listing.repeat(rng)
            await asyncio.gather(*(self._read(listing, shard) for shard in listing.shards))
        if rng.random() < 0.25:
            self._world.say("the poller crashes")
        else:
            await consumer.acknowledge(listing)
        consumer.cursors += rng.sample(listing.cursors, min(1, len(listing.cursors)))

    async def _read(self, listing: Listing, shard: Shard) -> None:
        while not shard.is_done:
            if self._variant.timeouts and self._rng.random() < 0.3:
                await self._give_up(shard)
            await listing.page_of(shard)
            await asyncio.sleep(self._rng.uniform(0, 0.01))

    async def _give_up(self, shard: Shard) -> None:
        """Send the next request and do not wait for its answer: the server handles it nevertheless."""
        self._world.say("the poller gives up a request")
        self._given_up.append(asyncio.ensure_future(self._consumer.page(shard.query)))
        await asyncio.sleep(self._rng.uniform(0, 0.02))


async def _read_others(world: World, consumer: Consumer, variant: Variant, rng: random.Random) -> None:
    """List any window again and again, give up in the middle, and use old cursors."""
    while True:
        await asyncio.sleep(rng.uniform(0, 0.03))
        if consumer.cursors and rng.random() < 0.3:
            await consumer.page({"cursor": rng.choice(consumer.cursors)})
            continue
        is_split = variant.shards and rng.random() < 0.4
        listing = consumer.listing(*consumer.window_of_others(rng), rng.randint(2, 4) if is_split else None)
        while not listing.is_done and rng.random() < 0.85:
            await listing.page(rng)
        consumer.cursors += listing.cursors[-1:]


async def _write(world: World) -> None:
    for _ in range(CHANGES):
        await asyncio.sleep(world.rng.uniform(0, 0.03))
        world.change()


async def _kill(world: World, rng: random.Random) -> None:
    await asyncio.sleep(rng.uniform(0.1, 0.6))
    world.say("kill")
    await world.running.kill()


async def _let_time_pass(world: World, rng: random.Random) -> None:
    pace = rng.choice([0.02, 0.1])  # a poll takes many seconds of the clock, or a few
    while True:
        await asyncio.sleep(rng.uniform(0, pace))
        world.clock.now += rng.choice([0, 1, 1, 2])


async def play(world: World, variant: Variant) -> None:
    """Play a history on an empty bucket."""
    consumers = [await world.add_consumer() for _ in range(variant.consumers)]
    alone = world.rng.random() < (0.5 if variant.timeouts else 0.2)
    world.fill()
    delays = random.Random(world.rng.random())
    world.bucket.delays = lambda: _delays(delays, 0.4 if variant.timeouts else 0.1)
    works: list[Coroutine[object, object, None]] = [_write(world)]
    background: list[Coroutine[object, object, None]] = [_let_time_pass(world, random.Random(world.rng.random()))]
    if variant.kills:
        works.append(_kill(world, random.Random(world.rng.random())))
    # A request that was given up acts like another client. A clock that far ahead is exact only for a single client.
    skews = [*SKEWS, FAR_SKEW] if alone and not variant.timeouts else SKEWS
    for consumer in consumers:
        consumer.skew = world.rng.choice(skews)
        works.append(_Poller(world, consumer, variant, random.Random(world.rng.random())).run())
        background += [
            _read_others(world, consumer, variant, random.Random(world.rng.random()))
            for _ in range(0 if alone else READERS)
        ]
    async with asyncio.TaskGroup() as group:
        endless = [group.create_task(work) for work in background]
        await asyncio.gather(*(group.create_task(work) for work in works))
        for task in endless:
            task.cancel()
    while world.bucket.in_flight:  # of readers that were cancelled
        await asyncio.sleep(VERY_SLOW_SECONDS)
    world.bucket.delays = None


def _delays(rng: random.Random, very_slow: float) -> tuple[float, float]:
    """Return how long a page waits before it is read and after it; `very_slow` is the share of very slow pages."""
    longest = [VERY_SLOW_SECONDS if rng.random() < very_slow else SLOW_SECONDS for _ in range(2)]
    return rng.uniform(0, longest[0]), rng.uniform(0, longest[1])
