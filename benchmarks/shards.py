"""How evenly, and in how many requests, a listing is split into shards: a part of `make bench`.

`python -m benchmarks.shards` runs it alone.
"""

from __future__ import annotations

import asyncio
import itertools
import time

from headwater.service.listing.splitting import find_split_points
from tests.stores.layouts import LAYOUTS, OBJECTS
from tests.stores.memory import MemoryStore

SHARDS = (8, 32)


def rows() -> list[str]:
    """Split each layout; return the rows of a table."""
    found = []
    for (name, layout), shards in itertools.product(LAYOUTS.items(), SHARDS):
        store = MemoryStore(layout)
        began = time.process_time()
        points, _ = asyncio.run(find_split_points(store, "", shards))
        seconds = time.process_time() - began
        sizes, mean = layout.sizes(points), len(layout) / shards
        found.append(
            f"| {name} | {shards} | {store.requests} | {store.read_keys:,} ({store.read_keys / len(layout):.1%}) "
            f"| {max(sizes) / mean:.2f} | {min(sizes) / mean:.2f} |"
        )
        print(f"  {name:<20} {shards:3} shards  {store.requests:4} requests  {seconds:5.2f} s of CPU", flush=True)
    return found


def table() -> str:
    """Return the table of `docs/listing.md`."""
    head = "| layout | shards | requests | keys read | largest / mean | smallest / mean |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows()])


def main() -> None:
    """Measure, and print the table."""
    print(f"Splitting the listings of {OBJECTS:,} keys:", flush=True)
    print(f"\n{table()}")


if __name__ == "__main__":
    main()
