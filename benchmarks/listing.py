"""What benchmarks of listings share: a synthetic bucket in its own process, datasets on it, and listings of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from benchmarks.bucket import BUCKET
from tests.live import Live


@contextmanager
def synthetic_bucket(count: int) -> Iterator[str]:
    """Serve a bucket of `count` objects in another process; yield its endpoint."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bucket", str(count)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def list_all(live: Live, dataset: str) -> tuple[int, float]:
    """List a whole dataset over HTTP and decode every page; return the number of rows and the seconds."""
    pool = urllib3.PoolManager()
    url = live.url + live.datasource(dataset, "list")
    fields: dict[str, Any] = {"token": live.token}
    count, began = 0, time.perf_counter()
    while True:
        page = json.loads(pool.request("GET", url, fields=fields).data)
        count += len(page["data"])
        if not page["hasMore"]:
            return count, time.perf_counter() - began
        fields["cursor"] = page["cursor"]


def peak_memory(live: Live) -> float:
    """Return the peak memory of the server so far, in MiB (Linux)."""
    status = Path(f"/proc/{live.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def connect(live: Live, endpoint: str) -> str:
    """Return a dataset on the synthetic bucket."""
    return live.configured(
        {
            "type": "OBS",
            "fullPath": BUCKET,
            "obsEndpoint": endpoint,
            "obsAccessKeyId": "test-key-id",
            "obsSecretAccessKey": "test-secret",
            "purpose": "INPUT",
        }
    )


def connect_s3(live: Live, role: bool) -> str:
    """Return a dataset on the bucket at the S3 endpoint of the server, with static keys or an assumed role."""
    common = {"fullPath": BUCKET, "s3Region": "us-east-1", "purpose": "INPUT"}
    if role:
        arn = "arn:aws:iam::123456789012:role/benchmark"
        return live.configured(
            {**common, "type": "S3DelegatedAccess", "s3ARN": arn, "s3ExternalId": "test-external-id"}
        )
    keys = {"s3AccessKeyId": "test-key-id", "s3SecretAccessKey": "test-secret"}
    return live.configured({**common, **keys, "type": "S3"})


def cpu_seconds(live: Live) -> float:
    """Return the CPU time that the server has used so far (Linux)."""
    fields = Path(f"/proc/{live.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
