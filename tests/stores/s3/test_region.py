"""Stores with a region of their own: it is learned from the store, or named by the endpoint.

rclone checks each signature for the region that the request names; the server in front of it checks the region.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from headwater.domain.datasource import ObsConfig, S3Config, parse_config
from headwater.domain.errors import LocationInvalidError, StoreError
from headwater.net.egress import Egress
from headwater.net.transport import MAX_FACTS, Transport
from headwater.stores.s3.sigv4 import Credentials
from headwater.stores.s3.store import S3Store, open_obs, open_s3
from headwater.testing.fault_proxy import Delay, FaultProxy, Request, Status
from tests.live import fetch as fetch_url
from tests.live import running
from tests.servers import KEY_ID, SECRET, free_port
from tests.stores.s3.server import answering, error_xml, fetch, list_all, list_xml, open_store

REGION = "RegionOne"


def region_of(request: Request) -> str:
    """Return the region that a request is signed for."""
    query = parse_qs(urlsplit(request.target).query)
    scope = request.headers.get("authorization") or query["X-Amz-Credential"][0]
    found = re.search(r"\d{8}/([^/]*)/s3/aws4_request", scope)
    assert found is not None
    return found[1]


def wants(region: str, refusal: Status) -> Callable[[Request], Status | None]:
    """Return what a server of this region does: refuse requests of others, forward its own."""
    return lambda request: None if region_of(request) == region else refusal


def malformed(region: str) -> Status:
    more = f"<Region>{region}</Region>"
    return Status(400, error_xml("AuthorizationHeaderMalformed", "The region is wrong.", more))


REFUSALS = {
    "region": malformed(REGION),
    "message": Status(
        400, error_xml("AuthorizationHeaderMalformed", f"the region 'us-east-1' is wrong; expecting '{REGION}'")
    ),
    "header": Status(301, b"", {"x-amz-bucket-region": REGION}),
}


@pytest.fixture
def server(rclone: str) -> Iterator[FaultProxy]:
    with FaultProxy(rclone, respond=wants(REGION, REFUSALS["region"])) as server:
        yield server


def other_process() -> Transport:
    """Return a transport that knows nothing."""
    return Transport(Egress.parse("127.0.0.1"))


@pytest.mark.parametrize("how", REFUSALS)
async def test_region_that_the_store_names_is_used(transport: Transport, rclone: str, how: str) -> None:
    """The error named the right region, and there was no way to set it."""
    with FaultProxy(rclone, respond=wants(REGION, REFUSALS[how])) as server:
        store = open_store(transport, server.url)
        await store.write("a.jpg", b"content")
        assert await store.read("a.jpg", 10) == b"content"
        assert [found.key for found in await list_all(store)] == ["a.jpg"]
        [url] = await store.sign(["a.jpg"], 60)
        assert fetch(url) == (200, b"content")
        assert [region_of(request) for request in server.requests] == ["us-east-1", *[REGION] * 4], "learned once"
        await open_store(transport, server.url).delete("a.jpg")
        assert region_of(server.requests[-1]) == REGION, "for all stores of the process"


async def test_urls_of_a_process_that_has_not_listed_are_signed_for_the_region(
    transport: Transport, server: FaultProxy
) -> None:
    """A server that had restarted gave out read URLs that the store refused, until the next listing."""
    await open_store(transport, server.url).write("signed.jpg", b"content")
    fresh = other_process()
    store = open_store(fresh, server.url)
    before = len(server.requests)
    [url] = await store.sign(["signed.jpg"], 60)
    assert [region_of(request) for request in server.requests[before:]] == ["us-east-1", REGION]
    assert fetch(url) == (200, b"content")
    before = len(server.requests)
    [url] = await store.sign(["signed.jpg"], 60, "PUT")
    assert len(server.requests) == before, "asked once"
    assert fetch(url, "PUT", b"new")[0] == 200
    await fresh.aclose()


async def test_concurrent_urls_after_a_start_wait_for_the_region(transport: Transport, server: FaultProxy) -> None:
    """Only the first caller waited for the region. All others got URLs for the guessed one, which the store refused."""
    await open_store(transport, server.url).write("many.jpg", b"content")
    before = len(server.requests)
    fresh = other_process()
    signed = await asyncio.gather(*(open_store(fresh, server.url).sign(["many.jpg"], 60) for _ in range(8)))
    assert [region_of(request) for request in server.requests[before:]] == ["us-east-1", REGION], "asked once"
    assert [fetch(url)[0] for (url,) in signed] == [200] * 8
    await fresh.aclose()


async def test_a_cancelled_caller_does_not_end_the_request_that_others_wait_for(
    transport: Transport, rclone: str
) -> None:
    """The first caller may disconnect while the store is asked."""
    slow = Delay(0.3)
    with FaultProxy(rclone, respond=lambda request: wants(REGION, REFUSALS["region"])(request) or slow) as server:
        first = asyncio.create_task(open_store(transport, server.url).sign(["a"], 60))
        others = [asyncio.create_task(open_store(transport, server.url).sign(["a"], 60)) for _ in range(3)]
        while len(server.requests) < 2:
            await asyncio.sleep(0.01)
        first.cancel()
        assert all(REGION in url for (url,) in await asyncio.gather(*others))
        assert first.cancelled()
        assert len(server.requests) == 2


async def test_pause_begins_when_the_request_has_failed(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """It began with the request, so that callers who came during it got the guessed region at once."""
    monkeypatch.setattr("headwater.stores.s3.sender.ASK_SECONDS", 0.5)
    monkeypatch.setattr("headwater.stores.s3.sender.ASK_PAUSE_SECONDS", 0.5)
    with FaultProxy(respond=lambda _: Delay(60)) as server:
        waits = [await _seconds_to_sign(transport, server.url) for _ in range(2)]
        await asyncio.sleep(0.55)
        waits.append(await _seconds_to_sign(transport, server.url))
        assert waits[0] > 0.45
        assert waits[1] < 0.4, "in the pause"
        assert waits[2] > 0.45, "after it"


async def _seconds_to_sign(transport: Transport, url: str) -> float:
    began = time.perf_counter()
    await open_store(transport, url).sign(["a"], 60)
    return time.perf_counter() - began


async def test_wrong_credentials_do_not_keep_others_from_finding_out_the_region(
    transport: Transport, rclone: str
) -> None:
    """A datasource with a wrong key made the server pause for all datasources of the bucket."""
    unknown = Status(403, error_xml("InvalidAccessKeyId"))

    def respond(request: Request) -> Status | None:
        known = KEY_ID in request.headers.get("authorization", "") + request.target
        return wants(REGION, REFUSALS["region"])(request) if known else unknown

    with FaultProxy(rclone, respond=respond) as server:
        await open_store(transport, server.url, credentials=Credentials("wrong", SECRET)).sign(["a"], 60)
        [url] = await open_store(transport, server.url).sign(["a"], 60)
        assert REGION in url


@pytest.mark.parametrize("status", [403, 404])
async def test_store_that_refuses_to_list_is_asked_once(transport: Transport, status: int) -> None:
    code = "AccessDenied" if status == 403 else "NoSuchKey"
    with FaultProxy(respond=answering(status, error_xml(code))) as server:
        for _ in range(3):
            await open_store(transport, server.url).sign(["a"], 60)
        assert len(server.requests) == 1


async def test_store_that_cannot_be_reached_does_not_hold_up_signing(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signing needed no answer of the store before; it must not fail or take long for lack of one."""
    monkeypatch.setattr("headwater.stores.s3.sender.ASK_SECONDS", 0.3)
    store = open_store(transport, f"http://127.0.0.1:{free_port()}")
    began = time.perf_counter()
    for _ in range(20):
        [url] = await store.sign(["a"], 60)
        assert "us-east-1" in url
    assert time.perf_counter() - began < 2


