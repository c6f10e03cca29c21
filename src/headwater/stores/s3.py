"""S3, and every store that speaks its protocol.

Listings go on by key (`start-after`), not by the provider's token: a page deep in a bucket is one request, as the
first is. Wire facts are from the Amazon S3 API reference (ListObjectsV2, GetObject, PutObject, DeleteObject).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from calendar import timegm
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from headwater.domain.datasource import ObsConfig, S3Config
from headwater.domain.errors import CredentialsRefused, PlaceInvalid, StoreError, StoreUnavailable
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.stores import sigv4
from headwater.stores.base import Method, Store
from headwater.stores.listing_xml import MAX_ERROR_BODY, NotAListing, is_cut_short, parse_list_page
from headwater.stores.refusals import Asked, Names, Operation, does_not_speak, explain, is_html, shown
from headwater.stores.s3_answers import S3
from headwater.stores.s3_place import S3Place, aws_place, endpoint_place
from headwater.stores.sigv4 import Credentials, Presigner
from headwater.stores.transport import Response, Transport, is_passing

MAX_LIST_BODY = 5 * 2**20
"""Bytes of a list page: a thousand keys of 1,024 bytes, each byte percent-encoded, are 4 MB."""

MAX_KEY = 1024
"""Bytes of UTF-8 ("Naming Amazon S3 objects")."""

MAX_SIZE = 2**63 - 1
BIG_PAGE = 2**20
"""Bytes of a list page from which it is read in a thread, so as not to hold up everybody's requests. A thousand
keys of usual length are a third of that, and a thread would only delay them."""

OPERATOR_ENDPOINT = "HEADWATER_S3_ENDPOINT"


def open_s3(config: S3Config, transport: Transport, operator_endpoint: str | None = None) -> S3Store:
    """Open the datasource of a bucket of Amazon S3.

    Args:
        config: the datasource.
        transport: what requests go through.
        operator_endpoint: where S3 lives on this server, from `HEADWATER_S3_ENDPOINT`; None is Amazon.

    Raises:
        PlaceInvalid: bucket or endpoint cannot be used.
    """
    place = config.place
    if operator_endpoint:
        where = endpoint_place(operator_endpoint, OPERATOR_ENDPOINT, place.bucket, config.region, operator=True)
        endpoint = OPERATOR_ENDPOINT
    else:
        where, endpoint = aws_place(place.bucket, config.region), "s3Region"
    return S3Store(
        transport,
        where,
        place.prefix,
        static(Credentials(config.access_key_id, config.secret_access_key.get_secret_value())),
        Names("S3", "s3AccessKeyId", "s3SecretAccessKey", endpoint, region="s3Region"),
        kms_key=config.kms_key,
    )


def open_obs(config: ObsConfig, transport: Transport) -> S3Store:
    """Open the datasource of a bucket of an S3-compatible store.

    Raises:
        PlaceInvalid: bucket or endpoint cannot be used.
    """
    place = config.place
    return S3Store(
        transport,
        endpoint_place(config.endpoint, "obsEndpoint", place.bucket, None, operator=False),
        place.prefix,
        static(Credentials(config.access_key_id, config.secret_access_key.get_secret_value())),
        Names("OBS", "obsAccessKeyId", "obsSecretAccessKey", "obsEndpoint"),
    )


CredentialSource = Callable[[], Awaitable[Credentials]]
"""Gives the credentials to sign with now; raises StoreError where there are none to be had."""


def static(credentials: Credentials) -> CredentialSource:
    """A source of credentials that stay the same."""

    async def source() -> Credentials:
        return credentials

    return source


class S3Store(Store):
    """A bucket, below a root prefix.

    Args:
        transport: what requests go through.
        place: the bucket and its address.
        root: the key prefix of the datasource, empty or ending in `/`.
        credentials: gives what requests and URLs are signed with.
        names: how error texts call the members that a user would change.
        kms_key: the ARN of the KMS key that written objects are encrypted with, None for the bucket's default.
        clock: gives Unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        place: S3Place,
        root: str,
        credentials: CredentialSource,
        names: Names,
        *,
        kms_key: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._place = place
        self._root = root
        self._credentials = credentials
        self._names = names
        self._kms_key = kms_key
        self._clock = clock

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """List one page; see `Store.list_page`.

        Raises:
            PlaceInvalid: also where the server does not list in key order or ignores `start-after`, since
                listings would then be endless or silently incomplete.
        """
        if after is None and not prefix and self._root:
            # Leaves out the marker object of the root itself, which has no name relative to it.
            after = ""
        query = {
            "list-type": "2",
            "encoding-type": "url",
            "max-keys": str(min(limit, self.list_limit)),
            "prefix": self._root + prefix,
        }
        if after is not None:
            query["start-after"] = self._root + after
        response = await self._send(
            "GET",
            self._place.bucket_path or "/",
            query=query,
            max_body=MAX_LIST_BODY,
            again=_is_passing_or_cut_short,
        )
        if response.status != 200:
            raise await self._refusal(response, Operation.LIST)
        asked = self._asked(Operation.LIST)
        if is_html(response):
            raise does_not_speak(asked, "a web page")
        if is_cut_short(response.body):
            raise StoreUnavailable(f"{self._names.store} broke a list page off, several times. Try again")
        try:
            if len(response.body) < BIG_PAGE:
                return self._read_page(response.body, prefix, after, limit)
            return await asyncio.to_thread(self._read_page, response.body, prefix, after, limit)
        except NotAListing as error:
            raise does_not_speak(asked, str(error)) from None

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Presign a request for each key; see `Store.sign`.

        Raises:
            CredentialsRefused: the credentials have expired.
        """
        credentials = await self._credentials()
        now = self._clock()
        life = sigv4.life(ttl, credentials, now)
        if life < 1:
            raise CredentialsRefused("The session has expired: new credentials are needed", "ExpiredToken")
        place, root = self._place, self._root
        presigner = Presigner(
            str(place.origin),
            place.origin.authority,
            place.bucket_path,
            credentials,
            place.region,
            life,
            now,
            method,
        )
        return presigner.sign([root + key for key in keys] if root else keys)

    async def read(self, key: Key, limit: int) -> bytes:
        """Read the start of an object; see `Store.read`."""
        response = await self._send(
            "GET",
            self._path(key),
            headers={"range": f"bytes=0-{max(limit, 1) - 1}"},
            max_body=limit + MAX_ERROR_BODY,
        )
        if response.status in (200, 206):
            return response.body[:limit]
        if response.status == 416:
            # An empty object has no byte 0 (RFC 9110, section 15.5.17).
            return b""
        raise await self._refusal(response, Operation.READ)

    async def write(self, key: Key, data: bytes) -> None:
        """Create or replace an object; see `Store.write`."""
        headers = {}
        if self._kms_key is not None:
            headers["x-amz-server-side-encryption"] = "aws:kms"
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = self._kms_key
        response = await self._send("PUT", self._path(key), headers=headers, body=data)
        if response.status not in (200, 201, 204):
            raise await self._refusal(response, Operation.WRITE)

    async def delete(self, key: Key) -> None:
        """Remove an object; see `Store.delete`."""
        response = await self._send("DELETE", self._path(key))
        if response.status not in (200, 202, 204):
            error = await self._refusal(response, Operation.DELETE)
            if error.provider_code != "NoSuchKey":
                raise error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_body: int = MAX_ERROR_BODY,
        again: Callable[[Response], bool] = is_passing,
    ) -> Response:
        place = self._place
        credentials = await self._credentials()
        # They go into headers, where a line break would be another header.
        for value, member in ((credentials.access_key_id, self._names.access_key_id), (self._kms_key or "", "KMS key")):
            if not value.isascii() or not value.isprintable() or " " in value:
                raise CredentialsRefused(f"{member}: holds characters that it cannot have. Check how it was copied")
        encoded = sigv4.encode_query(query or {})
        signed = sigv4.sign_headers(
            method,
            place.origin.authority,
            path,
            encoded,
            headers or {},
            hashlib.sha256(body).hexdigest(),
            credentials,
            place.region,
            "s3",
            self._clock(),
        )
        return await self._transport.request(
            method,
            place.origin,
            f"{path}?{encoded}" if encoded else path,
            signed,
            body,
            operator=place.operator,
            max_body=max_body,
            again=again,
        )

    def _read_page(self, body: bytes, prefix: str, after: Key | None, limit: int) -> StorePage:
        page = parse_list_page(body)
        url_encoded = page.page.get("EncodingType") == "url"
        truncated = page.page.get("IsTruncated", "").lower() == "true"
        start = self._root + prefix
        cut = len(self._root)
        last = None if after is None else self._root + after
        objects: list[StoredObject] = []
        unreadable = unreadable_so_far = 0
        for row in page.rows:
            try:
                key = row["Key"]
                size, modified = int(row["Size"]), _seconds(row["LastModified"])
            except (KeyError, ValueError):
                raise NotAListing("an object without key, size or time") from None
            if size < 0 or size > MAX_SIZE:
                raise NotAListing("an object of impossible size")
            if url_encoded and ("%" in key or "+" in key):
                # S3 writes a blank as "+", others as "%20"; all of them write "+" as "%2B".
                name = unquote_to_bytes(key.replace("+", " "))
                if len(name) > MAX_KEY:
                    _refuse_long_key()
                try:
                    key = name.decode()
                except UnicodeDecodeError:
                    unreadable += 1
                    continue
            # A character takes four bytes at most.
            elif len(key) > MAX_KEY // 4 and len(key.encode()) > MAX_KEY:
                _refuse_long_key()
            # Python compares strings by code point, which is the order of their UTF-8 bytes.
            if last is not None and key <= last:
                self._refuse_order(first=not objects, after=after)
            if not key.startswith(start):
                raise PlaceInvalid(f"{self._names.store} ignores the prefix of a listing. Check {self._names.endpoint}")
            last = key
            unreadable_so_far = unreadable
            objects.append(StoredObject(key[cut:], size, modified, row.get("ETag", "").strip('"') or None))
        if not truncated and len(objects) <= limit:
            return StorePage(objects, None, unreadable)
        if not objects:
            if unreadable:
                raise PlaceInvalid(
                    f"{self._names.store} has {unreadable} names in a row that are not UTF-8 below "
                    f"{shown(f'{self._place.bucket}/{start}')}, and a listing cannot go on after them. Rename them"
                )
            raise StoreUnavailable(
                f"{self._names.store} says that a listing goes on, and lists nothing. It could never be finished"
            )
        # Names passed over behind the last readable one come again in the next page, and are counted there.
        del objects[limit:]
        return StorePage(objects, objects[-1].key, unreadable_so_far)

    def _refuse_order(self, *, first: bool, after: Key | None) -> NoReturn:
        if first and after is not None:
            raise PlaceInvalid(
                f"{self._names.store} at this endpoint does not support start-after: a listing would begin anew "
                f"with each page. Check {self._names.endpoint}"
            )
        raise PlaceInvalid(
            f"{self._names.store} at this endpoint does not list objects in the order of their keys, so that a "
            f"listing could not go on where it stopped. Check {self._names.endpoint}"
        )

    def _path(self, key: Key) -> str:
        return f"{self._place.bucket_path}/{sigv4.encode_path(self._root + key)}"

    def _asked(self, operation: Operation) -> Asked:
        return Asked(operation, self._place.bucket, self._root, self._names, S3)

    async def _refusal(self, response: Response, operation: Operation) -> StoreError:
        used = await self._credentials()
        secrets = (used.secret_access_key, used.session_token or "", used.access_key_id)
        return explain(response, self._asked(operation), secrets)


def _is_passing_or_cut_short(response: Response) -> bool:
    return is_passing(response) or (response.status == 200 and is_cut_short(response.body))


def _refuse_long_key() -> NoReturn:
    raise NotAListing(f"a key of more than {MAX_KEY} bytes")


def _seconds(text: str) -> int:
    """Read `2024-01-02T03:04:05.678Z`, floored to whole Unix seconds.

    Raises:
        ValueError: it is no time.
    """
    if len(text) >= 20 and text[-1] == "Z" and text[16] == ":":
        return _hour(text[:14]) + int(text[14:16]) * 60 + int(text[17:19])
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp() // 1))


@lru_cache(maxsize=4096)
def _hour(text: str) -> int:
    return max(0, timegm(time.strptime(text, "%Y-%m-%dT%H:")))
