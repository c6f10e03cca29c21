"""How fast listings are with redirected read URLs instead of signed ones: a part of `make bench`.

`python -m benchmarks.redirected` runs only this. Cloud Storage is the server of the tests. Its listing costs the same
in both cases; the difference is one RSA signature per object.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.listing import iter_pages
from tests.live import Live, measured
from tests.stores.gcs.server import GcsServer

OBJECTS = 10_000
ROUNDS = 3


def list_dataset(live: Live, dataset: str, redirected: bool) -> tuple[float, int]:
    """List a whole dataset over HTTP; return the seconds and the length of a URL."""
    began = time.perf_counter()
    pages = list(iter_pages(live, dataset, useRedirectedReadUrl=str(redirected)))
    seconds = time.perf_counter() - began
    count = sum(len(page["data"]) for page in pages)
    assert count == OBJECTS, count
    return seconds, len(pages[-1]["data"][-1]["readUrl"])


def rows() -> str:
    """Measure; return rows of the table in the README."""
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder, GcsServer() as gcs:
        for index in range(OBJECTS):
            gcs.put("bucket", f"cameras/front/{index:08}.jpg")
        settings = {"gcs_endpoint": gcs.url, "allowed_endpoints": "127.0.0.1"}
        with measured(Path(folder), **settings) as live:
            dataset = live.configured(
                {
                    "type": "GCS",
                    "fullPath": "bucket/cameras",
                    "gcsProjectId": "project",
                    "gcsCredentials": json.dumps(gcs.key_file()),
                    "purpose": "INPUT",
                }
            )
            seconds: dict[bool, list[float]] = {True: [], False: []}
            length = dict.fromkeys(seconds, 0)
            for turn in range(ROUNDS):
                for redirected, found in seconds.items():
                    took, length[redirected] = list_dataset(live, dataset, redirected)
                    found.append(took)
                    name = "redirected" if redirected else "signed"
                    print(
                        f"  run {turn + 1}  GCS, {name:<37} {took:6.2f} s  {OBJECTS / took:10,.0f} objects/s",
                        flush=True,
                    )
    ours, theirs = median(seconds[True]), median(seconds[False])
    return (
        f"| GCS: list {OBJECTS:,} objects with redirected read URLs | {OBJECTS / ours:,.0f}/s over HTTP, "
        f"{length[True]} characters each | with signed ones: {OBJECTS / theirs:,.0f}/s, {length[False]} characters "
        f"each | **{theirs / ours:.1f} times** |\n"
    )


if __name__ == "__main__":
    print(f"Listing {OBJECTS:,} objects of Cloud Storage:", flush=True)
    print(f"\n{rows()}", end="")
