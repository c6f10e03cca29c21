"""Authentication, authorization and the size of bodies (contract.md#authentication)."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.domain.configs import VALID
from tests.jwks import AUDIENCE, Issuer, signing_key
from tests.live import Live, command, fetch, request, running

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
def test_errors_are_checked_in_the_order_401_400_404_403(live: Live, bob: str, method: str, operation: str) -> None:
    """Credentials are checked before anything is looked up or read."""
    dataset = live.configured(VALID["LOCAL"])
    bodies = (b"", b"{broken", b"{}", b'{"type": "nope"}') if method == "PUT" else (None,)
    queries: tuple[dict[str, str], ...] = ({}, {"from": "x", "cursor": "x", "purpose": "x"})

    def outcomes(token: str, dataset_id: str) -> set[tuple[int, str]]:
        path = live.datasource(dataset_id, operation)
        answers = [live.call(method, path, body, token=token, query=query) for body in bodies for query in queries]
        return {(answer.status, answer.code) for answer in answers}

    for dataset_id in (dataset, UNKNOWN, "nonsense", "0" * 23, "A" * 24):
        assert outcomes("", dataset_id) == {(401, "UNAUTHORIZED")}
        assert outcomes("hw_nobody", dataset_id) == {(401, "UNAUTHORIZED")}
    for dataset_id in ("nonsense", "0" * 23, "A" * 24, "g" * 24):
        assert outcomes(live.token, dataset_id) == {(400, "MALFORMED_REQUEST")}
    assert outcomes(live.token, UNKNOWN) == {(404, "DATASET_UNKNOWN")}
    assert outcomes(bob, dataset) == {(403, "FORBIDDEN")}


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_api_token_is_accepted_as_bearer(live: Live, scheme: str) -> None:
    answer = request(live.url, path="/v1/datasets", headers={"Authorization": scheme + live.token})
    assert answer.status == 200


def test_api_token_in_the_query_may_have_a_prefix_and_any_encoding(live: Live) -> None:
    encoded = "".join(f"%{ord(character):02X}" for character in live.token)
    for spelled in (live.token, encoded, f"Bearer+{live.token}", f"Bearer%20{live.token}"):
        assert request(live.url, path=f"/v1/datasets?token={spelled}").status == 200


@pytest.mark.parametrize(
    ("query", "header"),
    [("good", "bad"), ("bad", "good"), ("good", "Basic Z29vZDpnb29k"), ("", "good"), ("bad", "bad")],
)
def test_one_invalid_credential_is_401(live: Live, query: str, header: str) -> None:
    tokens = {"good": live.token, "bad": "hw_bad"}
    sent = header if " " in header else f"Bearer {tokens[header]}"
    answer = request(live.url, path=f"/v1/datasets?token={tokens.get(query, query)}", headers={"Authorization": sent})
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_two_valid_credentials_use_the_one_in_the_query(live: Live, bob: str) -> None:
    dataset = live.dataset()
    path = f"/v1/datasets/{dataset}"
    assert (
        request(live.url, path=f"{path}?token={live.token}", headers={"Authorization": f"Bearer {bob}"}).status == 200
    )
    assert (
        request(live.url, path=f"{path}?token={bob}", headers={"Authorization": f"Bearer {live.token}"}).status == 403
    )


@pytest.mark.slow
def test_token_is_valid_at_once_and_until_it_is_revoked(live: Live) -> None:
    made = json.loads(live.headwater("token", "create", "--user", "cleo", "--json"))
    token, token_id = made["token"], made["id"]
    assert live.call("GET", "/v1/datasets", token=token).status == 200
    live.headwater("token", "revoke", token_id)
    assert live.call("GET", "/v1/datasets", token=token).status == 401
    assert command(live.environ, "token", "revoke", token_id).returncode == 0, "revoking it again is no error"
    assert command(live.environ, "token", "revoke", "0" * 24).returncode == 3


def test_admin_may_use_the_datasets_of_all_users(live: Live, bob: str) -> None:
    admin = live.headwater("token", "create", "--user", "root", "--admin")
    dataset = live.configured(VALID["LOCAL"])
    path = live.datasource(dataset)
    assert live.call("GET", path, token=admin).status == 200
    assert live.call("PUT", path, VALID["LOCAL"], token=admin).status == 200
    refused = live.call("PUT", path, VALID["LOCAL"], token=bob)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert live.call("DELETE", f"/v1/datasets/{dataset}", token=bob).status == 403
    assert dataset not in {found["id"] for found in live.call("GET", "/v1/datasets", token=bob).json}


def test_tokens_and_secrets_appear_in_no_error_and_no_log(live: Live) -> None:
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


@pytest.mark.slow
def test_jwt_authenticates_a_user_of_its_own(tmp_path: Path) -> None:
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
        named = live.headwater("token", "create", "--user", found["userId"])
        assert live.call("GET", f"/v1/datasets/{made.json['id']}", token=named).status == 200
        refused = command(live.environ, "token", "create", "--user", f"x{found['userId']}")
        assert refused.returncode == 2
        assert refused.stdout == ""


def test_jwt_without_a_configured_issuer_is_401(live: Live) -> None:
    with Issuer(signing_key("ES256", "one")) as issuer:
        answer = request(
            live.url, path="/v1/datasets", headers={"Authorization": f"Bearer {issuer.token(issuer.keys[0])}"}
        )
        assert (answer.status, answer.code) == (401, "JWT_INVALID")
        assert issuer.fetches() == 0


def test_chunked_body_that_is_too_large_is_413(live: Live) -> None:
    """A chunked body has no length by which it could be refused before it is read."""
    dataset = live.dataset()
    parts = urlsplit(live.url)
    head = (
        f"PUT {live.datasource(dataset)}?token={live.token} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(head.encode())
        for _ in range(17):
            connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            received = connection.recv(65536)
            assert received, answer
            answer += received
    assert b" 413 " in answer.split(b"\r\n", 1)[0]
    assert json.loads(answer.rsplit(b"\r\n\r\n", 1)[1])["code"] == "BAD_REQUEST"


def test_a_body_may_begin_with_a_byte_order_mark(live: Live) -> None:
    """Bodies from PowerShell and from editors of Windows were a 400."""
    dataset = live.dataset()
    body = b"\xef\xbb\xbf" + json.dumps({"type": "LOCAL", "fullPath": ""}).encode()
    url = f"{live.url}{live.datasource(dataset)}?token={live.token}"
    assert fetch(url, "PUT", {"Content-Type": "application/json"}, body).status == 200
    assert fetch(url, "PUT", {"Content-Type": "application/json"}, b"\xef\xbb\xbf").code == "MALFORMED_REQUEST"


@pytest.mark.parametrize(
    ("name", "meant"), [("form", "from"), ("From", "from"), ("page_size", "pageSize"), ("until", "")]
)
def test_unknown_query_parameter_is_refused(live: Live, name: str, meant: str) -> None:
    """`?form=5` was ignored, and everything was listed from the beginning."""
    dataset = live.dataset()
    for path in (live.datasource(dataset), live.datasource(dataset, "list"), "/v1/datasets"):
        answer = live.call("GET", path, query={name: "5"})
        assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
        assert (f"{name}: unknown query parameter; did you mean {meant}?" if meant else "no operation") in answer.text
    assert live.call("GET", live.datasource(dataset), query={name: "5"}, token="").status == 401
    assert live.call("GET", live.datasource(UNKNOWN), query={name: "5"}).status == 404


def test_known_query_parameters_of_other_operations_are_ignored(live: Live) -> None:
    """Published clients may send them, and what proxies and load balancers add to health checks does no harm."""
    assert live.call("GET", "/v1/datasets", query=dict.fromkeys(("cursor", "dncShards", "force"), "x")).status == 200
    assert request(live.url, path="/healthz?probe=1").status == 200
    assert request(live.url, path="/v1/versions/pip/minimum?x=1").status == 200


def test_token_instead_of_a_parameter_is_not_repeated(live: Live) -> None:
    """`?hw_…` without `token=` next to a valid bearer."""
    headers = {"Authorization": f"Bearer {live.token}"}
    answer = request(live.url, path=f"/v1/datasets?{live.token}=", headers=headers)
    assert answer.status == 400
    assert live.token not in answer.text
