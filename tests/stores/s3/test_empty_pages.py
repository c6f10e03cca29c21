"""List pages without keys that are not the last: servers send them where they skip many deleted objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.domain.objects import StorePage
from headwater.net.transport import Transport
from headwater.stores.lookup import MAX_PAGES, find_object
from headwater.stores.s3.listing import MAX_TOKEN_LENGTH
from headwater.testing.fault_proxy import FaultProxy, Request, Status
from tests.live import running
from tests.servers import KEY_ID, SECRET
from tests.stores.s3.server import answering, error_xml, list_xml, open_store

KEYS = ["a.jpg", "b.jpg", "data/1.jpg", "data/2.jpg"]


def skipping(pages: int, version: int = 2) -> Callable[[Request], Status]:
    """Return a server that sends this many pages without keys, with a token each, before those with keys.

    Each listing that starts after another key meets them again. With version 1 it offers ListObjects only.
    """
    token, start, next_token = (
        ("continuation-token", "start-after", "NextContinuationToken")
        if version == 2
        else ("marker", "marker", "NextMarker")
    )

    def respond(request: Request) -> Status:
        query = request.query
        if version == 1 and "list-type" in query:
            return Status(501, error_xml("NotImplemented"))
        place = query.get(token, "")
        after, number = query.get(start, ""), 0
        if place.startswith("skipped/"):
            _, text, after = place.split("/", 2)
            number = int(text)
        if number < pages:
            more = f"<{next_token}>skipped%2F{number + 1}%2F{after}</{next_token}>" if version == 1 else ""
            more = more or f"<{next_token}>skipped/{number + 1}/{after}</{next_token}>"
            encoding = "<EncodingType>url</EncodingType>" if version == 1 else ""
            folder = "<CommonPrefixes><Prefix>data/</Prefix></CommonPrefixes>"
            body = list_xml([], truncated=True).replace(b"<Name>", f"{encoding}{more}{folder}<Name>".encode())
            return Status(200, body)
        keys = [key for key in KEYS if key > after and key.startswith(query.get("prefix", ""))]
        limit = int(query["max-keys"])
        return Status(200, list_xml(keys[:limit], truncated=len(keys) > limit))

    return respond


async def read_all(transport: Transport, server: FaultProxy, prefix: str = "") -> list[StorePage]:
    pages: list[StorePage] = []
    after = marker = None
    while True:
        page = await open_store(transport, server.url).list_page(prefix, after, 2, marker)
        pages.append(page)
        after, marker = page.resume_after, page.marker
        if after is None:
            return pages


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("prefix", "expected"), [("", KEYS), ("data/", KEYS[2:])])
async def test_listing_continues_after_pages_without_keys(
    transport: Transport, version: int, prefix: str, expected: list[str]
) -> None:
    """Such a listing was a 503 that said it could never be finished."""
    with FaultProxy(respond=skipping(3, version)) as server:
        pages = await read_all(transport, server, prefix)
        assert [found.key for page in pages for found in page.objects] == expected
        assert [len(page.objects) for page in pages][:4] == [0, 0, 0, 2]
        # The next page after one with keys resumes by key again.
        assert all((page.marker is None) == bool(page.objects) for page in pages)


async def test_another_process_continues_by_the_marker(transport: Transport) -> None:
    """Whether a server has ListObjectsV2 is known only to the process that found it out."""
    with FaultProxy(respond=skipping(2, version=1)) as server:
        page = await open_store(transport, server.url).list_page("", None, 2)
    with FaultProxy(respond=skipping(2, version=1)) as other:
        page = await open_store(transport, other.url).list_page("", page.resume_after, 2, page.marker)
        assert page.objects == []
        assert page.marker
        assert "list-type" not in other.requests[0].query


async def refusal(transport: Transport, respond: Callable[[Request], Status], marker: str | None) -> StoreError:
    with FaultProxy(respond=respond) as server, pytest.raises(StoreError) as error:
        await open_store(transport, server.url).list_page("", "a.jpg", 2, marker)
    return error.value


@pytest.mark.parametrize("token", ["same", "t" * (MAX_TOKEN_LENGTH + 1), ""])
async def test_page_without_progress_is_an_error(transport: Transport, token: str) -> None:
    body = list_xml([], truncated=True, head="").replace(
        b"<Name>", f"<NextContinuationToken>{token}</NextContinuationToken><Name>".encode()
    )
    error = await refusal(transport, answering(200, body), "2same")
    assert type(error) is StoreUnavailableError
    assert "could never be finished" in error.message


@pytest.mark.parametrize("marker", ["1x", "2x"])
async def test_page_of_a_token_that_goes_back_is_an_error(transport: Transport, marker: str) -> None:
    error = await refusal(transport, answering(200, list_xml(["a.jpg", "b.jpg"])), marker)
    assert type(error) is LocationInvalidError
    assert "does not support" in error.message


async def test_names_that_are_not_utf_8_are_passed_by_the_token(transport: Transport) -> None:
    head = b"<EncodingType>url</EncodingType><NextContinuationToken>on</NextContinuationToken><Name>"
    body = list_xml(["a%FF", "a%FE"], truncated=True).replace(b"<Name>", head)
    with FaultProxy(respond=answering(200, body)) as server:
        page = await open_store(transport, server.url).list_page("", None, 2)
    assert page == StorePage([], "", 2, "2on")


async def test_search_for_one_object_ends(transport: Transport) -> None:
    """A server that sends pages without keys for ever would hold the request for ever."""
    with FaultProxy(respond=skipping(10**9)) as server:
        with pytest.raises(StoreUnavailableError, match="without an object"):
            await find_object(open_store(transport, server.url), "a.jpg")
        assert len(server.requests) == MAX_PAGES


@pytest.mark.slow
def test_whole_listing_of_a_bucket_with_pages_without_keys(tmp_path: Path) -> None:
    """The exact feed and its cursors carry the token from page to page, also between requests."""
    config = {
        "type": "S3",
        "fullPath": "bucket",
        "s3Region": "us-east-1",
        "s3AccessKeyId": KEY_ID,
        "s3SecretAccessKey": SECRET,
        "purpose": "INPUT",
    }
    with (
        FaultProxy(respond=skipping(3)) as server,
        running(tmp_path, s3_endpoint=server.url, page_size="2") as live,
    ):
        dataset = live.configured(config)
        assert live.names(dataset) == KEYS
        assert live.names(dataset) == KEYS, "from a complete index as well"
        assert sorted(name for shard in live.shards(dataset, 3) for name in shard) == KEYS
