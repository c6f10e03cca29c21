"""Azure Blob Storage, with an account key or a SAS token.

If the server supports `startFrom`, which is inclusive and may name any blob, a listing resumes by key: a page deep in
a container costs one request, and no page depends on the lifetime of a marker. Otherwise a listing resumes by the
server's own marker, which travels in `StorePage.marker`. The order of names is the server's: an account with
hierarchical namespace orders `/` before all other characters.

Hadoop and other programs write folder stubs to accounts without hierarchical namespace: blobs without content, marked
in their metadata. A page that contains a blob without content is requested again with metadata, and stubs are left out.
Once an account is known to have stubs, metadata is requested at once.

Source: the Azure Storage REST reference (List Blobs, Get Blob, Put Blob, Delete Blob). `startFrom` was added in service
version 2026-02-06.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from headwater.domain.azure_account import CLOUD_DOMAINS, PUBLIC_DOMAIN
from headwater.domain.datasource import AzureConfig
from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError
from headwater.domain.key_order import Order
from headwater.domain.objects import Key, StorePage
from headwater.net.transport import Request, Response, Transport, byte_range, is_transient, read_range
from headwater.net.urls import encode_path, encode_query
from headwater.stores.azure.container import OPERATOR_ENDPOINT, AzureContainer, azure_container
from headwater.stores.azure.error_codes import AZURE, VERSION_HEADER, read_error, refuses_version
from headwater.stores.azure.listing import (
    BY_MARKER,
    FORM,
    MAX_LIST_BODY_BYTES,
    MAX_METADATA_LIST_BODY_BYTES,
    SKIPPING,
    PrefixIgnoredError,
    Rows,
    StartFromRefusedError,
    is_before,
    read_folders,
    read_rows,
    should_retry_list,
    to_store_page,
)
from headwater.stores.azure.signing import (
    CREATE_AND_WRITE,
    READ,
    BlobSigner,
    Credentials,
    Sas,
    SharedKey,
    UnsignedRequest,
    parse_credentials,
    sign_headers,
)
from headwater.stores.base import Method, Store
from headwater.stores.error_mapping import (
    MAX_ERROR_BODY_BYTES,
    ConfigLabels,
    Operation,
    OperationContext,
    to_store_error,
)
from headwater.stores.listing_xml import is_big, is_cut_short
from headwater.stores.page_checks import listing_never_ends, parse_page, prefix_ignored

VERSION = "2026-02-06"
"""The service version of requests: the first that supports `startFrom`."""

OLDER_VERSION = "2021-12-02"
"""The service version of requests if the server does not support `VERSION`."""

# Facts about an origin (`Transport.learn`).
_OLDER_VERSION_ONLY = f"Azure: no version {VERSION}"
_NO_START_FROM = "Azure: ignores startFrom"
_FLAT = "Azure: no hierarchical namespace"
_HIERARCHICAL = "Azure: hierarchical namespace"
_FOLDER_STUBS = "Azure: folder stubs"

HIERARCHICAL_HEADER = "x-ms-is-hns-enabled"
"""A header of the response to Get Account Information, from version 2019-07-07 on."""

T = TypeVar("T")


def open_azure(config: AzureConfig, transport: Transport, operator_endpoint: str | None = None) -> AzureStore:
    """Open the datasource of a container. Nothing is contacted.

    Args:
        config: the datasource.
        transport: sends the requests.
        operator_endpoint: as for `azure_container`.

    Raises:
        LocationInvalidError: account, container or endpoint is invalid.
        CredentialsRefusedError: `accountKey` is neither an account key nor a SAS token.
    """
    location = config.location
    container = azure_container(config.account_name, location.bucket, operator_endpoint)
    endpoint = OPERATOR_ENDPOINT if container.is_operator_endpoint else "accountName"
    return AzureStore(
        transport,
        container,
        location.prefix,
        parse_credentials(container.account, config.account_key.get_secret_value(), "accountKey"),
        ConfigLabels("Azure", "accountName", "accountKey", endpoint),
    )


class AzureStore(Store):
    """A container, under a root prefix.

    Args:
        transport: sends the requests.
        container: the container and its address.
        root: the name prefix of the datasource, empty or ending in `/`.
        credentials: the account key that signs requests and URLs, or the SAS token that they carry.
        labels: what error texts call the members that a user would change.
        clock: returns Unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        container: AzureContainer,
        root: str,
        credentials: Credentials,
        labels: ConfigLabels,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._container = container
        self._root = root
        self._credentials = credentials
        self._labels = labels
        self._clock = clock

    @property
    def can_start_after(self) -> bool:
        """Whether the account's server supports `startFrom`, as far as is known."""
        return not self._knows(_NO_START_FROM)

    async def order(self) -> Order | None:
        """Return the order of the account, which Get Account Information tells once; see `Store.order`.

        An account with hierarchical namespace lists by path. Others list by name, as UTF-8 or (Azurite) UTF-16. A
        server that does not mention the namespace (Azurite) has none. None if the request is refused.
        """
        if not self._knows(_FLAT) and not self._knows(_HIERARCHICAL):
            response = await self._send(
                UnsignedRequest("GET", self._container.path, {"restype": "account", "comp": "properties"})
            )
            if response.status != 200:
                return None
            hierarchical = response.headers.get(HIERARCHICAL_HEADER, "").lower() == "true"
            self._learn(_HIERARCHICAL if hierarchical else _FLAT)
        return Order.SLASH_FIRST if self._knows(_HIERARCHICAL) else Order.UTF16_AMBIGUOUS

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """Return one page, in the server's order; see `Store.list_page`.

        Directories of accounts with hierarchical namespace, and folder stubs of others, are left out.

        Raises:
            LocationInvalidError: also if the response is not a listing.
            StoreUnavailableError: also if the server announces another page and then sends the same page again.
        """
        limit = min(limit, self.list_limit)
        how, token = (marker[0], marker[1:]) if marker else ("", "")
        if how in (BY_MARKER, SKIPPING):
            rows = await self._list(prefix, limit, marker=token)
            return to_store_page(rows, limit, after, skipping=how == SKIPPING)
        # The first page, or a page after a key that precedes all keys with this prefix.
        if after is None or (not token and after < prefix and not prefix.startswith(after)) or not (after or token):
            return to_store_page(await self._list(prefix, limit), limit, after)
        if not self._knows(_NO_START_FROM):
            page = await self._list_from(prefix, after, limit, token)
            if page is not None:
                return page
        rows = await self._list(prefix, limit, marker=token)
        return to_store_page(rows, limit, after, skipping=not token)

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Return URLs, each with a SAS for its blob or with the datasource's SAS token; see `Store.sign`.

        URLs with the SAS token are valid as long as the token, whatever `ttl` is: it cannot be shortened.

        Raises:
            CredentialsRefusedError: the SAS token has expired, is not valid yet, or does not allow this.
        """
        credentials, root = self._credentials, self._root
        url = f"{self._container.origin}{self._container.path}"
        permissions = CREATE_AND_WRITE if method == "PUT" else READ
        now = self._clock()
        if isinstance(credentials, SharedKey):
            signer = BlobSigner(url, self._container.name, credentials, permissions, int(now + ttl))
            return signer.sign([root + key for key in keys] if root else keys)
        if (lack := credentials.lack(permissions, now)) is not None:
            raise CredentialsRefusedError(
                f"{self._labels.secret_access_key}: {lack}, so that no URL can be made with it. Make a new one, such "
                f"as one for the container with sp=rl, or with sp=rwdl where Headwater is to write too"
            )
        return [f"{url}/{encode_path(root + key)}?{credentials.query}" for key in keys]

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Return a part of a blob; see `Store.read`."""
        response = await self._send(
            UnsignedRequest("GET", self._path(key), headers={"x-ms-range": byte_range(start, limit)}),
            max_body_bytes=start + limit + MAX_ERROR_BODY_BYTES,
        )
        if response.status in (200, 206, 416):
            return read_range(response, start, limit)
        raise self._error(response, Operation.READ)

    async def write(self, key: Key, data: bytes) -> None:
        """Create or replace a blob; see `Store.write`."""
        headers = {"x-ms-blob-type": "BlockBlob"}
        response = await self._send(UnsignedRequest("PUT", self._path(key), headers=headers, body=data))
        if response.status != 201:
            raise self._error(response, Operation.WRITE)

    async def delete(self, key: Key) -> None:
        """Delete a blob; see `Store.delete`."""
        response = await self._send(UnsignedRequest("DELETE", self._path(key)))
        if response.status not in (200, 202):
            error = self._error(response, Operation.DELETE)
            if error.provider_code != "BlobNotFound":
                raise error

    @property
    def root(self) -> str:
        """The path of the root in the container; see `Store.root`."""
        return self._root

    async def list_folders(self, path: str) -> list[str]:
        """Return names of folders; see `Store.list_folders`."""
        query = {"delimiter": "/", "maxresults": str(self.list_limit), **({"prefix": path} if path else {})}
        return await self._get_list(query, lambda body: read_folders(body, path))

    async def _list(self, prefix: str, limit: int, *, marker: str = "", start_from: str = "") -> Rows:
        """Return one list page.

        Raises:
            StartFromRefusedError: the response is a 400, and `start_from` may be the reason.
        """
        given = {"prefix": self._root + prefix, "marker": marker, "startFrom": start_from}
        query = {"maxresults": str(limit), **{name: value for name, value in given.items() if value}}
        knows_stubs = self._knows(_FOLDER_STUBS)
        rows = await self._list_rows(query, prefix, with_metadata=knows_stubs)
        if rows.has_empty and not rows.hierarchical and not knows_stubs:
            rows = await self._list_rows(query, prefix, with_metadata=True)
            if rows.has_stubs:
                self._learn(_FOLDER_STUBS)
        if rows.next_marker and rows.next_marker == marker:
            raise listing_never_ends(self._labels, "lists the same again")
        return rows

    async def _list_rows(self, query: Mapping[str, str], prefix: str, *, with_metadata: bool) -> Rows:
        try:
            return await self._get_list(
                {**query, "include": "metadata"} if with_metadata else query,
                lambda body: read_rows(body, self._root, prefix),
                MAX_METADATA_LIST_BODY_BYTES if with_metadata else MAX_LIST_BODY_BYTES,
            )
        except PrefixIgnoredError:
            raise prefix_ignored(self._labels) from None

    async def _get_list(
        self, query: Mapping[str, str], parse: Callable[[bytes], T], max_body_bytes: int = MAX_LIST_BODY_BYTES
    ) -> T:
        response = await self._send(
            UnsignedRequest("GET", self._container.path, {"comp": "list", "restype": "container", **query}),
            max_body_bytes=max_body_bytes,
            should_retry=should_retry_list,
        )
        if response.status == 400 and "startFrom" in query:
            raise StartFromRefusedError(named=b"startFrom" in response.body)
        if response.status != 200:
            raise self._error(response, Operation.LIST)
        return await parse_page(
            response,
            self._context(Operation.LIST),
            parse,
            is_cut_short=is_cut_short(response.body, FORM),
            is_big=is_big(response.body),
        )

    async def _list_from(self, prefix: str, after: Key, limit: int, token: str) -> StorePage | None:
        """Return the page after a key by `startFrom`; None if the server does not support it or ignored it here."""
        try:
            # With a marker, the previous page ended at the key, which is listed again. A split point need not exist.
            rows = await self._list(prefix, limit + 1 if token else limit, start_from=self._root + after)
        except StartFromRefusedError as refused:
            if refused.named:
                self._learn(_NO_START_FROM)
            return None
        if rows.first == after:
            return to_store_page(rows.without_first(), limit, after)
        if rows.first is not None and is_before(rows.first, after):
            # The server does not support it, and started at the beginning.
            self._learn(_NO_START_FROM)
            return None if token else to_store_page(rows, limit, after, skipping=True)
        # The key was removed meanwhile. Only the marker tells which rows follow it in the server's order.
        return None if token else to_store_page(rows, limit, after, skipping=rows.first is None)

    async def _send(
        self,
        unsigned: UnsignedRequest,
        *,
        max_body_bytes: int = MAX_ERROR_BODY_BYTES,
        should_retry: Callable[[Response], bool] = is_transient,
    ) -> Response:
        version = OLDER_VERSION if self._knows(_OLDER_VERSION_ONLY) else VERSION
        response = await self._send_as(version, unsigned, max_body_bytes, should_retry)
        if version == VERSION and refuses_version(response):
            self._learn(_OLDER_VERSION_ONLY)
            response = await self._send_as(OLDER_VERSION, unsigned, max_body_bytes, should_retry)
        return response

    async def _send_as(
        self,
        version: str,
        unsigned: UnsignedRequest,
        max_body_bytes: int,
        should_retry: Callable[[Response], bool],
    ) -> Response:
        container, credentials = self._container, self._credentials
        headers: Mapping[str, str] = {**unsigned.headers, VERSION_HEADER: version}
        query = encode_query(unsigned.query)
        if isinstance(credentials, SharedKey):
            headers = sign_headers(unsigned._replace(headers=headers), credentials, self._clock())
        else:
            query = f"{query}&{credentials.query}" if query else credentials.query
        request = Request(
            method=unsigned.method,
            origin=container.origin,
            target=f"{unsigned.path}?{query}" if query else unsigned.path,
            headers=headers,
            body=unsigned.body,
            is_operator_endpoint=container.is_operator_endpoint,
            max_body_bytes=max_body_bytes,
            should_retry=should_retry,
            provider="azure",
        )
        try:
            return await self._transport.request(request)
        except LocationInvalidError as error:
            if not container.has_account_host:
                raise
            # A missing account has a host name that DNS does not know.
            other = f", or give its host in another cloud, such as {container.account}.{CLOUD_DOMAINS[1]}"
            raise LocationInvalidError(
                f"{error.message}. The host name is derived from {self._labels.access_key_id}: check that this "
                f"storage account exists{other if container.origin.host.endswith(PUBLIC_DOMAIN) else ''}"
            ) from None

    def _path(self, key: Key) -> str:
        return f"{self._container.path}/{encode_path(self._root + key)}"

    def _knows(self, fact: str) -> bool:
        return self._transport.knows(
            self._container.origin, fact, is_operator_endpoint=self._container.is_operator_endpoint
        )

    def _learn(self, fact: str) -> None:
        self._transport.learn(self._container.origin, fact, is_operator_endpoint=self._container.is_operator_endpoint)

    def _context(self, operation: Operation) -> OperationContext:
        return OperationContext(operation, self._container.name, self._root, self._labels, AZURE)

    def _error(self, response: Response, operation: Operation) -> StoreError:
        error, credentials = read_error(response, operation), self._credentials
        if isinstance(credentials, Sas):
            if error.code in ("AuthenticationFailed", "AuthorizationFailure"):
                expires = credentials.expires
                if expires is not None and expires <= self._clock():
                    error = error._replace(rule_code="AuthenticationFailed by its time")
            elif (
                operation is Operation.WRITE
                and error.code == "AuthorizationPermissionMismatch"
                and credentials.allows("c")
                and credentials.allows("w") is False
            ):
                # It may create blobs and was refused, so the blob exists. Only Azure itself has a code for that.
                error = error._replace(rule_code="UnauthorizedBlobOverwrite")
        return to_store_error(error, self._context(operation), credentials.secrets)
