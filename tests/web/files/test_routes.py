"""Only signed URLs are served, and only under the prefix of their signer."""

from __future__ import annotations

import json
import os

import pytest

from tests.web.files.server import CONTENT, CORS, MODIFIED, Server, serving


def test_expired_url_is_403(server: Server) -> None:
    status, headers, body = server.request(server.target("set/a.png", MODIFIED))
    assert status == 403
    assert b"expired at 2023-11-14T22:13:20Z: list again" in body
    assert CORS in headers.items()
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a.png", "empty.png"),
        ("signature=", "signature=x"),
        ("expires=", "expires=9"),
        ("expires=", "later="),
        ("&signature=", "&sign="),
        ("?expires=", "?"),
        ("?expires=", "?token=abc&Expires="),
    ],
)
def test_altered_url_is_403(server: Server, old: str, new: str) -> None:
    target = server.target("set/a.png")
    assert server.request(target)[0] == 200
    status, headers, body = server.request(target.replace(old, new))
    assert status == 403
    assert b"does not match" in body
    assert CORS in headers.items()


def test_unsigned_request_does_not_reveal_what_exists(server: Server) -> None:
    answers = set()
    for path in ("set/a.png", "set", "absent", "../x", "%00", ""):
        status, _, body = server.request(f"/files/{path}")
        answers.add((status, json.loads(body)["message"]))
    assert len(answers) == 1
    assert answers.pop()[0] == 403


def test_other_query_parameters_are_ignored(server: Server) -> None:
    target = server.target("set/a.png").replace("?", "?token=abc&") + "&cache=1"
    assert server.request(target)[0] == 200


@pytest.mark.parametrize(
    "path", ["absent.png", "set", "set/a.png/b", "set/a.png/", "", "../secret.png", "set/../set/a.png"]
)
def test_signed_url_of_an_absent_file_is_404(server: Server, path: str) -> None:
    (server.root.parent / "secret.png").write_bytes(b"secret")
    for method in ("GET", "HEAD"):
        status, headers, body = server.request(server.target(path), method)
        assert status == 404
        assert CORS in headers.items()
        assert str(server.root).encode() not in body


def test_only_regular_files_are_served(server: Server) -> None:
    (server.root / "out.png").symlink_to("../secret.png")
    (server.root / "device.png").symlink_to("/dev/zero")
    os.mkfifo(server.root / "fifo.png")
    for path in ("out.png", "device.png", "fifo.png"):
        assert server.get(path)[0] == 404
    (server.root / "in.png").symlink_to(server.root / "set" / "a.png")
    assert server.get("in.png")[::2] == (200, CONTENT)


def test_path_that_is_not_utf8_is_404(server: Server) -> None:
    assert server.request("/files/a%FF.png?expires=1&signature=x")[0] == 404


def test_preflight_allows_ranges_and_authorization(server: Server) -> None:
    """Browsers send a preflight request without credentials before a request with `Range`."""
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    status, headers, body = server.request(
        server.target("set/a.png"), "OPTIONS", {**preflight, "Access-Control-Request-Headers": "range, authorization"}
    )
    assert (status, body) == (204, b"")
    assert CORS in headers.items()
    assert {"GET", "HEAD"} <= set(headers["access-control-allow-methods"].split(", "))
    assert {"*", "Authorization"} <= set(headers["access-control-allow-headers"].split(", "))


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
def test_other_methods_are_405(server: Server, method: str) -> None:
    status, headers, _ = server.request(server.target("set/a.png"), method)
    assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
    assert CORS in headers.items()


def test_other_paths_are_not_handled(server: Server) -> None:
    for target in ("/files", "/filesystem/a", "/v1/files/a"):
        status, headers, _ = server.request(target)
        assert status == 404
        assert CORS not in headers.items()


def test_root_path_of_a_proxy_is_removed(server: Server) -> None:
    with serving(server.root, root_path="/pre fix") as behind:
        assert behind.get("set/a.png")[::2] == (200, CONTENT)
