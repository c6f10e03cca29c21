"""No listing of Azure is silently incomplete or wrong, whatever the network and the server do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from headwater.domain.errors import LocationInvalidError, OverwriteRefusedError, StoreError
from headwater.domain.objects import StorePage
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.stores.azure import listing
from headwater.stores.azure import store as azure_module
from headwater.stores.azure.listing import Rows, read_folders, read_rows
from headwater.stores.azure.store import AzureStore, open_azure
from headwater.testing import FaultConformance, FaultSetup
from headwater.testing.fault_conformance import assert_is_no_listing
from headwater.testing.fault_proxy import FaultProxy, Request, Status
from headwater.testing.fault_setup import KEYS
from tests.stores.azure.server import account_sas, config, error_xml, list_xml, names, open_store
from tests.stores.s3.server import answering

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class AzureFaults(FaultSetup):
    """A container of Azurite behind a fault proxy."""

    protocol = "Azure Blob Storage"
    endpoint_label = "HEADWATER_AZURE_ENDPOINT"
    busy = Status(503, error_xml("ServerBusy", "The server is busy."))
    busy_message = r"ServerBusy \(The server is busy\)"
    internal_error = Status(500, error_xml("OperationTimedOut"))
    page_offsets = (500, 1000)
    max_list_body_bytes = listing.MAX_LIST_BODY_BYTES
    checks_key_order = False

    def __init__(self, server: FaultProxy, transport: Transport, container: str) -> None:
        super().__init__(server, transport)
        self.container = container

    def open(self, url: str, *, root: str = "", transport: Transport | None = None) -> AzureStore:
        return open_store(transport or self.transport, url, self.container, root)

    def list_body(self, keys: Sequence[str]) -> bytes:
        return list_xml(list(keys))


class TestAzureFaults(FaultConformance):
    """Azure Blob Storage when the network or the server fails."""

    @pytest.fixture
    def faulty(self, azurite_url: str, container: ContainerClient, transport: Transport) -> Iterator[AzureFaults]:
        for key in KEYS:
            container.upload_blob(key, b"x")
        with FaultProxy(azurite_url) as proxy:
            yield AzureFaults(proxy, transport, container.container_name)

    async def test_a_page_of_another_provider_is_no_empty_container(self, faulty: AzureFaults) -> None:
        await assert_is_no_listing(faulty, b"<ListBucketResult/>")


async def test_an_account_with_an_internal_address_is_refused_before_any_request() -> None:
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


async def test_names_are_decoded_only_if_the_server_encoded_them(transport: Transport) -> None:
    """It does so for what XML cannot hold (service version 2021-02-12)."""
    page = await ask(transport, answering(200, list_xml(["a%EF%BF%BEb", "a+b%2B", "%01%0A%0D"], encoded=True)))
    assert [found.key for found in page.objects] == ["a\ufffeb", "a+b+", "\x01\n\r"]
    page = await ask(transport, answering(200, list_xml(["a%41"])))
    assert [found.key for found in page.objects] == ["a%41"]


async def test_names_that_are_not_utf_8_are_counted_and_skipped(transport: Transport) -> None:
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


async def test_a_big_page_is_parsed_in_a_thread(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noting(body: bytes, root: str, prefix: str) -> Rows:
        threads.append(threading.current_thread())
        return read_rows(body, root, prefix)

    monkeypatch.setattr(azure_module, "read_rows", noting)
    await ask(transport, answering(200, list_xml(list(KEYS))))
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
        ("<Last-Modified>Tue, 02 Jan 2024 03:04:05 GMT<", "<Last-Modified>yesterday<"),
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
        ("2024-02-29T23:59:59.999Z", 1_709_251_199),
    ):
        body = list_xml(["a"]).replace(
            b"<Last-Modified>Tue, 02 Jan 2024 03:04:05 GMT", f"<Last-Modified>{text}".encode()
        )
        (found,) = (await ask(transport, answering(200, body))).objects
        assert found.modified == seconds


async def test_azures_code_for_a_refused_overwrite_is_recognised(transport: Transport) -> None:
    body = error_xml("UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites.")
    with FaultProxy(respond=answering(403, body)) as server:
        for key in (account_sas("c"), account_sas("rwdlc")):
            with pytest.raises(
                OverwriteRefusedError, match=r"accountKey: make a SAS token with the permission w \(write\)"
            ):
                await open_store(transport, server.url, key=key).write("a", b"")


def test_folder_whose_name_is_not_utf8_is_not_suggested() -> None:
    """Its name was suggested without the bytes that are not UTF-8: a folder that does not exist."""
    names = ("<Name>a/b/</Name>", '<Name Encoded="true">a/c%EF%BF%BE/</Name>', '<Name Encoded="true">a/d%FF/</Name>')
    folders = "".join(f"<BlobPrefix>{name}</BlobPrefix>" for name in names)
    body = f"<EnumerationResults><Blobs>{folders}</Blobs><NextMarker/></EnumerationResults>".encode()
    assert read_folders(body, "a/") == ["b", "c\ufffe"]
