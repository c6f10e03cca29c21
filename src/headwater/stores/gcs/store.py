"""Google Cloud Storage.

Listings resume by key (`startOffset`), not by the provider's token, so that a page deep in a bucket costs one request.

Source: the reference of Cloud Storage's JSON API (Objects: list, get, insert, delete).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

from headwater.domain.datasource import GcsConfig
from headwater.domain.errors import ObjectNotFoundError
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.domain.times import parse_object_time
from headwater.net.refreshing import RefreshingCache
from headwater.net.transport import Request, Response, Transport, byte_range, read_range
from headwater.net.urls import encode_query, encode_value
from headwater.stores.base import Method, Store
from headwater.stores.error_mapping import (
    MAX_ERROR_BODY_BYTES,
    ConfigLabels,
    Operation,
    OperationContext,
    error_from_response,
)
from headwater.stores.gcs import signing as gcs_signing
from headwater.stores.gcs.bucket import OPERATOR_ENDPOINT, GcsBucket, gcs_bucket
from headwater.stores.gcs.credentials import AccessTokens, KeyFile, read_key_file
from headwater.stores.gcs.error_codes import GCS, is_transient_error
from headwater.stores.gcs.listing import is_cut_short, parse_list_page, read_folders, read_generation
from headwater.stores.gcs.signing import UrlSigner
from headwater.stores.page_checks import (
    BIG_PAGE_BYTES,
    MAX_KEY_BYTES,
    MAX_OBJECT_BYTES,
    NotAListingError,
    impossible_size,
    key_too_long,
    keys_out_of_order,
    listing_never_ends,
    parse_page,
    prefix_ignored,
    start_ignored,
)

MAX_LIST_BODY_BYTES = 8 * 2**20
"""Bytes of a list page: a thousand keys of 1,024 bytes, each byte written as `\\u0001`, are 6.2 MB."""

MAX_TOKEN_LENGTH = 4096
"""Characters of a page token: one that holds a key of 1,024 bytes in base64 has 1,400."""

CONFIGURED = ConfigLabels("GCS", "client_email in gcsCredentials", "gcsCredentials", OPERATOR_ENDPOINT)
"""How error texts call what a user has configured."""

_FIELDS = "kind,items(name,size,timeCreated,etag,generation),nextPageToken"

T = TypeVar("T")


def open_gcs(
    config: GcsConfig, transport: Transport, tokens: RefreshingCache[str], operator_endpoint: str | None
) -> GcsStore:
    """Open the datasource of a bucket of Cloud Storage. Nothing is contacted.

    Args:
        config: the datasource.
        transport: sends the requests. Its egress rules say which hosts besides Google's may be sent assertions.
        tokens: keeps access tokens.
        operator_endpoint: as for `gcs_bucket`.

    Raises:
        CredentialsRefusedError: the key file is not that of a service account.
        LocationInvalidError: the bucket or the key file's `token_uri` is invalid.
    """
    location = config.location
    key_file = read_key_file(config.credentials.get_secret_value(), CONFIGURED.secret_access_key, transport.egress)
    return GcsStore(
        transport, gcs_bucket(location.bucket, operator_endpoint), location.prefix, key_file, tokens, CONFIGURED
    )


class GcsStore(Store):
    """A bucket, under a root prefix.

    Args:
        transport: sends the requests.
        bucket: the bucket and its address.
        root: the key prefix of the datasource, empty or ending in `/`.
        key_file: of the service account.
        tokens: keeps access tokens.
        labels: what error texts call the members that a user would change.
        clock: returns Unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        bucket: GcsBucket,
        root: str,
        key_file: KeyFile,
        tokens: RefreshingCache[str],
        labels: ConfigLabels,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._bucket = bucket
        self._root = root
        self._key_file = key_file
        self._tokens = AccessTokens(transport, key_file, labels.secret_access_key, tokens, clock)
        self._labels = labels
        self._clock = clock
        self._objects_path = f"/storage/v1/b/{bucket.name}/o"

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """List one page; see `Store.list_page`.

        The marker is Cloud Storage's page token. Only a page without objects has one; after all others the listing
        resumes by key.

        Raises:
            LocationInvalidError: also if the server does not list in key order or ignores `startOffset`, because
                listings would then be endless or silently incomplete.
        """
        if after is None and not prefix and self._root:
            # Leaves out the marker object of the root itself, which has no name relative to it.
            after = ""
        limit = min(limit, self.list_limit)
        # `startOffset` includes the key itself.
        max_results = limit if after is None else min(limit + 1, self.list_limit)
        query = {
            "prefix": self._root + prefix,
            "maxResults": str(max_results),
            "fields": _FIELDS,
            "prettyPrint": "false",
        }
        if after is not None:
            query["startOffset"] = self._root + after
        if marker is not None:
            query["pageToken"] = marker
        return await self._get_list(query, lambda body: self._read_page(body, prefix, after, limit, marker))

    @property
    def root(self) -> str:
        """The path of the root in the bucket; see `Store.root`."""
        return self._root

    async def list_folders(self, path: str) -> list[str]:
        """Return names of folders; see `Store.list_folders`."""
        query = {"prefix": path, "delimiter": "/", "maxResults": str(self.list_limit), "fields": "kind,prefixes"}
        return await self._get_list(query, lambda body: read_folders(body, path))

    async def _get_list(self, query: Mapping[str, str], parse: Callable[[bytes], T]) -> T:
        response = await self._send(
            Operation.LIST,
            _Call("GET", self._objects_path, query),
            max_body_bytes=MAX_LIST_BODY_BYTES,
            should_retry=_should_retry_list,
        )
        return await parse_page(
            response,
            self._context(Operation.LIST),
            parse,
            is_cut_short=is_cut_short(response.body),
            is_big=len(response.body) >= BIG_PAGE_BYTES,
        )

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Sign a request for each key; see `Store.sign`.

        Raises:
            CredentialsRefusedError: the private key cannot be read.
        """
        root = self._root
        signer = UrlSigner(
            self._bucket,
            self._key_file.email,
            await self._key_file.private_key(self._labels.secret_access_key),
            min(ttl, gcs_signing.MAX_TTL_SECONDS),
            self._clock(),
            method,
        )
        return await gcs_signing.sign(signer, [root + key for key in keys] if root else keys)

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Read a part of an object; see `Store.read`."""
        # Without gzip among the encodings, Cloud Storage decompresses gzip objects and ignores the range.
        headers = {"range": byte_range(start, limit), "accept-encoding": "gzip"}
        response = await self._send(
            Operation.READ,
            _Call("GET", self._object_path(key), {"alt": "media"}, headers),
            max_body_bytes=start + limit + MAX_ERROR_BODY_BYTES,
            expected=(200, 206, 416),
        )
        return read_range(response, start, limit)

    async def write(self, key: Key, data: bytes) -> str | None:
        """Create or replace an object; see `Store.write`.

        Raises:
            OverwriteRefusedError: replacing needs storage.objects.delete as well, or the bucket keeps its objects.
        """
        query = {"uploadType": "media", "name": self._root + key}
        headers = {"content-type": "application/octet-stream"}
        response = await self._send(
            Operation.WRITE,
            _Call("POST", f"/upload{self._objects_path}", query, headers, data),
            expected=(200, 201),
        )
        return read_generation(response.body)

    async def delete(self, key: Key) -> None:
        """Remove an object; see `Store.delete`. A bucket with Object Versioning keeps it as a noncurrent version."""
        await self._delete(key, {})

    async def delete_version(self, key: Key, version: str) -> None:
        """Delete one version of an object; see `Store.delete_version`. One that was replaced may be gone already."""
        await self._delete(key, {"generation": version})

    async def _delete(self, key: Key, query: dict[str, str]) -> None:
        try:
            await self._send(Operation.DELETE, _Call("DELETE", self._object_path(key), query), expected=(200, 204))
        except ObjectNotFoundError:
            pass

    async def _send(
        self,
        operation: Operation,
        call: _Call,
        *,
        max_body_bytes: int = MAX_ERROR_BODY_BYTES,
        expected: Collection[int] = (200,),
        should_retry: Callable[[Response], bool] = is_transient_error,
    ) -> Response:
        """Send a request with an access token, and return the response if its status is expected."""
        bucket = self._bucket
        encoded = encode_query({name: value for name, value in call.query.items() if value})
        target = f"{bucket.base_path}{call.path}?{encoded}" if encoded else bucket.base_path + call.path

        async def send(token: str) -> Response:
            request = Request(
                method=call.method,
                origin=bucket.origin,
                target=target,
                headers={**call.headers, "authorization": f"Bearer {token}"},
                body=call.body,
                is_operator_endpoint=bucket.is_operator_endpoint,
                max_body_bytes=max_body_bytes,
                should_retry=should_retry,
                provider="gcs",
                # A media upload replaces the whole object.
                is_idempotent=True,
            )
            return await self._transport.request(request)

        token = await self._tokens.get()
        response = await send(token)
        if response.status == 401 and self._tokens.report_refused(token):
            # The token may have been revoked early. If the new one is refused as well, that is the result.
            token = await self._tokens.get()
            response = await send(token)
        if response.status not in expected:
            raise error_from_response(response, self._context(operation), (token,))
        return response

    def _read_page(self, body: bytes, prefix: str, after: Key | None, limit: int, marker: str | None) -> StorePage:
        page = parse_list_page(body)
        start = self._root + prefix
        root_length = len(self._root)
        offset = last = None if after is None else self._root + after
        objects: list[StoredObject] = []
        for found in page.items:
            key = found.name
            # A character has at most four bytes.
            if len(key) > MAX_KEY_BYTES // 4 and len(key.encode()) > MAX_KEY_BYTES:
                raise key_too_long()
            # Python compares strings by code point, which is the order of their UTF-8 bytes.
            if last is not None and key <= last:
                if key == offset and not objects:
                    offset = None
                    continue
                raise keys_out_of_order(self._labels) if objects else start_ignored(self._labels, "startOffset")
            if not key.startswith(start):
                raise prefix_ignored(self._labels)
            last = key
            size, created = _size(found.size), _time(found.time_created)
            # The ETag also changes with the metadata, the generation only with the content.
            objects.append(StoredObject(key[root_length:], size, created, found.etag, found.generation))
        token = page.next_page_token
        if len(objects) > limit:
            del objects[limit:]
            return StorePage(objects, objects[-1].key)
        if not token:
            return StorePage(objects, None)
        if objects:
            return StorePage(objects, objects[-1].key)
        if token == marker or len(token) > MAX_TOKEN_LENGTH:
            raise listing_never_ends(self._labels)
        return StorePage([], after or "", marker=token)

    def _object_path(self, key: Key) -> str:
        return f"{self._objects_path}/{encode_value(self._root + key)}"

    def _context(self, operation: Operation) -> OperationContext:
        return OperationContext(operation, self._bucket.name, self._root, self._labels, GCS)


class _Call(NamedTuple):
    """A request without its access token. `path` is percent-encoded, `query` is not; empty values are left out."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""


def _should_retry_list(response: Response) -> bool:
    return is_transient_error(response) or (response.status == 200 and is_cut_short(response.body))


def _size(text: str) -> int:
    # `int` also accepts digits that are not ASCII, and takes long for thousands of them.
    size = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not 0 <= size <= MAX_OBJECT_BYTES:
        raise impossible_size()
    return size


def _time(text: str) -> int:
    try:
        return parse_object_time(text, require_zone=True)
    except ValueError:
        raise NotAListingError("an object of an unreadable time") from None
