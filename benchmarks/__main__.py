"""`make bench`: every figure of the README, as a ratio to a named alternative measured in the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from unittest.mock import patch

from benchmarks import client, feed, redirected, shards
from benchmarks.bucket import BUCKET
from benchmarks.listing import connect, connect_s3, list_all, peak_memory, synthetic_bucket
from tests.live import measured

OBJECTS = 200_000
FEW = 20_000
ROUNDS = 3


def list_with_boto3(endpoint: str) -> tuple[int, float]:
    """List and sign with the boto3 script; return the number of URLs and the seconds."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.boto3_script", endpoint, BUCKET], capture_output=True, text=True, check=True
    )
    count, seconds = done.stdout.split()
    return int(count), float(seconds)


def seconds_of(*arguments: str) -> float:
    """Return how long a program takes, the median of several runs."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    return median(times)


def take_turns(*works: tuple[str, Callable[[], tuple[int, float]]]) -> list[list[float]]:
    """Run each work several times, alternating; return the seconds of each."""
    seconds_of_each: list[list[float]] = [[] for _ in works]
    for turn in range(ROUNDS):
        for (name, work), rounds in zip(works, seconds_of_each, strict=True):
            count, seconds = work()
            assert count == OBJECTS, count
            rounds.append(seconds)
            print(f"  run {turn + 1}  {name:<42} {seconds:6.2f} s  {count / seconds:10,.0f} objects/s", flush=True)
    return seconds_of_each


def main() -> None:
    """Measure and print a table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-bench-")))
        many = stack.enter_context(synthetic_bucket(OBJECTS))
        few = stack.enter_context(synthetic_bucket(FEW))
        # The credentials of the server, with which it assumes the role.
        own = {"AWS_ACCESS_KEY_ID": "test-key-id", "AWS_SECRET_ACCESS_KEY": "test-secret"}
        stack.enter_context(patch.dict(os.environ, own))
        settings = {"allowed_endpoints": "127.0.0.1", "s3_endpoint": many, "sts_endpoint": many}
        live = stack.enter_context(measured(folder, **settings))
        large, small = connect(live, many), connect(live, few)
        by_key, by_role = connect_s3(live, role=False), connect_s3(live, role=True)

        print(f"Listing {OBJECTS:,} objects of a synthetic bucket, with a signed read URL each:", flush=True)
        list_all(live, small)
        memory_few = peak_memory(live)
        ours, theirs = take_turns(
            ("Headwater over HTTP", lambda: list_all(live, large)),
            ("boto3 paginator + generate_presigned_url", lambda: list_with_boto3(many)),
        )
        memory_many = peak_memory(live)
        list_all(live, by_role)  # assumes the role, so that the measured runs need not
        delegated, static = take_turns(
            ("S3DelegatedAccess", lambda: list_all(live, by_role)),
            ("S3 with static keys", lambda: list_all(live, by_key)),
        )

    redirected_rows = redirected.rows()
    client_rows = client.table_rows()
    feed_rows = "".join(feed.rows())
    ratio = median(theirs) / median(ours)
    print(
        f"\n| what | Headwater | the alternative | ratio |\n|---|---|---|---|\n"
        f"| list {OBJECTS:,} objects with read URLs | {OBJECTS / median(ours):,.0f}/s over HTTP "
        f"| boto3 paginator + `generate_presigned_url`: {OBJECTS / median(theirs):,.0f}/s | **{ratio:.1f} times** |\n"
        f"{redirected_rows}"
        f"| S3DelegatedAccess (redirected read URLs) | {OBJECTS / median(delegated):,.0f}/s over HTTP "
        f"| S3 with static keys: {OBJECTS / median(static):,.0f}/s | {median(static) / median(delegated):.2f} |\n"
        f"| peak memory of the server | {memory_many:.0f} MiB after {ROUNDS * OBJECTS:,} rows "
        f"| itself after {FEW:,} rows: {memory_few:.0f} MiB | {memory_many / memory_few:.2f} |\n"
        f"{client_rows}{feed_rows}"
    )
    print(f"\n{shards.table()}")


if __name__ == "__main__":
    main()
