"""Random histories of a world (`feed_world`), as the model of the rule plays them: each from one seed.

python -m tests.service.listing.feed_history --seed 17            # replay one
python -m tests.service.listing.feed_history --histories 10000    # play many
"""

from __future__ import annotations

import argparse
import logging
import random

import structlog

from tests.service.listing.feed_world import (
    FAR_AHEAD,
    LAYOUTS,
    Listing,
    Services,
    World,
    settings_for,
    temporary_folder,
)

STEPS = 80


class History:
    """One history: a poller, other readers and writers take random steps."""

    def __init__(self, services: Services, seed: int) -> None:
        self.rng = random.Random(seed)
        self.removals = random.Random(f"removals {seed}")
        self.removal_share = self.removals.choice([0.05, 0.3, 0.97])
        self.world: World = services.world(self.rng.choice(LAYOUTS))
        self.alone = self.rng.random() < 0.3
        self.skew = self.rng.choice([0, 0, 3, -3, -30, *([FAR_AHEAD] if self.alone else [])])
        self.poll: Listing | None = None
        self.readers: list[Listing] = []
        self.cursors: list[str] = []

    def play(self) -> int:
        """Play the history; return the number of versions that there were.

        Raises:
            AssertionError: a version was lost or listed twice.
        """
        rng, world = self.rng, self.world
        tick_share = rng.choice([0.0, 0.0, 0.1, 0.5])
        world.ticks = lambda: tick_share > 0 and rng.random() < tick_share
        lock_share = rng.choice([0.0, 0.0, 0.5, 1.0])
        world.is_locked = lambda: lock_share > 0 and rng.random() < lock_share
        for _ in range(rng.randint(0, 5)):
            world.put(rng.choice(world.layout.keys), rng.randint(1, world.now))
        for _ in range(STEPS):
            self._remove_unseen()
            what = rng.random()
            if what < 0.25:
                self._write()
            elif what < 0.4:
                world.now += rng.choice([0, 1, 1, 2])
            elif what < 0.6 and not self.alone:
                self._read()
            else:
                self._poll()
        for listing in [*self.readers, *([self.poll] if self.poll else [])]:
            if listing.in_flight:
                world.release(listing)
        world.check(self.skew)
        return world.versions

    def _remove_unseen(self) -> None:
        """Let background work happen at some time, or never: the server is stopped."""
        what = self.removals.random()
        if what < self.removal_share:
            self.world.remove_unseen()
        elif what > 0.97:
            self.world.removals.clear()

    def _write(self) -> None:
        rng, world = self.rng, self.world
        key = rng.choice(world.layout.keys)
        if rng.random() < 0.2:
            world.bucket.pop(key, None)
        else:
            world.put(key, world.now + rng.choice([0, 0, -1, -5, -60, 1, 40, FAR_AHEAD]))

    def _page(self, listing: Listing) -> None:
        if listing.in_flight:
            if self.rng.random() < 0.3:
                self.world.release(listing)
            return
        number, hold = self.rng.randrange(len(listing.cursors)), self.rng.random() < 0.3
        self.world.page(listing, number, hold=hold)

    def _read(self) -> None:
        rng, world = self.rng, self.world
        if self.readers and rng.random() < 0.7:
            reader = rng.choice(self.readers)
            self._page(reader)
            if rng.random() < 0.3:
                self.cursors += reader.old_cursors[-1:]
            if reader.is_done or (not reader.in_flight and rng.random() < 0.2):
                self.readers.remove(reader)
        elif self.cursors and rng.random() < 0.4:
            world.read_old_cursor(rng.choice(self.cursors))
        else:
            first = rng.choice([0, 0, world.now - 10, world.watermark + 1])
            end = world.now + rng.choice([0, 0, -20, 5, 300, FAR_AHEAD, self.skew])
            if rng.random() < 0.1:
                world.list_everything()
            elif rng.random() < 0.2:
                self.readers.append(world.begin_shards(first, end, 2))
            else:
                reader = world.begin(first, end, hold=rng.random() < 0.3)
                self.readers += [] if reader.is_done else [reader]

    def _repeat(self, poll: Listing) -> None:
        """Use an earlier cursor of a poll again: for answers that it uses, too, or for one that nobody sees."""
        what, number = self.rng.random(), self.rng.randrange(len(poll.old_cursors))
        if what < 0.2:
            self.world.again(poll, number)
        elif what < 0.5 and not self.alone:  # a clock that far ahead promises only the server's time
            self.world.read_old_cursor(poll.old_cursors[number])

    def _poll(self) -> None:
        rng, world = self.rng, self.world
        if self.poll is None:
            first, end = world.watermark + 1, world.now + self.skew
            self.poll = world.begin_shards(first, end, 3) if rng.random() < 0.2 else world.begin(first, end)
        elif not self.poll.is_done:
            self._page(self.poll)
            if self.poll.old_cursors and not self.poll.in_flight:
                self._repeat(self.poll)
        else:
            self.cursors += self.poll.old_cursors[-2:]
            if rng.random() >= 0.25:  # else it crashes before it acknowledges
                world.acknowledge(self.poll)
            self.poll = None


def play(services: Services, seeds: range, *, progress: bool = False) -> tuple[int, int]:
    """Play the histories of these seeds; return how many histories and versions there were.

    Raises:
        AssertionError: a version was lost or listed twice. A note says which seed it was.
    """
    versions = 0
    for count, seed in enumerate(seeds, 1):
        try:
            versions += History(services, seed).play()
        except Exception as error:
            error.add_note(f"replay with: python -m tests.service.listing.feed_history --seed {seed}")
            raise
        if progress and count % 500 == 0:
            print(f"  {count:,} histories, {versions:,} versions: 0 lost, 0 twice", flush=True)
    return len(seeds), versions


def main() -> None:
    """Play histories from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with temporary_folder() as folder:
        services = Services(settings_for(folder))
        seeds = range(arguments.seed, arguments.seed + arguments.histories)
        histories, versions = play(services, seeds, progress=True)
        services.close()
    print(f"{histories:,} histories, {versions:,} versions: 0 lost, 0 twice")


if __name__ == "__main__":
    main()