def obs(url: str) -> ObsConfig:
    config = parse_config(
        {
            "type": "OBS",
            "fullPath": "bucket",
            "obsEndpoint": url,
            "obsAccessKeyId": KEY_ID,
            "obsSecretAccessKey": SECRET,
        }
    )
    assert isinstance(config, ObsConfig)
    return config


def s3(region: str = "us-east-1") -> S3Config:
    config = parse_config(
        {
            "type": "S3",
            "fullPath": "bucket",
            "s3Region": region,
            "s3AccessKeyId": KEY_ID,
            "s3SecretAccessKey": SECRET,
        }
    )
    assert isinstance(config, S3Config)
    return config


OPENED: dict[str, Callable[[Transport, str], S3Store]] = {
    "obsEndpoint": lambda transport, url: open_obs(obs(url), transport),
    "HEADWATER_S3_ENDPOINT": lambda transport, url: open_s3(s3(), transport, url),
}


@pytest.mark.parametrize("member", OPENED)
@pytest.mark.parametrize("form", ["{}?region=RegionOne", "{}/?region=RegionOne"])
async def test_endpoint_names_the_region(transport: Transport, server: FaultProxy, member: str, form: str) -> None:
    store = OPENED[member](transport, form.format(server.url))
    [url] = await store.sign(["named.jpg"], 60, "PUT")
    assert fetch(url, "PUT", b"content")[0] == 200
    assert [found.key for found in (await store.list_page("named", None, 10)).objects] == ["named.jpg"]
    assert {region_of(request) for request in server.requests} == {REGION}, "nothing is guessed or asked"


