"""No fault of the network or the server makes a listing of S3 endless, silently incomplete or wrong."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError, StoreUnavailableError
from headwater.domain.objects import StorePage
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.stores.s3 import store as s3
from headwater.stores.s3.listing import ListRequest, read_page
from headwater.stores.s3.store import S3Store
from headwater.testing import FaultConformance, FaultSetup
from headwater.testing.fault_proxy import FaultProxy, Request, Status
from headwater.testing.fault_setup import KEYS
from tests.stores.s3.server import answering, error_xml, list_all, list_xml, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Faults(FaultSetup):
    """A bucket of moto behind a fault proxy."""

    protocol = "S3"
    endpoint_label = "obsEndpoint"
    busy = Status(503, error_xml("SlowDown", "Please reduce your request rate."))
    busy_message = r"SlowDown \(Please reduce your request rate\)"
    internal_error = Status(500, error_xml("InternalError"))
    page_offsets = (500, 1000)
    max_list_body_bytes = s3.MAX_LIST_BODY_BYTES

    def __init__(self, server: FaultProxy, transport: Transport, bucket: str) -> None:
        super().__init__(server, transport)
        self.bucket = bucket

    def open(self, url: str, *, root: str = "", transport: Transport | None = None) -> S3Store:
        return open_store(transport or self.transport, url, self.bucket, root)

    def list_body(self, keys: Sequence[str]) -> bytes:
        return list_xml(list(keys))


class TestS3Faults(FaultConformance):
    """S3 when the network or the server fails."""

    @pytest.fixture
    def faulty(self, moto: str, moto_client: S3Client, bucket: str, transport: Transport) -> Iterator[S3Faults]:
        for key in KEYS:
            moto_client.put_object(Bucket=bucket, Key=key, Body=b"x")
        with FaultProxy(moto) as proxy:
            yield S3Faults(proxy, transport, bucket)

    async def test_an_expired_session_is_refused_without_retries(self, faulty: S3Faults) -> None:
        faulty.server.faults.append(Status(400, error_xml("ExpiredToken", "The provided token has expired.")))
        with pytest.raises(CredentialsRefusedError, match=r"ExpiredToken.*new credentials are needed"):
            await faulty.open(faulty.server.url).list_page("", None, 5)
        assert len(faulty.server.requests) == 1


# --- servers that do not behave like S3 ---


async def ask(
    transport: Transport,
    respond: Callable[[Request], Status],
    *,
    after: str | None = None,
    prefix: str = "",
    root: str = "",
) -> StorePage:
    with FaultProxy(respond=respond) as server:
        return await open_store(transport, server.url, root=root).list_page(prefix, after, 10)


async def refused(transport: Transport, respond: Callable[[Request], Status], after: str | None = None) -> StoreError:
    with pytest.raises(StoreError) as error:
        await ask(transport, respond, after=after)
    return error.value


async def test_bucket_with_object_lock_is_writable(
    transport: Transport, moto: str, moto_client: S3Client, bucket: str
) -> None:
    """Such a bucket refuses writes without a checksum, and verify said that it cannot be written to."""

    def respond(request: Request) -> Status | None:
        digest = base64.b64encode(hashlib.md5(request.body, usedforsecurity=False).digest()).decode()
        if request.headers.get("content-md5") == digest and "content-md5;" in request.headers["authorization"]:
            return None
        return Status(400, error_xml("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required"))

    with FaultProxy(moto, respond=respond) as server:
        await open_store(transport, server.url, bucket).write("a", b"content")
    assert moto_client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"content"


async def test_redirect_names_the_region_and_is_not_followed(transport: Transport) -> None:
    moved = error_xml("PermanentRedirect", more="<Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint>")
    error = await refused(
        transport, answering(301, moved, x_amz_bucket_region="eu-west-1", location="http://127.0.0.1:1/")
    )
    assert type(error) is LocationInvalidError
    assert "PermanentRedirect" in error.message
    assert "eu-west-1" in error.message


async def test_temporary_redirect_to_another_region_names_it(transport: Transport) -> None:
    """Amazon sends it for new buckets, where it is transient in the bucket's own region."""
    moved = error_xml("TemporaryRedirect", more="<Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint>")
    error = await refused(transport, answering(307, moved, x_amz_bucket_region="eu-west-1"))
    assert type(error) is LocationInvalidError
    assert "TemporaryRedirect" in error.message
    assert "in the region eu-west-1: check obsEndpoint" in error.message
    for same in ({}, {"x_amz_bucket_region": "us-east-1"}):
        error = await refused(transport, answering(307, moved, **same))
        assert type(error) is StoreUnavailableError
        assert "try again later" in error.message


