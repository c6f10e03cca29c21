"""No listing of Cloud Storage is endless, silently incomplete or wrong, whatever network and server do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
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
from headwater.testing.fault_proxy import CutShort, Delay, FaultProxy, Request, Reset, Status
from headwater.testing.prepared import list_all
from tests.stores.gcs.bucket import LOOPBACK, open_store
from tests.stores.gcs.server import GcsServer
from tests.stores.s3.server import answering

KEYS = [f"{number:02}.jpg" for number in range(12)]


@pytest.fixture
async def store(gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]) -> GcsStore:
    """A store with twelve objects and a token: what happens next happens to its own requests."""
    store = open_store(transport, gcs, tokens)
    await store.list_page("", None, 1)
    for key in KEYS:
        gcs.put("bucket", key, b"x")
    return store


def json_error(status: int, reason: str) -> Status:
    error = {"code": status, "message": "Said.", "errors": [{"reason": reason, "message": "Said."}]}
    return Status(status, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    "faults",
    [
        [json_error(503, "backendError")] * 3,
        [None, Reset(0), None, Reset(200), Reset(300)],
        [CutShort(0), CutShort(30), CutShort(200), None, CutShort(300)],
        # Where an object ends, what is there looks whole at its end.
        [CutShort(len(b'{"kind": "storage#objects", "items": [{')), CutShort(1), CutShort(399)],
        [Status(500, b"<html>oops</html>"), Status(408), Reset(100)],
        [json_error(403, "rateLimitExceeded"), json_error(403, "userRateLimitExceeded"), Status(429)],
    ],
    ids=["503 bursts", "resets", "cut short", "cut at an object", "mixed", "rate limits"],
)
async def test_a_listing_is_whole_after_passing_faults(store: GcsStore, gcs: GcsServer, faults: list[Any]) -> None:
    gcs.faults.extend(faults)
    before = len(gcs.requests)
    assert [found.key for found in await list_all(store, limit=5)] == KEYS
    assert len(gcs.requests) - before == 3 + sum(fault is not None for fault in faults)
    assert gcs.token_requests == 1


def test_a_page_is_cut_short_wherever_it_ends() -> None:
    """The end of what is left may look like that of a page."""
    body = page(["a{}", "b}"], "}")
    assert not gcs_listing.is_cut_short(body)
    assert not gcs_listing.is_cut_short(body + b"\n ")
    for end in range(len(body)):
        assert gcs_listing.is_cut_short(body[:end]), end


async def test_reads_and_writes_are_tried_again(store: GcsStore, gcs: GcsServer) -> None:
    before = len(gcs.requests)
    gcs.faults.extend([Status(503), None, Reset(0), None, Status(500), None])
    await store.write("new", b"content")
    assert await store.read("new", 10) == b"content"
    await store.delete("new")
    assert [request.method for request in gcs.requests[before:]] == ["POST"] * 2 + ["GET"] * 2 + ["DELETE"] * 2


async def test_a_store_that_stays_down_is_unavailable(store: GcsStore, gcs: GcsServer) -> None:
    gcs.faults.extend([json_error(503, "backendError")] * 9)
    with pytest.raises(StoreUnavailableError, match=r"backendError \(Said\)") as error:
        await store.list_page("", None, 5)
    assert error.value.retry_after


async def test_a_page_that_is_always_cut_short_is_unavailable(store: GcsStore, gcs: GcsServer) -> None:
    gcs.faults.extend([CutShort(400)] * 9)
    with pytest.raises(StoreUnavailableError, match="broke a list page off"):
        await store.list_page("", None, 5)


async def test_latency_is_waited_for_within_bounds(
    store: GcsStore, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    gcs.faults.append(Delay(0.3))
    assert len((await store.list_page("", None, 5)).objects) == 5
    gcs.faults.extend([Delay(5)] * 9)
    transport = Transport(LOOPBACK, call_seconds=0.6, read_seconds=0.25)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="stopped answering"):
        await open_store(transport, gcs, tokens).list_page("", None, 5)
    assert time.monotonic() - began < 1.5
    await transport.aclose()


# --- servers that do not do what Cloud Storage does ---


def page(keys: list[str], token: str | None = None, **more: Any) -> bytes:
    items = [{"name": key, "size": "7", "timeCreated": "2024-01-02T03:04:05.678Z", "etag": "e", **more} for key in keys]
    return json.dumps(
        {"kind": "storage#objects", "items": items, **({"nextPageToken": token} if token else {})}
    ).encode()


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


@pytest.mark.parametrize(
    "body",
    [
        *(b"<!doctype html><html><body>Console</body></html>", b"<html>", b'{"a": 1}', b"OK", b"[]", b"{}", b"null"),
        *(b'{"kind": "storage#buckets"}', b'{"kind": "storage#objects", "items": [5]}', b'{"kind": 5}', b"{]", b'"x"'),
        *(b'{"kind": "storage#objects", "items": [{"name": "\xff"}]}', b'{"kind": ' + b"[" * 100_000),
        b"<?xml version='1.0'?><ListBucketResult></ListBucketResult>",
    ],
)
async def test_what_is_no_listing_is_no_empty_bucket(ask: Callable[..., Any], body: bytes) -> None:
    error = await refused(ask(body))
    assert type(error) is LocationInvalidError
    assert "does not speak Cloud Storage's JSON API" in error.message
    assert "HEADWATER_GCS_ENDPOINT" in error.message


async def test_an_empty_bucket_has_a_kind(ask: Callable[..., Any]) -> None:
    assert await ask(b'{"kind": "storage#objects"}') == StorePage([], None)


async def test_a_redirect_is_not_followed(ask: Callable[..., Any]) -> None:
    error = await refused(ask(answering(301, b"", location="http://127.0.0.1:1/")))
    assert type(error) is LocationInvalidError
    assert "Redirects are not followed" in error.message


async def test_a_server_that_ignores_start_offset_is_told_so(
    gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]
) -> None:
    """Such a listing would begin anew with every page, for ever."""
    with FaultProxy(respond=answering(200, page(KEYS[:3], "more"))) as server:
        with pytest.raises(LocationInvalidError, match="does not support startOffset"):
            await list_all(open_store(transport, gcs, tokens, url=server.url))
        assert len(server.requests) == 2


@pytest.mark.parametrize("keys", [["b", "a"], ["a", "a"], ["a", "c", "b", "d"], ["\uffee", "🦊", "é"]])
async def test_keys_out_of_order_are_an_error(ask: Callable[..., Any], keys: list[str]) -> None:
    error = await refused(ask(page(keys)))
    assert type(error) is LocationInvalidError
    assert "order of their keys" in error.message


async def test_the_key_itself_is_left_out_once(ask: Callable[..., Any]) -> None:
    assert [found.key for found in (await ask(page(["b", "c"]), after="b")).objects] == ["c"]
    assert "does not support startOffset" in (await refused(ask(page(["b", "b"]), after="b"))).message
    assert "order of their keys" in (await refused(ask(page(["c", "b"]), after="b"))).message


async def test_a_server_that_ignores_the_prefix_is_told_so(ask: Callable[..., Any]) -> None:
    """Its keys would be cut as if they lay below the root, and name other objects."""
    for prefix, root in (("b/", ""), ("", "b/"), ("c/", "b/")):
        error = await refused(ask(page(["b/b", "c"]), prefix=prefix, root=root))
        assert "ignores the prefix" in error.message


async def test_a_page_longer_than_asked_for_goes_on_where_it_was_cut(ask: Callable[..., Any]) -> None:
    objects, resume_after, _, marker = await ask(page(KEYS))
    assert [found.key for found in objects] == KEYS[:10]
    assert (resume_after, marker) == (KEYS[9], None)


async def test_a_token_too_long_for_a_cursor_is_an_error(ask: Callable[..., Any]) -> None:
    error = await refused(ask(page([], "t" * 5000)))
    assert type(error) is StoreUnavailableError
    assert (await ask(page(["a"], "t" * 5000))).marker is None


@pytest.mark.parametrize(
    "wrong",
    [
        *({"size": None}, {"size": 5}, {"size": "x"}, {"size": "-1"}, {"size": str(2**63)}, {"size": "9" * 5000}),
        *({"size": "٣"}, {"size": ""}, {"name": 5}, {"name": "k" * 1025}, {"name": "ü" * 513}, {"etag": 5}),
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


async def test_names_are_what_json_says(ask: Callable[..., Any]) -> None:
    keys = ["\x01\n\r", "a%2Fb", "a+b", "b c/ü", "e\u0301", "\u2028", "🦊"]
    assert [found.key for found in (await ask(page(keys))).objects] == keys
    assert [found.key for found in (await ask(page(["🦊"]).decode().encode())).objects] == ["🦊"]
    lone = page(["x"]).replace(b'"x"', b'"\\ud800"')
    assert type(await refused(ask(lone))) is LocationInvalidError


async def test_a_huge_page_is_refused(ask: Callable[..., Any]) -> None:
    error = await refused(ask(b" " * (gcs_module.MAX_LIST_BODY_BYTES + 1)))
    assert type(error) is LocationInvalidError
    assert "more than" in error.message


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


async def test_a_big_page_is_read_beside_the_event_loop(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of megabytes would hold up everybody's requests while it is read."""
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


async def test_a_server_that_ignores_range_still_reads_no_more_than_asked(
    gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]
) -> None:
    with FaultProxy(respond=answering(200, b"0123456789")) as server:
        assert await open_store(transport, gcs, tokens, url=server.url).read("a", 4) == b"0123"
    with FaultProxy(respond=answering(200, b"x" * 1_000_000)) as server:
        error = await refused(open_store(transport, gcs, tokens, url=server.url).read("a", 4))
    assert "more than" in error.message
