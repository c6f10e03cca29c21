"""What every store must do when the network or the server fails: `class TestMyFaults(FaultConformance)`.

A subclass overrides one fixture, `faulty`. It yields a `FaultSetup`: a real server behind a `FaultProxy`, the store
under test on it, and facts about the provider. No fault may make a listing incomplete, wrong or endless.

    class TestMyFaults(FaultConformance):
        @pytest.fixture
        def faulty(self, my_server, transport):
            with FaultProxy(my_server.url) as proxy:
                yield MyFaults(proxy, transport)
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from headwater.domain.errors import LocationInvalidError, StoreUnavailableError
from headwater.net import transport as transport_module
from headwater.net.egress import Egress
from headwater.net.transport import MAX_ATTEMPTS, Transport
from headwater.stores.base import Store
from headwater.testing.fault_proxy import CutShort, Delay, Fault, FaultProxy, Reset, Status
from headwater.testing.fault_setup import KEYS, FaultSetup
from headwater.testing.prepared import list_keys

NOT_LISTINGS = (b"<!doctype html><html><body>Console</body></html>", b"<html>", b'{"a": 1}', b"OK", b"<a/>", b"[]")
"""Bodies that are a list page of no provider."""


def transient_faults(faulty: FaultSetup) -> dict[str, Sequence[Fault | None]]:
    """Return faults of three list requests after which the listing must be complete, by name."""
    first, second = faulty.page_offsets
    return {
        "busy": [faulty.busy] * 3,
        "too many requests": [Status(429), None, Status(429)],
        "resets": [None, Reset(0), None, Reset(first // 2), Reset(first)],
        "cut short": [CutShort(0), CutShort(30), CutShort(first), None, CutShort(second)],
        "mixed": [faulty.internal_error, Status(200), Reset(100)],
        "latency": [Delay(0.3), None, Delay(0.3)],
    }


async def assert_listing_is_complete(faulty: FaultSetup, faults: Sequence[Fault | None]) -> None:
    """Check that a listing of three pages retries each failed request once, and misses nothing."""
    faulty.server.faults.extend(faults)
    before = len(faulty.server.requests)
    assert await list_keys(_open(faulty), limit=5) == list(KEYS)
    failures = sum(fault is not None and not isinstance(fault, Delay) for fault in faults)
    assert len(faulty.server.requests) - before == 3 + failures


async def assert_is_no_listing(faulty: FaultSetup, body: bytes) -> None:
    """Check that a body is an error that names the endpoint, and not taken for an empty bucket."""
    error = await faulty.error_from(body)
    assert type(error) is LocationInvalidError
    assert f"does not speak {faulty.protocol}" in error.message
    assert faulty.endpoint_label in error.message


@pytest.mark.asyncio
class FaultConformance:
    """The tests. Each starts with a bucket that holds `KEYS`."""

    @pytest.fixture
    def faulty(self) -> FaultSetup:
        """Return the store and its faulty server; a subclass overrides this."""
        raise NotImplementedError("a subclass overrides the fixture `faulty`")

    @pytest.fixture(autouse=True)
    def _short_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Shorten the pauses before retries."""
        monkeypatch.setattr(transport_module, "PAUSE_SECONDS", 0.01)

    # --- transient errors ---

    @pytest.mark.parametrize("name", ["busy", "too many requests", "resets", "cut short", "mixed", "latency"])
    async def test_a_listing_is_complete_after_transient_faults(self, faulty: FaultSetup, name: str) -> None:
        await assert_listing_is_complete(faulty, transient_faults(faulty)[name])

    @pytest.mark.parametrize("has_body", [True, False], ids=["with a body", "without a body"])
    async def test_reads_writes_and_deletes_are_retried(self, faulty: FaultSetup, has_body: bool) -> None:
        store, before = _open(faulty), len(faulty.server.requests)
        busy, internal_error = (faulty.busy, faulty.internal_error) if has_body else (Status(503), Status(500))
        faulty.server.faults.extend([busy, None, Reset(0), None, internal_error, None])
        await store.write("new", b"content")
        assert await store.read("new", 10) == b"content"
        await store.delete("new")
        methods = [request.method for request in faulty.server.requests[before:]]
        assert methods == [faulty.write_method] * 2 + ["GET"] * 2 + ["DELETE"] * 2

    async def test_a_retry_waits_as_long_as_the_server_wants(self, faulty: FaultSetup) -> None:
        faulty.server.faults.append(Status(429, headers={"retry-after": "1"}))
        began = time.monotonic()
        assert len((await _open(faulty).list_page("", None, 5)).objects) == 5
        assert time.monotonic() - began >= 1

    # --- faults that last ---

    async def test_a_store_that_stays_busy_is_unavailable(self, faulty: FaultSetup) -> None:
        faulty.server.faults.extend([faulty.busy] * 9)
        with pytest.raises(StoreUnavailableError, match=faulty.busy_message) as error:
            await _open(faulty).list_page("", None, 5)
        assert error.value.retry_after

    async def test_a_store_that_always_closes_the_connection_is_unavailable(self, faulty: FaultSetup) -> None:
        faulty.server.faults.extend([Reset(0)] * 9)
        with pytest.raises(StoreUnavailableError):
            await _open(faulty).list_page("", None, 5)

    async def test_a_page_that_is_always_cut_short_is_unavailable(self, faulty: FaultSetup) -> None:
        """HTTP reports such a response as complete."""
        page = faulty.list_body(KEYS)[: faulty.page_offsets[0]]
        with FaultProxy(respond=lambda _: Status(200, page)) as server:
            with pytest.raises(StoreUnavailableError, match="sent an incomplete list page"):
                await faulty.open(server.url).list_page("", None, 5)
            assert len(server.requests) == MAX_ATTEMPTS

    async def test_a_slow_store_is_unavailable_within_the_time_limit(self, faulty: FaultSetup) -> None:
        faulty.server.faults.extend([Delay(5)] * 9)
        transport = Transport(Egress.parse("127.0.0.1"), call_seconds=0.6, read_seconds=0.25)
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="stopped answering"):
            await faulty.open(faulty.server.url, transport=transport).list_page("", None, 5)
        assert time.monotonic() - began < 1.5
        await transport.aclose()

    # --- servers of another kind ---

    @pytest.mark.parametrize("body", NOT_LISTINGS)
    async def test_another_kind_of_response_is_no_empty_bucket(self, faulty: FaultSetup, body: bytes) -> None:
        await assert_is_no_listing(faulty, body)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_a_redirect_is_not_followed(self, faulty: FaultSetup, status: int) -> None:
        with FaultProxy(respond=lambda _: Status(200, faulty.list_body(KEYS))) as other:
            error = await faulty.error_from(Status(status, headers={"location": other.url}))
            assert other.requests == []
        assert type(error) is LocationInvalidError
        assert "Redirects are not followed" in error.message

    async def test_a_list_page_of_too_many_bytes_is_refused(self, faulty: FaultSetup) -> None:
        error = await faulty.error_from(b" " * (faulty.max_list_body_bytes + 1))
        assert type(error) is LocationInvalidError
        assert "more than" in error.message

    @pytest.mark.parametrize(("prefix", "root"), [("b/", ""), ("", "b/"), ("c/", "b/")])
    async def test_a_server_that_ignores_the_prefix_is_an_error(
        self, faulty: FaultSetup, prefix: str, root: str
    ) -> None:
        """The root would be cut off keys that do not begin with it, so that they name other objects."""
        error = await faulty.error_from(faulty.list_body(["b/b", "c"]), prefix=prefix, root=root)
        assert type(error) is LocationInvalidError
        assert "ignores the prefix" in error.message

    @pytest.mark.parametrize("keys", [["b", "a"], ["a", "b", "a"], ["a", "c", "b", "d"], ["\uffee", "🦊", "é"]])
    async def test_keys_out_of_order_are_an_error(self, faulty: FaultSetup, keys: list[str]) -> None:
        if not faulty.checks_key_order:
            pytest.skip("the provider has more than one order")
        error = await faulty.error_from(faulty.list_body(keys))
        assert type(error) is LocationInvalidError
        assert "order of their keys" in error.message

    async def test_a_page_longer_than_requested_resumes_where_it_was_cut(self, faulty: FaultSetup) -> None:
        page = await faulty.list_from(faulty.list_body(KEYS))
        assert [found.key for found in page.objects] == list(KEYS[:10])
        assert page.resume_after == KEYS[9]

    async def test_a_server_that_ignores_ranges_reads_no_more_than_requested(self, faulty: FaultSetup) -> None:
        with FaultProxy(respond=lambda _: Status(200, b"0123456789")) as server:
            assert await faulty.open(server.url).read("a", 4) == b"0123"
        with (
            FaultProxy(respond=lambda _: Status(200, b"x" * 1_000_000)) as server,
            pytest.raises(LocationInvalidError, match="more than"),
        ):
            await faulty.open(server.url).read("a", 4)


def _open(faulty: FaultSetup) -> Store:
    return faulty.open(faulty.server.url)
