"""Google Cloud Storage.

Listings go on by key (`startOffset`), not by the provider's token: a page deep in a bucket is one request, as the first
is. Wire facts are from the reference of Cloud Storage's JSON API (Objects: list, get, insert, delete).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NoReturn
from urllib.parse import quote, urlencode

from headwater.domain.datasource import GcsConfig
from headwater.domain.errors import LocationInvalidError, ObjectNotFoundError, StoreUnavailableError
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.net.egress import Egress
from headwater.net.refreshing import RefreshingCache
from headwater.net.transport import Origin, Response, Transport, byte_range, parse_endpoint, read_range
from headwater.stores.base import Method, Store
from headwater.stores.error_mapping import ConfigLabels, Operation, OperationContext, explain
from headwater.stores.gcs import signing as gcs_signing
from headwater.stores.gcs.credentials import AccessTokens, KeyFile, read_key_file
from headwater.stores.gcs.error_codes import (
    GCS,
    is_cut_short,
    is_passing_refusal,
    read_list_page,
)
from headwater.stores.gcs.signing import UrlSigner
from headwater.stores.listing_xml import MAX_ERROR_BODY, NotAListingError
from headwater.stores.page_checks import read_list_answer

MAX_LIST_BODY = 8 * 2**20
"""Bytes of a list page: a thousand keys of 1,024 bytes, each byte written as `\\u0001`, are 6.2 MB."""

MAX_KEY = 1024
"""Bytes of UTF-8 ("About Cloud Storage objects")."""

MAX_SIZE = 2**63 - 1
MAX_TOKEN = 4096
"""Characters of a page token: one that holds a key of 1,024 bytes in base64 has 1,400."""

BIG_PAGE = 2**20
"""Bytes of a list page from which it is read in a thread, so as not to hold up everybody's requests."""

OPERATOR_ENDPOINT = "HEADWATER_GCS_ENDPOINT"
GOOGLE = "https://storage.googleapis.com"
CONFIGURED = ConfigLabels("GCS", "client_email in gcsCredentials", "gcsCredentials", OPERATOR_ENDPOINT)
"""How error texts call what a user has configured."""

_FIELDS = "kind,items(name,size,timeCreated,etag),nextPageToken"
_bucket = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*(?<=[a-z0-9])").fullmatch
_ip_address = re.compile(r"\d+\.\d+\.\d+\.\d+").fullmatch


@dataclass(frozen=True, slots=True)
class GcsBucket:
    """A bucket at its address.

    `base` is what precedes all paths of the endpoint, percent-encoded and usually empty. `operator` is true where the
    operator of this server named the endpoint, so that egress rules do not apply.
    """

    origin: Origin
    base: str
    bucket: str
    operator: bool = False


def gcs_bucket(bucket: str, operator_endpoint: str | None = None, member: str = "fullPath") -> GcsBucket:
    """A bucket of Cloud Storage.

    Args:
        bucket: its name.
        operator_endpoint: where Cloud Storage lives on this server, from `HEADWATER_GCS_ENDPOINT`; None is Google.
        member: what holds the bucket's name, for the error text.

    Raises:
        LocationInvalidError: the bucket's name is not one that Cloud Storage gives ("About Cloud Storage buckets"),
            or the endpoint cannot be used.
    """
    parts = bucket.split(".")
    longest = 63 if len(parts) == 1 else 222
    if not 3 <= len(bucket) <= longest or max(map(len, parts)) > 63 or not _bucket(bucket) or _ip_address(bucket):
        raise LocationInvalidError(
            f"{member}: the bucket's name is not one that Cloud Storage allows: 3 to 63 lower-case letters, digits, "
            "'-' and '_', or with dots several such parts of 222 characters together"
        )
    origin, base = parse_endpoint(operator_endpoint or GOOGLE, OPERATOR_ENDPOINT)
    return GcsBucket(origin, base, bucket, operator=operator_endpoint is not None)


