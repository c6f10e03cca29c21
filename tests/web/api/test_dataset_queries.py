"""Queries for datasets, and their sample counts (contract.md#datasets)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.live import Live

NOW = int(time.time())
ENRICHED = {
    "id", "name", "userId", "type", "nSamples", "sizeInBytes", "createdAt", "lastModifiedAt", "datasources",
    "samples", "nTags", "nEmbeddings",
}  # fmt: skip


@pytest.fixture(scope="module")
def user(live: Live) -> str:
    """A token of a user who owns only the datasets of this module."""
    return live.headwater("token", "create", "--user", f"finder-{os.urandom(4).hex()}")


@pytest.fixture(scope="module")
def made(live: Live, user: str) -> dict[str, str]:
    names = ["cam", "cam_1", "camX1", "cam 2", "Cam_1", "other cam"]
    return {name: live.call("POST", "/v1/datasets", {"name": name}, token=user).json["id"] for name in names}


def get(live: Live, user: str, path: str, **query: Any) -> Any:
    answer = live.call("GET", f"/v1/datasets/{path}".rstrip("/"), token=user, query=query)
    assert answer.status == 200, answer.body
    return answer.json


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in found]


@pytest.mark.parametrize("form", ["query/name", "enriched/query/name"])
def test_datasets_are_found_by_name_or_prefix(live: Live, user: str, made: dict[str, str], form: str) -> None:
    def find(name: str, **query: Any) -> list[str]:
        return names(get(live, user, f"{form}/{quote(name, safe='')}", **query))

    assert find("cam_1", exact="True") == ["cam_1"]
    assert find("cam", exact="true") == ["cam"]
    assert find("cam 2", exact="TRUE") == ["cam 2"]
    assert find("CAM", exact="true") == []
    assert find("cam", exact="False") == find("cam") == ["cam", "cam_1", "camX1", "cam 2"]
    assert find("cam_") == ["cam_1"], "an underscore is no wildcard"
    assert find("c%") == find("%") == find("nothing") == []
    for text in ("c\nam", "\n", "cam\n", "ü\r\n"):
        assert find(text) == [], "a name with a newline was a 404, as if the path did not exist"
    assert find("Cam") == ["Cam_1"]
    assert find("cam", pageSize=2, pageOffset=1) == ["cam_1", "camX1"]
    assert find("cam", pageOffset=3) == ["cam 2"]
    for others in ("shared", "getAssetsOfTeam"):
        assert find("cam", **{others: "True"}) == []
    assert len(find("cam", shared="False", getAssetsOfTeamInclusiveSelf="True")) == 4


def test_enriched_datasets_are_listed(live: Live, user: str, made: dict[str, str]) -> None:
    found = get(live, user, "enriched")
    assert names(found) == list(made)
    assert all(set(each) == ENRICHED for each in found)
    assert all((each["samples"], each["nTags"], each["nEmbeddings"]) == ([], 0, 0) for each in found)
    assert names(get(live, user, "enriched", pageSize=2)) == ["cam", "cam_1"]
    assert names(get(live, user, "enriched", limit=2)) == ["Cam_1", "other cam"], "the newest"
    assert names(get(live, user, "enriched", pageOffset=4)) == ["Cam_1", "other cam"]
    assert get(live, user, "enriched", shared="true") == []


def test_datasets_are_found_by_ids(live: Live, user: str, made: dict[str, str]) -> None:
    def find(*ids: str) -> Any:
        pairs = [("datasetIds", each) for each in ids]
        return live.call("GET", "/v1/datasets/enriched/query/ids", token=user, query=pairs)

    wanted = [made["other cam"], made["cam"]]
    assert sorted(names(find(*wanted, wanted[0]).json)) == ["cam", "other cam"]
    foreign = live.dataset()
    assert names(find(made["cam"], foreign, "f" * 24).json) == ["cam"]
    answer = find("nonsense")
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")


def test_children_are_listed_for_their_parent(live: Live, user: str, made: dict[str, str]) -> None:
    parent = made["cam"]
    assert get(live, user, f"{parent}/children") == []
    body = {"name": "crops of cam", "type": "Crops", "parentDatasetId": parent, "unknown": {"member": None}}
    child = live.call("POST", "/v1/datasets", body, token=user).json["id"]
    (found,) = get(live, user, f"{parent}/children")
    assert (found["id"], found["parentDatasetId"], found["type"]) == (child, parent, "Crops")
    assert live.call("GET", f"/v1/datasets/{parent}/children").status == 403
    assert live.call("DELETE", f"/v1/datasets/{child}", {}, token=user, query={"force": "True"}).status == 200
    assert get(live, user, f"{parent}/children") == []


def test_upload_changes_only_the_modification_time(live: Live, user: str, made: dict[str, str]) -> None:
    path = f"/v1/datasets/{made['cam']}/registerDatasetUpload"
    before = get(live, user, made["cam"])
    body = {"total": 5, "processed": 3, "uploadMethod": "USER_PIP", "isRegistered": False, "more": 1}
    answer = live.call("PUT", path, body, token=user)
    assert (answer.status, answer.body) == (200, b"")
    after = get(live, user, made["cam"])
    assert after.pop("lastModifiedAt") >= before.pop("lastModifiedAt")
    assert after == before
    malformed: list[Any] = [
        {"total": 5},
        {"total": -1, "processed": 0},
        {"total": True, "processed": 0},
        [],
        {"total": 1, "processed": 1, "uploadMethod": "PIGEON"},
    ]
    for wrong in malformed:
        answer = live.call("PUT", path, wrong, token=user)
        assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST"), wrong


def sample_counts(live: Live, dataset: str) -> tuple[int, int]:
    found = live.call("GET", f"/v1/datasets/{dataset}").json
    return found["nSamples"], found["sizeInBytes"]


def test_samples_are_counted_once_all_files_were_read(live: Live, bucket: Path) -> None:
    """Counts come from the index, on purpose not from listings: they do not depend on the windows that were listed."""
    for index in range(20):
        (bucket / f"{index:02}.png").write_bytes(b"x" * index)
        os.utime(bucket / f"{index:02}.png", (1000 + index, 1000 + index))
    (bucket / "labels.json").write_bytes(b"x" * 1000)
    dataset = live.configured({"type": "LOCAL", "fullPath": bucket.name})
    modified = live.call("GET", f"/v1/datasets/{dataset}").json["lastModifiedAt"]
    live.call("GET", live.datasource(dataset, "list"))
    assert sample_counts(live, dataset) == (0, 0), "not all files were read"
    live.names(dataset, from_=1, to=1009)
    assert sample_counts(live, dataset) == (20, 190), "every file was read, whatever the window"
    (bucket / "07.png").unlink()
    live.names(dataset, from_=5000, to=5001)
    assert sample_counts(live, dataset) == (19, 183), "a deleted file"
    (bucket / "08.png").write_bytes(b"x" * 100)
    (bucket / "new.png").write_bytes(b"x")
    live.shards(dataset, 3)
    assert sample_counts(live, dataset) == (20, 276), "a file that was replaced, and a new one, in shards"
    assert live.call("GET", f"/v1/datasets/{dataset}").json["lastModifiedAt"] == modified
    live.headwater("dataset", "update", dataset, "--feed", "dates")
    (bucket / "newer.png").write_bytes(b"x")
    live.names(dataset)
    assert sample_counts(live, dataset) == (20, 276), "listings by date do not count"
    live.call("PUT", live.datasource(dataset), {"type": "LOCAL", "fullPath": bucket.name + "/elsewhere"})
    assert sample_counts(live, dataset) == (0, 0)
