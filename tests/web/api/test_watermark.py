"""The watermark (contract.md#watermark)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.configs import VALID
from tests.live import Live


def _mark(live: Live, dataset: str) -> Any:
    answer = live.call("GET", live.datasource(dataset, "processedUntilTimestamp"))
    assert answer.status == 200
    assert set(answer.json) == {"processedUntilTimestamp"}
    return answer.json["processedUntilTimestamp"]


def _set(live: Live, dataset: str, value: Any) -> Any:
    return live.call("PUT", live.datasource(dataset, "processedUntilTimestamp"), {"processedUntilTimestamp": value})


def test_watermark_starts_at_0_and_may_decrease(live: Live) -> None:
    dataset = live.configured(VALID["LOCAL"])
    assert _mark(live, dataset) == 0
    for value in (1_700_000_000, 5, 0, 253_402_300_799):
        answer = _set(live, dataset, value)
        assert (answer.status, answer.body) == (200, b"")
        assert _mark(live, dataset) == value


def test_watermark_without_a_datasource_cannot_be_set(live: Live) -> None:
    dataset = live.dataset()
    assert _mark(live, dataset) == 0
    answer = _set(live, dataset, 5)
    assert (answer.status, answer.code) == (404, "DATASET_DATASOURCE_UNKNOWN")


@pytest.mark.parametrize("value", [-1, 1.5, "5", True, None, [], 1_700_000_000_000, 10**30, float("nan")])
def test_invalid_value_is_refused_and_changes_nothing(live: Live, value: Any) -> None:
    dataset = live.configured(VALID["LOCAL"])
    _set(live, dataset, 7)
    answer = _set(live, dataset, value)
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert _mark(live, dataset) == 7
    if value == 1_700_000_000_000:
        assert "milliseconds" in answer.text


@pytest.mark.parametrize("body", [{}, [], None, {"processedUntil": 5}])
def test_body_without_the_value_is_refused(live: Live, body: Any) -> None:
    dataset = live.configured(VALID["LOCAL"])
    answer = live.call("PUT", live.datasource(dataset, "processedUntilTimestamp"), body)
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"s3AccessKeyId": "other", "s3SecretAccessKey": "other"}, True),
        ({"s3Region": "us-east-1"}, True),
        ({"fullPath": "bucket/path"}, True),
        ({"purpose": "INPUT"}, True),
        ({"fullPath": "bucket/path2"}, False),
        ({"fullPath": "bucket2/path"}, False),
        ({**VALID["OBS"], "fullPath": "bucket/path"}, False),
    ],
)
def test_new_location_resets_the_watermark(live: Live, change: dict[str, Any], kept: bool) -> None:
    dataset = live.configured(VALID["S3"])
    _set(live, dataset, 9)
    assert live.call("PUT", live.datasource(dataset), {**VALID["S3"], **change}).status == 200
    assert _mark(live, dataset) == (9 if kept else 0)


def test_only_the_input_datasource_resets_the_watermark(live: Live) -> None:
    dataset = live.configured({**VALID["LOCAL"], "fullPath": "a"})
    _set(live, dataset, 9)
    live.call("PUT", live.datasource(dataset), {**VALID["LOCAL"], "fullPath": "b", "purpose": "LIGHTLY"})
    assert _mark(live, dataset) == 9
    live.call("PUT", live.datasource(dataset), {**VALID["LOCAL"], "fullPath": "b", "purpose": "INPUT"})
    assert _mark(live, dataset) == 0
