"""Create, read, rename, delete and list datasets (contract.md#datasets)."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.domain.configs import VALID
from tests.live import Live, request


def _name() -> str:
    return f"set {os.urandom(6).hex()}"


def test_dataset_is_created_renamed_and_deleted(live: Live) -> None:
    name = _name()
    made = live.call("POST", "/v1/datasets", {"name": name, "type": "Videos", "imgType": "full", "creator": "USER_PIP"})
    assert (made.status, set(made.json)) == (201, {"id"})
    path = f"/v1/datasets/{made.json['id']}"
    found = live.call("GET", path).json
    assert {key: found[key] for key in ("id", "name", "userId", "type", "imgType", "nSamples", "sizeInBytes")} == {
        "id": made.json["id"],
        "name": name,
        "userId": "ada",
        "type": "Videos",
        "imgType": "full",
        "nSamples": 0,
        "sizeInBytes": 0,
    }
    assert found["createdAt"] > 1_700_000_000_000
    assert found["datasources"] == []
    assert found["datasourceProcessedUntilTimestamp"] == 0
    assert None not in found.values()

    renamed = live.call("PUT", path, {"name": f"{name} x"})
    assert (renamed.status, renamed.body) == (200, b"")
    live.call("PUT", f"{path}/datasource", VALID["S3"])
    live.call("PUT", f"{path}/datasource/processedUntilTimestamp", {"processedUntilTimestamp": 8})
    found = live.call("GET", path).json
    assert found["name"] == f"{name} x"
    assert found["datasources"] == [live.call("GET", f"{path}/datasource").json["id"]]
    assert found["datasourceProcessedUntilTimestamp"] == 8

    deleted = live.call("DELETE", path, {}, query={"force": "True"})
    assert (deleted.status, deleted.body) == (200, b"")
    for operation in ("", "/datasource", "/datasource/processedUntilTimestamp"):
        gone = live.call("GET", path + operation)
        assert (gone.status, gone.code) == (404, "DATASET_UNKNOWN")


def test_name_is_unique_per_owner(live: Live) -> None:
    name = _name()
    first = live.dataset(name)
    again = live.call("POST", "/v1/datasets", {"name": name})
    assert (again.status, again.code) == (400, "DATASET_NAME_EXISTS")
    second = live.dataset()
    taken = live.call("PUT", f"/v1/datasets/{second}", {"name": name})
    assert (taken.status, taken.code) == (400, "DATASET_NAME_EXISTS")
    assert live.call("PUT", f"/v1/datasets/{first}", {"name": name}).status == 200
    other = live.headwater("token", "create", "--user", "dora")
    assert live.call("POST", "/v1/datasets", {"name": name}, token=other).status == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": None},
        {"name": "ab"},
        {"name": "-abc"},
        {"name": "a/b/c"},
        {"name": "abc\n"},
        {"name": "x" * 256},
        {"name": 5},
        {"name": "good", "type": "Sounds"},
        {"name": "good", "imgType": "huge"},
        {"name": "good", "creator": "ME"},
        {"name": "good", "parentDatasetId": "5"},
        {"name": "good", "type": 5},
        [],
    ],
)
def test_malformed_body_is_refused(live: Live, body: Any) -> None:
    answer = live.call("POST", "/v1/datasets", body)
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")


def test_parent_must_exist(live: Live) -> None:
    parent = live.dataset()
    child = live.call("POST", "/v1/datasets", {"name": _name(), "type": "Crops", "parentDatasetId": parent}).json["id"]
    assert live.call("GET", f"/v1/datasets/{child}").json["parentDatasetId"] == parent
    missing = live.call("POST", "/v1/datasets", {"name": _name(), "parentDatasetId": "0" * 24})
    assert (missing.status, missing.code) == (404, "DATASET_UNKNOWN")


def test_own_datasets_are_listed_in_pages(live: Live) -> None:
    token = live.headwater("token", "create", "--user", f"user {os.urandom(4).hex()}")

    def listed(**query: str) -> list[str]:
        return [found["id"] for found in live.call("GET", "/v1/datasets", token=token, query=query).json]

    made = [live.call("POST", "/v1/datasets", {"name": _name()}, token=token).json["id"] for _ in range(5)]
    assert listed() == made
    assert listed(pageSize="2") == made[:2]
    assert listed(pageSize="2", pageOffset="3") == made[3:]
    assert listed(pageOffset="4", shared="False", excludePlayground="True") == made[4:]
    assert listed(getAssetsOfTeamInclusiveSelf="true") == made
    assert listed(shared="True") == []
    assert listed(getAssetsOfTeam="TRUE") == []
    for query in ({"pageSize": "0"}, {"pageSize": "x"}, {"pageOffset": "-1"}, {"shared": "maybe"}, {"shared": ""}):
        answer = live.call("GET", "/v1/datasets", token=token, query=query)
        assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/v1/versions/pip/minimum", "1.2.2"),
        ("/v1/versions/pip/latest?currentVersion=1.2.47", "1.2.47"),
        ("/v1/versions/pip/latest", "1.5.26"),
        ("/v1/versions/pip/latest?currentVersion=nonsense", "1.5.26"),
    ],
)
def test_client_versions_need_no_token(live: Live, path: str, value: str) -> None:
    answer = request(live.url, path=path)
    assert (answer.status, answer.json) == (200, value)
