"""What benchmarks of listings share: a synthetic bucket in its own process, datasets on it, and listings of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import urllib3

from benchmarks.bucket import BUCKET
from tests.live import Live


def synthetic_bucket(count: int) -> AbstractContextManager[str]:
    """Serve a bucket of `count` objects in another process; return its endpoint."""
    return module_server("benchmarks.bucket", str(count))


@contextmanager
def module_server(module: str, *arguments: str) -> Iterator[str]:
    """Run a module that prints its port and serves until it is terminated; yield its URL."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def list_all(live: Live, dataset: str) -> tuple[int, float]:
    """List a whole dataset over HTTP and decode every page; return the number of rows and the seconds."""
    began = time.perf_counter()
    count = sum(len(page["data"]) for page in iter_pages(live, dataset))
    return count, time.perf_counter() - began


def iter_pages(live: Live, dataset: str, **parameters: str) -> Iterator[Any]:
    """Yield the decoded pages of a listing of a whole dataset, all requested with these parameters."""
    pool = urllib3.PoolManager()
    url = live.url + live.datasource(dataset, "list")
    fields: dict[str, Any] = {"token": live.token, **parameters}
    while True:
        page = json.loads(pool.request("GET", url, fields=fields).data)
        yield page
        if not page["hasMore"]:
            return
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
