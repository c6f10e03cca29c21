"""Histories in which one request follows another, with anything between them, even between two pages of the store."""

from __future__ import annotations

from tests.feed.variants import Variant
from tests.feed.world import FAR_SKEW, SKEWS, Consumer, Listing, World

STEPS = 70
MAX_KILLS = 2


class _Actors:
    """The poller of a consumer and the other readers of its dataset."""

    def __init__(self, world: World, consumer: Consumer, variant: Variant, *, alone: bool) -> None:
        self._world = world
        self._rng = world.rng
        self._consumer = consumer
        self._variant = variant
        self._poll: Listing | None = None
        self._others: list[Listing] = []
        self._kills = 0
        self.alone = alone
        consumer.skew = self._rng.choice([*SKEWS, FAR_SKEW] if alone else SKEWS)
        consumer.shards = self._shards(0.8)

    def _shards(self, probability: float) -> int | None:
        is_split = self._variant.shards and self._rng.random() < probability
        return self._rng.randint(2, 4) if is_split else None

    async def read(self) -> None:
        """Another reader does something: list any window, give up, or use an old cursor again."""
        rng, consumer = self._rng, self._consumer
        if self._others and rng.random() < 0.7:
            other = rng.choice(self._others)
            await other.page(rng)
            if rng.random() < 0.3:
                consumer.cursors += other.cursors[-1:]
            if other.is_done or rng.random() < 0.2:
                self._others.remove(other)
        elif consumer.cursors and rng.random() < 0.4:
            self._world.say("an old cursor")
            await consumer.page({"cursor": rng.choice(consumer.cursors)})
        else:
            other = consumer.listing(*consumer.window_of_others(rng), self._shards(0.5))
            await other.page(rng)
            if not other.is_done:
                self._others.append(other)

    async def poll(self) -> None:
        """The poller does something: begin, read a page, repeat requests, acknowledge, or crash before that."""
        rng = self._rng
        if self._poll is None:
            self._poll = self._consumer.poll()
            await self._poll.page(rng)
        elif not self._poll.is_done:
            await self._poll.page(rng)
            if rng.random() < 0.2:
                self._poll.repeat(rng)
        else:
            poll, self._poll = self._poll, None
            # Its cursors are old ones from now on: they may be used again by others.
            self._consumer.cursors += rng.sample(poll.cursors, min(1, len(poll.cursors)))
            if rng.random() < 0.25:
                self._world.say("the poller crashes")
                return
            if self._variant.kills and self._kills < MAX_KILLS and rng.random() < 0.3:
                self._kills += 1
                self._world.say("kill")
                await self._world.running.kill()
            await self._consumer.acknowledge(poll)


async def play(world: World, variant: Variant) -> None:
    """Play a history on an empty bucket."""
    rng = world.rng
    consumers = [await world.add_consumer() for _ in range(variant.consumers)]
    alone = rng.random() < 0.3
    actors = [_Actors(world, consumer, variant, alone=alone) for consumer in consumers]
    world.fill()
    world.bucket.before_page = lambda: _between_pages(world)
    for _ in range(STEPS):
        what = rng.random()
        if what < 0.34:
            world.change()
        elif what < 0.50:
            world.clock.now += rng.choice([0, 1, 1, 2])
        elif what < 0.64 and not alone:
            await rng.choice(actors).read()
        else:
            await rng.choice(actors).poll()
    world.bucket.before_page = None


def _between_pages(world: World) -> None:
    """Change something when a page of the store is about to be read, even in the middle of a request."""
    what = world.rng.random()
    if what < 0.05:
        world.change()
    elif what < 0.08:
        world.clock.now += 1
