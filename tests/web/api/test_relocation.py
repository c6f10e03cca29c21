"""A datasource that stays at its location keeps its watermark and cursors; one that moves loses them.

Source: contract.md#watermark.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.domain.configs import VALID
from tests.live import Live

KEPT: dict[str, list[dict[str, Any]]] = {
    "S3": [
        {"s3AccessKeyId": "other", "s3SecretAccessKey": "other"},
        {"s3Region": "us-east-1"},
        {"fullPath": "bucket/path"},
    ],
    "S3DelegatedAccess": [{"s3ARN": "arn:aws:iam::123456789012:role/other"}, {"s3ExternalId": "another-external-id"}],
    "GCS": [{"gcsCredentials": '{"type": "other"}'}, {"gcsProjectId": "other"}, {"fullPath": "bucket/path/"}],
    "AZURE": [{"accountKey": "sv=2026&sig=other"}, {"fullPath": "container/path/"}],
    "OBS": [
        {"obsAccessKeyId": "other", "obsSecretAccessKey": "other"},
        {"obsEndpoint": "https://obs.example.com:443/"},
    ],
    "LOCAL": [{"webServerLocation": "https://files.example.com"}, {"fullPath": "folder//below/"}],
    "LIGHTLY": [{"fullPath": "another"}],
}
MOVED: dict[str, list[dict[str, Any]]] = {
    "S3": [{"fullPath": "s3://bucket/path2/"}, {"fullPath": "s3://bucket2/path/"}, VALID["LOCAL"]],
    "S3DelegatedAccess": [{"fullPath": "bucket/path2"}, {**VALID["S3"], "fullPath": "bucket/path"}],
    "GCS": [{"fullPath": "gs://bucket/path2"}, {"fullPath": "gs://bucket2/path"}],
    "AZURE": [{"fullPath": "container/path2"}, {"fullPath": "container2/path"}, {"accountName": "account2"}],
    "OBS": [{"fullPath": "obs://bucket/path2"}, {"obsEndpoint": "https://obs2.example.com"}],
    "LOCAL": [{"fullPath": "folder/below2"}, {"fullPath": ""}],
    "LIGHTLY": [VALID["LOCAL"]],
}


def _dataset_with_cursor(live: Live, kind: str) -> tuple[str, str]:
    """Return a dataset with a watermark, and a cursor of a listing."""
    dataset = live.configured(VALID[kind])
    body = {"processedUntilTimestamp": 9}
    assert live.call("PUT", live.datasource(dataset, "processedUntilTimestamp"), body).status == 200
    # An empty window sends no request to the store.
    page = live.call("GET", live.datasource(dataset, "list"), query={"from": 2, "to": 1}).json
    return dataset, page["cursor"]


def _put_and_continue(live: Live, dataset: str, config: dict[str, Any], cursor: str) -> tuple[int, int]:
    """Put another config; return the watermark and the status of the next page."""
    assert live.call("PUT", live.datasource(dataset), config).status == 200
    mark = live.call("GET", live.datasource(dataset, "processedUntilTimestamp")).json["processedUntilTimestamp"]
    answer = live.call("GET", live.datasource(dataset, "list"), query={"cursor": cursor})
    assert answer.status == 200 or "moved to other data" in answer.text
    return mark, answer.status


@pytest.mark.parametrize(("kind", "change"), [(kind, change) for kind in VALID for change in KEPT[kind]])
def test_same_location_keeps_watermark_and_cursor(live: Live, kind: str, change: dict[str, Any]) -> None:
    dataset, cursor = _dataset_with_cursor(live, kind)
    assert _put_and_continue(live, dataset, {**VALID[kind], **change}, cursor) == (9, 200)


@pytest.mark.parametrize(("kind", "change"), [(kind, change) for kind in VALID for change in MOVED[kind]])
def test_new_location_resets_watermark_and_cursor(live: Live, kind: str, change: dict[str, Any]) -> None:
    dataset, cursor = _dataset_with_cursor(live, kind)
    assert _put_and_continue(live, dataset, {**VALID[kind], **change}, cursor) == (0, 400)


def test_reset_of_the_watermark_is_said_in_a_header_and_in_the_log(live: Live) -> None:
    """A PUT of a datasource that moved reset the watermark without a word: the body is empty for published clients."""
    dataset, _ = _dataset_with_cursor(live, "LOCAL")
    reset = "Headwater-Watermark-Reset"
    for change, before in (({"thumbSuffix": "a"}, None), ({"fullPath": "b"}, "9"), ({"fullPath": "c"}, None)):
        answer = live.call("PUT", live.datasource(dataset), {**VALID["LOCAL"], **change})
        assert (answer.status, answer.body, answer.headers[reset]) == (200, b"", before)
    lines = [json.loads(line) for line in live.log.read_text().splitlines() if '"watermark_reset"' in line]
    (line,) = [line for line in lines if line["dataset"] == dataset]
    assert (line["level"], line["before"]) == ("warning", 9)
    assert live.call("PUT", live.datasource(dataset, "processedUntilTimestamp"), {"processedUntilTimestamp": 7}).status
    lightly = live.call("PUT", live.datasource(dataset), {**VALID["LOCAL"], "fullPath": "d", "purpose": "LIGHTLY"})
    assert lightly.headers[reset] is None, "only the input resets it"
    moved = live.call("PUT", live.datasource(dataset), {**VALID["LOCAL"], "fullPath": "d", "purpose": "INPUT"})
    assert moved.headers[reset] == "7"
