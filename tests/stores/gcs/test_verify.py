"""Verify over HTTP against Cloud Storage, with each permission taken away (contract.md#verify)."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.live import Live, fetch, running
from tests.servers import free_port
from tests.stores.gcs.server import ALL, EMAIL, GcsServer, pem

pytestmark = pytest.mark.slow  # each test starts a server, or waits for a time limit

FLAGS = ("canRead", "canWrite", "canList", "canOverwrite")
TEST_FILE = "data/.lightly/headwater-verify.txt"


@pytest.fixture(scope="module")
def shared() -> Iterator[GcsServer]:
    with GcsServer() as gcs:
        yield gcs


@pytest.fixture(scope="module")
def live(shared: GcsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    with running(folder, gcs_endpoint=shared.url, allowed_endpoints="127.0.0.1") as live:
        yield live


@pytest.fixture
def gcs(shared: GcsServer) -> GcsServer:
    """The server as new, with one image."""
    shared.permissions = set(ALL)
    shared.buckets = {"bucket": {}}
    shared.versioned = False
    shared.noncurrent.clear()
    shared.put("bucket", "data/a b+c%41.png", b"pixels")
    return shared


def config(gcs: GcsServer, path: str = "gs://bucket/data", **more: Any) -> dict[str, Any]:
    credentials = json.dumps(gcs.key_file(**more))
    return {"type": "GCS", "fullPath": path, "gcsProjectId": "test-project", "gcsCredentials": credentials}


def flags(*but: str) -> dict[str, bool]:
    return {flag: flag not in but for flag in FLAGS}


def test_everything_works_with_all_permissions(live: Live, gcs: GcsServer) -> None:
    assert live.verify(config(gcs)) == (flags(), {})
    assert list(gcs.buckets["bucket"]) == ["data/a b+c%41.png"]
    (page,) = live.pages(live.configured(config(gcs)))
    (row,) = page["data"]
    assert row["fileName"] == "a b+c%41.png"
    assert fetch(row["readUrl"]).body == b"pixels"


def test_verification_leaves_no_version(live: Live, gcs: GcsServer) -> None:
    """In a bucket with Object Versioning each verification left two noncurrent versions, for ever."""
    gcs.versioned = True
    assert live.verify(config(gcs)) == (flags(), {})
    assert (list(gcs.buckets["bucket"]), gcs.noncurrent) == (["data/a b+c%41.png"], [])
    gcs.put("bucket", TEST_FILE, b"earlier")
    assert live.verify(config(gcs)) == (flags(), {})
    assert list(gcs.buckets["bucket"]) == ["data/a b+c%41.png"]
    assert [key for key, _ in gcs.noncurrent] == [TEST_FILE], "only versions of this verification are deleted for good"


def test_a_listing_continues_after_empty_pages(live: Live, gcs: GcsServer) -> None:
    """The cursor contains what the store needs to resume, on any server."""
    names = [f"{number:02}.png" for number in range(9)]
    for name in names:
        gcs.put("bucket", f"many/{name}", b"pixels", created=1_700_000_000)
    gcs.pages.extend([0, 2, 0, 0, 1])
    dataset = live.configured(config(gcs, "bucket/many"))
    assert live.names(dataset) == names
    assert live.names(dataset, from_=1_700_000_000, to=1_700_000_000) == names
    assert live.names(dataset, from_=1_700_000_001) == []


def test_verify_writes_nothing_for_input(live: Live, gcs: GcsServer) -> None:
    before = len(gcs.requests)
    assert live.verify({**config(gcs), "purpose": "INPUT"}) == (flags("canWrite", "canOverwrite"), {})
    assert {request.method for request in gcs.requests[before:]} == {"GET"}


def test_without_the_permission_to_list(live: Live, gcs: GcsServer) -> None:
    gcs.permissions.discard("storage.objects.list")
    found, errors = live.verify(config(gcs))
    assert (found, set(errors)) == (flags("canList"), {"canList"})
    assert "Allow storage.objects.list on the bucket 'bucket'" in errors["canList"]


def test_without_the_permission_to_get(live: Live, gcs: GcsServer) -> None:
    gcs.permissions.discard("storage.objects.get")
    found, errors = live.verify(config(gcs))
    assert (found, set(errors)) == (flags("canRead"), {"canRead"})
    assert "Allow storage.objects.get on the path 'bucket/data/*'" in errors["canRead"]


def test_without_the_permission_to_create(live: Live, gcs: GcsServer) -> None:
    gcs.permissions.discard("storage.objects.create")
    found, errors = live.verify(config(gcs))
    assert (found, set(errors)) == (flags("canWrite", "canOverwrite"), {"canWrite", "canOverwrite"})
    assert "Allow storage.objects.create on the path 'bucket/data/*'" in errors["canWrite"]


def test_without_the_permission_to_delete(live: Live, gcs: GcsServer) -> None:
    """The test file stays and is found by the next verification. Creating still works."""
    gcs.permissions.discard("storage.objects.delete")
    for _ in range(3):
        found, errors = live.verify(config(gcs))
        assert (found, set(errors)) == (flags("canOverwrite"), {"canOverwrite"})
        assert "storage.objects.delete" in errors["canOverwrite"]
        assert TEST_FILE in gcs.buckets["bucket"]


def test_with_only_the_permission_to_list(live: Live, gcs: GcsServer) -> None:
    gcs.permissions = {"storage.objects.list"}
    found, errors = live.verify(config(gcs))
    assert found == flags("canRead", "canWrite", "canOverwrite")
    assert "storage.objects.get" in errors["canRead"]
    assert "storage.objects.create" in errors["canWrite"]


def test_a_key_of_another_account_is_refused(live: Live, gcs: GcsServer) -> None:
    stranger = config(gcs, private_key=pem(rsa.generate_private_key(65537, 2048)))
    found, errors = live.verify(stranger)
    assert not any(found.values())
    assert set(errors) == set(FLAGS)
    assert "invalid_grant (Invalid JWT Signature). Check gcsCredentials" in errors["canList"]
    listed = live.call("GET", live.datasource(live.configured(stranger), "list"))
    assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_CREDENTIALS_ERROR")


@pytest.mark.parametrize("credentials", ["{}", "not JSON", '{"type": "authorized_user", "client_secret": "hush"}'])
def test_an_invalid_key_file_is_refused(live: Live, gcs: GcsServer, credentials: str) -> None:
    found, errors = live.verify({**config(gcs), "gcsCredentials": credentials})
    assert not any(found.values())
    assert set(errors) == set(FLAGS)
    assert "gcsCredentials: expected the key file of a service account" in errors["canList"]
    assert "hush" not in str(errors)


def test_a_missing_bucket_is_an_error(live: Live, gcs: GcsServer) -> None:
    absent = config(gcs, "gs://absent-bucket/data")
    found, errors = live.verify(absent)
    assert not any(found.values())
    assert set(errors) == set(FLAGS)
    assert "no such bucket: check fullPath" in errors["canList"]
    listed = live.call("GET", live.datasource(live.configured(absent), "list"))
    assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_INVALID")


def test_a_token_endpoint_that_is_not_allowed_is_refused(live: Live, gcs: GcsServer) -> None:
    found, errors = live.verify(config(gcs, token_uri="https://metadata.internal/token"))
    assert not any(found.values())
    assert "HEADWATER_ALLOWED_ENDPOINTS" in errors["canList"]


def test_an_unreachable_endpoint_is_an_error(gcs: GcsServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with running(tmp_path_factory.mktemp("nowhere"), gcs_endpoint=nowhere, allowed_endpoints="127.0.0.1") as live:
        began = time.monotonic()
        found, errors = live.verify(config(gcs))
        assert time.monotonic() - began < 15
        assert not any(found.values())
        assert set(errors) == set(FLAGS)
        listed = live.call("GET", live.datasource(live.configured(config(gcs)), "list"))
        assert (listed.status, listed.code) == (503, "MALFORMED_RESPONSE")


def test_no_secret_reaches_the_log(live: Live, gcs: GcsServer) -> None:
    live.verify(config(gcs))
    logged = live.log.read_text()
    for secret in ("PRIVATE KEY", "ya29", "assertion", EMAIL):
        assert secret not in logged


def test_the_documented_permissions_are_sufficient_and_necessary(live: Live, gcs: GcsServer) -> None:
    page = (Path(__file__).parents[3] / "docs" / "providers" / "gcs.md").read_text()
    read, write = (
        set(re.findall(r"storage\.objects\.\w+", line)) for line in re.findall(r"^\| list.*$", page, re.MULTILINE)
    )
    gcs.permissions = read
    assert live.verify(config(gcs) | {"purpose": "INPUT"}) == (flags("canWrite", "canOverwrite"), {})
    gcs.permissions = read | write
    assert live.verify(config(gcs)) == (flags(), {})
    for one in read | write:
        gcs.permissions = (read | write) - {one}
        assert live.verify(config(gcs))[0] != flags(), one


def test_a_mistyped_folder_is_noted_with_its_neighbours(live: Live, gcs: GcsServer) -> None:
    """A mistyped folder was verified with four times yes, and nothing was ever listed. The flags stay as they are."""
    gcs.put("bucket", "other/b.png", b"pixels")
    dataset = live.configured(config(gcs, "gs://bucket/dta"))
    answer = live.call("GET", live.datasource(dataset, "verify"))
    assert answer.json == flags()
    assert answer.headers["Headwater-Note"] == "there are no files under 'dta/'; nearby: 'data/'"
    assert set(gcs.buckets["bucket"]) == {"data/a b+c%41.png", "other/b.png"}


def test_a_key_file_in_base64_with_escaped_line_breaks_works(live: Live, gcs: GcsServer) -> None:
    """The forms in which secret stores keep key files were refused, although nothing is missing in them."""
    escaped = gcs.key_file()
    escaped["private_key"] = escaped["private_key"].replace("\n", "\\n")
    for text in (base64.b64encode(json.dumps(escaped).encode()).decode(), json.dumps("\ufeff" + json.dumps(escaped))):
        assert live.verify({**config(gcs), "gcsCredentials": f"{text}\n"}) == (flags(), {})
