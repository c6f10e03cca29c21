"""Listing, reading, writing and refusals of Cloud Storage, against a server that verifies tokens and permissions.

What every store must do is in `test_conformance_gcs`; here is what is Cloud Storage's own.
"""

from __future__ import annotations

import base64
import json

import pytest
from google.cloud.storage import Client  # type: ignore[import-untyped]
from google.oauth2.credentials import Credentials

from headwater.domain.datasource import GcsConfig, parse_config
from headwater.domain.errors import (
    CredentialsRefusedError,
    LocationInvalidError,
    ObjectNotFoundError,
    OverwriteRefusedError,
    StoreUnavailableError,
)
from headwater.domain.objects import StoredObject, StorePage, version_of
from headwater.net.refreshing import RefreshingCache
from headwater.net.transport import Transport
from headwater.stores.gcs.bucket import gcs_bucket
from headwater.stores.gcs.store import GcsStore, open_gcs
from headwater.testing.fault_proxy import Status
from headwater.testing.prepared import ODD_KEYS, list_all
from tests.stores.gcs.bucket import LOOPBACK, open_store
from tests.stores.gcs.server import ALL, EMAIL, GcsServer, is_no_name

KEYS = [f"{number:02}.jpg" for number in range(12)]


@pytest.fixture
def store(transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]) -> GcsStore:
    return open_store(transport, gcs, tokens)


def put(gcs: GcsServer, keys: list[str]) -> None:
    for key in keys:
        gcs.put("bucket", key)


async def names(store: GcsStore, prefix: str = "", limit: int = 1000) -> list[str]:
    return [found.key for found in await list_all(store, prefix, limit)]


async def test_an_object_has_key_size_time_etag_and_generation(store: GcsStore, gcs: GcsServer) -> None:
    """A file's time is `timeCreated`, floored to the second (contract.md#lists-and-time-windows); not `updated`."""
    gcs.put("bucket", "a.jpg", b"12345", created=1_700_000_000.999)
    gcs.put("bucket", "before.jpg", b"", created=-1.5)
    first, second = (await store.list_page("", None, 10)).objects
    generation = gcs.buckets["bucket"]["a.jpg"].generation
    etag = base64.b64encode(f"{generation}/1".encode()).decode()
    assert first == StoredObject("a.jpg", 5, 1_700_000_000, etag, str(generation))
    assert (second.size, second.modified) == (0, 0)


async def test_changed_metadata_are_no_new_version(store: GcsStore, gcs: GcsServer) -> None:
    """They change the ETag, so a feed would hand out all objects again after a change of, say, their cache control."""

    async def listed() -> StoredObject:
        (found,) = (await store.list_page("", None, 10)).objects
        return found

    gcs.put("bucket", "a.jpg", created=1_700_000_000)
    first = await listed()
    gcs.update_metadata("bucket", "a.jpg")
    updated = await listed()
    assert updated.etag != first.etag
    assert version_of(updated) == version_of(first)
    gcs.put("bucket", "a.jpg", created=1_700_000_000)
    assert version_of(await listed()) != version_of(first)


async def test_the_vendors_client_lists_the_same_objects(store: GcsStore, gcs: GcsServer) -> None:
    """The server of the tests is one that google-cloud-storage can use."""
    keys = [key for key in ODD_KEYS if not is_no_name(key)]
    put(gcs, keys)
    await store.list_page("", None, 1)
    credentials = Credentials(next(iter(gcs.tokens)))
    theirs = Client(project="p", credentials=credentials, client_options={"api_endpoint": gcs.url})
    listed = list(theirs.list_blobs("bucket", page_size=7))
    ours = await list_all(store)
    assert [(found.key, found.size, found.etag, found.generation) for found in ours] == [
        (blob.name, blob.size, blob.etag, str(blob.generation)) for blob in listed
    ]
    assert [found.modified for found in ours] == [int(blob.time_created.timestamp()) for blob in listed]
    assert theirs.bucket("bucket").blob("a%2Fb").download_as_bytes() == b"content"


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 1000])
@pytest.mark.parametrize("shapes", [[0, 1, 0, 0, 3], [1] * 30, [0] * 5, [2, 0] * 12])
async def test_short_and_empty_pages_continue_the_listing(
    store: GcsStore, gcs: GcsServer, limit: int, shapes: list[int]
) -> None:
    put(gcs, KEYS)
    gcs.pages.extend(shapes)
    assert await names(store, limit=limit) == KEYS


