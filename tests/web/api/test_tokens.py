"""Users make, list and revoke their own tokens (contract.md#tokens)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.live import Answer, Live

TOKENS = "/v1/headwater/tokens"


def make(live: Live, token: str | None = None, **body: Any) -> dict[str, Any]:
    """Create a token with another one, that of `ada` by default, and return the response."""
    answer = live.call("POST", TOKENS, body, token=token or live.token)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def refusal(answer: Answer) -> tuple[int, str, str]:
    return answer.status, answer.code, answer.json["message"]


def test_a_token_is_made_used_listed_and_revoked(live: Live) -> None:
    answer = live.call("POST", TOKENS, {"label": "nightly import"})
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    made = answer.json
    assert (made["user"], made["scope"], made["label"]) == ("ada", "write", "nightly import")
    assert "lastUsedAt" not in made
    me = live.call("GET", "/v1/headwater/whoami", token=made["token"]).json
    assert me == {"user": "ada", "groups": [], "scope": "write", "tokenId": made["id"]}
    deadline = time.monotonic() + 10
    while "lastUsedAt" not in (listed := found(live, made["id"])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert abs(listed["lastUsedAt"] / 1000 - time.time()) < 60
    assert made["token"] not in live.call("GET", TOKENS).body.decode()
    assert live.call("DELETE", f"{TOKENS}/{made['id']}").status == 200
    assert live.call("GET", TOKENS, token=made["token"]).status == 401
    assert live.call("DELETE", f"{TOKENS}/{made['id']}").status == 200, "revoking it again is no error"
    assert found(live, made["id"])["revokedAt"] > made["createdAt"]
    assert made["token"] not in live.log.read_text()


def found(live: Live, token_id: str) -> dict[str, Any]:
    """Return what the list says about a token of `ada`."""
    listed: dict[str, Any] = next(each for each in live.call("GET", TOKENS).json if each["id"] == token_id)
    return listed


def test_a_token_with_the_scope_read_changes_nothing(live: Live) -> None:
    dataset = live.configured({"type": "LOCAL", "fullPath": ""})
    reader = make(live, scope="read")["token"]
    assert live.call("GET", live.datasource(dataset, "list"), token=reader).status == 200
    watermark = live.datasource(dataset, "processedUntilTimestamp")
    refused = live.call("PUT", watermark, {"processedUntilTimestamp": 5}, token=reader)
    assert refusal(refused) == (403, "FORBIDDEN", "the token has the scope read, and this operation needs write")
    assert live.call("POST", "/v1/datasets", {"name": "not made"}, token=reader).status == 403
    assert live.call("GET", watermark).json == {"processedUntilTimestamp": 0}


def test_a_token_for_one_dataset_sees_no_other(live: Live) -> None:
    dataset, other = live.dataset(), live.dataset()
    limited = make(live, datasetId=dataset)["token"]
    assert live.call("GET", f"/v1/datasets/{dataset}", token=limited).status == 200
    assert "limited to another dataset" in live.call("GET", f"/v1/datasets/{other}", token=limited).json["message"]
    assert [each["id"] for each in live.call("GET", "/v1/datasets", token=limited).json] == [dataset]
    query = [("datasetIds", dataset), ("datasetIds", other)]
    found_by_ids = live.call("GET", "/v1/datasets/enriched/query/ids", token=limited, query=query).json
    assert [each["id"] for each in found_by_ids] == [dataset]
    assert live.call("PUT", f"/v1/datasets/{dataset}", {"name": f"renamed {dataset}"}, token=limited).status == 200
    assert live.call("DELETE", f"/v1/datasets/{dataset}", token=limited).status == 403
    assert live.call("POST", "/v1/datasets", {"name": "not made"}, token=limited).status == 403
    assert live.call("POST", TOKENS, {}, token=limited).status == 403
    assert live.call("GET", TOKENS, token=limited).status == 403


def test_an_expired_token_is_401(live: Live) -> None:
    expires = int(time.time() * 1000) + 1500
    token = make(live, expiresAt=expires)["token"]
    assert live.call("GET", "/v1/datasets", token=token).status == 200
    time.sleep(max(0.0, expires / 1000 - time.time()) + 0.05)
    answer = live.call("GET", "/v1/datasets", token=token)
    assert refusal(answer) == (401, "UNAUTHORIZED", "the API token has expired: make a new one")


def test_no_token_makes_one_that_can_do_more(live: Live) -> None:
    later = int(time.time() * 1000) + 3_600_000
    brief = make(live, expiresAt=later)["token"]
    for body in ({}, {"expiresAt": later + 1}):
        assert live.call("POST", TOKENS, body, token=brief).status == 403
    assert live.call("POST", TOKENS, {"expiresAt": later}, token=brief).status == 201
    assert live.call("POST", TOKENS, {"scope": "admin"}).status == 403
    reader = make(live, scope="read")
    assert live.call("POST", TOKENS, {"scope": "read"}, token=reader["token"]).status == 403
    assert live.call("GET", TOKENS, token=reader["token"]).status == 403
    stranger = live.headwater("token", "create", "--user", "grace")
    assert live.call("POST", TOKENS, {"datasetId": live.dataset()}, token=stranger).status == 403


def test_tokens_of_others_are_neither_listed_nor_revoked(live: Live) -> None:
    grace = json.loads(live.headwater("token", "create", "--user", "grace", "--json"))
    assert grace["id"] not in live.call("GET", TOKENS).body.decode()
    assert live.call("DELETE", f"{TOKENS}/{grace['id']}").status == 404
    assert live.call("GET", TOKENS, token=grace["token"]).status == 200
    admin = live.headwater("token", "create", "--user", "root", "--admin")
    assert live.call("DELETE", f"{TOKENS}/{grace['id']}", token=admin).status == 200
    assert live.call("GET", TOKENS, token=grace["token"]).status == 401


def test_every_token_may_revoke_itself(live: Live) -> None:
    reader = make(live, scope="read")
    other = make(live, scope="read")
    assert live.call("DELETE", f"{TOKENS}/{other['id']}", token=reader["token"]).status == 403
    assert live.call("DELETE", f"{TOKENS}/{reader['id']}", token=reader["token"]).status == 200
    assert live.call("GET", "/v1/headwater/whoami", token=reader["token"]).status == 401


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"scope": "everything"}, "scope: expected one of read, write, admin"),
        ({"scopes": ["read"]}, "scopes: unknown member"),
        ({"datasetID": "0" * 24}, "datasetID: unknown member"),
        ({"datasetId": "x"}, "datasetId"),
        ({"label": ""}, "label: expected"),
        ({"label": "x" * 256}, "label: expected"),
        ({"expiresAt": 1_700_000_000}, "expiresAt: expected milliseconds since 1970 in the future"),
        ({"expiresAt": "tomorrow"}, "expiresAt: expected a whole number"),
        ({"expiresAt": True}, "expiresAt: expected a whole number"),
        ({"expiresAt": 10**30}, "expiresAt: expected a whole number"),
    ],
)
def test_limits_of_invalid_form_are_refused(live: Live, body: dict[str, Any], named: str) -> None:
    status, code, message = refusal(live.call("POST", TOKENS, body))
    assert (status, code) == (400, "MALFORMED_REQUEST")
    assert named in message
