"""Real servers for tests: each a process of its own on loopback, on a free port, ended by its own id."""

from __future__ import annotations

import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.need import need

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY_ID = "test-key-id"
SECRET = "test-secret-access-key"  # rclone refuses very short ones


def free_port() -> int:
    """A port that was free a moment ago. Another process may take it: see `serving`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: Callable[[int], Sequence[str]], seconds: float = 30.0) -> Iterator[int]:
    """Run a server for the length of the block and yield its port.

    Args:
        command: makes the command line for a port.
        seconds: how long it may take until it accepts connections.
    """
    for attempt in range(3):
        port = free_port()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command(port), stdout=output, stderr=subprocess.STDOUT)
            try:
                if _accepts(process, port, seconds):
                    yield port
                    return
            finally:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            output.seek(0)
            said = output.read().decode(errors="replace")[-2000:]
        # The usual reason is that the port was taken in between: once more with another one.
        if attempt == 2:
            raise RuntimeError(f"{command(port)[0]} did not start: {said}")


@contextmanager
def moto_server() -> Iterator[str]:
    """S3 (and STS, IAM) by moto, which checks no credentials; yields its URL."""
    with serving(lambda port: [_script("moto_server"), "-H", "127.0.0.1", "-p", str(port)]) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def rclone_s3(directory: Path, key_id: str = KEY_ID, secret: str = SECRET) -> Iterator[str]:
    """S3 by `rclone serve s3`, which checks signatures and presigned URLs; yields its URL.

    Args:
        directory: its folders are the buckets. Files put there behind the server's back are seen late: rclone
            remembers directories (and with `--dir-cache-time 0s` it hangs).
        key_id: of the one access key it knows.
        secret: that belongs to it.
    """
    with serving(
        lambda port: [
            _script("rclone"),
            *("serve", "s3", str(directory), "--addr", f"127.0.0.1:{port}"),
            *("--auth-key", f"{key_id},{secret}", "--config", ""),
        ]
    ) as port:
        yield f"http://127.0.0.1:{port}"


def _script(name: str) -> str:
    """A program that pip put beside this interpreter, or one on the PATH."""
    beside = Path(sysconfig.get_path("scripts")) / name
    if beside.exists():
        return str(beside)
    return need(name)


def _accepts(process: subprocess.Popen[bytes], port: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                # Another process may have taken the port; ours then ends within moments.
                time.sleep(0.05)
                return process.poll() is None
        except OSError:
            time.sleep(0.05)
    return False


@contextmanager
def s3_client(url: str) -> Iterator[S3Client]:
    """The vendor's SDK, which prepares what a store under test then meets."""
    import boto3
    from botocore.config import Config

    client: S3Client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    try:
        yield client
    finally:
        client.close()
