"""How the tests open Azure stores, and what a server answers."""

from __future__ import annotations

import base64
import datetime
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from xml.sax.saxutils import escape

from headwater.domain.datasource import AzureConfig, parse_config
from headwater.domain.objects import StoredObject, StorePage
from headwater.net.transport import Transport
from headwater.stores.azure.container import OPERATOR_ENDPOINT, azure_container
from headwater.stores.azure.signing import parse_credentials
from headwater.stores.azure.store import AzureStore, open_azure
from headwater.stores.error_mapping import ConfigLabels
from headwater.testing.fault_proxy import FaultProxy, Request, Status
from tests.servers import AZURE_ACCOUNT, AZURE_KEY
from tests.stores.memory import by_path, by_utf_8

NAMES = ConfigLabels("Azure", "accountName", "accountKey", OPERATOR_ENDPOINT)


def config(path: str, key: str = AZURE_KEY, account: str = AZURE_ACCOUNT) -> AzureConfig:
    """What a user would configure."""
    parsed = parse_config({"type": "AZURE", "fullPath": path, "accountName": account, "accountKey": key})
    assert isinstance(parsed, AzureConfig)
    return parsed


def open_store(
    transport: Transport, url: str, container: str = "data", root: str = "", key: str = AZURE_KEY, **more: Any
) -> AzureStore:
    """Open the store at the operator's endpoint; `more` goes to its constructor."""
    if not more:
        return open_azure(config(f"{container}/{root}", key), transport, url)
    place = azure_container(AZURE_ACCOUNT, container, url)
    return AzureStore(transport, place, root, parse_credentials(AZURE_ACCOUNT, key, "accountKey"), NAMES, **more)


async def pages(store: AzureStore, prefix: str = "", limit: int = 1000, after: str | None = None) -> list[StorePage]:
    """All pages of a listing; fails where there is no end."""
    found: list[StorePage] = []
    marker = None
    for _ in range(500):
        page = await store.list_page(prefix, after, limit, marker)
        assert len(page.objects) <= limit
        found.append(page)
        after, marker = page.resume_after, page.marker
        if after is None:
            return found
    raise AssertionError("the listing does not end")


async def list_all(
    store: AzureStore, prefix: str = "", limit: int = 1000, after: str | None = None
) -> list[StoredObject]:
    """All objects of a listing."""
    return [item for page in await pages(store, prefix, limit, after) for item in page.objects]


async def names(store: AzureStore, prefix: str = "", limit: int = 1000, after: str | None = None) -> list[str]:
    """All keys of a listing."""
    return [item.key for item in await list_all(store, prefix, limit, after)]


def account_sas(permissions: str = "rwdlc", *, hours: float = 1, **more: Any) -> str:
    """A SAS token of the account, made by the vendor's SDK."""
    from azure.storage.blob import generate_account_sas

    given = {"resource_types": "co", "permission": permissions, "expiry": later(hours), **more}
    return generate_account_sas(AZURE_ACCOUNT, AZURE_KEY, **given)


def container_sas(container: str, permissions: str | None = "rwdlc", *, hours: float = 1, **more: Any) -> str:
    """A SAS token of a container, made by the vendor's SDK."""
    from azure.storage.blob import generate_container_sas

    given = {"permission": permissions, "expiry": later(hours), **more}
    return generate_container_sas(AZURE_ACCOUNT, container, AZURE_KEY, **given)


def later(hours: float) -> datetime.datetime:
    """A time so many hours from now, or ago."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)


def put(url: str, body: bytes) -> int:
    """Use a URL for PUT as Azure wants it: with the kind of blob in a header."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(
            "PUT", url.removeprefix(f"http://{parts.netloc}"), body=body, headers={"x-ms-blob-type": "BlockBlob"}
        )
        return connection.getresponse().status
    finally:
        connection.close()


class Deaf(FaultProxy):
    """Passes requests on without `startFrom`, as if the server did not know it, and without `marker` where asked to.

    The SAS token must be an account's or a container's: the signature of an account key would not hold any more.
    """

    dropped = ("startFrom",)

    async def _forward(self, request: Request) -> bytes:
        parts = urlsplit(request.target)
        query = "&".join(piece for piece in parts.query.split("&") if piece.split("=")[0] not in self.dropped)
        return await super()._forward(request._replace(target=urlunsplit(parts._replace(query=query))))


