"""Unknown routes and wrong methods (contract.md#errors)."""

from __future__ import annotations

import pytest

from headwater import contract
from tests.live import Live, request


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nowhere", "/v1/datasets/", "/v2/datasets", "/admin", "/%00", "/é"])
def test_unknown_route_is_404(live: Live, path: str) -> None:
    answer = request(live.url, path=path.encode().decode("latin-1") if path.isascii() else "/%C3%A9")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/datasets/0123456789abcdef01234567/tags",
        "/v1/datasets/0123456789abcdef01234567/samples/0123456789abcdef01234568/readurlRedirect",
        "/v1/docker/runs",
        "/v1/quota",
        "//v1/quota",
    ],
)
def test_published_route_that_is_not_offered_is_404_not_implemented(live: Live, path: str) -> None:
    answer = request(live.url, path=path)
    assert (answer.status, answer.code) == (404, "NOT_IMPLEMENTED")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v1/datasets/0123456789abcdef01234567/datasource", {"GET", "PUT"}),
        ("DELETE", "/v1/datasets/0123456789abcdef01234567/datasource/list", {"GET"}),
        ("PATCH", "/v1/datasets", {"GET", "POST"}),
        ("PUT", "/healthz", {"GET"}),
        ("POST", "/docs", {"GET"}),
        ("DELETE", "/openapi.json", {"GET"}),
        ("OPTIONS", "/v1/datasets/0123456789abcdef01234567", {"GET", "PUT", "DELETE"}),
    ],
)
def test_wrong_method_is_405_with_allow(live: Live, method: str, path: str, allow: set[str]) -> None:
    answer = request(live.url, method, path)
    assert (answer.status, answer.code) == (405, "BAD_REQUEST")
    assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} == allow


def test_token_in_the_path_appears_in_no_error_and_no_log(live: Live) -> None:
    """If `?` is mistyped, the token becomes part of a path that does not exist."""
    for path in (f"/v1/datasets&token={live.token}", f"/v1/token={live.token}/x"):
        answer = request(live.url, path=path)
        assert answer.status == 404
        assert live.token.encode() not in answer.body
    assert live.token not in live.log.read_text()


def test_path_of_one_operation_has_only_its_own_methods(live: Live) -> None:
    """`enriched` was also taken for the id of a dataset: `Allow` named PUT and DELETE, and these were a 400."""
    literal = {path for path in contract.document()["paths"] if "{" not in path and path.startswith("/v1/")}
    assert "/v1/datasets/enriched" in literal
    for path, item in contract.document()["paths"].items():
        if path not in literal:
            continue
        offered = {method.upper() for method in item} & {"GET", "PUT", "POST", "DELETE"}
        for method in {"GET", "PUT", "POST", "DELETE", "PATCH"} - offered:
            answer = live.call(method, path)
            assert (answer.status, answer.code) == (405, "BAD_REQUEST"), (method, path)
            assert set(answer.headers["Allow"].split(", ")) == offered, (method, path)
    assert live.call("DELETE", "/v1/datasets/enriched2").status == 400, "any other name is a malformed id"
    assert live.call("PUT", "/v1/datasets/enriched/registerDatasetUpload", {}).status == 400
