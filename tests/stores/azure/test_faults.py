"""No listing is silently incomplete or wrong, whatever network and server do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from headwater.domain.errors import LocationInvalidError, OverwriteRefusedError, StoreError, StoreUnavailableError
from headwater.domain.objects import StorePage
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.stores.azure import store as azure_module
from headwater.stores.azure.listing import Rows, read_rows
from headwater.stores.azure.store import AzureStore, open_azure
from headwater.testing.fault_proxy import CutShort, Delay, FaultProxy, Request, Reset, Status
from tests.stores.azure.server import account_sas, config, error_xml, list_xml, names, open_store
from tests.stores.s3.server import answering

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

KEYS = [f"{i:02}.jpg" for i in range(12)]


@pytest.fixture
def proxy(azurite_url: str) -> Iterator[FaultProxy]:
    with FaultProxy(azurite_url) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: FaultProxy, transport: Transport, container: ContainerClient) -> AzureStore:
    for key in KEYS:
        container.upload_blob(key, b"x")
    return open_store(transport, proxy.url, container.container_name)


BUSY = Status(503, error_xml("ServerBusy", "The server is busy."))


@pytest.mark.parametrize(
    "faults",
    [
        [BUSY] * 3,
        [None, Reset(0), None, Reset(200), Reset(500)],
        [CutShort(0), CutShort(30), CutShort(600), None, CutShort(1000)],
        [Status(500, error_xml("OperationTimedOut")), Status(200, b""), Reset(100)],
        [Delay(0.3), None, Delay(0.3)],
    ],
    ids=["503 bursts", "resets", "cut short", "mixed", "latency"],
)
async def test_a_listing_is_whole_after_passing_faults(store: AzureStore, proxy: FaultProxy, faults: list[Any]) -> None:
    proxy.faults += faults
    assert await names(store, limit=5) == KEYS
    assert len(proxy.requests) == 3 + sum(fault is not None and not isinstance(fault, Delay) for fault in faults)


async def test_reads_and_writes_are_tried_again(store: AzureStore, proxy: FaultProxy) -> None:
    proxy.faults += [BUSY, None, Reset(0), None, Status(500), None]
    await store.write("new", b"content")
    assert await store.read("new", 10) == b"content"
    await store.delete("new")
    assert [request.method for request in proxy.requests] == ["PUT"] * 2 + ["GET"] * 2 + ["DELETE"] * 2


async def test_a_store_that_stays_down_is_unavailable(store: AzureStore, proxy: FaultProxy) -> None:
    proxy.faults += [BUSY] * 9
    with pytest.raises(StoreUnavailableError, match=r"ServerBusy \(The server is busy\)") as error:
        await store.list_page("", None, 5)
    assert error.value.retry_after


async def test_a_page_that_is_always_cut_short_is_unavailable(transport: Transport) -> None:
    """As far as HTTP sees, it is whole."""
    with FaultProxy(respond=answering(200, list_xml(KEYS)[:700])) as server:
        with pytest.raises(StoreUnavailableError, match="broke a list page off"):
            await open_store(transport, server.url).list_page("", None, 5)
        assert len(server.requests) == 4


async def test_a_slow_store_is_unavailable_within_bounds(proxy: FaultProxy) -> None:
    proxy.faults += [Delay(5)] * 9
    transport = Transport(Egress.parse(""), call_seconds=0.6, read_seconds=0.25)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="stopped answering"):
        await open_store(transport, proxy.url).list_page("", None, 5)
    assert time.monotonic() - began < 1.5
    await transport.aclose()


async def test_an_account_whose_host_is_inside_is_refused_before_anything_is_sent() -> None:
    transport = Transport(Egress.parse(""), resolver=lambda host, port: ["127.0.0.1"])
    with pytest.raises(LocationInvalidError, match="HEADWATER_ALLOWED_ENDPOINTS"):
        await open_azure(config("data", account="acct"), transport).list_page("", None, 1)
    await transport.aclose()


# --- servers that do not do what Azure does ---


async def ask(
    transport: Transport, respond: Callable[[Request], Status], *, root: str = "", prefix: str = ""
) -> StorePage:
    with FaultProxy(respond=respond) as server:
        return await open_store(transport, server.url, root=root).list_page(prefix, None, 10)


async def refused(transport: Transport, respond: Callable[[Request], Status], **more: str) -> StoreError:
    with pytest.raises(StoreError) as error:
        await ask(transport, respond, **more)
    return error.value


@pytest.mark.parametrize(
    "body", [b"<!doctype html><html><body>Console</body></html>", b"<html>", b'{"a": 1}', b"OK", b"<ListBucketResult/>"]
)
async def test_something_else_is_no_empty_container(transport: Transport, body: bytes) -> None:
    error = await refused(transport, answering(200, body))
    assert type(error) is LocationInvalidError
    assert "does not speak Azure Blob Storage" in error.message
    assert "HEADWATER_AZURE_ENDPOINT" in error.message


async def test_a_server_that_ignores_the_prefix_is_told_so(transport: Transport) -> None:
    """Its names would be cut as if they lay below the root, and name other blobs."""
    for prefix, root in (("b/", ""), ("", "b/"), ("c/", "b/")):
        with pytest.raises(LocationInvalidError, match="ignores the prefix"):
            await ask(transport, answering(200, list_xml(["b/b", "c"])), prefix=prefix, root=root)


async def test_names_are_decoded_only_where_the_server_encoded_them(transport: Transport) -> None:
    """It does so for what XML cannot hold (service version 2021-02-12)."""
    page = await ask(transport, answering(200, list_xml(["a%EF%BF%BEb", "a+b%2B", "%01%0A%0D"], encoded=True)))
    assert [found.key for found in page.objects] == ["a\ufffeb", "a+b+", "\x01\n\r"]
    page = await ask(transport, answering(200, list_xml(["a%41"])))
    assert [found.key for found in page.objects] == ["a%41"]


async def test_names_that_are_not_utf_8_are_counted_and_passed_over(transport: Transport) -> None:
    keys = ["a", "b%FF", "c", "d%ED%A0%80"]
    page = await ask(transport, answering(200, list_xml(keys, encoded=True)))
    assert ([found.key for found in page.objects], page.resume_after, page.unreadable) == (["a", "c"], None, 2)

    def respond(request: Request) -> Status:
        return Status(200, list_xml(["e"]) if "marker" in request.query else list_xml(keys, "next", encoded=True))

    with FaultProxy(respond=respond) as server:
        # The last of the page could not be gone on from by its key.
        assert await names(open_store(transport, server.url), limit=4) == ["a", "c", "e"]
        assert len(server.requests) == 2


async def test_blanks_at_the_ends_of_names_are_kept(transport: Transport) -> None:
    page = await ask(transport, answering(200, list_xml([" a ", "\tb", "&#xD;c&#xA;"])))
    assert [found.key for found in page.objects] == [" a ", "\tb", "\rc\n"]


async def test_entities_are_refused(transport: Transport) -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><EnumerationResults'
    error = await refused(transport, answering(200, list_xml(["&b;"]).replace(b"<EnumerationResults", laughs)))
    assert type(error) is LocationInvalidError
    assert "document type" in error.message


async def test_a_huge_page_is_refused(transport: Transport) -> None:
    error = await refused(transport, answering(200, b" " * (azure_module.MAX_LIST_BODY_BYTES + 1)))
    assert type(error) is LocationInvalidError
    assert "more than" in error.message


async def test_a_page_of_the_longest_names_is_listed(transport: Transport) -> None:
    keys = [f"{i:04}" + "&amp;" * 1020 for i in range(1000)]
    body = list_xml(keys)
    assert len(body) > 5_000_000
    with FaultProxy(respond=answering(200, body)) as server:
        page = await open_store(transport, server.url).list_page("", None, 1000)
    assert [found.key for found in page.objects] == [f"{i:04}" + "&" * 1020 for i in range(1000)]


@pytest.mark.parametrize(
    "body", [list_xml(["k" * 1025]), list_xml(["%6B" * 1025], encoded=True)], ids=["as it is", "encoded"]
)
async def test_a_name_longer_than_any_of_azure_is_refused(transport: Transport, body: bytes) -> None:
    error = await refused(transport, answering(200, body))
    assert type(error) is LocationInvalidError
    assert "a name of more than 1024 characters" in error.message


async def test_a_big_page_is_read_beside_the_event_loop(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noting(body: bytes, root: str, prefix: str) -> Rows:
        threads.append(threading.current_thread())
        return read_rows(body, root, prefix)

    monkeypatch.setattr(azure_module, "read_rows", noting)
    await ask(transport, answering(200, list_xml(KEYS)))
    assert threads == [threading.main_thread()]
    error = await refused(transport, answering(200, list_xml(["c" * 1000] * 1100 + ["k" * 1025])))
    assert threads[1] is not threading.main_thread()
    assert "a name of more than" in error.message


@pytest.mark.parametrize(
    ("member", "other"),
    [
        ("<Name>a</Name>", ""),
        ("<Content-Length>7</Content-Length>", ""),
        ("<Content-Length>7<", "<Content-Length>x<"),
        ("<Content-Length>7<", "<Content-Length>-1<"),
        ("<Content-Length>7<", f"<Content-Length>{2**63}<"),
        ("<Last-Modified>Tue, 02 Jan 2024 03:04:05 GMT<", "<Last-Modified>2024-01-02T03:04:05Z<"),
        ("<Last-Modified>Tue, 02 Jan 2024 03:04:05 GMT<", "<Last-Modified>Tue, 02 Foo 2024 03:04:05 GMT<"),
        ("<Last-Modified>Tue, 02 Jan 2024 03:04:05 GMT</Last-Modified>", ""),
    ],
)
async def test_blobs_without_their_members_are_an_error(transport: Transport, member: str, other: str) -> None:
    body = list_xml(["a"]).decode()
    assert member in body
    assert type(await refused(transport, answering(200, body.replace(member, other).encode()))) is LocationInvalidError


async def test_times_are_whole_seconds(transport: Transport) -> None:
    for text, seconds in (
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
    ):
        body = list_xml(["a"]).replace(
            b"<Last-Modified>Tue, 02 Jan 2024 03:04:05 GMT", f"<Last-Modified>{text}".encode()
        )
        (found,) = (await ask(transport, answering(200, body))).objects
        assert found.modified == seconds


async def test_a_server_that_ignores_the_range_still_reads_no_more_than_asked(transport: Transport) -> None:
    with FaultProxy(respond=answering(200, b"0123456789")) as server:
        assert await open_store(transport, server.url).read("a", 4) == b"0123"
    with (
        FaultProxy(respond=answering(200, b"x" * 1_000_000)) as server,
        pytest.raises(LocationInvalidError, match="more than"),
    ):
        await open_store(transport, server.url).read("a", 4)


async def test_azure_says_itself_that_only_replacing_is_refused(transport: Transport) -> None:
    body = error_xml("UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites.")
    with FaultProxy(respond=answering(403, body)) as server:
        for key in (account_sas("c"), account_sas("rwdlc")):
            with pytest.raises(
                OverwriteRefusedError, match=r"accountKey: make a SAS token with the permission w \(write\)"
            ):
                await open_store(transport, server.url, key=key).write("a", b"")


async def test_a_redirect_is_not_followed(transport: Transport) -> None:
    error = await refused(transport, answering(307, b"", location="http://127.0.0.1:1/"))
    assert type(error) is LocationInvalidError
    assert "Redirects are not followed" in error.message