@dataclass
class Listing:
    """A server that lists, for `FaultProxy(respond=Listing(...))`; markers are opaque, as Azure's are.

    Attributes:
        names: of blobs, and of directories where `by_path` is the order.
        order: sorts them.
        knows_start_from: whether it has `startFrom`; it passes over it otherwise.
        short: cuts every page shorter by so many, which Azure may do for reasons of its own.
        stubs: those of the names that are folder stubs.
    """

    names: set[str]
    order: Callable[[str], Any] = by_utf_8
    knows_start_from: bool = True
    short: int = 0
    stubs: frozenset[str] = frozenset()

    def __call__(self, request: Request) -> Status:
        query = asked(request)
        names = sorted((name for name in self.names if name.startswith(query.get("prefix", ""))), key=self.order)
        if self.knows_start_from and "startFrom" in query:
            names = [name for name in names if self.order(name) >= self.order(query["startFrom"])]
        if "marker" in query:
            after = base64.b64decode(query["marker"].partition("!")[2]).decode()
            names = [name for name in names if self.order(name) >= self.order(after)]
        size = max(int(query["maxresults"]) - self.short, 0)
        page, rest = names[:size], names[size:]
        # As Azure's, a marker names what comes next. A page without progress has another one than that before.
        tries = int(query.get("marker", "0!").partition("!")[0]) + 1
        marker = f"{tries}!{base64.b64encode(rest[0].encode()).decode()}" if rest else ""
        if not page and self.short and tries > 3:
            page, rest = names[:1], names[1:]
            marker = f"{tries}!{base64.b64encode(rest[0].encode()).decode()}" if rest else ""
        kinds = {name: "directory" for name in self.names if self.order is by_path and self._is_directory(name)}
        stubs = {escape(name): STUB if query.get("include") == "metadata" else "" for name in self.stubs}
        return Status(200, list_xml([escape(name) for name in page], marker, kinds=kinds or None, empty=stubs))

    def _is_directory(self, name: str) -> bool:
        return any(other.startswith(f"{name}/") for other in self.names)


def asked(request: Request) -> dict[str, str]:
    """What a list request asked for, beside its SAS token."""
    query = dict(parse_qsl(urlsplit(request.target).query, keep_blank_values=True))
    names = ("prefix", "startFrom", "marker", "maxresults", "include")
    return {name: value for name, value in query.items() if name in names}


STUB = "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>"
"""The metadata of a folder stub."""


def list_xml(
    keys: list[str],
    next_marker: str = "",
    *,
    kinds: dict[str, str] | None = None,
    encoded: bool = False,
    empty: Mapping[str, str] | None = None,
) -> bytes:
    """A page of List Blobs as Azure writes it.

    Args:
        keys: the names.
        next_marker: the marker of the next page.
        kinds: the ResourceType of names.
        encoded: whether the names are percent-encoded.
        empty: the names without content, and the XML of their metadata.
    """

    attribute = ' Encoded="true"' if encoded else ""

    metadata = empty or {}

    def row(key: str) -> str:
        kind = f"<ResourceType>{kinds.get(key, 'file')}</ResourceType>" if kinds is not None else ""
        return (
            f"<Blob><Name{attribute}>{key}</Name><Properties>"
            f"<Creation-Time>Tue, 02 Jan 2024 03:04:05 GMT</Creation-Time>"
            f"<Last-Modified>Tue, 02 Jan 2024 03:04:05 GMT</Last-Modified><Etag>0x8D4BCC2E4835CD0</Etag>{kind}"
            f"<Content-Length>{0 if key in metadata else 7}</Content-Length><BlobType>BlockBlob</BlobType></Properties>"
            f"{metadata.get(key, '')}</Blob>"
        )

    return (
        '\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://x/" '
        f'ContainerName="data"><Blobs>{"".join(map(row, keys))}</Blobs><NextMarker>{next_marker}</NextMarker>'
        "</EnumerationResults>"
    ).encode()


def error_xml(code: str, message: str = "Said by the provider.", more: str = "") -> bytes:
    """An error as Azure writes it: its message ends in lines that name the request and the time."""
    return (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}\n'
        f"RequestId:00000000-0000-0000-0000-000000000000\nTime:2024-01-02T03:04:05.6789012Z</Message>{more}</Error>"
    ).encode()
