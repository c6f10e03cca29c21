"""S3, and every store that speaks its protocol.

Listings go on by key (`start-after`), not by the provider's token: a page deep in a bucket is one request, as the
first is. Wire facts are from the Amazon S3 API reference (ListObjectsV2, ListObjects, GetObject, PutObject,
DeleteObject).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from headwater.domain.datasource import ObsConfig, S3Config
from headwater.domain.errors import CredentialsRefusedError, StoreError
from headwater.domain.objects import Key, StorePage
from headwater.net.transport import Response, Transport, byte_range, is_transient, read_range
from headwater.stores.base import Method, Store
from headwater.stores.error_mapping import (
    ConfigLabels,
    Operation,
    OperationContext,
    Provider,
    explain_said,
)
from headwater.stores.listing_xml import MAX_ERROR_BODY, is_big, is_cut_short, parse_list_page
from headwater.stores.page_checks import read_list_answer
from headwater.stores.s3 import sigv4
from headwater.stores.s3.bucket import S3Bucket, aws_bucket, endpoint_place
from headwater.stores.s3.error_codes import S3, is_dead_session, may_lack_version_2
from headwater.stores.s3.listing import VERSION_1, VERSION_2, AskedPage, StartAfterIgnoredError, Version, read_page
from headwater.stores.s3.sigv4 import Credentials, Presigner

MAX_LIST_BODY = 5 * 2**20
"""Bytes of a list page: a thousand keys of 1,024 bytes, each byte percent-encoded, are 4 MB."""

OPERATOR_ENDPOINT = "HEADWATER_S3_ENDPOINT"


def open_s3(config: S3Config, transport: Transport, operator_endpoint: str | None = None) -> S3Store:
    """Open the datasource of a bucket of Amazon S3.

    Args:
        config: the datasource.
        transport: what requests go through.
        operator_endpoint: where S3 lives on this server, from `HEADWATER_S3_ENDPOINT`; None is Amazon.

    Raises:
        LocationInvalidError: bucket or endpoint cannot be used.
    """
    place = config.location
    where, endpoint = s3_bucket(place.bucket, config.region, operator_endpoint)
    return S3Store(
        transport,
        where,
        place.prefix,
        static(Credentials(config.access_key_id, config.secret_access_key.get_secret_value())),
        ConfigLabels("S3", "s3AccessKeyId", "s3SecretAccessKey", endpoint, region="s3Region"),
        kms_key=config.kms_key,
    )


def open_obs(config: ObsConfig, transport: Transport) -> S3Store:
    """Open the datasource of a bucket of an S3-compatible store.

    Raises:
        LocationInvalidError: bucket or endpoint cannot be used.
    """
    place = config.location
    return S3Store(
        transport,
        endpoint_place(config.endpoint, "obsEndpoint", place.bucket, None, operator=False),
        place.prefix,
        static(Credentials(config.access_key_id, config.secret_access_key.get_secret_value())),
        ConfigLabels("OBS", "obsAccessKeyId", "obsSecretAccessKey", "obsEndpoint"),
    )


def s3_bucket(bucket: str, region: str, operator_endpoint: str | None) -> tuple[S3Bucket, str]:
    """A bucket of Amazon S3, or of what the operator has put in its stead.

    Returns:
        the bucket, and the member or setting that decides where requests go, for error texts.

    Raises:
        LocationInvalidError: bucket or endpoint cannot be used.
    """
    if operator_endpoint:
        place = endpoint_place(operator_endpoint, OPERATOR_ENDPOINT, bucket, region, operator=True)
        return place, OPERATOR_ENDPOINT
    return aws_bucket(bucket, region), "s3Region"


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
        refused: takes note that the store does not take a session any more, and answers whether `credentials` may
            give another one; None where they stay the same.
        provider: how refusals are explained.
        clock: gives Unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        place: S3Bucket,
        root: str,
        credentials: CredentialSource,
        names: ConfigLabels,
        *,
        kms_key: str | None = None,
        refused: Callable[[Credentials], bool] | None = None,
        provider: Provider = S3,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._place = place
        self._root = root
        self._credentials = credentials
        self._names = names
        self._kms_key = kms_key
        self._refused = refused
        self._provider = provider
        self._clock = clock

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """List one page; see `Store.list_page`.

        Raises:
            LocationInvalidError: also where the server does not list in key order or begins a page elsewhere than
                requested, since listings would then be endless or silently incomplete.
        """
        if after is None and not prefix and self._root:
            # Leaves out the marker object of the root itself, which has no name relative to it.
            after = ""
        place = self._place
        lacks_version_2 = f"no ListObjectsV2: {place.bucket}"
        refusal: StoreError | None = None
        if not self._transport.knows(place.operator, place.origin, lacks_version_2):
            try:
                return await self._list(prefix, after, limit, VERSION_2)
            except (StartAfterIgnoredError, _ListV2UnsupportedError) as error:
                refusal = error.refusal
                if not place.any_server:
                    raise refusal from None
        # Servers without ListObjectsV2 say so, or take the request for one of version 1 and ignore start-after.
        try:
            page = await self._list(prefix, after, limit, VERSION_1)
        except StartAfterIgnoredError as error:
            raise refusal or error.refusal from None
        self._transport.learn(place.operator, place.origin, lacks_version_2)
        return page

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Presign a request for each key; see `Store.sign`.

        Raises:
            CredentialsRefusedError: the credentials have expired.
        """
        credentials = await self._credentials()
        now = self._clock()
        life = sigv4.life(ttl, credentials, now)
        if life < 1:
            raise CredentialsRefusedError("The session has expired: new credentials are needed", "ExpiredToken")
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

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Read a part of an object; see `Store.read`."""
        answer = await self._send(
            "GET",
            self._path(key),
            headers={"range": byte_range(start, limit)},
            max_body=start + limit + MAX_ERROR_BODY,
        )
        if answer.response.status in (200, 206, 416):
            return read_range(answer.response, start, limit)
        raise self._refusal(answer, Operation.READ)

    async def write(self, key: Key, data: bytes) -> None:
        """Create or replace an object; see `Store.write`."""
        headers = {}
        if self._kms_key is not None:
            headers["x-amz-server-side-encryption"] = "aws:kms"
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = self._kms_key
        answer = await self._send("PUT", self._path(key), headers=headers, body=data)
        if answer.response.status not in (200, 201, 204):
            raise self._refusal(answer, Operation.WRITE)

    async def delete(self, key: Key) -> None:
        """Remove an object; see `Store.delete`."""
        answer = await self._send("DELETE", self._path(key))
        if answer.response.status not in (200, 202, 204):
            error = self._refusal(answer, Operation.DELETE)
            if error.provider_code != "NoSuchKey":
                raise error

    async def _list(self, prefix: str, after: Key | None, limit: int, version: Version) -> StorePage:
        query = {
            **version.query,
            "encoding-type": "url",
            "max-keys": str(min(limit, self.list_limit)),
            "prefix": self._root + prefix,
        }
        if after is not None:
            query[version.start] = self._root + after
        answer = await self._send(
            "GET",
            self._place.bucket_path or "/",
            query=query,
            max_body=MAX_LIST_BODY,
            should_retry=_should_retry_list,
        )
        response = answer.response
        if response.status != 200:
            refusal = self._refusal(answer, Operation.LIST)
            if version is VERSION_2 and may_lack_version_2(response):
                raise _ListV2UnsupportedError(refusal)
            raise refusal
        asked = AskedPage(self._place.bucket, self._root, prefix, after, limit, version, self._names)
        return await read_list_answer(
            response,
            self._asked(Operation.LIST),
            lambda body: _read(body, asked),
            cut_short=is_cut_short(response.body),
            big=is_big(response.body),
        )

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_body: int = MAX_ERROR_BODY,
        should_retry: Callable[[Response], bool] = is_transient,
    ) -> _Answer:
        encoded = sigv4.encode_query(query or {})

        async def send(used: Credentials) -> _Answer:
            signed = self._sign_headers(method, path, encoded, headers or {}, body, used)
            place = self._place
            response = await self._transport.request(
                method,
                place.origin,
                f"{path}?{encoded}" if encoded else path,
                signed,
                body,
                operator=place.operator,
                max_body=max_body,
                should_retry=should_retry,
            )
            return _Answer(response, used)

        answer = await send(await self._credentials())
        # Once: a session that was only just fetched is not given up, so that this costs no fetch for each request.
        if self._refused is not None and is_dead_session(answer.response) and self._refused(answer.used):
            answer = await send(await self._credentials())
        return answer

    def _sign_headers(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, used: Credentials
    ) -> dict[str, str]:
        place = self._place
        # They go into headers, where a line break would be another header.
        for value, member in ((used.access_key_id, self._names.access_key_id), (self._kms_key or "", "KMS key")):
            if not value.isascii() or not value.isprintable() or " " in value:
                raise CredentialsRefusedError(
                    f"{member}: holds characters that it cannot have. Check how it was copied"
                )
        return sigv4.sign_headers(
            method,
            place.origin.authority,
            path,
            query,
            headers,
            hashlib.sha256(body).hexdigest(),
            used,
            place.region,
            "s3",
            self._clock(),
        )

    def _path(self, key: Key) -> str:
        return f"{self._place.bucket_path}/{sigv4.encode_path(self._root + key)}"

    def _asked(self, operation: Operation) -> OperationContext:
        return OperationContext(operation, self._place.bucket, self._root, self._names, self._provider)

    def _refusal(self, answer: _Answer, operation: Operation) -> StoreError:
        used = answer.used
        said = self._provider.read(answer.response, operation)
        if said.code == "TemporaryRedirect" and said.region not in ("", self._place.region):
            # Not a new bucket on its way to its region, but one of another region.
            said = said._replace(row="PermanentRedirect")
        secrets = (used.secret_access_key, used.session_token or "", used.access_key_id)
        return explain_said(said, self._asked(operation), secrets)


class _Answer(NamedTuple):
    """A response, and whose signature the request had."""

    response: Response
    used: Credentials


class _ListV2UnsupportedError(Exception):
    """What the server answered may mean that it has no ListObjectsV2; `refusal` is what it means otherwise."""

    def __init__(self, refusal: StoreError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _read(body: bytes, asked: AskedPage) -> StorePage:
    return read_page(parse_list_page(body), asked)


def _should_retry_list(response: Response) -> bool:
    return is_transient(response) or (response.status == 200 and is_cut_short(response.body))
