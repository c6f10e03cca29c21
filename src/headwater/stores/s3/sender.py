"""Sign and send requests to one bucket, for the region that its server expects.

A store that is not Amazon's may have a region of its own, which nobody has configured. It refuses the first request and
names the region: the request is sent again, once, and the region is remembered for the bucket.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Protocol

from headwater.domain.errors import CredentialsRefusedError, StoreError
from headwater.domain.s3_region import is_region
from headwater.net.refreshing import Expiring
from headwater.net.transport import Request, Response, Transport, is_transient
from headwater.net.urls import encode_query
from headwater.stores.error_mapping import MAX_ERROR_BODY_BYTES
from headwater.stores.s3 import sigv4
from headwater.stores.s3.bucket import S3Bucket
from headwater.stores.s3.error_codes import is_session_refused, is_signature_accepted, named_region
from headwater.stores.s3.sigv4 import Credentials, UnsignedRequest

ASK_SECONDS = 3.0
"""Time limit for finding out the region before URLs are signed. If it is not known then, the guessed one is used."""

ASK_PAUSE_SECONDS = 30.0
"""The pause, after the end of a request that did not tell the region, before the server is asked again."""


class CredentialSource(Protocol):
    """Provides the credentials to sign with."""

    async def credentials(self) -> Credentials:
        """Return the credentials to sign with now.

        Raises:
            StoreError: no credentials are available.
        """

    def report_refused(self, credentials: Credentials) -> bool:
        """Record that the store refused a session, and return whether `credentials` may now return another one."""


class Call(NamedTuple):
    """A request before it is signed. `path` is percent-encoded, `query` is not."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Exchange(NamedTuple):
    """A response, and what the request was signed with."""

    response: Response
    credentials: Credentials
    region: str


class Sender:
    """Sends the requests to one bucket. Its state, the region of the bucket, is kept by the transport.

    Args:
        transport: sends the requests.
        bucket: the bucket and its address.
        credentials: provides what requests are signed with.
        access_key_id_member: the config member that holds the id of the access key, for the error text.
        clock: returns Unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        bucket: S3Bucket,
        credentials: CredentialSource,
        access_key_id_member: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._bucket = bucket
        self._credentials = credentials
        self._access_key_id_member = access_key_id_member
        self._clock = clock

    async def send(
        self,
        call: Call,
        *,
        max_body_bytes: int = MAX_ERROR_BODY_BYTES,
        should_retry: Callable[[Response], bool] = is_transient,
    ) -> Exchange:
        """Sign and send a request; again, once, with another session or for another region if the server asks for it.

        Raises:
            StoreError: no credentials are available, or the server could not be reached.
        """

        async def send(region: str) -> Exchange:
            return await self._send_for(region, call, max_body_bytes, should_retry)

        exchange = await send(self._region)
        if self._bucket.is_region_fixed:
            return exchange
        named = named_region(exchange.response)
        if named is not None and named != exchange.region and is_region(named):
            other = await send(named)
            # If it is refused for its region as well, the first response says more.
            exchange = exchange if named_region(other.response) is not None else other
        if is_signature_accepted(exchange.response):
            self.learn(self._region_fact, exchange.region)
        return exchange

    async def bucket_to_sign_for(self, root: str, credentials: Credentials) -> S3Bucket:
        """Return the bucket with the region to sign URLs for. Nobody could correct a wrong one in a URL.

        If the region is only guessed and this process has not heard from the bucket yet, the server is asked. All
        callers wait for the same request, for `ASK_SECONDS` at most.

        Args:
            root: the key prefix of the datasource, which its credentials may be limited to.
            credentials: what the URLs are signed with. If these are wrong, others may still find out the region.
        """
        if self._bucket.is_region_guessed and not self.knows(self._region_fact):
            await self._transport.asked.get((self._bucket, credentials), lambda: self._ask(root))
        return replace(self._bucket, region=self._region)

    async def _ask(self, root: str) -> Expiring[None]:
        """Send a request whose response tells the region, and return for how long it is not sent again."""
        call = Call("GET", self._bucket.path or "/", {"list-type": "2", "max-keys": "1", "prefix": root})
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                await self.send(call, should_retry=lambda _: False)
        return Expiring(None, refresh_at=math.inf, expires_at=time.monotonic() + ASK_PAUSE_SECONDS)

    def knows(self, fact: str) -> bool:
        """Return whether `learn` recorded this fact about the server of the bucket."""
        return self._recall(fact) is not None

    def learn(self, fact: str, value: str = "") -> None:
        """Record a fact about the server of the bucket, for all requests of this process."""
        bucket = self._bucket
        self._transport.learn(bucket.origin, fact, value, is_operator_endpoint=bucket.is_operator_endpoint)

    def _recall(self, fact: str) -> str | None:
        bucket = self._bucket
        return self._transport.recall(bucket.origin, fact, is_operator_endpoint=bucket.is_operator_endpoint)

    @property
    def _region_fact(self) -> str:
        return f"region: {self._bucket.name}"

    @property
    def _region(self) -> str:
        known = None if self._bucket.is_region_fixed else self._recall(self._region_fact)
        return known or self._bucket.region

    async def _send_for(
        self, region: str, call: Call, max_body_bytes: int, should_retry: Callable[[Response], bool]
    ) -> Exchange:
        query = encode_query(call.query)

        async def send(credentials: Credentials) -> Exchange:
            request = Request(
                method=call.method,
                origin=self._bucket.origin,
                target=f"{call.path}?{query}" if query else call.path,
                headers=self._sign_headers(call, query, credentials, region),
                body=call.body,
                is_operator_endpoint=self._bucket.is_operator_endpoint,
                max_body_bytes=max_body_bytes,
                should_retry=should_retry,
                provider="s3",
            )
            return Exchange(await self._transport.request(request), credentials, region)

        exchange = await send(await self._credentials.credentials())
        # Once: a session that was fetched a moment ago is kept, so that not every request costs a fetch.
        if is_session_refused(exchange.response) and self._credentials.report_refused(exchange.credentials):
            exchange = await send(await self._credentials.credentials())
        return exchange

    def _sign_headers(self, call: Call, query: str, credentials: Credentials, region: str) -> dict[str, str]:
        check_header_value(credentials.access_key_id, self._access_key_id_member)
        payload_hash = hashlib.sha256(call.body).hexdigest()
        authority = self._bucket.origin.authority
        request = UnsignedRequest(call.method, authority, call.path, query, call.headers, payload_hash)
        return sigv4.sign_headers(request, credentials, region, self._clock())


def check_header_value(value: str, member: str) -> None:
    """Check that a value can become a part of a header, in which a line break would start another header.

    Raises:
        CredentialsRefusedError: it cannot; the text names the member.
    """
    if not value.isascii() or not value.isprintable() or " " in value:
        raise CredentialsRefusedError(f"{member}: holds characters that it cannot have. Check how it was copied")
