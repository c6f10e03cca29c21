"""No listing of Cloud Storage is endless, silently incomplete or wrong, whatever network and server do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.domain.objects import StorePage
from headwater.net.refreshing import RefreshingCache
from headwater.net.transport import Transport
from headwater.stores.gcs import listing as gcs_listing
from headwater.stores.gcs import store as gcs_module
from headwater.stores.gcs.listing import ListPage
from headwater.stores.gcs.store import GcsStore
from headwater.testing import FaultConformance, FaultSetup
from headwater.testing.fault_conformance import assert_is_no_listing, assert_listing_is_complete
from headwater.testing.fault_proxy import CutShort, Fault, FaultProxy, Request, Reset, Status
from headwater.testing.fault_setup import KEYS
from headwater.testing.prepared import list_all
from tests.stores.gcs.bucket import open_store
from tests.stores.gcs.server import GcsServer
from tests.stores.s3.server import answering


def json_error(status: int, reason: str) -> Status:
    error = {"code": status, "message": "Said.", "errors": [{"reason": reason, "message": "Said."}]}
    return Status(status, json.dumps({"error": error}).encode())


def page(keys: Sequence[str], token: str | None = None, **more: Any) -> bytes:
    items = [{"name": key, "size": "7", "timeCreated": "2024-01-02T03:04:05.678Z", "etag": "e", **more} for key in keys]
    return json.dumps(
        {"kind": "storage#objects", "items": items, **({"nextPageToken": token} if token else {})}
    ).encode()


class GcsFaults(FaultSetup):
    """The bucket of the small Cloud Storage."""

    protocol = "Cloud Storage's JSON API"
    endpoint_label = "HEADWATER_GCS_ENDPOINT"
    busy = json_error(503, "backendError")
    busy_message = r"backendError \(Said\)"
    internal_error = Status(500, b"<html>oops</html>")
    page_offsets = (200, 300)
    max_list_body_bytes = gcs_module.MAX_LIST_BODY_BYTES
    write_method = "POST"

    def __init__(self, server: GcsServer, transport: Transport, tokens: RefreshingCache[str]) -> None:
        super().__init__(server, transport)
        self.gcs = server
        self.tokens = tokens

    def open(self, url: str, *, root: str = "", transport: Transport | None = None) -> GcsStore:
        return open_store(transport or self.transport, self.gcs, self.tokens, root, url=url)

    def list_body(self, keys: Sequence[str]) -> bytes:
        return page(keys)


class TestGcsFaults(FaultConformance):
    """Cloud Storage when the network or the server fails."""

    @pytest.fixture
    async def faulty(self, gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]) -> GcsFaults:
        faulty = GcsFaults(gcs, transport, tokens)
        await faulty.open(gcs.url).list_page("", None, 1)  # fetches the access token
        for key in KEYS:
            gcs.put("bucket", key, b"x")
        return faulty

    @pytest.mark.parametrize(
        "faults",
        [
            # If the body ends where an object ends, its last bytes look like those of a complete page.
            [CutShort(len(b'{"kind": "storage#objects", "items": [{')), CutShort(1), CutShort(399)],
            [Status(500, b"<html>oops</html>"), Status(408), Reset(100)],
            [json_error(403, "rateLimitExceeded"), json_error(403, "userRateLimitExceeded"), Status(429)],
        ],
        ids=["cut at an object", "request timeout", "rate limits"],
    )
    async def test_a_listing_is_complete_after_faults_of_google(self, faulty: GcsFaults, faults: list[Fault]) -> None:
        await assert_listing_is_complete(faulty, faults)
        assert faulty.gcs.token_requests == 1

    @pytest.mark.parametrize(
        "body",
        [
            *(b"{}", b"null", b'{"kind": "storage#buckets"}', b'{"kind": "storage#objects", "items": [5]}'),
            *(b'{"kind": 5}', b"{]", b'"x"', b'{"kind": "storage#objects", "items": [{"name": "\xff"}]}'),
            b'{"kind": ' + b"[" * 100_000,
            b"<?xml version='1.0'?><ListBucketResult></ListBucketResult>",
        ],
    )
    async def test_other_json_and_xml_is_no_empty_bucket(self, faulty: GcsFaults, body: bytes) -> None:
        await assert_is_no_listing(faulty, body)


def test_a_page_is_cut_short_at_every_offset() -> None:
    """The end of a truncated page may look like the end of a complete one."""
    body = page(["a{}", "b}"], "}")
    assert not gcs_listing.is_cut_short(body)
    assert not gcs_listing.is_cut_short(body + b"\n ")
    for end in range(len(body)):
        assert gcs_listing.is_cut_short(body[:end]), end


# --- servers that do not do what Cloud Storage does ---


@pytest.fixture
async def ask(gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]) -> Callable[..., Any]:
    async def ask(
        respond: Callable[[Request], Status] | bytes, after: str | None = None, prefix: str = "", root: str = ""
    ) -> StorePage:
        answer = answering(200, respond) if isinstance(respond, bytes) else respond
        with FaultProxy(respond=answer) as server:
            store = open_store(transport, gcs, tokens, root, url=server.url)
            return await store.list_page(prefix, after, 10)

    return ask


async def refused(asking: Any) -> StoreError:
    with pytest.raises(StoreError) as error:
        await asking
    return error.value


async def test_an_empty_bucket_has_a_kind(ask: Callable[..., Any]) -> None:
    assert await ask(b'{"kind": "storage#objects"}') == StorePage([], None)


async def test_a_server_that_ignores_start_offset_is_an_error(
    gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]
) -> None:
    """Such a listing would start again with every page, endlessly."""
    with FaultProxy(respond=answering(200, page(KEYS[:3], "more"))) as server:
        with pytest.raises(LocationInvalidError, match="does not support startOffset"):
            await list_all(open_store(transport, gcs, tokens, url=server.url))
        assert len(server.requests) == 2


async def test_the_key_itself_is_left_out_once(ask: Callable[..., Any]) -> None:
    assert [found.key for found in (await ask(page(["b", "c"]), after="b")).objects] == ["c"]
    assert "does not support startOffset" in (await refused(ask(page(["b", "b"]), after="b"))).message
    assert "order of their keys" in (await refused(ask(page(["c", "b"]), after="b"))).message


async def test_a_page_longer_than_requested_has_no_marker(ask: Callable[..., Any]) -> None:
    objects, resume_after, _, marker, _ = await ask(page(KEYS))
    assert [found.key for found in objects] == list(KEYS[:10])
    assert (resume_after, marker) == (KEYS[9], None)


async def test_a_token_too_long_for_a_cursor_is_an_error(ask: Callable[..., Any]) -> None:
    error = await refused(ask(page([], "t" * 5000)))
    assert type(error) is StoreUnavailableError
    assert (await ask(page(["a"], "t" * 5000))).marker is None


@pytest.mark.parametrize(
    "wrong",
    [
        *({"size": None}, {"size": 5}, {"size": "x"}, {"size": "-1"}, {"size": str(2**63)}, {"size": "9" * 5000}),
        *({"size": "٣"}, {"size": ""}, {"name": 5}, {"name": "k" * 1025}, {"name": "ü" * 513}),
        *({"etag": 5}, {"generation": 5}),
        *({"timeCreated": "yesterday"}, {"timeCreated": ""}, {"timeCreated": "2024-01-02T03:04:05"}),
        {"timeCreated": "9" * 20},
    ],
)
async def test_objects_without_their_members_are_an_error(ask: Callable[..., Any], wrong: dict[str, Any]) -> None:
    error = await refused(ask(page(["a"], **wrong)))
    assert type(error) is LocationInvalidError
    assert "does not speak" in error.message


@pytest.mark.parametrize("missing", ["name", "size", "timeCreated"])
async def test_objects_that_lack_a_member_are_an_error(ask: Callable[..., Any], missing: str) -> None:
    body = page(["a"]).replace(f'"{missing}"'.encode(), b'"other"')
    assert type(await refused(ask(body))) is LocationInvalidError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-01-02T03:04:05.999Z", 1_704_164_645),
        ("2024-01-02T03:04:05Z", 1_704_164_645),
        ("2024-01-02T03:04:05.9999999Z", 1_704_164_645),
        ("2024-01-02T05:04:05.5+02:00", 1_704_164_645),
        ("1969-12-31T23:59:59.5Z", 0),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799),
    ],
)
async def test_times_are_floored_to_the_second(ask: Callable[..., Any], text: str, seconds: int) -> None:
    (found,) = (await ask(page(["a"], timeCreated=text))).objects
    assert found.modified == seconds


async def test_names_are_decoded_as_json(ask: Callable[..., Any]) -> None:
    keys = ["\x01\n\r", "a%2Fb", "a+b", "b c/ü", "e\u0301", "\u2028", "🦊"]
    assert [found.key for found in (await ask(page(keys))).objects] == keys
    assert [found.key for found in (await ask(page(["🦊"]).decode().encode())).objects] == ["🦊"]
    lone = page(["x"]).replace(b'"x"', b'"\\ud800"')
    assert type(await refused(ask(lone))) is LocationInvalidError


async def test_a_page_of_the_longest_keys_is_listed(
    gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]
) -> None:
    keys = [f"{number:04}" + "\x01" * 1020 for number in range(1000)]
    body = page(keys)
    assert 6_000_000 < len(body) < gcs_module.MAX_LIST_BODY_BYTES
    with FaultProxy(respond=answering(200, body)) as server:
        objects, resume_after, *_ = await open_store(transport, gcs, tokens, url=server.url).list_page("", None, 1000)
    assert [found.key for found in objects] == keys
    assert resume_after is None


async def test_a_big_page_is_parsed_in_a_thread(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing a page of megabytes blocked all requests."""
    threads: list[threading.Thread] = []
    read = gcs_listing.parse_list_page

    def noting(body: bytes) -> ListPage:
        threads.append(threading.current_thread())
        return read(body)

    monkeypatch.setattr(gcs_module, "parse_list_page", noting)
    await ask(page([f"{number:04}" for number in range(1000)]))
    await ask(page([f"{number:04}" + "k" * 1000 for number in range(1000)]))
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()
    error = await refused(ask(page(["b", "a"] + ["c" * 1000] * 1100)))
    assert "order of their keys" in error.message
