"""Kill servers again and again while users write, list and poll; count what was lost.

The pollers and readers, their bucket and the verdict on what they got are those of `tests/feed`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import uvloop

from tests.crashes.writer import Writer
from tests.feed import concurrent
from tests.feed.play import MEMORY
from tests.feed.servers import Installation, installation
from tests.feed.variants import Variant
from tests.feed.world import World

WRITERS = 3
POLLED = 2
"""How many histories of `tests/feed` are played at the same time."""

MAX_LIFE_SECONDS = 0.7
"""A server is killed at a random moment until then, counted from its startup message."""

EARLY_KILLS = 0.15
"""The share of kills that hit a server before it listens."""

HISTORY = Variant(name="crashes", share=0, shards=True, concurrent=True)

KEYS = 60
"""Objects of the bucket that is only read: its listings take many pages, and must be whole."""


@dataclass
class Totals:
    """What was counted.

    Attributes:
        kills: of servers, and of the database.
        writes: acknowledged writes.
        listings: whole listings of the bucket that does not change, most of them interrupted by a kill.
        histories: the number of histories.
        versions: the versions that were written in the histories.
        faults: a line for each fault.
        seconds: the real time.
    """

    kills: int = 0
    writes: int = 0
    listings: int = 0
    histories: int = 0
    versions: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kills:,} kills, {self.writes:,} acknowledged writes, {self.listings:,} whole listings, "
            f"{self.histories:,} histories with {self.versions:,} versions in {self.seconds:.0f} s: "
            f"{len(self.faults)} faults"
        )


def play(
    kills: int,
    seed: int,
    *,
    database: str = "sqlite",
    kill_database: bool = False,
    progress: Callable[[Totals], None] | None = None,
) -> Totals:
    """Kill servers this many times.

    Args:
        kills: how often.
        seed: of all choices; how requests and kills overlap differs each time.
        database: `sqlite`, with one server, or `postgresql`, with two servers that are killed together.
        kill_database: let PostgreSQL end at once, as after a crash, instead of the servers.
        progress: is called after each kill.
    """
    totals = Totals()
    began = time.monotonic()

    async def share() -> None:
        folder = tempfile.TemporaryDirectory(prefix="headwater-crashes-", dir=MEMORY if MEMORY.is_dir() else None)
        with folder as name:
            async with installation(Path(name), "exact", replicas=database == "postgresql") as running:
                await _Play(running, random.Random(seed), totals).run(kills, kill_database, progress)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(share())
    totals.seconds = time.monotonic() - began
    return totals


class _Play:
    def __init__(self, running: Installation, rng: random.Random, totals: Totals) -> None:
        self._running = running
        self._rng = rng
        self._totals = totals
        self._is_over = False

    async def run(self, kills: int, kill_database: bool, progress: Callable[[Totals], None] | None) -> None:
        """Kill this often while everything works; then let everybody finish."""
        writers = [self._writer(number) for number in range(WRITERS)]
        async with asyncio.TaskGroup() as group:
            for writer in writers:
                group.create_task(writer.run())
            for _ in range(POLLED):
                group.create_task(self._poll(random.Random(self._rng.random())))
            group.create_task(self._list(random.Random(self._rng.random())))
            for _ in range(kills):
                await asyncio.sleep(self._rng.uniform(0, MAX_LIFE_SECONDS))
                await (self._crash_database() if kill_database else self._kill())
                self._totals.kills += 1
                if progress is not None:
                    progress(self._totals)
            self._is_over = True
        for writer in writers:
            self._totals.writes += writer.writes
            self._totals.faults += writer.faults

    def _writer(self, number: int) -> Writer:
        return Writer(self._running.client, number, random.Random(self._rng.random()), self._goes_on)

    def _goes_on(self) -> bool:
        return not self._is_over

    async def _kill(self) -> None:
        early = self._rng.uniform(0, 1) if self._rng.random() < EARLY_KILLS else None
        await self._running.kill_now(early)

    async def _crash_database(self) -> None:
        await asyncio.to_thread(crash_postgresql, self._running.database_url)

    async def _poll(self, rng: random.Random) -> None:
        """Play one history after the other."""
        while self._goes_on():
            world = World(self._running, rng)
            await concurrent.play(world, HISTORY)
            self._totals.histories += 1
            self._totals.versions += world.bucket.versions
            faults = [each for each in await world.finish() if each.lost or each.twice]
            if faults:
                self._totals.faults += [f"{faults}", *world.events]

    async def _list(self, rng: random.Random) -> None:
        """List a bucket that does not change, with pauses between the pages so that most listings survive a kill."""
        world = World(self._running, rng)
        for number in range(KEYS):
            world.bucket.put(f"set/{number:03}.jpg", world.clock.now - 100)
        names = sorted(world.bucket.objects)
        consumer = await world.add_consumer()
        while self._goes_on():
            listing = consumer.listing(0, world.clock.now)
            while not listing.is_done:
                await listing.page(rng)
                await asyncio.sleep(rng.uniform(0, 0.2))
            found = [handout.key for handout in listing.handouts]
            if found != names:
                self._totals.faults.append(f"a listing has {found}")
            self._totals.listings += 1


def crash_postgresql(url: str) -> None:
    """Stop PostgreSQL without a checkpoint ("immediate shutdown"), and start it again: it must recover.

    Source: https://www.postgresql.org/docs/current/server-shutdown.html
    """
    import pgserver

    with psycopg.connect(url) as connection:
        ((folder,),) = connection.execute("SHOW data_directory").fetchall()
    server = pgserver.get_server(folder)
    pid = server.get_pid()
    os.kill(pid, signal.SIGQUIT)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)
    server.ensure_postgres_running()
