"""Who may do what over HTTP (contract.md#authentication)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.domain.configs import VALID
from tests.jwks import AUDIENCE, Issuer, signing_key
from tests.live import Live, command, request, running

UNKNOWN = "0123456789abcdef01234567"
OPERATIONS = [
    ("GET", ""),
    ("PUT", ""),
    ("GET", "verify"),
    ("GET", "list"),
    ("GET", "processedUntilTimestamp"),
    ("PUT", "processedUntilTimestamp"),
]


@pytest.fixture(scope="module")
def bob(live: Live) -> str:
    return live.headwater("token", "create", "--user", "bob")


@pytest.mark.parametrize(("method", "operation"), OPERATIONS)
def test_the_order_is_401_400_404_403(live: Live, bob: str, method: str, operation: str) -> None:
    """Credentials come before anything is looked up or read."""
    dataset = live.configured(VALID["LOCAL"])
    bodies = (b"", b"{broken", b"{}", b'{"type": "nope"}') if method == "PUT" else (None,)
    queries: tuple[dict[str, str], ...] = ({}, {"from": "x", "cursor": "x", "purpose": "x"})

    def outcomes(who: str, of: str) -> set[tuple[int, str]]:
        path = live.datasource(of, operation)
        answers = [live.call(method, path, body, token=who, query=query) for body in bodies for query in queries]
        return {(answer.status, answer.code) for answer in answers}

    for of in (dataset, UNKNOWN, "nonsense", "0" * 23, "A" * 24):
        assert outcomes("", of) == {(401, "UNAUTHORIZED")}
        assert outcomes("hw_nobody", of) == {(401, "UNAUTHORIZED")}
    for of in ("nonsense", "0" * 23, "A" * 24, "g" * 24):
        assert outcomes(live.token, of) == {(400, "MALFORMED_REQUEST")}
    assert outcomes(live.token, UNKNOWN) == {(404, "DATASET_UNKNOWN")}
    assert outcomes(bob, dataset) == {(403, "FORBIDDEN")}


def test_a_401_says_how_to_authenticate(live: Live) -> None:
    answer = live.call("GET", "/v1/datasets", token="")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_a_token_as_bearer(live: Live, scheme: str) -> None:
    answer = request(live.url, path="/v1/datasets", headers={"Authorization": scheme + live.token})
    assert answer.status == 200


def test_a_token_in_the_query_may_carry_a_prefix_and_any_encoding(live: Live) -> None:
    encoded = "".join(f"%{ord(character):02X}" for character in live.token)
    for spelled in (live.token, encoded, f"Bearer+{live.token}", f"Bearer%20{live.token}"):
        assert request(live.url, path=f"/v1/datasets?token={spelled}").status == 200


@pytest.mark.parametrize(
    ("query", "header"),
    [("good", "bad"), ("bad", "good"), ("good", "Basic Z29vZDpnb29k"), ("", "good"), ("bad", "bad")],
)
def test_one_bad_credential_spoils_the_other(live: Live, query: str, header: str) -> None:
    words = {"good": live.token, "bad": "hw_bad"}
    sent = header if " " in header else f"Bearer {words[header]}"
    answer = request(live.url, path=f"/v1/datasets?token={words.get(query, query)}", headers={"Authorization": sent})
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_two_good_ones_are_good(live: Live, bob: str) -> None:
    dataset = live.dataset()
    path = f"/v1/datasets/{dataset}"
    assert (
        request(live.url, path=f"{path}?token={live.token}", headers={"Authorization": f"Bearer {bob}"}).status == 200
    )
    assert (
        request(live.url, path=f"{path}?token={bob}", headers={"Authorization": f"Bearer {live.token}"}).status == 403
    )


def test_a_token_works_and_stops_working_at_once(live: Live) -> None:
    made = json.loads(live.headwater("token", "create", "--user", "cleo", "--json"))
    token, token_id = made["token"], made["id"]
    assert live.call("GET", "/v1/datasets", token=token).status == 200
    live.headwater("token", "revoke", token_id)
    assert live.call("GET", "/v1/datasets", token=token).status == 401
    assert command(live.environ, "token", "revoke", token_id).returncode == 0, "revoking again is no error"
    assert command(live.environ, "token", "revoke", "0" * 24).returncode == 3


def test_an_admin_may_use_everybodys_datasets(live: Live, bob: str) -> None:
    admin = live.headwater("token", "create", "--user", "root", "--admin")
    dataset = live.configured(VALID["LOCAL"])
    path = live.datasource(dataset)
    assert live.call("GET", path, token=admin).status == 200
    assert live.call("PUT", path, VALID["LOCAL"], token=admin).status == 200
    refused = live.call("PUT", path, VALID["LOCAL"], token=bob)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert live.call("DELETE", f"/v1/datasets/{dataset}", token=bob).status == 403
    assert dataset not in {found["id"] for found in live.call("GET", "/v1/datasets", token=bob).json}


def test_tokens_and_secrets_reach_neither_log_nor_error(live: Live) -> None:
    secret = "never-to-be-seen-anywhere"
    live.configured({**VALID["S3"], "s3SecretAccessKey": secret})
    live.call("PUT", live.datasource(live.dataset()), {**VALID["S3"], "s3SecretAccessKey": [secret]})
    live.call("PUT", live.datasource(live.dataset()), {**VALID["S3"], "fullPath": 5, "s3SecretAccessKey": secret})
    answers = [
        live.call("GET", "/v1/datasets", token=f"hw_{secret}"),
        request(live.url, path="/v1/datasets", headers={"Authorization": f"Bearer hw_{secret}"}),
        request(live.url, path=f"/nowhere?token={secret}"),
    ]
    assert all(secret.encode() not in answer.body for answer in answers)
    log = live.log.read_text()
    assert '"request"' in log
    assert secret not in log
    assert live.token not in log
    data = Path(live.environ["HEADWATER_DATA_DIR"])
    assert all(secret.encode() not in file.read_bytes() for file in data.iterdir())


def test_jwts_over_http(tmp_path: Path) -> None:
    key = signing_key("RS256", "one")
    with (
        Issuer(key) as issuer,
        running(tmp_path, jwt_issuer=issuer.url, jwt_audience=AUDIENCE) as live,
    ):

        def call(token: str, path: str = "/v1/datasets", method: str = "GET", body: Any = None) -> Any:
            return request(live.url, method, path, body, {"Authorization": f"Bearer {token}"})

        jwt = issuer.token(key)
        made = call(jwt, method="POST", body={"name": "from a jwt"})
        assert made.status == 201
        found = call(jwt, f"/v1/datasets/{made.json['id']}").json
        assert found["userId"].startswith(f"{issuer.url}|")
        assert live.call("GET", f"/v1/datasets/{made.json['id']}").status == 403
        expired = call(issuer.token(key, exp=int(time.time()) - 1000))
        assert (expired.status, expired.code) == (401, "JWT_INVALID")
        assert expired.headers["WWW-Authenticate"].startswith("Bearer")
        assert call("eyJ.eyJ.e30").code == "JWT_MALFORMED"
        both = request(live.url, path=f"/v1/datasets?token={live.token}", headers={"Authorization": f"Bearer {jwt}"})
        assert both.status == 200
        assert jwt not in live.log.read_text()
        named = command(live.environ, "token", "create", "--user", found["userId"])
        assert named.returncode == 2
        assert named.stdout == ""


def test_a_jwt_where_no_issuer_is_set(live: Live) -> None:
    with Issuer(signing_key("ES256", "one")) as issuer:
        answer = request(
            live.url, path="/v1/datasets", headers={"Authorization": f"Bearer {issuer.token(issuer.keys[0])}"}
        )
        assert (answer.status, answer.code) == (401, "JWT_INVALID")
        assert issuer.fetches() == 0
