"""A listing is whole, and ends, whatever the server makes of `startFrom` and in whatever order it lists."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from headwater.domain.errors import LocationInvalidError, StoreUnavailableError
from headwater.domain.samples import AFTER_LIGHTLY_FOLDER
from headwater.net.transport import Transport
from headwater.stores.azure.listing import is_before
from headwater.testing.fault_proxy import FaultProxy, Request, Status
from tests.stores.azure.server import (
    Listing,
    asked,
    error_xml,
    list_xml,
    names,
    open_store,
    pages,
)
from tests.stores.memory import by_path, by_utf_8, by_utf_16

KEYS = [f"{number:02}" for number in range(20)]
ORDERS = [by_utf_8, by_utf_16, by_path]


def numbers(proxy: FaultProxy) -> list[set[str]]:
    """Return how each request resumed the listing."""
    return [set(asked(request)) & {"startFrom", "marker"} for request in proxy.requests]


async def test_a_server_that_ignores_start_from_costs_one_extra_request_once(transport: Transport) -> None:
    with FaultProxy(respond=Listing(set(KEYS), knows_start_from=False)) as server:
        store = open_store(transport, server.url)
        assert await names(store, limit=5) == KEYS
        assert numbers(server) == [set(), {"startFrom"}, {"marker"}, {"marker"}, {"marker"}]
        server.requests.clear()
        # Any store that speaks to this server.
        assert await names(open_store(transport, server.url), limit=5) == KEYS
        assert numbers(server) == [set(), {"marker"}, {"marker"}, {"marker"}]


async def test_a_listing_resumes_in_another_process(transport: Transport) -> None:
    """A store that has not learned what the server supports, and one that has."""
    for knows in (True, False):
        with FaultProxy(respond=Listing(set(KEYS), knows_start_from=knows)) as server:
            found: list[str] = []
            after = marker = None
            while True:
                other = Transport(transport.egress)
                page = await open_store(other, server.url).list_page("", after, 6, marker)
                await other.aclose()
                found += [item.key for item in page.objects]
                after, marker = page.resume_after, page.marker
                if after is None:
                    break
            assert found == KEYS


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("short", [0, 1, 3])
@pytest.mark.parametrize("seed", range(4))
async def test_unchanged_blobs_are_listed_once(
    transport: Transport, order: Callable[[str], Any], knows: bool, short: int, seed: int
) -> None:
    """Even if keys are added and removed between pages, including the one at which the listing resumes."""
    chosen = random.Random(seed)
    alphabet = ["a", "-", "/", "0", "ü", "\uffee", "🦊"]
    all_names = {"".join(chosen.choices(alphabet, k=chosen.randint(1, 4))).strip("/") or "x" for _ in range(60)}
    all_names = {f"root/{name}" for name in all_names if "//" not in name}
    stay = {name for name in all_names if chosen.random() < 0.6}
    listing = Listing(set(all_names), order, knows, short)
    with FaultProxy(respond=listing) as server:
        store = open_store(transport, server.url, root="root/")
        found: list[str] = []
        after = marker = None
        for _ in range(300):
            page = await store.list_page("", after, 4, marker)
            assert len(page.objects) <= 4
            found += [item.key for item in page.objects]
            after, marker = page.resume_after, page.marker
            if after is None:
                break
            going = {name for name in listing.names - stay if chosen.random() < 0.2}
            listing.names -= (going | {f"root/{after}"}) - stay
            listing.names.add(f"root/{chosen.choice(alphabet)}-added-{len(found)}")
        else:
            raise AssertionError("the listing does not end")
    assert len(found) == len(set(found))
    directories = {name for name in stay if any(other.startswith(f"{name}/") for other in all_names)}
    files = stay - directories if order is by_path else stay
    assert {name.removeprefix("root/") for name in files} <= set(found)


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("short", [0, 2])
async def test_split_points_divide_a_listing_into_disjoint_parts(transport: Transport, knows: bool, short: int) -> None:
    keys = sorted({f"{folder}/{number:02}" for folder in "abc" for number in range(9)}, key=str.encode)
    bounds: list[str | None] = [None, "a/", "a/03", "a/035", "b", "b/08", "c/08", "zz"]
    with FaultProxy(respond=Listing({f"root/{key}" for key in keys}, by_utf_8, knows, short)) as server:
        store = open_store(transport, server.url, root="root/")
        parts = []
        for first, last in itertools.pairwise([*bounds, None]):
            part = await names(store, limit=4, after=first)
            parts += [key for key in part if last is None or key <= last]
            assert part == [key for key in keys if first is None or key > first]
        assert parts == keys
        assert await names(store, "b/", limit=4, after="a/05") == [key for key in keys if key.startswith("b/")]
        assert await names(store, "b/", limit=4, after="c") == []


async def test_names_before_a_split_point_are_skipped_once(transport: Transport) -> None:
    """Then the listing goes on by the marker: it neither starts again nor skips anything."""
    with FaultProxy(respond=Listing(set(KEYS), knows_start_from=False)) as server:
        store = open_store(transport, server.url)
        found = await pages(store, limit=4, after="09")
        assert [[item.key for item in page.objects] for page in found] == [
            [],
            [],
            ["10", "11"],
            KEYS[12:16],
            KEYS[16:],
        ]
        assert [page.resume_after for page in found] == ["09", "09", "11", "15", None]
        assert len(server.requests) == 5


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("order", ORDERS)
async def test_a_listing_skips_a_folder(transport: Transport, knows: bool, order: Callable[[str], Any]) -> None:
    """As the service does with `.lightly/`; by path, what begins like the folder comes after it."""
    inside = {f".lightly/{number:03}.json" for number in range(30)}
    outside = {"+.jpg", "-.jpg", ".lightly-x.jpg", ".lightly.jpg", "a.jpg", "b/c.jpg"}
    directories = {".lightly", "b"} if order is by_path else set()
    with FaultProxy(respond=Listing(inside | outside | directories, order, knows)) as server:
        store = open_store(transport, server.url)
        found: list[str] = []
        after = marker = None
        while True:
            page = await store.list_page("", after, 5, marker)
            found += [item.key for item in page.objects if not item.key.startswith(".lightly/")]
            after, marker = page.resume_after, page.marker
            if after is None:
                break
            if after.startswith(".lightly/") and after < AFTER_LIGHTLY_FOLDER:
                after, marker = AFTER_LIGHTLY_FOLDER, None
        assert sorted(found) == sorted(outside)
        assert len(server.requests) < 12


async def test_a_server_that_ignores_the_marker_is_an_error(transport: Transport) -> None:
    """Such a listing would start again with every page, endlessly."""
    with FaultProxy(respond=lambda _: Status(200, list_xml(["a", "b", "c"], "same"))) as server:
        store = open_store(transport, server.url)
        with pytest.raises(StoreUnavailableError, match="could never be finished"):
            await names(store, limit=3)
        with pytest.raises(StoreUnavailableError, match="could never be finished"):
            await names(store, limit=3, after="x")
        assert len(server.requests) < 10


async def test_empty_pages_continue_with_a_new_marker_and_fail_with_the_same_one(transport: Transport) -> None:
    """Azure sends them if it has searched for too long."""
    markers = iter(["1", "2", "3", ""])

    def respond(request: Request) -> Status:
        marker = next(markers)
        return Status(200, list_xml([] if marker else ["a"], marker))

    with FaultProxy(respond=respond) as server:
        found = await pages(open_store(transport, server.url))
        assert [[item.key for item in page.objects] for page in found] == [[], [], [], ["a"]]
        assert [page.resume_after for page in found] == ["", "", "", None]
        assert [asked(request).get("marker") for request in server.requests] == [None, "1", "2", "3"]
    with FaultProxy(respond=lambda _: Status(200, list_xml([], "same"))) as server:
        with pytest.raises(StoreUnavailableError, match="could never be finished"):
            await pages(open_store(transport, server.url))
        with pytest.raises(StoreUnavailableError, match="could never be finished"):
            await pages(open_store(transport, server.url), after="b")


async def test_a_page_that_never_passes_its_first_name_ends(transport: Transport) -> None:
    with FaultProxy(respond=lambda _: Status(200, list_xml(["a"], "same"))) as server:
        store = open_store(transport, server.url)
        with pytest.raises(StoreUnavailableError, match="could never be finished"):
            await pages(store, limit=1)


@pytest.mark.parametrize("named", [True, False])
async def test_a_server_that_refuses_start_from_is_listed_by_marker(transport: Transport, named: bool) -> None:
    listing = Listing(set(KEYS))
    more = "<QueryParameterName>startFrom</QueryParameterName>" if named else ""

    def respond(request: Request) -> Status:
        if "startFrom" in asked(request):
            return Status(400, error_xml("InvalidQueryParameterValue", more=more))
        return listing(request)

    with FaultProxy(respond=respond) as server:
        store = open_store(transport, server.url)
        assert await names(store, limit=7) == KEYS
        assert await names(store, limit=7, after="12") == KEYS[13:]
        refused = sum("startFrom" in asked(request) for request in server.requests)
        assert refused == (1 if named else 4)


async def test_an_unsupported_version_is_requested_once(transport: Transport) -> None:
    listing = Listing(set(KEYS), knows_start_from=False)

    def respond(request: Request) -> Status:
        if request.headers["x-ms-version"] > "2025":
            return Status(400, error_xml("InvalidHeaderValue", more="<HeaderName>x-ms-version</HeaderName>"))
        return listing(request) if request.method == "GET" and "comp" in request.query else Status(201)

    with FaultProxy(respond=respond) as server:
        store = open_store(transport, server.url)
        assert await names(store, limit=5) == KEYS
        assert [request.headers["x-ms-version"] for request in server.requests] == ["2026-02-06"] + ["2021-12-02"] * 5
        await store.write("a", b"")
        assert len(server.requests) == 7


async def test_a_server_that_supports_neither_version_is_an_error(transport: Transport) -> None:
    body = error_xml("InvalidHeaderValue", "The API version is not supported by Azurite.")
    with FaultProxy(respond=lambda _: Status(400, body)) as server:
        with pytest.raises(LocationInvalidError, match="InvalidHeaderValue"):
            await open_store(transport, server.url).list_page("", None, 1)
        assert len(server.requests) == 2


async def test_directories_are_left_out_and_a_page_may_end_at_one(transport: Transport) -> None:
    everything = {"a", "a/1", "a/2", "a-", "b", "b/c", "b/c/3", "d"}
    with FaultProxy(respond=Listing(everything, by_path)) as server:
        for limit in range(1, 9):
            assert await names(open_store(transport, server.url), limit=limit) == ["a/1", "a/2", "a-", "b/c/3", "d"]
        # The order of an account may change what a page begins with, and is no reason to think less of the server.
        assert {"marker"} not in numbers(server)


async def test_rows_beyond_the_limit_are_listed_later(transport: Transport) -> None:
    listing = Listing(set(KEYS))

    def respond(request: Request) -> Status:
        return listing(request._replace(target=request.target.replace("maxresults=", "maxresults=1")))

    with FaultProxy(respond=respond) as server:
        assert await names(open_store(transport, server.url), limit=4) == KEYS


def test_is_before_holds_in_every_order() -> None:
    assert is_before("a", "b")
    assert is_before("a", "a/b")
    assert not is_before("b", "a")
    assert not is_before("a", "a")
    assert not is_before("a-", "a/"), "by path it is after"
    assert not is_before("a/", "a-"), "as bytes it is after"
    assert not is_before("\uffee", "🦊"), "in UTF-16 it is after"
