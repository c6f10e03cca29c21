"""What the audit log says about changes over HTTP and on the command line (docs/deployment.md#audit-log)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.domain.configs import VALID
from tests.live import Live, command, request, running

pytestmark = pytest.mark.slow  # each test starts several processes


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Live]:
    """A server with an audit log of its own."""
    with running(tmp_path) as live:
        yield live


def entries(live: Live, *options: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(live.headwater("audit", "--json", *options))
    return listed


def test_every_change_is_recorded_once(own: Live) -> None:
    own.headwater("token", "create", "--user", "bob")
    dataset = own.dataset("street-scenes")
    path, datasource = f"/v1/datasets/{dataset}", own.datasource(dataset)
    shares = f"/v1/headwater/datasets/{dataset}/shares"
    token = own.call("POST", "/v1/headwater/tokens", {"scope": "read", "label": "nightly"}).json
    secret = "never-to-be-seen-anywhere"
    hidden = {"s3SecretAccessKey": secret}
    steps: list[tuple[str, str, Any, dict[str, str]]] = [
        ("PUT", path, {"name": "streets"}, {}),
        ("PUT", path, {"name": "streets"}, {}),
        ("PUT", datasource, {**VALID["S3"], "fullPath": f"s3://k:{secret}@b/c?sig={secret}", **hidden}, {}),
        ("PUT", f"{datasource}/processedUntilTimestamp", {"processedUntilTimestamp": 9}, {}),
        ("PUT", f"{datasource}/processedUntilTimestamp", {"processedUntilTimestamp": 5}, {}),
        ("PUT", f"{datasource}/processedUntilTimestamp", {"processedUntilTimestamp": 4_000_000_000}, {}),
        ("PUT", f"{datasource}/processedUntilTimestamp", {"processedUntilTimestamp": 5}, {}),
        ("PUT", datasource, VALID["LOCAL"], {}),
        ("PUT", shares, {"user": "bob", "role": "owner"}, {}),
        ("PUT", shares, {"user": "bob", "role": "owner"}, {}),
        ("DELETE", shares, None, {"user": "bob"}),
        ("PUT", shares, {"group": "vision", "role": "reader"}, {}),
        ("DELETE", f"/v1/headwater/tokens/{token['id']}", None, {}),
        ("DELETE", f"/v1/headwater/tokens/{token['id']}", None, {}),
    ]
    answers = [own.call(method, url, body, query=query) for method, url, body, query in steps]
    assert {answer.status for answer in answers} == {200}
    own.headwater("dataset", "transfer", dataset, "--to", "bob")
    own.headwater("datasource", "remove", dataset, "--purpose", "INPUT", "--yes")
    own.headwater("dataset", "delete", dataset, "--yes")
    assert own.call("PUT", path, {"name": "no more"}).status == 404

    found = entries(own, "--limit", "1000")
    expected = [
        ("operator", "token.create"),  # of the test itself
        ("operator", "token.create"),
        ("ada", "dataset.create"),
        ("ada", "token.create"),
        ("ada", "dataset.rename"),
        ("ada", "datasource.set"),
        ("ada", "watermark.back"),
        ("ada", "watermark.ahead"),
        ("ada", "watermark.back"),
        ("ada", "datasource.set"),
        ("ada", "share.set"),
        ("ada", "share.remove"),
        ("ada", "share.set"),
        ("ada", "token.revoke"),
        ("operator", "dataset.transfer"),
        ("operator", "datasource.remove"),
        ("operator", "dataset.delete"),
    ]
    assert [(each["user"], each["action"]) for each in found] == expected
    by_action = {each["action"]: each for each in found}
    assert by_action["dataset.rename"]["details"] == {"before": "street-scenes", "name": "streets"}
    backs = [each["details"] for each in found if each["action"] == "watermark.back"]
    assert backs == [{"before": 9, "watermark": 5}, {"before": 4_000_000_000, "watermark": 5}]
    assert next(each["details"].get("path") for each in found if each["action"] == "datasource.set") == "s3://b/c"
    moved = by_action["datasource.set"]["details"]
    assert (moved["type"], moved["lost_watermark"]) == ("LOCAL", 5)
    assert by_action["token.revoke"]["target"] == token["id"]
    assert by_action["share.set"]["target"] == "group vision"
    assert by_action["dataset.transfer"]["details"] == {"before": "ada"}
    assert {each["from"] for each in found if each["user"] == "ada"} == {"127.0.0.1"}
    assert all("requestId" in each and "tokenId" in each for each in found if each["user"] == "ada")
    assert by_action["dataset.rename"]["requestId"] == answers[0].headers["X-Request-Id"]
    operators = [each["from"] for each in found if each["user"] == "operator"]
    assert all(each.startswith("command line of ") for each in operators)

    text = own.headwater("audit", "--json", "--limit", "1000") + own.headwater("audit")
    assert not [each for each in (secret, token["token"], own.token) if each in text]

    assert {each["action"] for each in entries(own, "--action", "share")} == {"share.set", "share.remove"}
    assert len(entries(own, "--action", "share.set")) == 2
    assert {each["user"] for each in entries(own, "--user", "operator")} == {"operator"}
    assert all(each["datasetId"] == dataset for each in entries(own, "--dataset", dataset))
    assert len(entries(own, "--limit", "3")) == 3
    assert len(entries(own, "--since", "1h")) == len(expected)
    assert entries(own, "--since", "2199-01-01") == []
    for option, value, named in (
        ("--action", "shares", "did you mean share"),
        ("--since", "soon", "--since: expected"),
    ):
        refused = command(own.environ, "audit", option, value)
        assert (refused.returncode, named in refused.stderr) == (2, True)


def test_old_entries_are_deleted_in_the_background(tmp_path: Path) -> None:
    import sqlite3
    import time

    with running(tmp_path, audit_retention_days="30") as live:
        environ = live.environ
    catalog = sqlite3.connect(Path(environ["HEADWATER_DATA_DIR"], "headwater.db"))
    with catalog:
        catalog.execute("INSERT INTO audit (at, user, action) VALUES (?, 'old', 'token.revoke')", (1000,))
    catalog.close()
    with running(tmp_path, audit_retention_days="30") as live:
        deadline = time.monotonic() + 10
        while entries(live, "--user", "old") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert entries(live, "--user", "old") == []
        assert entries(live)
        assert request(live.url, path="/readyz").status == 200


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        ("", "203.0.113.7", "127.0.0.1"),
        ("10.0.0.0/8", "203.0.113.7", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.0/8, 10.0.0.0/8", "198.51.100.1, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("127.0.0.1", "command line of root", "unknown"),
    ],
)
def test_the_address_is_that_of_the_client_of_a_trusted_proxy(
    tmp_path: Path, trusted: str, forwarded: str, expected: str
) -> None:
    with running(tmp_path, trusted_proxies=trusted) as live:
        made = live.call("POST", "/v1/datasets", {"name": "from afar"}, headers={"X-Forwarded-For": forwarded})
        assert made.status == 201
        assert entries(live, "--action", "dataset.create")[-1]["from"] == expected
