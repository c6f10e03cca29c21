"""S3, and every store that speaks its protocol.

Listings resume by key (`start-after`), not by the provider's token, so that a page deep in a bucket takes one request
like the first page. Wire facts are from the Amazon S3 API reference (ListObjectsV2, ListObjects, GetObject, PutObject,
DeleteObject).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from headwater.domain.datasource import ObsConfig, S3Config
from headwater.domain.errors import CredentialsRefusedError, StoreError
from headwater.domain.objects import Key, StorePage
from headwater.domain.text import strip_pasted
from headwater.net.transport import Request, Response, Transport, byte_range, is_transient, read_range
from headwater.net.urls import encode_path, encode_query
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
from headwater.stores.s3.error_codes import S3, is_session_refused, may_lack_version_2
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
from headwater.stores.s3.sigv4 import Credentials, Presigner, UnsignedRequest

MAX_LIST_BODY_BYTES = 5 * 2**20
"""A thousand keys of 1,024 bytes, each byte percent-encoded, have 4 MB."""

OPERATOR_ENDPOINT = "HEADWATER_S3_ENDPOINT"


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
        ConfigLabels("S3", "s3AccessKeyId", "s3SecretAccessKey", endpoint_label, region="s3Region"),
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


class CredentialSource(Protocol):
    """Provides the credentials to sign with."""

    async def credentials(self) -> Credentials:
        """Return the credentials to sign with now.

        Raises:
            StoreError: no credentials are available.
        """

    def report_refused(self, credentials: Credentials) -> bool:
        """Record that the store refused a session, and return whether `credentials` may now return another one."""


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
        self._transport = transport
        self._bucket = bucket
        self._root = root
        self._credentials = credentials
        self._labels = labels
        self._kms_key = kms_key
        self._clock = clock

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """List one page; see `Store.list_page`.

        Raises:
            LocationInvalidError: also if the server does not list in key order, or begins a page at another key than
                requested: listings would be endless or silently incomplete.
        """
        if after is None and not prefix and self._root:
            # Leaves out the folder marker of the root itself, which has no key relative to the root.
            after = ""
        store_error: StoreError | None = None
        if not self._lacks_version_2():
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
        self._learn_lack_of_version_2()
        return page

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Presign a request for each key; see `Store.sign`.

        Raises:
            CredentialsRefusedError: the credentials have expired.
        """
        credentials = await self._credentials.credentials()
        now = self._clock()
        life = sigv4.url_life(ttl, credentials, now)
        if life < 1:
            raise CredentialsRefusedError("The session has expired: new credentials are needed", "ExpiredToken")
        presigner = Presigner(self._bucket, credentials, life, now, method)
        root = self._root
        return presigner.sign([root + key for key in keys] if root else keys)

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Read a part of an object; see `Store.read`."""
        exchange = await self._send(
            _Call("GET", self._path(key), headers={"range": byte_range(start, limit)}),
            max_body_bytes=start + limit + MAX_ERROR_BODY_BYTES,
        )
        if exchange.response.status in (200, 206, 416):
            return read_range(exchange.response, start, limit)
        raise self._error(exchange, Operation.READ)

    async def write(self, key: Key, data: bytes) -> None:
        """Create or replace an object; see `Store.write`."""
        headers = {}
        if self._kms_key is not None:
            headers["x-amz-server-side-encryption"] = "aws:kms"
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = self._kms_key
        exchange = await self._send(_Call("PUT", self._path(key), headers=headers, body=data))
        if exchange.response.status not in (200, 201, 204):
            raise self._error(exchange, Operation.WRITE)

    async def delete(self, key: Key) -> None:
        """Remove an object; see `Store.delete`."""
        exchange = await self._send(_Call("DELETE", self._path(key)))
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
        query = {**VERSION_2.query, "delimiter": "/", "encoding-type": "url", "max-keys": str(self.list_limit)}
        exchange = await self._send(
            _Call("GET", self._bucket.path or "/", query={**query, "prefix": path}),
            max_body_bytes=MAX_LIST_BODY_BYTES,
        )
        if exchange.response.status != 200:
            raise self._error(exchange, Operation.LIST)
        return await parse_page(
            exchange.response,
            self._context(Operation.LIST),
            lambda body: read_folders(body, path),
            is_cut_short=is_cut_short(exchange.response.body, FORM),
            is_big=is_big(exchange.response.body),
        )

    async def _list(self, prefix: str, after: Key | None, limit: int, version: Version) -> StorePage:
        query = {
            **version.query,
            "encoding-type": "url",
            "max-keys": str(min(limit, self.list_limit)),
            "prefix": self._root + prefix,
        }
        if after is not None:
            query[version.start] = self._root + after
        exchange = await self._send(
            _Call("GET", self._bucket.path or "/", query=query),
            max_body_bytes=MAX_LIST_BODY_BYTES,
            should_retry=_should_retry_list,
        )
        response = exchange.response
        if response.status != 200:
            error = self._error(exchange, Operation.LIST)
            if version is VERSION_2 and may_lack_version_2(response):
                raise _ListV2UnsupportedError(error)
            raise error
        request = ListRequest(self._bucket.name, self._root, prefix, after, limit, version, self._labels)
        return await parse_page(
            response,
            self._context(Operation.LIST),
            lambda body: read_page(body, request),
            is_cut_short=is_cut_short(response.body, FORM),
            is_big=is_big(response.body),
        )

    async def _send(
        self,
        call: _Call,
        *,
        max_body_bytes: int = MAX_ERROR_BODY_BYTES,
        should_retry: Callable[[Response], bool] = is_transient,
    ) -> _Exchange:
        query = encode_query(call.query)

        async def send(credentials: Credentials) -> _Exchange:
            request = Request(
                method=call.method,
                origin=self._bucket.origin,
                target=f"{call.path}?{query}" if query else call.path,
                headers=self._sign_headers(call, query, credentials),
                body=call.body,
                is_operator_endpoint=self._bucket.is_operator_endpoint,
                max_body_bytes=max_body_bytes,
                should_retry=should_retry,
            )
            return _Exchange(await self._transport.request(request), credentials)

        exchange = await send(await self._credentials.credentials())
        # Once: a session that was fetched a moment ago is kept, so that not every request costs a fetch.
        if is_session_refused(exchange.response) and self._credentials.report_refused(exchange.credentials):
            exchange = await send(await self._credentials.credentials())
        return exchange

    def _sign_headers(self, call: _Call, query: str, credentials: Credentials) -> dict[str, str]:
        # Both become headers, in which a line break would start another header.
        for value, member in (
            (credentials.access_key_id, self._labels.access_key_id),
            (self._kms_key or "", "KMS key"),
        ):
            if not value.isascii() or not value.isprintable() or " " in value:
                raise CredentialsRefusedError(
                    f"{member}: holds characters that it cannot have. Check how it was copied"
                )
        payload_hash = hashlib.sha256(call.body).hexdigest()
        authority = self._bucket.origin.authority
        request = UnsignedRequest(call.method, authority, call.path, query, call.headers, payload_hash)
        return sigv4.sign_headers(request, credentials, self._bucket.region, self._clock())

    def _path(self, key: Key) -> str:
        return f"{self._bucket.path}/{encode_path(self._root + key)}"

    @property
    def _version_2_fact(self) -> str:
        return f"no ListObjectsV2: {self._bucket.name}"

    def _lacks_version_2(self) -> bool:
        bucket = self._bucket
        return self._transport.knows(
            bucket.origin, self._version_2_fact, is_operator_endpoint=bucket.is_operator_endpoint
        )

    def _learn_lack_of_version_2(self) -> None:
        bucket = self._bucket
        self._transport.learn(bucket.origin, self._version_2_fact, is_operator_endpoint=bucket.is_operator_endpoint)

    def _context(self, operation: Operation) -> OperationContext:
        return OperationContext(operation, self._bucket.name, self._root, self._labels, S3)

    def _error(self, exchange: _Exchange, operation: Operation) -> StoreError:
        credentials = exchange.credentials
        error = S3.read_error(exchange.response, operation)
        if error.code == "TemporaryRedirect" and error.region not in ("", self._bucket.region):
            # Not a new bucket on its way to its region, but a bucket of another region.
            error = error._replace(rule_code="PermanentRedirect")
        secrets = (credentials.secret_access_key, credentials.session_token or "", credentials.access_key_id)
        return to_store_error(error, self._context(operation), secrets)


class _Call(NamedTuple):
    """A request before it is signed. `path` is percent-encoded, `query` is not."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""


class _Exchange(NamedTuple):
    """A response, and the credentials that the request was signed with."""

    response: Response
    credentials: Credentials


class _ListV2UnsupportedError(Exception):
    """The response may mean that the server lacks ListObjectsV2. If it does not, `store_error` is its meaning."""

    def __init__(self, store_error: StoreError) -> None:
        super().__init__(store_error.message)
        self.store_error = store_error


def _should_retry_list(response: Response) -> bool:
    return is_transient(response) or (response.status == 200 and is_cut_short(response.body, FORM))
