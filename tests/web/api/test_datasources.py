"""GET and PUT of datasources (contract.md#datasource-config)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.configs import ALIASES, SECRETS, VALID
from tests.live import Live

MASK = "********"


def _get(live: Live, dataset: str, **query: str) -> dict[str, Any]:
    answer = live.call("GET", live.datasource(dataset), query=query)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    assert len(found.pop("id")) == 24
    return found


@pytest.mark.parametrize("raw", VALID.values(), ids=VALID)
def test_every_type_is_returned_as_it_was_put(live: Live, raw: dict[str, Any]) -> None:
    dataset = live.configured({**raw, "unknown": {"member": None}, "id": "0" * 24, "thumbSuffix": None})
    secret = {SECRETS[raw["type"]]: MASK} if raw["type"] in SECRETS else {}
    assert _get(live, dataset) == {**raw, "purpose": "INPUT_OUTPUT", **secret}


@pytest.mark.parametrize(("alias", "kind"), ALIASES.items())
def test_class_names_of_the_oldest_client_are_accepted_as_types(live: Live, alias: str, kind: str) -> None:
    assert _get(live, live.configured({**VALID[kind], "type": alias}))["type"] == kind


def test_failed_put_changes_nothing(live: Live) -> None:
    dataset = live.configured(VALID["S3"])
    live.call("PUT", live.datasource(dataset, "processedUntilTimestamp"), {"processedUntilTimestamp": 5})
    before = _get(live, dataset)
    broken: Any
    for broken in ({**VALID["S3"], "s3Region": "moon"}, {"type": "S4"}, [], {**before, "s3AccessKeyId": "other"}):
        answer = live.call("PUT", live.datasource(dataset), broken)
        assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert _get(live, dataset) == before
    mark = live.call("GET", live.datasource(dataset, "processedUntilTimestamp")).json
    assert mark == {"processedUntilTimestamp": 5}


def test_misspelled_values_are_answered_with_a_suggestion(live: Live) -> None:
    """All 33 regions were listed instead, or nothing but the names of the choices."""
    dataset = live.dataset()
    wrong = {**VALID["S3"], "s3Region": "eu-wst-1", "purpose": "INPT"}
    text = live.call("PUT", live.datasource(dataset), wrong).text
    assert "s3Region: expected a region of AWS (did you mean eu-west-1" in text
    assert "purpose: expected one of INPUT_OUTPUT, INPUT, LIGHTLY (did you mean INPUT?)" in text
    assert "(did you mean S3?)" in live.call("PUT", live.datasource(dataset), {**wrong, "type": "S33"}).text
    assert "(did you mean INPUT?)" in live.call("GET", live.datasource(dataset), query={"purpose": "input"}).text
    assert "(did you mean Images?)" in live.call("POST", "/v1/datasets", {"name": "abc", "type": "image"}).text


@pytest.mark.parametrize("kind", SECRETS)
def test_response_of_get_can_be_put(live: Live, kind: str) -> None:
    dataset = live.configured(VALID[kind])
    answer = live.call("GET", live.datasource(dataset)).json
    assert live.call("PUT", live.datasource(dataset), answer).status == 200
    assert live.call("GET", live.datasource(dataset)).json == answer


def test_purpose_selects_the_datasource(live: Live) -> None:
    dataset = live.configured({**VALID["LOCAL"], "fullPath": "whole"})
    live.call("PUT", live.datasource(dataset), {**VALID["LOCAL"], "fullPath": "input", "purpose": "INPUT"})
    assert _get(live, dataset)["fullPath"] == "input"
    assert _get(live, dataset, purpose="LIGHTLY")["fullPath"] == "whole"
    missing = live.call("GET", live.datasource(dataset), query={"purpose": "INPUT_OUTPUT"})
    assert (missing.status, missing.code) == (404, "DATASET_DATASOURCE_UNKNOWN")
    wrong = live.call("GET", live.datasource(dataset), query={"purpose": "OUTPUT"})
    assert (wrong.status, wrong.code) == (400, "MALFORMED_REQUEST")


def test_all_datasources_are_listed(live: Live) -> None:
    dataset = live.dataset()

    def all_datasources() -> list[dict[str, Any]]:
        answer = live.call("GET", live.datasource(dataset, "all"))
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json
        return found

    assert all_datasources() == []
    live.call("PUT", live.datasource(dataset), {**VALID["LOCAL"], "purpose": "LIGHTLY"})
    live.call("PUT", live.datasource(dataset), {**VALID["S3"], "purpose": "INPUT"})
    source, lightly = (
        live.call("GET", live.datasource(dataset), query={"purpose": purpose}).json for purpose in ("INPUT", "LIGHTLY")
    )
    assert all_datasources() == [source, lightly]
    assert source["s3SecretAccessKey"] == MASK
    live.call("PUT", live.datasource(dataset), VALID["GCS"])
    (whole,) = all_datasources()
    assert (whole["type"], whole["purpose"], whole["gcsCredentials"]) == ("GCS", "INPUT_OUTPUT", MASK)


@pytest.mark.parametrize(
    ("purpose", "operation", "query", "missing"),
    [
        ("INPUT", "metadata/list", {}, "LIGHTLY"),
        ("INPUT", "predictions/writeUrl", {"fileName": "a.json"}, "LIGHTLY"),
        ("INPUT", "fileHEAD", {"fileName": ".lightly/a.json"}, "LIGHTLY"),
        ("LIGHTLY", "list", {}, "INPUT"),
        ("LIGHTLY", "list/dnc", {"dncShards": "2"}, "INPUT"),
        ("LIGHTLY", "fileHEAD", {"fileName": "a.png"}, "INPUT"),
    ],
)
def test_missing_purpose_is_named_in_the_error(
    live: Live, purpose: str, operation: str, query: dict[str, str], missing: str
) -> None:
    dataset = live.configured({**VALID["LOCAL"], "purpose": purpose})
    answer = live.call("GET", live.datasource(dataset, operation), query=query)
    assert (answer.status, answer.code) == (404, "DATASET_DATASOURCE_UNKNOWN")
    assert f"the purpose {missing}" in answer.text


def test_datasource_that_moves_gets_a_new_id(live: Live) -> None:
    dataset = live.configured(VALID["S3"])

    def put(**members: str) -> str:
        assert live.call("PUT", live.datasource(dataset), {**VALID["S3"], **members}).status == 200
        found: str = live.call("GET", live.datasource(dataset)).json["id"]
        return found

    first = put()
    assert put(s3AccessKeyId="other", s3SecretAccessKey="other") == first
    assert put(fullPath="s3://elsewhere/x") != first
    assert put() != first, "also after it has moved back"


@pytest.mark.parametrize("operation", ["", "list", "verify"])
def test_dataset_without_a_datasource_is_404(live: Live, operation: str) -> None:
    answer = live.call("GET", live.datasource(live.dataset(), operation))
    assert (answer.status, answer.code) == (404, "DATASET_DATASOURCE_UNKNOWN")


@pytest.mark.parametrize(
    "body",
    [b"", b"   ", b"{", b"{'type': 'S3'}", b"\xff\xfe", b'{"type": "\\ud800"}', b"[" * 100_000, b"null", b"NaN"],
    ids=["none", "blank", "cut", "quotes", "bytes", "surrogate", "deep", "null", "nan"],
)
def test_body_that_is_no_config_is_refused(live: Live, body: bytes) -> None:
    answer = live.call("PUT", live.datasource(live.dataset()), body)
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")


def test_lone_surrogate_in_a_member_is_refused(live: Live) -> None:
    body = b'{"type": "LOCAL", "fullPath": "a\\ud800b"}'
    answer = live.call("PUT", live.datasource(live.dataset()), body)
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")


def test_too_large_body_is_413(live: Live) -> None:
    body = b'{"type": "LOCAL", "fullPath": "' + b"a" * (1 << 20) + b'"}'
    answer = live.call("PUT", live.datasource(live.dataset()), body)
    assert (answer.status, answer.code) == (413, "BAD_REQUEST")