async def test_ignored_start_after_is_an_error(transport: Transport) -> None:
    """Such a listing would start again with every page, forever."""
    with FaultProxy(respond=answering(200, list_xml(list(KEYS[:3]), truncated=True))) as server:
        store = open_store(transport, server.url)
        with pytest.raises(LocationInvalidError, match="does not support start-after"):
            await list_all(store)
        assert ["marker" in request.query for request in server.requests] == [False, False, True]


async def test_inclusive_start_after_is_an_error(transport: Transport) -> None:
    error = await refused(transport, answering(200, list_xml(["b", "c"])), after="b")
    assert "does not support start-after" in error.message


async def test_empty_page_that_is_not_the_last_is_an_error(transport: Transport) -> None:
    error = await refused(transport, answering(200, list_xml([], truncated=True)))
    assert type(error) is StoreUnavailableError
    assert "could never be finished" in error.message


@pytest.mark.parametrize("more", ["", "<NextContinuationToken>x</NextContinuationToken>"])
async def test_page_without_is_truncated_does_not_end_the_listing(transport: Transport, more: str) -> None:
    """Without IsTruncated a page counted as the last one, and the rest of the bucket was silently left out."""
    keys = list(KEYS[:10] if not more else KEYS[:3])
    body = list_xml(keys).replace(b"<IsTruncated>false</IsTruncated>", more.encode())
    assert (await ask(transport, answering(200, body))).resume_after == keys[-1]
    short = list_xml(list(KEYS[:3])).replace(b"<IsTruncated>false</IsTruncated>", b"")
    assert (await ask(transport, answering(200, short))).resume_after is None


async def test_times_in_the_form_of_http_are_read(transport: Transport) -> None:
    """Such a server was said not to speak S3."""
    body = list_xml(["a"]).replace(b"2024-01-02T03:04:05.678Z", b"Tue, 02 Jan 2024 03:04:05 GMT")
    [found] = (await ask(transport, answering(200, body))).objects
    assert found.modified == 1_704_164_645


@pytest.mark.parametrize(("encoding", "expected"), [("<EncodingType>url</EncodingType>", "a b"), ("", "a+b")])
async def test_keys_are_decoded_only_if_the_server_encoded_them(
    transport: Transport, encoding: str, expected: str
) -> None:
    body = list_xml(["a+b"]).replace(b"<Name>", f"{encoding}<Name>".encode())
    assert (await ask(transport, answering(200, body)))[0][0].key == expected


async def test_encoded_keys_are_decoded_as_amazon_encodes_them(transport: Transport) -> None:
    encoded = ["%01%0A%0D", "a%252Fb", "a%2Bb", "b+c/%C3%BC", "%F0%9F%A6%8A"]
    body = list_xml(encoded).replace(b"<Name>", b"<EncodingType>url</EncodingType><Name>")
    objects, *_ = await ask(transport, answering(200, body))
    assert [found.key for found in objects] == ["\x01\n\r", "a%2Fb", "a+b", "b c/ü", "🦊"]


async def test_names_that_are_not_utf_8_are_counted_and_skipped(transport: Transport) -> None:
    head = b"<EncodingType>url</EncodingType><Name>"
    keys = ["a", "b%FF", "c", "d%ED%A0%80", "e%FF"]
    body = list_xml(keys).replace(b"<Name>", head)
    objects, resume_after, unreadable, *_ = await ask(transport, answering(200, body))
    assert ([found.key for found in objects], resume_after, unreadable) == (["a", "c"], None, 3)
    # The last two come again with the next page, which starts after "c".
    body = list_xml(keys, truncated=True).replace(b"<Name>", head)
    objects, resume_after, unreadable, *_ = await ask(transport, answering(200, body))
    assert ([found.key for found in objects], resume_after, unreadable) == (["a", "c"], "c", 1)
    body = list_xml(["a%FF"], truncated=True).replace(b"<Name>", head)
    error = await refused(transport, answering(200, body))
    assert "not UTF-8" in error.message


async def test_control_character_in_xml_is_an_error(transport: Transport) -> None:
    error = await refused(transport, answering(200, list_xml(["a\x01b"])))
    assert type(error) is LocationInvalidError


async def test_folder_marker_of_the_root_is_left_out(transport: Transport) -> None:
    def respond(request: Request) -> Status:
        start = request.query.get("start-after", "")
        return Status(200, list_xml([key for key in ("data/", "data/a") if key > start]))

    objects, *_ = await ask(transport, respond, root="data/")
    assert [found.key for found in objects] == ["a"]