@pytest.mark.parametrize("member", OPENED)
async def test_wrong_region_in_the_endpoint_is_an_error_that_names_the_right_one(
    transport: Transport, server: FaultProxy, member: str
) -> None:
    store = OPENED[member](transport, f"{server.url}?region=other")
    with pytest.raises(LocationInvalidError, match=rf"check {member}, which may end in \?region={REGION}"):
        await store.list_page("", None, 1)
    assert len(server.requests) == 1


async def test_region_of_the_operators_store_is_learned(transport: Transport, server: FaultProxy) -> None:
    """`s3Region` only takes the regions of Amazon, so that no user could name that of the operator's store."""
    await OPENED["HEADWATER_S3_ENDPOINT"](transport, server.url).list_page("", None, 1)
    assert [region_of(request) for request in server.requests] == ["us-east-1", REGION]


async def refusal(transport: Transport, respond: Callable[[Request], Status]) -> tuple[StoreError, list[Request]]:
    with FaultProxy(respond=respond) as server:
        with pytest.raises(StoreError) as error:
            await open_store(transport, server.url).list_page("", None, 1)
        return error.value, server.requests


async def test_server_that_names_another_region_each_time_is_asked_twice(transport: Transport) -> None:
    error, requests = await refusal(transport, lambda request: malformed(f"{region_of(request)[-40:]}x"))
    assert type(error) is LocationInvalidError
    assert [region_of(request) for request in requests] == ["us-east-1", "us-east-1x"]


@pytest.mark.parametrize(
    "region", ["", "us-east-1", "a/b", "a b", "a&#13;&#10;x: y", "a,b", "é", "x" * 65, "-a", "a%0d", "../x"]
)
async def test_region_of_another_form_is_never_signed_for(transport: Transport, region: str) -> None:
    """It becomes a part of headers and URLs."""
    error, requests = await refusal(transport, lambda _: malformed(region))
    assert type(error) is LocationInvalidError
    assert len(requests) == 1


async def test_memory_of_regions_is_bounded(transport: Transport) -> None:
    """A user may name any number of buckets at an endpoint."""
    with FaultProxy(respond=answering(200, list_xml([]))) as server:
        store = open_store(transport, server.url)
        await store.list_page("", None, 1)
        origin = store._bucket.origin
        for number in range(MAX_FACTS + 10):
            transport.learn(origin, f"fact {number}", is_operator_endpoint=False)
        assert not transport.knows(origin, "fact 5", is_operator_endpoint=False)
        assert transport.knows(origin, f"fact {MAX_FACTS + 9}", is_operator_endpoint=False)


@pytest.mark.slow
def test_datasource_of_a_store_with_its_own_region(tmp_path: Path, server: FaultProxy) -> None:
    """Through the API: the endpoint is repeated as it was put, verified and used."""
    config = {
        "type": "OBS",
        "fullPath": "bucket/region",
        "obsEndpoint": f"{server.url}?region={REGION}",
        "obsAccessKeyId": KEY_ID,
        "obsSecretAccessKey": SECRET,
    }
    with running(tmp_path, allowed_endpoints="127.0.0.1") as live:
        dataset = live.configured(config)
        shown = live.call("GET", live.datasource(dataset)).json
        assert shown["obsEndpoint"] == config["obsEndpoint"]
        flags, errors = live.verify(config)
        assert (all(flags.values()), errors) == (True, {})
        # The region does not move the datasource; a secret is still needed, because the endpoint was spelled anew.
        plain = {**config, "obsEndpoint": server.url}
        assert live.call("PUT", live.datasource(dataset), plain).status == 200
        assert live.call("GET", live.datasource(dataset)).json["id"] == shown["id"]
        wrong = live.call("PUT", live.datasource(dataset), {**config, "obsEndpoint": f"{server.url}?region=a/b"})
        assert (wrong.status, "obsEndpoint: expected" in wrong.text) == (400, True)
        name = {"fileName": ".lightly/predictions/t/a"}
        url = live.call("GET", live.datasource(dataset, "predictions/writeUrl"), query=name).json
        assert fetch_url(url, "PUT", body=b"content").status == 200


@pytest.mark.slow
async def test_redirected_urls_are_signed_for_the_region_after_a_restart(
    tmp_path: Path, server: FaultProxy, transport: Transport
) -> None:
    """A redirected read URL is signed without a listing, so that a new process must find out the region first."""
    await open_store(transport, server.url).write("redirected/a.jpg", b"content")
    config = obs(server.url).to_wire() | {"fullPath": "bucket/redirected", "obsSecretAccessKey": SECRET}
    with running(tmp_path, allowed_endpoints="127.0.0.1") as live:
        [row] = live.rows(live.configured(config), useRedirectedReadUrl=True)
    path = row["readUrl"].removeprefix(live.url)
    with running(tmp_path, allowed_endpoints="127.0.0.1") as restarted:
        answer = fetch_url(restarted.url + path)
        assert answer.status in (302, 307)
        assert fetch_url(answer.headers["Location"]).body == b"content"
