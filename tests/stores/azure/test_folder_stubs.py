"""Folder stubs of accounts without hierarchical namespace are not files."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from headwater.net.transport import Transport
from headwater.stores.azure.listing import read_rows
from headwater.testing.fault_proxy import FaultProxy
from tests.servers import AZURE_KEY
from tests.stores.azure.server import Listing, account_sas, asked, list_xml, names, open_store
from tests.stores.memory import by_utf_8, by_utf_16

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


@pytest.mark.parametrize("key", [AZURE_KEY, account_sas()])
@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_stubs_are_left_out_of_listings(
    transport: Transport, azurite_url: str, container: ContainerClient, key: str, limit: int
) -> None:
    """Hadoop's stub of the folder `session.mp4` was listed as a video, and downloads of what is in it failed."""
    for folder, metadata in (
        ("raw", {"hdi_isfolder": "true"}),
        ("raw/session.mp4", {"Hdi_isfolder": "True", "Name": "x"}),
        ("raw/other.mp4", {"is_directory": "true"}),
    ):
        container.upload_blob(folder, b"", metadata=metadata)
    container.upload_blob("raw/session.mp4/1.jpg", b"content", metadata={"Blob": "x", "Name": "y", "Etag": "z"})
    container.upload_blob("raw/empty.jpg", b"", metadata={"hdi_isfolder": "false", "is_directory": "false"})
    container.upload_blob("raw/file.jpg", b"content", metadata={"hdi_isfolder": "true"})
    store = open_store(transport, azurite_url, container.container_name, key=key)
    assert await names(store, limit=limit) == ["raw/empty.jpg", "raw/file.jpg", "raw/session.mp4/1.jpg"]


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("short", [0, 1])
async def test_a_listing_continues_after_pages_of_nothing_but_stubs(
    transport: Transport, knows: bool, short: int
) -> None:
    """A page that is empty without its stubs is not the end, and does not lead back to the beginning."""
    stubs = frozenset(f"a{number:02}" for number in range(20))
    listing = Listing({*stubs, "a10/x", "b"}, knows_start_from=knows, short=short, stubs=stubs)
    with FaultProxy(respond=listing) as server:
        assert await names(open_store(transport, server.url), limit=4) == ["a10/x", "b"]


@pytest.mark.parametrize("order", [by_utf_8, by_utf_16])
@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("seed", range(4))
async def test_files_between_stubs_are_listed_once(
    transport: Transport, order: Callable[[str], Any], knows: bool, seed: int
) -> None:
    chosen = random.Random(seed)
    every = {"".join(chosen.choices(["a", "-", "/", "0", "ü", "\uffee", "🦊"], k=3)).strip("/") for _ in range(60)}
    stubs = frozenset(name for name in every if chosen.random() < 0.5)
    with FaultProxy(respond=Listing(every, order, knows, stubs=stubs)) as server:
        found = await names(open_store(transport, server.url), limit=4)
    assert found == sorted(every - stubs, key=order)


async def test_metadata_is_requested_only_where_stubs_can_be(transport: Transport) -> None:
    """Metadata makes pages larger: a page with an empty blob costs a second request until the account has stubs."""
    files = {f"{number:02}" for number in range(8)}
    with FaultProxy(respond=Listing(files)) as server:
        await names(open_store(transport, server.url), limit=4)
        assert [asked(request).get("include") for request in server.requests] == [None, None]
    with FaultProxy(respond=Listing(files, stubs=frozenset({"05"}))) as server:
        await names(open_store(transport, server.url), limit=4)
        assert [asked(request).get("include") for request in server.requests] == [None, None, "metadata"]
        server.requests.clear()
        await names(open_store(transport, server.url), limit=4)
        assert [asked(request).get("include") for request in server.requests] == ["metadata"] * 2


def test_metadata_never_replaces_a_property() -> None:
    """Metadata may have any name, also that of an element of the page."""
    metadata = "<Metadata><Name>x</Name><Blob>y</Blob><NextMarker>z</NextMarker><Metadata>m</Metadata></Metadata>"
    rows = read_rows(list_xml(["a", "b"], "next", empty={"a": metadata}), "", "")
    assert [(found.key, found.size) for found in rows.objects] == [("a", 0), ("b", 7)]
    assert rows.next_marker == "next"
    assert not rows.has_stubs
