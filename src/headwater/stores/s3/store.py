"""S3, and every store that speaks its protocol.

Listings resume by key (`start-after`), not by the provider's token, so that a page deep in a bucket takes one request
like the first page. Wire facts are from the Amazon S3 API reference (ListObjectsV2, ListObjects, GetObject, PutObject,
DeleteObject).
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from headwater.domain.datasource import ObsConfig, S3Config
from headwater.domain.errors import CredentialsRefusedError, StoreError
from headwater.domain.objects import Key, StorePage
from headwater.domain.text import strip_pasted
from headwater.net.transport import Response, Transport, byte_range, is_transient, read_range
from headwater.net.urls import encode_path
from headwater.stores.base import Method, Store
from headwater.stores.error_mapping import (
    MAX_ERROR_BODY_BYTES,
    ConfigLabels,
    Operation,
    OperationContext,
    to_store_error,
)
from headwater.stores.listing_xml import is_big, is_cut_short
from headwater.stores.page_checks import parse_page
from headwater.stores.s3 import sigv4
from headwater.stores.s3.bucket import S3Bucket, aws_bucket, endpoint_bucket
from headwater.stores.s3.error_codes import S3, may_lack_version_2
from headwater.stores.s3.listing import (
    FORM,
    VERSION_1,
    VERSION_2,
    ListRequest,
    StartAfterIgnoredError,
    Version,
    read_folders,
    read_page,
)
from headwater.stores.s3.sender import Call, CredentialSource, Exchange, Sender, check_header_value
from headwater.stores.s3.sigv4 import Credentials, Presigner

MAX_LIST_BODY_BYTES = 5 * 2**20
"""A thousand keys of 1,024 bytes, each byte percent-encoded, have 4 MB."""

OPERATOR_ENDPOINT = "HEADWATER_S3_ENDPOINT"

T = TypeVar("T")


def open_s3(config: S3Config, transport: Transport, operator_endpoint: str | None = None) -> S3Store:
    """Open the datasource of a bucket of Amazon S3.

    Args:
        config: the datasource.
        transport: sends the requests.
        operator_endpoint: the S3 of this server, from `HEADWATER_S3_ENDPOINT`; None is Amazon's.

    Raises:
        LocationInvalidError: the bucket or the endpoint is invalid.
    """
    location = config.location
    bucket, endpoint_label = s3_bucket(location.bucket, config.region, operator_endpoint)
    return S3Store(
        transport,
        bucket,
        location.prefix,
        _configured_credentials(config),
        ConfigLabels("S3", "s3AccessKeyId", "s3SecretAccessKey", endpoint_label, region_label(endpoint_label)),
        kms_key=config.kms_key,
    )


def open_obs(config: ObsConfig, transport: Transport) -> S3Store:
    """Open the datasource of a bucket of an S3-compatible store.

    Raises:
        LocationInvalidError: the bucket or the endpoint is invalid.
    """
    location = config.location
    return S3Store(
        transport,
        endpoint_bucket(config.endpoint, "obsEndpoint", location.bucket, None, is_operator_endpoint=False),
        location.prefix,
        _configured_credentials(config),
        ConfigLabels("OBS", "obsAccessKeyId", "obsSecretAccessKey", "obsEndpoint"),
    )


def _configured_credentials(config: S3Config | ObsConfig) -> StaticCredentials:
    key_id = strip_pasted(config.access_key_id)
    return StaticCredentials(Credentials(key_id, config.secret_access_key.get_secret_value()))


def s3_bucket(bucket: str, region: str, operator_endpoint: str | None) -> tuple[S3Bucket, str]:
    """Return a bucket of Amazon S3, or of the store that the operator uses instead.

    Returns:
        the bucket, and the member or setting that decides where requests go, for error texts.

    Raises:
        LocationInvalidError: the bucket or the endpoint is invalid.
    """
    if operator_endpoint:
        found = endpoint_bucket(operator_endpoint, OPERATOR_ENDPOINT, bucket, region, is_operator_endpoint=True)
        return found, OPERATOR_ENDPOINT
    return aws_bucket(bucket, region), "s3Region"


def region_label(endpoint_label: str) -> str | None:
    """Return the member that holds the region; None if the endpoint that the operator uses instead decides it."""
    return None if endpoint_label == OPERATOR_ENDPOINT else endpoint_label


class StaticCredentials:
    """A `CredentialSource` whose credentials never change."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def credentials(self) -> Credentials:
        """Return the credentials."""
        return self._credentials

    def report_refused(self, credentials: Credentials) -> bool:
        """Return False: there are no others."""
        return False


