"""A request that a client gave up is still handled by the server: it must not take anything from the client."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.feed.servers import PAGE_SIZE, installation
from tests.feed.world import Listing, World

PAGES = 4
LATE_SECONDS = 0.5


@pytest.mark.slow
async def test_request_that_is_handled_after_its_repetition_hides_nothing(tmp_path: Path) -> None:
    """The poller's request times out, its repetition is answered, an object appears, and the first request reads it.

    The object is in the part of the listing that the poller has passed. It must not get a listing time in the window of
    this listing, which the poller then acknowledges.
    """
    async with installation(tmp_path, "exact") as running:
        world = World(running, random.Random(1))
        poller = await world.add_consumer()
        await poller.acknowledge(await _read(world, poller.poll()))
        world.clock.now += 10
        for number in range(PAGES * PAGE_SIZE):
            world.put(f"set/{number:02}.jpg", 0)
        world.clock.now += 10

        listing = poller.poll()
        (shard,) = listing.shards
        await listing.page_of(shard)
        world.bucket.delays = lambda: (LATE_SECONDS, 0.0)
        given_up = asyncio.ensure_future(poller.page(shard.query))
        while not world.bucket.in_flight:
            await asyncio.sleep(0.01)
        world.bucket.delays = None
        await listing.page_of(shard)
        last_key = shard.pages[-1][1][-1].key
        world.put(last_key, 0)
        await given_up
        await poller.acknowledge(await _read(world, listing))

        (faults,) = await world.finish()
        assert faults == ([], [])


async def _read(world: World, listing: Listing) -> Listing:
    while not listing.is_done:
        await listing.page(world.rng)
    return listing
