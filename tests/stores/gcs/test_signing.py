"""Our URLs are google-cloud-storage's, byte for byte, and signing them holds nobody up."""

from __future__ import annotations

import asyncio
import datetime
import threading
import time
from collections.abc import Sequence
from functools import cache
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud.storage import Client  # type: ignore[import-untyped]
from google.oauth2 import service_account
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.net.refreshing import RefreshingCache
from headwater.net.threads import DaemonExecutor, UserThreads
from headwater.net.transport import Transport
from headwater.net.users import working_for
from headwater.stores.gcs import signing as gcs_signing
from headwater.stores.gcs.bucket import GcsBucket, gcs_bucket
from headwater.stores.gcs.signing import UrlSigner
from headwater.testing.prepared import fetch
from tests.stores.gcs.bucket import open_store
from tests.stores.gcs.server import EMAIL, GcsServer, is_no_name, key_file, private_key
from tests.stores.s3.test_sigv4 import keys

NOW = datetime.datetime(2024, 2, 29, 23, 59, 58, tzinfo=datetime.UTC)

PLACES = {
    "google": gcs_bucket("my-bucket"),
    "dots": gcs_bucket("my.bucket_1"),
    "endpoint": gcs_bucket("my-bucket", "http://127.0.0.1:9000"),
    "base": gcs_bucket("my-bucket", "https://[::1]/base/"),
}


@cache
def client() -> Client:
    credentials = service_account.Credentials.from_service_account_info(key_file())
    return Client(project="test-project", credentials=credentials)


def signer(place: GcsBucket, ttl: int, method: str = "GET", now: float = NOW.timestamp()) -> UrlSigner:
    return UrlSigner(place, EMAIL, private_key(), ttl, now, method)


@pytest.mark.parametrize("name", PLACES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_signed_urls_equal_googles(name: str, data: st.DataObject) -> None:
    place = PLACES[name]
    own = f"{place.origin}{place.base_path}" if place.is_operator_endpoint else None
    method = data.draw(st.sampled_from(["GET", "HEAD", "PUT"]))
    some = data.draw(st.lists(keys, min_size=1, max_size=3))
    ttl = data.draw(st.integers(1, gcs_signing.MAX_TTL_SECONDS))
    with patch("google.cloud.storage._signing._NOW", return_value=NOW):
        expected = [
            client()
            .bucket(place.name)
            .blob(key)
            .generate_signed_url(version="v4", expiration=ttl, method=method, api_access_endpoint=own)
            for key in some
        ]
    assert signer(place, ttl, method).sign(some) == expected


@pytest.mark.parametrize("ttl", [0, -1, gcs_signing.MAX_TTL_SECONDS + 1])
def test_an_invalid_lifetime_is_not_signed(ttl: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        signer(PLACES["google"], ttl)


@settings(deadline=None, max_examples=40)
@given(
    some=st.lists(keys.filter(lambda key: len(key.encode()) <= 1024 and not is_no_name(key)), min_size=1, max_size=4)
)
def test_a_server_that_verifies_signatures_serves_odd_keys(some: list[str]) -> None:
    with GcsServer() as gcs:
        for key in some:
            gcs.put("bucket", key, key.encode())
        place = gcs_bucket("bucket", gcs.url)
        for key, url in zip(some, signer(place, 60, now=time.time()).sign(some), strict=True):
            assert fetch(url) == (200, key.encode())


async def test_a_url_is_valid_for_at_most_seven_days(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    now = time.time()
    store = open_store(transport, gcs, tokens, clock=lambda: now)
    gcs.put("bucket", "a")
    (url,) = await store.sign(["a"], 10**9)
    assert "X-Goog-Expires=604800&" in url
    gcs.now = lambda: now + 604_700
    assert fetch(url)[0] == 200
    gcs.now = lambda: now + 604_801
    status, body = fetch(url)
    assert (status, b"ExpiredToken" in body) == (400, True)


async def test_urls_are_signed_without_a_token(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    assert len(await open_store(transport, gcs, tokens).sign(["a", "b"], 60)) == 2
    assert await open_store(transport, gcs, tokens).sign([], 60) == []
    assert (gcs.token_requests, gcs.requests) == (0, [])


async def test_a_url_of_another_account_is_refused(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    """The server of the tests does verify what it is sent."""
    gcs.put("bucket", "a")
    place = gcs_bucket("bucket", gcs.url)
    stranger = UrlSigner(place, EMAIL, rsa.generate_private_key(65537, 2048), 60, time.time())
    (url,) = await gcs_signing.sign(stranger, ["a"])
    status, body = fetch(url)
    assert (status, b"SignatureDoesNotMatch" in body) == (403, True)


async def test_a_large_page_keeps_its_order_and_does_not_block_the_event_loop() -> None:
    """Signing a page of a thousand blocked all requests for most of a second."""
    place = PLACES["google"]
    names = [f"{number:04}.jpg" for number in range(1000)]
    working = asyncio.ensure_future(gcs_signing.sign(signer(place, 60), names))
    longest, turns = 0.0, 0
    last = time.perf_counter()
    while not working.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, turns, last = max(longest, now - last), turns + 1, now
    urls = working.result()
    assert [url.partition("?")[0].rpartition("/")[2] for url in urls] == names
    assert urls[500:502] == signer(place, 60).sign(names[500:502])
    assert turns > 20, "others went on meanwhile"
    assert longest < 0.3


async def test_a_small_page_does_not_wait_for_a_large_one() -> None:
    large = asyncio.ensure_future(gcs_signing.sign(signer(PLACES["google"], 60), ["a"] * 3000))
    await asyncio.sleep(0.05)
    await gcs_signing.sign(signer(PLACES["google"], 60), ["b"])
    assert not large.done()
    await large


async def test_cancelled_signing_stops() -> None:
    large = asyncio.ensure_future(gcs_signing.sign(signer(PLACES["google"], 60), ["a"] * 20_000))
    await asyncio.sleep(0.05)
    large.cancel()
    began = time.perf_counter()
    await gcs_signing.sign(signer(PLACES["google"], 60), ["b"] * 50)
    assert time.perf_counter() - began < 2


async def test_pages_of_one_user_do_not_keep_those_of_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred pages of one user were signed, part by part, between any two parts of another user's page."""
    monkeypatch.setattr(gcs_signing, "_threads", UserThreads(DaemonExecutor(1, "test"), gcs_signing.MAX_THREADS))
    begin, order = threading.Event(), list[str]()

    class Recording(UrlSigner):
        def sign(self, keys: Sequence[str]) -> list[str]:
            begin.wait(20)
            order.append(keys[0])
            return list(keys)

    recording = Recording(PLACES["google"], EMAIL, private_key(), 60, NOW.timestamp())
    tasks = []
    for user, pages in (("eve", 50), ("ada", 1)):
        with working_for(user):
            tasks += [asyncio.create_task(gcs_signing.sign(recording, [user] * 200)) for _ in range(pages)]
            await asyncio.sleep(0.02)
    begin.set()
    await asyncio.gather(*tasks)
    assert max(index for index, user in enumerate(order) if user == "ada") < 40