class S3Store(Store):
    """A bucket, under a root prefix.

    Args:
        transport: sends the requests.
        bucket: the bucket and its address.
        root: the key prefix of the datasource, empty or ending in `/`.
        credentials: provides what requests and URLs are signed with.
        labels: what error texts call the members that a user would change.
        kms_key: the ARN of the KMS key that encrypts written objects; None for the bucket's default.
        clock: returns Unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        bucket: S3Bucket,
        root: str,
        credentials: CredentialSource,
        labels: ConfigLabels,
        *,
        kms_key: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sender = Sender(transport, bucket, credentials, labels.access_key_id, clock)
        self._bucket = bucket
        self._root = root
        self._credentials = credentials
        self._labels = labels
        self._kms_key = kms_key
        self._clock = clock

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """List one page; see `Store.list_page`.

        Only a page without keys has a marker, the server's continuation token; after all others the listing resumes by
        key.

        Raises:
            LocationInvalidError: also if the server does not list in key order, or begins a page at another key than
                requested: listings would be endless or silently incomplete.
        """
        if after is None and not prefix and self._root:
            # Leaves out the folder marker of the root itself, which has no key relative to the root.
            after = ""
        if marker is not None:
            version = VERSION_1 if marker.startswith(VERSION_1.mark) else VERSION_2
            try:
                return await self._list(prefix, after, limit, version, marker)
            except (StartAfterIgnoredError, _ListV2UnsupportedError) as error:
                raise error.store_error from None
        store_error: StoreError | None = None
        if not self._sender.knows(self._version_2_fact):
            try:
                return await self._list(prefix, after, limit, VERSION_2)
            except (StartAfterIgnoredError, _ListV2UnsupportedError) as error:
                store_error = error.store_error
                if not self._bucket.is_custom_endpoint:
                    raise store_error from None
        # A server without ListObjectsV2 says so, or treats the request as version 1 and ignores start-after.
        try:
            page = await self._list(prefix, after, limit, VERSION_1)
        except StartAfterIgnoredError as error:
            raise store_error or error.store_error from None
        self._sender.learn(self._version_2_fact)
        return page

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Presign a request for each key; see `Store.sign`.

        If the region of the bucket is not known yet, the server is asked first.

        Raises:
            CredentialsRefusedError: the credentials have expired.
        """
        credentials = await self._credentials.credentials()
        now = self._clock()
        life = sigv4.url_life(ttl, credentials, now)
        if life < 1:
            raise CredentialsRefusedError("The session has expired: new credentials are needed", "ExpiredToken")
        bucket = await self._sender.bucket_to_sign_for(self._root, credentials)
        presigner = Presigner(bucket, credentials, life, now, method)
        root = self._root
        return presigner.sign([root + key for key in keys] if root else keys)

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Read a part of an object; see `Store.read`."""
        exchange = await self._sender.send(
            Call("GET", self._path(key), headers={"range": byte_range(start, limit)}),
            max_body_bytes=start + limit + MAX_ERROR_BODY_BYTES,
        )
        if exchange.response.status in (200, 206, 416):
            return read_range(exchange.response, start, limit)
        raise self._error(exchange, Operation.READ)

    async def write(self, key: Key, data: bytes) -> str | None:
        """Create or replace an object; see `Store.write`."""
        # A bucket with Object Lock requires a checksum.
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        headers = {"content-md5": base64.b64encode(digest).decode()}
        if self._kms_key is not None:
            check_header_value(self._kms_key, "KMS key")
            headers["x-amz-server-side-encryption"] = "aws:kms"
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = self._kms_key
        exchange = await self._sender.send(Call("PUT", self._path(key), headers=headers, body=data))
        if exchange.response.status not in (200, 201, 204):
            raise self._error(exchange, Operation.WRITE)
        return exchange.response.headers.get("x-amz-version-id")

    async def delete(self, key: Key) -> None:
        """Remove an object; see `Store.delete`. A bucket that keeps versions keeps them, under a delete marker."""
        await self._delete(key, {})

    async def delete_version(self, key: Key, version: str) -> None:
        """Delete one version of an object; see `Store.delete_version`."""
        await self._delete(key, {"versionId": version})

    async def _delete(self, key: Key, query: dict[str, str]) -> None:
        exchange = await self._sender.send(Call("DELETE", self._path(key), query=query))
        if exchange.response.status not in (200, 202, 204):
            error = self._error(exchange, Operation.DELETE)
            if error.provider_code != "NoSuchKey":
                raise error

    @property
    def root(self) -> str:
        """The path of the root in the bucket; see `Store.root`."""
        return self._root

    async def list_folders(self, path: str) -> list[str]:
        """Return names of folders; see `Store.list_folders`."""
        if not self._sender.knows(self._version_2_fact):
            try:
                return await self._list_folders(path, VERSION_2)
            except _ListV2UnsupportedError as error:
                if not self._bucket.is_custom_endpoint:
                    raise error.store_error from None
        return await self._list_folders(path, VERSION_1)

    async def _list_folders(self, path: str, version: Version) -> list[str]:
        query = {**version.query, "delimiter": "/", "encoding-type": "url", "max-keys": str(self.list_limit)}
        return await self._get_list({**query, "prefix": path}, version, lambda body: read_folders(body, path))

    async def _list(
        self, prefix: str, after: Key | None, limit: int, version: Version, marker: str | None = None
    ) -> StorePage:
        limit = min(limit, self.list_limit)
        asked = ListRequest(self._bucket.name, self._root, prefix, after, limit, version, self._labels, marker)
        return await self._get_list(asked.query, version, lambda body: read_page(body, asked))

    async def _get_list(self, query: Mapping[str, str], version: Version, parse: Callable[[bytes], T]) -> T:
        exchange = await self._sender.send(
            Call("GET", self._bucket.path or "/", query=query),
            max_body_bytes=MAX_LIST_BODY_BYTES,
            should_retry=_should_retry_list,
        )
        response = exchange.response
        if response.status != 200:
            error = self._error(exchange, Operation.LIST)
            if version is VERSION_2 and may_lack_version_2(response):
                raise _ListV2UnsupportedError(error)
            raise error
        return await parse_page(
            response,
            self._context(Operation.LIST),
            parse,
            is_cut_short=is_cut_short(response.body, FORM),
            is_big=is_big(response.body),
        )

    def _path(self, key: Key) -> str:
        return f"{self._bucket.path}/{encode_path(self._root + key)}"

    @property
    def _version_2_fact(self) -> str:
        return f"no ListObjectsV2: {self._bucket.name}"

    def _context(self, operation: Operation) -> OperationContext:
        return OperationContext(operation, self._bucket.name, self._root, self._labels, S3)

    def _error(self, exchange: Exchange, operation: Operation) -> StoreError:
        credentials = exchange.credentials
        error = S3.read_error(exchange.response, operation)
        if error.code == "TemporaryRedirect" and error.region not in ("", exchange.region):
            # Not a new bucket on its way to its region, but a bucket of another region.
            error = error._replace(rule_code="PermanentRedirect")
        secrets = (credentials.secret_access_key, credentials.session_token or "", credentials.access_key_id)
        return to_store_error(error, self._context(operation), secrets)


class _ListV2UnsupportedError(Exception):
    """The response may mean that the server lacks ListObjectsV2. If it does not, `store_error` is its meaning."""

    def __init__(self, store_error: StoreError) -> None:
        super().__init__(store_error.message)
        self.store_error = store_error


def _should_retry_list(response: Response) -> bool:
    return is_transient(response) or (response.status == 200 and is_cut_short(response.body, FORM))