async def test_a_listing_resumes_after_an_empty_page_by_its_token(store: GcsStore, gcs: GcsServer) -> None:
    put(gcs, KEYS)
    gcs.pages.extend([0])
    page = await store.list_page("", "03.jpg", 2)
    assert (page.objects, page.resume_after) == ([], "03.jpg")
    assert page.marker
    page = await store.list_page("", page.resume_after, 2, page.marker)
    assert [found.key for found in page.objects] == ["04.jpg", "05.jpg"]
    assert (page.resume_after, page.marker) == ("05.jpg", None)
    assert [("pageToken" in request.query) for request in gcs.requests] == [False, True]


async def test_a_page_with_only_the_start_key_continues_the_listing(store: GcsStore, gcs: GcsServer) -> None:
    """`startOffset` includes the key, which is all that a page of one item holds."""
    put(gcs, ["a", "b"])
    gcs.pages.extend([1])
    page = await store.list_page("", "a", 1)
    assert (page.objects, page.resume_after) == ([], "a")
    assert [found.key for found in (await store.list_page("", "a", 1, page.marker)).objects] == ["b"]


async def test_a_listing_without_progress_is_an_error(store: GcsStore, gcs: GcsServer) -> None:
    put(gcs, KEYS)
    gcs.pages.extend([0])
    page = await store.list_page("", None, 2)
    assert page == StorePage([], "", 0, page.marker)
    stuck = page.marker
    assert stuck is not None
    gcs.pages.extend([0])
    page = await store.list_page("", "", 2, stuck)
    assert page.marker != stuck
    # One that answers with the very token that it was asked with.
    gcs.faults.append(Status(200, json.dumps({"kind": "storage#objects", "nextPageToken": stuck}).encode()))
    with pytest.raises(StoreUnavailableError, match="could never be finished"):
        await store.list_page("", "", 2, stuck)


async def test_only_used_fields_are_requested(store: GcsStore, gcs: GcsServer) -> None:
    put(gcs, ["a"])
    await store.list_page("", "a", 5000)
    (request,) = gcs.requests
    assert request.query == {
        "maxResults": "1000",
        "startOffset": "a",
        "fields": "kind,items(name,size,timeCreated,etag,generation),nextPageToken",
        "prettyPrint": "false",
    }


async def test_a_listing_costs_one_request_per_page(store: GcsStore, gcs: GcsServer) -> None:
    put(gcs, [f"{number:04}" for number in range(2500)])
    assert len(await list_all(store)) == 2500
    assert len(gcs.requests) == 3
    assert gcs.token_requests == 1
    await store.list_page("", "2000", 100)
    assert len(gcs.requests) == 4


async def test_the_marker_object_of_the_root_is_left_out(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    put(gcs, ["data/", "data/a", "data/b/", "data2/"])
    below = open_store(transport, gcs, tokens, "data/")
    for limit in (1, 2, 10):
        assert await names(below, limit=limit) == ["a", "b/"]


async def test_a_datasource_is_opened_and_its_requests_go_to_the_operators_endpoint(
    gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    """Egress rules judge the host of `token_uri`, and not the operator's own endpoint."""
    put(gcs, ["data/a.jpg"])
    config = parse_config(
        {
            "type": "GCS",
            "fullPath": "gs://bucket/data",
            "gcsProjectId": "test-project",
            "gcsCredentials": json.dumps(gcs.key_file()),
        }
    )
    assert isinstance(config, GcsConfig)
    transport = Transport(LOOPBACK)
    store = open_gcs(config, transport, tokens, gcs.url)
    assert [found.key for found in await list_all(store)] == ["a.jpg"]
    (url,) = await store.sign(["a.jpg"], 60)
    assert url.startswith(f"{gcs.url}/bucket/data/a.jpg?X-Goog-Algorithm=GOOG4-RSA-SHA256&")
    await transport.aclose()
    assert gcs.requests[0].headers["host"] == gcs.url.removeprefix("http://")


def test_the_default_endpoint_is_googles() -> None:
    place = gcs_bucket("my-bucket")
    assert (str(place.origin), place.base_path, place.is_operator_endpoint) == (
        "https://storage.googleapis.com",
        "",
        False,
    )


@pytest.mark.parametrize(
    "name", ["abc", "a-b_c", "1.2", "a" * 63, ".".join(["a" * 63] * 3), "my.domain.example", "a-.b"]
)
def test_valid_bucket_names_are_accepted(name: str) -> None:
    assert gcs_bucket(name).name == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "ab", "Abc", "a" * 64, "a b", "a%2fb", "-ab", "ab-", "_ab", "ab_", "ab.", ".ab", "a..b", "192.168.5.4"),
        *("a/b", "a?b", "a#b", "a\nb", "ab\n", "ä-b", "a@b", "..", "a" * 64 + ".b", ".".join(["a" * 63] * 4)),
    ],
)
def test_invalid_bucket_names_are_refused(name: str) -> None:
    with pytest.raises(LocationInvalidError, match="fullPath: the bucket's name"):
        gcs_bucket(name)


