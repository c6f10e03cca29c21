"""A server with a datasource of each type: LOCAL and LIGHTLY work, the stores of the others refuse connections."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.live import Live, environ_for, start
from tests.servers import AwsUser

PAGE_SIZE = 7
"""Small, so that a listing has several pages."""

TASK = "task"
SELECTION = ".lightly/relevant.txt"

FILES = {
    **{f"{folder}/{number}.png": b"image" for folder in ("a", "b%2F c", "ü") for number in range(8)},
    "film.mp4": b"video",
    **{f".lightly/predictions/{TASK}/{number}.json": b"{}" for number in range(9)},
    ".lightly/predictions/tasks.json": b"[]",
    **{f".lightly/metadata/{number}.json": b"{}" for number in range(9)},
    ".lightly/embeddings/embeddings.csv": b"filenames",
    SELECTION: b"a/1.png\nb%2F c/*\n",
}
"""What the folder of the LOCAL datasources contains."""

RAW_SAMPLES = sorted(name for name in FILES if not name.startswith(".lightly/"))

LOCAL = {"type": "LOCAL", "fullPath": "set"}


@dataclass(frozen=True)
class FuzzedServer:
    """The server, and what requests to it can be about.

    Attributes:
        live: the server, with the token of the user `ada`.
        other_token: the token of another user.
        datasets: the datasets of `ada` by what is configured: a datasource type, `pair` (one datasource for INPUT and
            one for LIGHTLY) or `nothing`.
        foreign: a dataset of the other user.
    """

    live: Live
    other_token: str
    datasets: Mapping[str, str]
    foreign: str


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port on loopback that refuses connections as long as the block runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and never listens, so that nobody else can
        yield held.getsockname()[1]


@cache
def private_key() -> str:
    """Return a private key, as key files of Google contain one."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def key_file(token_uri: str) -> str:
    """Return the key file of a service account that exists nowhere."""
    members = {"client_email": "a@b.iam.gserviceaccount.com", "private_key_id": "1", "token_uri": token_uri}
    return json.dumps({"type": "service_account", "private_key": private_key(), **members})


def configs(endpoint: str) -> dict[str, dict[str, Any]]:
    """Return a config of each type, all of which need `endpoint` unless they are local."""
    key = {"s3Region": "eu-central-1", "s3AccessKeyId": "test-key-id", "s3SecretAccessKey": "test-secret"}
    role = {"s3ExternalId": "test-external-id", "s3ARN": "arn:aws:iam::123456789012:role/test"}
    obs = {"obsEndpoint": endpoint, "obsAccessKeyId": "test-key-id", "obsSecretAccessKey": "test-secret"}
    return {
        "LOCAL": LOCAL,
        "LIGHTLY": {"type": "LIGHTLY", "fullPath": ""},
        "S3": {"type": "S3", "fullPath": "s3://bucket/a", **key},
        "S3DelegatedAccess": {"type": "S3DelegatedAccess", "fullPath": "bucket", "s3Region": "us-east-1", **role},
        "OBS": {"type": "OBS", "fullPath": "obs://bucket/a b", **obs},
        "GCS": {
            "type": "GCS",
            "fullPath": "gs://bucket/a",
            "gcsProjectId": "project",
            "gcsCredentials": key_file(f"{endpoint}/token"),
        },
        "AZURE": {"type": "AZURE", "fullPath": "container/a", "accountName": "account", "accountKey": "dGVzdA=="},
    }


def write_files(folder: Path) -> None:
    """Write `FILES`, all of the same time."""
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (1_700_000_000, 1_700_000_000))


@contextmanager
def fuzzed_server(folder: Path) -> Iterator[FuzzedServer]:
    """Run the server during the block."""
    root = folder / "files"
    write_files(root / "set")
    (folder / "managed").mkdir()
    with closed_port() as port:
        endpoint = f"http://127.0.0.1:{port}"
        settings = dict.fromkeys(("s3_endpoint", "sts_endpoint", "gcs_endpoint", "azure_endpoint"), endpoint)
        environ = environ_for(
            folder / "data",
            local_root=str(root),
            managed_store=f"file://{folder}/managed",
            allowed_endpoints="127.0.0.0/8",
            page_size=str(PAGE_SIZE),
            **settings,
        )
        live = start({**environ, **AwsUser("", "test-key-id", "test-secret").environ(folder)}, folder)
        try:
            live.token = live.headwater("token", "create", "--user", "ada")
            yield _prepared(live, endpoint)
        finally:
            code = live.stop()
        assert code == 0, live.log.read_text()


def _prepared(live: Live, endpoint: str) -> FuzzedServer:
    datasets = {name: live.configured(config) for name, config in configs(endpoint).items()}
    _use_up_retries(live, datasets)
    datasets["pair"] = live.configured({**LOCAL, "purpose": "INPUT"})
    for_lightly = {"type": "LIGHTLY", "fullPath": "", "purpose": "LIGHTLY"}
    assert live.call("PUT", live.datasource(datasets["pair"]), for_lightly).status == 200
    datasets["nothing"] = live.dataset()
    other_token = live.headwater("token", "create", "--user", "bob")
    foreign = live.call("POST", "/v1/datasets", {"name": "of bob"}, token=other_token).json["id"]
    return FuzzedServer(live, other_token, datasets, foreign)


def _use_up_retries(live: Live, datasets: Mapping[str, str]) -> None:
    """Request what fails until the server has no retry left for the endpoint: then failures take no time."""

    def request(name: str) -> int:
        return live.call("GET", live.datasource(datasets[name], "list")).status

    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(request, ["S3", "OBS"] * 18))  # one endpoint of the operator, one of a user
    assert statuses == {503}
