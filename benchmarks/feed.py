"""What the exact feed costs: a part of `make bench`.

`python -m benchmarks.feed` runs only this. The alternative is the same server listing by date, which keeps no index.
Rows per second of the server's CPU time are compared, in turns, because everything else is the same.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.listing import connect, cpu_seconds, list_all, peak_memory, synthetic_bucket
from headwater.catalog.catalog import Catalog
from headwater.catalog.feed.listings import ListingStart
from headwater.catalog.feed.merging import PageRead
from headwater.catalog.feed.record import Claim
from headwater.catalog.keyring import Keyring
from headwater.domain.dataset import NewDataset
from headwater.domain.datasource import parse_config
from headwater.domain.feed import range_of_keys
from headwater.domain.key_order import Order
from headwater.domain.objects import StoredObject, versions_of
from headwater.domain.purposes import reconfigure
from headwater.domain.window import Window
from tests.live import Live, measured

OBJECTS = 200_000
FEW = 20_000
MANY = 1_000_000
ROUNDS = 5
PAGE = 1_000
KEY_BYTES = 60


def rows_per_cpu_second(live: Live, dataset: str) -> float:
    """List a whole dataset; return the rows per second of the server's CPU time."""
    before = cpu_seconds(live)
    count, _ = list_all(live, dataset)
    return count / (cpu_seconds(live) - before)


def listing_ratios(live: Live, endpoint: str) -> tuple[float, float]:
    """Return the ratios of an exact feed to dates: listings of an unchanged bucket, and first listings."""
    exact, dates = connect(live, endpoint), connect(live, endpoint)
    live.headwater("dataset", "update", dates, "--feed", "dates")
    rows_per_cpu_second(live, exact)
    unchanged, first, plain = [], [], []
    for turn in range(ROUNDS):
        plain.append(rows_per_cpu_second(live, dates))
        unchanged.append(rows_per_cpu_second(live, exact))
        first.append(rows_per_cpu_second(live, connect(live, endpoint)))
        print(
            f"  run {turn + 1}  rows per CPU second: dates {plain[-1]:,.0f}, exact {unchanged[-1]:,.0f}, "
            f"exact for the first time {first[-1]:,.0f}",
            flush=True,
        )
    return median(unchanged) / median(plain), median(first) / median(plain)


def memory_ratio(folder: Path, many: str, few: str) -> tuple[float, float]:
    """Return the peak memory in MiB of a server that lists a large and a small bucket for the first time."""
    peaks = []
    for number, endpoint in enumerate((many, few)):
        own = folder / str(number)
        own.mkdir()
        with measured(own, allowed_endpoints="127.0.0.1") as live:
            dataset = connect(live, endpoint)
            list_all(live, dataset)
            list_all(live, dataset)
            peaks.append(peak_memory(live))
    return peaks[0], peaks[1]


def objects_of_page(number: int) -> list[StoredObject]:
    """Return the objects of a page, with keys of `KEY_BYTES` bytes."""
    names = (f"cameras/front/2026-11-30/{index:09}" for index in range(number * PAGE, (number + 1) * PAGE))
    return [
        StoredObject(f"{name:-<{KEY_BYTES - 4}}.jpg", 2_000_000 + index, 1_750_000_000 + index, f'"{index:032x}"')
        for index, name in enumerate(names)
    ]


async def fill_index(folder: Path) -> tuple[float, float]:
    """Index `MANY` objects in SQLite.

    Returns:
        The bytes of the database per row, and how much longer the last page takes to be matched than the first.
    """
    file = folder / "catalog.db"
    catalog = await Catalog.open(f"sqlite:///{file}", Keyring([("bench", os.urandom(32))]))
    dataset = await catalog.datasets.add("ada", NewDataset(name="many"))
    config = parse_config({"type": "LOCAL", "fullPath": ""})
    changed = await catalog.datasources.change(dataset.id, lambda stored: reconfigure(dataset.id, stored, config))
    assert changed is not None
    now = int(time.time())
    start = ListingStart(dataset.id, changed.datasources[0].id, Order.CODE_POINTS, now, now)
    pages = MANY // PAGE

    async def merge(number: int) -> float:
        state = await catalog.feed.state(listing.feed)
        assert state is not None
        objects = objects_of_page(number)
        after = None if number == 0 else objects_of_page(number - 1)[-1].key
        covers = range_of_keys(after, None if number == pages - 1 else objects[-1].key, state.key_order)
        began = time.perf_counter()
        claim = Claim(b"", os.urandom(8))
        read = PageRead(listing, state, objects, versions_of(objects), covers, claim, Window(0, now))
        assert await catalog.feed.merge(read, now) is not None
        return time.perf_counter() - began

    empty = file.stat().st_size
    listing, _, _ = await catalog.feed.begin(start)
    for number in range(pages):
        await merge(number)
    times = {number: median([await merge(number) for _ in range(50)]) for number in (0, pages - 1)}
    summary = await catalog.feed.summary(dataset.id)
    assert summary is not None
    assert summary.record.n_rows == MANY
    await catalog.close()
    return (file.stat().st_size - empty) / MANY, times[pages - 1] / times[0]


def rows() -> Iterator[str]:
    """Measure; yield rows of the table in the README."""
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as name, synthetic_bucket(OBJECTS) as many:
        folder = Path(name)
        with measured(folder, allowed_endpoints="127.0.0.1") as live:
            unchanged, first = listing_ratios(live, many)
        with synthetic_bucket(FEW) as few:
            large, small = memory_ratio(folder, many, few)
        row_bytes, last_page = asyncio.run(fill_index(folder))
    alternative = "the same server with `--feed dates`"
    yield f"| exact feed, unchanged bucket | rows per CPU second | {alternative} | {unchanged:.2f} |\n"
    yield f"| exact feed, first listing | rows per CPU second | {alternative} | {first:.2f} |\n"
    yield (
        f"| exact feed, peak memory of the server | {large:.0f} MiB for {OBJECTS:,} files, twice "
        f"| itself for {FEW:,} files: {small:.0f} MiB | {large / small:.2f} |\n"
    )
    yield (
        f"| exact feed, index of {MANY:,} files in SQLite | {row_bytes:.0f} bytes a file "
        f"| their keys: {KEY_BYTES} bytes | {row_bytes / KEY_BYTES:.1f} |\n"
    )
    yield f"| exact feed, last page of {MANY:,} files | time in the index | the first page | {last_page:.2f} |\n"


if __name__ == "__main__":
    print("".join(rows()), end="")
