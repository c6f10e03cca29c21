"""Play histories against real servers: `python -m tests.feed --help`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from tests.feed.play import Totals, play, shares
from tests.feed.variants import VARIANTS, Variant


def main() -> int:
    """Play histories; print a line for each kind and the sum."""
    parser = argparse.ArgumentParser(prog="python -m tests.feed", description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS, help="the only kind of history (default: all)")
    parser.add_argument("--seed", type=int, help="the only seed")
    parser.add_argument("--times", type=int, default=1, help="how often: concurrent histories are not quite repeatable")
    parser.add_argument("--histories", type=int, default=300, help="how many histories (default: %(default)s)")
    parser.add_argument("--feed", default="exact", choices=["exact", "dates"], help="HEADWATER_FEED of the servers")
    parser.add_argument(
        "--trace", action="store_true", help="print the events of histories with faults, or of a single one"
    )
    given = parser.parse_args()
    chosen: dict[Variant, Sequence[int]] = {**shares(given.histories)}
    if given.variant is not None:
        chosen = {VARIANTS[given.variant]: range(given.histories)}
    if given.seed is not None:
        chosen = {variant: [given.seed] * given.times for variant in chosen}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stops the servers on the way out
    total = Totals()
    for variant, seeds in chosen.items():
        found = play(
            variant,
            seeds,
            feed=given.feed,
            installations=min(os.cpu_count() or 1, len(seeds)),
            trace=print if given.trace else None,
        )
        for line in found.failed[:3]:
            print(f"  {line}")
        print(
            f"{variant.name:<20} {found}  ({found.requests:,} store pages, {found.unavailable:,} times 503, "
            f"{found.histories / found.seconds:.1f} histories/s)",
            flush=True,
        )
        total += found
    print(f"{total}  ({total.seconds:.0f} s)")
    return 1 if total.lost or total.twice else 0


if __name__ == "__main__":
    sys.exit(main())
