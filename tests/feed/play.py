"""Play many histories, and count what was lost and what was handed out twice."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tests.feed import concurrent, sequential
from tests.feed.servers import Installation, installation
from tests.feed.variants import VARIANTS, Variant
from tests.feed.world import World

AT_ONCE = 8
"""How many histories use one installation at the same time."""

MEMORY = Path("/dev/shm")
"""Where data folders are, if it exists: a kill of a process loses nothing that was written, to whatever file system."""


@dataclass
class Totals:
    """What was counted.

    Attributes:
        histories: the number of histories.
        versions: the versions that were written, for each consumer.
        lost: the versions that were lost.
        twice: the versions that were handed out twice.
        requests: the requests that the bucket was asked for a page.
        unavailable: the number of 503.
        seconds: the real time.
        failed: a line for each history with a fault, which says how to play it again.
    """

    histories: int = 0
    versions: int = 0
    lost: int = 0
    twice: int = 0
    requests: int = 0
    unavailable: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.histories + other.histories,
            self.versions + other.versions,
            self.lost + other.lost,
            self.twice + other.twice,
            self.requests + other.requests,
            self.unavailable + other.unavailable,
            self.seconds + other.seconds,
            self.failed + other.failed,
        )

    def __str__(self) -> str:
        return f"{self.histories:,} histories, {self.versions:,} versions: {self.lost:,} lost, {self.twice:,} twice"


def play(
    variant: Variant,
    seeds: Sequence[int],
    *,
    feed: str = "exact",
    installations: int = 1,
    trace: Callable[[str], None] | None = None,
    progress: Callable[[Totals], None] | None = None,
) -> Totals:
    """Play a history for each seed.

    Args:
        variant: their kind.
        seeds: their seeds.
        feed: the value of `HEADWATER_FEED`.
        installations: how many installations share the work, if the variant has no replicas.
        trace: is called with the events of a history that has a fault or is the only one.
        progress: is called after each history.
    """
    totals = Totals()
    began = time.monotonic()

    async def work(running: Installation, waiting: Iterator[int]) -> None:
        for seed in waiting:
            events, has_faults = await _play_one(running, variant, seed, totals)
            if trace is not None and (has_faults or len(seeds) == 1):
                trace("\n".join(events))
            totals.seconds = time.monotonic() - began
            if progress is not None:
                progress(totals)

    async def share() -> None:
        waiting = iter(seeds)
        async with _installations(1 if variant.replicas else installations, variant, feed) as running:
            async with asyncio.TaskGroup() as group:
                for each in running:
                    for _ in range(min(AT_ONCE, len(seeds))):
                        group.create_task(work(each, waiting))
            totals.unavailable = sum(each.client.unavailable for each in running)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(share())
    return totals


@asynccontextmanager
async def _installations(count: int, variant: Variant, feed: str) -> AsyncIterator[list[Installation]]:
    if count == 0:
        yield []
        return
    folder = tempfile.TemporaryDirectory(prefix="headwater-feed-", dir=MEMORY if MEMORY.is_dir() else None)
    with folder as name:
        async with (
            installation(Path(name), feed, replicas=variant.replicas) as first,
            _installations(count - 1, variant, feed) as others,
        ):
            yield [first, *others]


async def _play_one(running: Installation, variant: Variant, seed: int, totals: Totals) -> tuple[list[str], bool]:
    """Play a history and count it; return its events, and whether it has a fault."""
    world = World(running, random.Random(f"{variant.name} {seed}"))
    await (concurrent if variant.concurrent else sequential).play(world, variant)
    faults = await world.finish()
    totals.histories += 1
    totals.versions += world.bucket.versions * len(world.consumers)
    totals.requests += len(world.bucket.served)
    lost, twice = sum(len(each.lost) for each in faults), sum(len(each.twice) for each in faults)
    totals.lost += lost
    totals.twice += twice
    world.say(f"{faults}")
    if lost or twice:
        totals.failed.append(
            f"{lost} lost, {twice} twice: python -m tests.feed --variant {variant.name} --seed {seed} --trace"
        )
    return world.events, bool(lost or twice)


def shares(histories: int) -> dict[Variant, range]:
    """Return the seeds of each variant, for a total number of histories."""
    seeds = {variant: range(histories * variant.share // 100) for variant in VARIANTS.values()}
    first = next(iter(seeds))
    rest = histories - sum(map(len, seeds.values()))
    return {**seeds, first: range(len(seeds[first]) + rest)}