def open_gcs(
    config: GcsConfig, transport: Transport, tokens: RefreshingCache[str], egress: Egress, operator_endpoint: str | None
) -> GcsStore:
    """Open the datasource of a bucket of Cloud Storage. Cheap: nothing is contacted.

    Args:
        config: the datasource.
        transport: what requests go through.
        tokens: keeps access tokens.
        egress: says which hosts beside Google's may be asked for tokens.
        operator_endpoint: as for `gcs_place`.

    Raises:
        CredentialsRefusedError: the key file is none of a service account.
        LocationInvalidError: the bucket or the key file's `token_uri` cannot be used.
    """
    place = config.location
    return GcsStore(
        transport,
        gcs_bucket(place.bucket, operator_endpoint),
        place.prefix,
        read_key_file(config.credentials.get_secret_value(), CONFIGURED.secret_access_key, egress),
        tokens,
        CONFIGURED,
    )


class GcsStore(Store):
    """A bucket, below a root prefix.

    Args:
        transport: what requests go through.
        place: the bucket and its address.
        root: the key prefix of the datasource, empty or ending in `/`.
        key_file: of the service account.
        tokens: keeps access tokens.
        names: how error texts call the members that a user would change.
        clock: gives Unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        place: GcsBucket,
        root: str,
        key_file: KeyFile,
        tokens: RefreshingCache[str],
        names: ConfigLabels,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._place = place
        self._root = root
        self._key_file = key_file
        self._tokens = AccessTokens(transport, key_file, names.secret_access_key, tokens, clock)
        self._names = names
        self._clock = clock
        self._objects = f"/storage/v1/b/{place.bucket}/o"

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """List one page; see `Store.list_page`.

        The marker is Cloud Storage's page token, and there is one only after a page without any object: all others
        are gone on after by key.

        Raises:
            LocationInvalidError: also where the server does not list in key order or ignores `startOffset`,
                since listings would then be endless or silently incomplete.
        """
        if after is None and not prefix and self._root:
            # Leaves out the marker object of the root itself, which has no name relative to it.
            after = ""
        limit = min(limit, self.list_limit)
        # `startOffset` includes the key itself.
        most = limit if after is None else min(limit + 1, self.list_limit)
        query = {"prefix": self._root + prefix, "maxResults": str(most), "fields": _FIELDS, "prettyPrint": "false"}
        if after is not None:
            query["startOffset"] = self._root + after
        if marker is not None:
            query["pageToken"] = marker
        response = await self._send(
            Operation.LIST,
            "GET",
            self._objects,
            query,
            max_body=MAX_LIST_BODY,
            should_retry=_should_retry_list,
        )
        return await read_list_answer(
            response,
            self._asked(Operation.LIST),
            lambda body: self._read_page(body, prefix, after, limit, marker),
            cut_short=is_cut_short(response.body),
            big=len(response.body) >= BIG_PAGE,
        )

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Sign a request for each key; see `Store.sign`.

        Raises:
            CredentialsRefusedError: the private key cannot be read.
        """
        place, root = self._place, self._root
        signer = UrlSigner(
            f"{place.origin}{place.base}",
            place.origin.authority,
            place.bucket,
            self._key_file.email,
            await self._key_file.private_key(self._names.secret_access_key),
            min(ttl, gcs_signing.MAX_TTL),
            self._clock(),
            method,
        )
        return await gcs_signing.sign(signer, [root + key for key in keys] if root else keys)

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Read a part of an object; see `Store.read`."""
        response = await self._send(
            Operation.READ,
            "GET",
            self._object(key),
            {"alt": "media"},
            # Without gzip among them, Cloud Storage unpacks what is stored with that encoding, and ignores the range.
            headers={"range": byte_range(start, limit), "accept-encoding": "gzip"},
            max_body=start + limit + MAX_ERROR_BODY,
            good=(200, 206, 416),
        )
        return read_range(response, start, limit)

    async def write(self, key: Key, data: bytes) -> None:
        """Create or replace an object; see `Store.write`.

        Raises:
            OverwriteRefusedError: replacing needs storage.objects.delete as well, or the bucket keeps its objects.
        """
        await self._send(
            Operation.WRITE,
            "POST",
            f"/upload{self._objects}",
            {"uploadType": "media", "name": self._root + key},
            headers={"content-type": "application/octet-stream"},
            body=data,
            good=(200, 201),
        )

    async def delete(self, key: Key) -> None:
        """Remove an object; see `Store.delete`."""
        try:
            await self._send(Operation.DELETE, "DELETE", self._object(key), {}, good=(200, 204))
        except ObjectNotFoundError:
            pass

    async def _send(
        self,
        operation: Operation,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_body: int = MAX_ERROR_BODY,
        good: Collection[int] = (200,),
        should_retry: Callable[[Response], bool] = is_passing_refusal,
    ) -> Response:
        """Send a request with an access token, and return its answer where the status is a good one."""
        place = self._place
        encoded = urlencode({name: value for name, value in query.items() if value}, safe="~", quote_via=quote)
        target = f"{place.base}{path}?{encoded}" if encoded else place.base + path

        async def send(token: str) -> Response:
            return await self._transport.request(
                method,
                place.origin,
                target,
                {**(headers or {}), "authorization": f"Bearer {token}"},
                body,
                operator=place.operator,
                max_body=max_body,
                should_retry=should_retry,
                # A media upload replaces what is there, whole.
                idempotent=True,
            )

        token = await self._tokens.get()
        response = await send(token)
        if response.status == 401 and self._tokens.refused(token):
            # It may have been revoked early. Once: a second refusal is an answer.
            token = await self._tokens.get()
            response = await send(token)
        if response.status not in good:
            raise explain(response, self._asked(operation), (token,))
        return response

    def _read_page(self, body: bytes, prefix: str, after: Key | None, limit: int, marker: str | None) -> StorePage:
        page = read_list_page(body)
        start = self._root + prefix
        cut = len(self._root)
        offset = last = None if after is None else self._root + after
        objects: list[StoredObject] = []
        for found in page.items:
            key = found.name
            # A character takes four bytes at most.
            if len(key) > MAX_KEY // 4 and len(key.encode()) > MAX_KEY:
                raise NotAListingError(f"a key of more than {MAX_KEY} bytes")
            # Python compares strings by code point, which is the order of their UTF-8 bytes.
            if last is not None and key <= last:
                if key == offset and not objects:
                    offset = None
                    continue
                self._refuse_order(first=not objects)
            if not key.startswith(start):
                raise LocationInvalidError(
                    f"{self._names.store} ignores the prefix of a listing. Check {self._names.endpoint}"
                )
            last = key
            objects.append(StoredObject(key[cut:], _size(found.size), _seconds(found.time_created), found.etag))
        token = page.next_page_token
        if len(objects) > limit:
            del objects[limit:]
            return StorePage(objects, objects[-1].key)
        if not token:
            return StorePage(objects, None)
        if objects:
            return StorePage(objects, objects[-1].key)
        if token == marker or len(token) > MAX_TOKEN:
            raise StoreUnavailableError(
                f"{self._names.store} says that a listing goes on, and lists nothing. It could never be finished"
            )
        return StorePage([], after or "", marker=token)

    def _refuse_order(self, *, first: bool) -> NoReturn:
        if first:
            raise LocationInvalidError(
                f"{self._names.store} at this endpoint does not support startOffset: a listing would begin anew with "
                f"each page. Check {self._names.endpoint}"
            )
        raise LocationInvalidError(
            f"{self._names.store} at this endpoint does not list objects in the order of their keys, so that a "
            f"listing could not go on where it stopped. Check {self._names.endpoint}"
        )

    def _object(self, key: Key) -> str:
        return f"{self._objects}/{quote(self._root + key, safe='~')}"

    def _asked(self, operation: Operation) -> OperationContext:
        return OperationContext(operation, self._place.bucket, self._root, self._names, GCS)


def _should_retry_list(response: Response) -> bool:
    return is_passing_refusal(response) or (response.status == 200 and is_cut_short(response.body))


def _size(text: str) -> int:
    # Digits that are not ASCII are no digits of JSON's, and thousands of them take a while to read.
    size = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not 0 <= size <= MAX_SIZE:
        raise NotAListingError("an object of impossible size")
    return size


def _seconds(text: str) -> int:
    """Read `2024-01-02T03:04:05.678Z`, floored to whole Unix seconds."""
    try:
        if len(text) >= 20 and text[-1] == "Z" and text[16] == ":":
            return max(0, _minute(text[:17]) + int(text[17:19]))
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return max(0, int(moment.replace(microsecond=0).timestamp()))
    except (ValueError, OverflowError):
        raise NotAListingError("an object of an unreadable time") from None


@lru_cache(maxsize=4096)
def _minute(text: str) -> int:
    """Unix seconds of `2024-01-02T03:04:`: objects are uploaded many at a time, and reading a date takes long."""
    return int(datetime.fromisoformat(f"{text}00Z").timestamp())