async def test_reading(store: GcsStore, gcs: GcsServer) -> None:
    gcs.put("bucket", "a", b"0123456789")
    gcs.put("bucket", "empty", b"")
    assert await store.read("a", 4) == b"0123"
    assert await store.read("a", 0) == b""
    assert await store.read("empty", 1) == b""
    with pytest.raises(ObjectNotFoundError, match=r"notFound \(No such object: bucket/absent\)"):
        await store.read("absent", 1)


async def test_a_missing_bucket_is_named(transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]) -> None:
    absent = open_store(transport, gcs, tokens, bucket="no-such-bucket")
    for call in (
        lambda: absent.list_page("", None, 1),
        lambda: absent.read("a", 1),
        lambda: absent.write("a", b""),
        lambda: absent.delete("a"),
    ):
        with pytest.raises(LocationInvalidError, match=r"'no-such-bucket': notFound .*no such bucket: check fullPath"):
            await call()


@pytest.mark.parametrize("verb", ["list", "get", "create", "delete"])
async def test_each_missing_permission_is_named(store: GcsStore, gcs: GcsServer, verb: str) -> None:
    gcs.put("bucket", "a")
    gcs.permissions = set(ALL) - {f"storage.objects.{verb}"}
    calls = {
        "list": lambda: store.list_page("", None, 1),
        "get": lambda: store.read("a", 1),
        "create": lambda: store.write("new", b""),
        "delete": lambda: store.delete("a"),
    }
    for name, call in calls.items():
        if name == verb:
            with pytest.raises(CredentialsRefusedError) as refusal:
                await call()
            assert type(refusal.value) is CredentialsRefusedError
            assert refusal.value.provider_code == "forbidden"
            assert f"Allow storage.objects.{verb} " in refusal.value.message
            assert f"{EMAIL} does not have storage.objects.{verb} access" in refusal.value.message
            assert "gcsCredentials" in refusal.value.message
        else:
            await call()


async def test_replacing_needs_the_permission_to_delete(store: GcsStore, gcs: GcsServer) -> None:
    gcs.permissions.discard("storage.objects.delete")
    await store.write("a", b"first")
    with pytest.raises(OverwriteRefusedError, match=r"needs storage\.objects\.delete too") as refusal:
        await store.write("a", b"second")
    assert refusal.value.provider_code == "forbidden"
    assert gcs.buckets["bucket"]["a"].data == b"first"


async def test_without_the_permission_to_list_absence_looks_like_a_refusal(store: GcsStore, gcs: GcsServer) -> None:
    gcs.permissions.discard("storage.objects.list")
    with pytest.raises(CredentialsRefusedError, match=r"without storage\.objects\.list an absent object is refused"):
        await store.read("absent", 1)


async def test_an_impossible_object_name_is_refused(store: GcsStore) -> None:
    with pytest.raises(LocationInvalidError, match=r"invalid \(Invalid argument\).*check fullPath"):
        await store.write("a\nb", b"")
