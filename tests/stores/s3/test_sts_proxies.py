"""botocore uses no proxies of the environment, like every other request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headwater.stores.s3.sts import Sts
from headwater.testing.fault_proxy import FaultProxy, Request, Status
from tests.servers import AwsUser, GuardedAws, trust

EXTERNAL_ID = "external-id-of-ada"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with FaultProxy(respond=lambda _: Status(502, b"from the proxy")) as running:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, running.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield running


def test_a_role_is_assumed_without_the_proxy(guarded: GuardedAws, own_identity: AwsUser, proxy: FaultProxy) -> None:
    """Only STS used the proxy, so that roles could be assumed and their buckets could not be listed."""
    role = guarded.role(["s3:ListBucket"], trust(own_identity, EXTERNAL_ID))
    assert Sts().assume(role, EXTERNAL_ID, "us-east-1", guarded.url).session_token
    assert not proxy.requests


def test_the_role_of_the_machine_is_found_without_the_proxy(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """botocore asks for it with a client of its own, which knows nothing of the other clients' config."""

    def metadata(request: Request) -> Status:
        if request.target == "/latest/api/token":
            return Status(200, b"test-metadata-token")
        if request.target.endswith("/security-credentials/"):
            return Status(200, b"role-of-the-machine")
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = {"AccessKeyId": "test-key-id", "SecretAccessKey": "test-secret", "Token": "t", "Expiration": expires}
        return Status(200, json.dumps({"Code": "Success", **found}).encode())

    identity = AwsUser("", "", "").environ(tmp_path)
    for name in identity:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", identity["AWS_CONFIG_FILE"])
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", identity["AWS_SHARED_CREDENTIALS_FILE"])
    with FaultProxy(respond=metadata) as machine:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)
        assert Sts().own().access_key_id == "test-key-id"
    assert not proxy.requests