async def test_entities_are_refused(transport: Transport) -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    error = await refused(transport, answering(200, list_xml(["&b;"], head=laughs)))
    assert type(error) is LocationInvalidError
    assert "document type" in error.message


def encoded_page(keys: list[bytes], more: str = "") -> bytes:
    """A page in which each byte of each key is percent-encoded."""
    body = list_xml(["".join(f"%{byte:02X}" for byte in key) for key in keys], more=more)
    return body.replace(b"<Name>", b"<EncodingType>url</EncodingType><Name>")


async def test_page_of_the_longest_keys_is_listed(transport: Transport) -> None:
    keys = [b"%04d" % i + "ü".encode() * 510 for i in range(1000)]
    owner = f"<StorageClass>STANDARD</StorageClass><Owner><ID>{'0' * 64}</ID><DisplayName>x</DisplayName></Owner>"
    body = encoded_page(keys, owner)
    assert len(body) > 3_300_000
    with FaultProxy(respond=answering(200, body)) as server:
        objects, resume_after, *_ = await open_store(transport, server.url).list_page("", None, 1000)
    assert [found.key.encode() for found in objects] == keys
    assert resume_after is None


@pytest.mark.parametrize(
    "body",
    [
        encoded_page([b"k" * 1025]),
        encoded_page([b"\xff" * 1025]),
        encoded_page(["ü".encode() * 513]),
        list_xml(["k" * 1025]),
        list_xml(["ü" * 513]),
        list_xml(["k" * 7000]),
    ],
    ids=["encoded", "not-utf-8", "encoded-wide", "plain", "plain-wide", "longest"],
)
async def test_too_long_key_is_refused(transport: Transport, body: bytes) -> None:
    """Keys of megabytes were accepted, signed and returned."""
    error = await refused(transport, answering(200, body))
    assert type(error) is LocationInvalidError
    assert "a key of more than 1024 bytes" in error.message


async def test_big_page_is_parsed_in_a_thread(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of 16 MB blocked all requests while it was parsed."""
    threads: list[threading.Thread] = []

    def noting(body: bytes, request: ListRequest) -> StorePage:
        threads.append(threading.current_thread())
        return read_page(body, request)

    monkeypatch.setattr(s3, "read_page", noting)
    await ask(transport, answering(200, list_xml([f"{i:04}" for i in range(1000)])))
    await ask(transport, answering(200, list_xml([f"{i:04}" + "k" * 1000 for i in range(1100)])))
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()
    error = await refused(transport, answering(200, list_xml(["b", "a"] + ["c" * 1000] * 1100)))
    assert "order of their keys" in error.message


async def test_key_that_is_listed_twice_in_a_row_counts_once(transport: Transport) -> None:
    """RustFS lists files below a folder marker twice: the bucket could not be listed at all."""
    page = await ask(transport, answering(200, list_xml(["a", "m/", "m/b", "m/b", "m/b", "n"])))
    assert [found.key for found in page.objects] == ["a", "m/", "m/b", "n"]


@pytest.mark.parametrize(
    "row",
    [
        "<Contents><Key>a</Key></Contents>",
        "<Contents><Size>1</Size><LastModified>2024-01-02T03:04:05Z</LastModified></Contents>",
        "<Contents><Key>a</Key><Size>x</Size><LastModified>2024-01-02T03:04:05Z</LastModified></Contents>",
        "<Contents><Key>a</Key><Size>-1</Size><LastModified>2024-01-02T03:04:05Z</LastModified></Contents>",
        f"<Contents><Key>a</Key><Size>{2**63}</Size><LastModified>2024-01-02T03:04:05Z</LastModified></Contents>",
        "<Contents><Key>a</Key><Size>1</Size><LastModified>yesterday</LastModified></Contents>",
    ],
)
async def test_object_with_a_missing_or_invalid_member_is_an_error(transport: Transport, row: str) -> None:
    body = list_xml([]).replace(b"</ListBucketResult>", row.encode() + b"</ListBucketResult>")
    error = await refused(transport, answering(200, body))
    assert type(error) is LocationInvalidError


async def test_internal_endpoint_is_refused_before_anything_is_sent(bucket: str) -> None:
    with FaultProxy(respond=answering(200, list_xml([]))) as server:
        transport = Transport(Egress.parse(""))
        with pytest.raises(LocationInvalidError, match="HEADWATER_ALLOWED_ENDPOINTS"):
            await open_store(transport, server.url).list_page("", None, 1)
        await transport.aclose()
        assert server.requests == []
