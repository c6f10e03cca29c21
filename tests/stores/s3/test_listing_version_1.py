"""Servers without ListObjectsV2 are listed completely by ListObjects, at the cost of one request."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

import pytest

from headwater.domain.datasource import S3Config, parse_config
from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net.transport import Transport
from headwater.stores.s3.store import open_s3
from headwater.testing import Prepared, StoreConformance
from headwater.testing.fault_proxy import Delay, Fault, FaultProxy, Request, Status
from tests.servers import KEY_ID, SECRET
from tests.stores.s3.server import error_xml, list_all, list_xml, open_store
from tests.stores.s3.test_conformance import MotoBucket, as_obs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEYS = sorted(f"{folder}/{number:02}.jpg" for folder in ("a b", "c+d", "ü") for number in range(4))

NOT_OFFERED = {
    "NotImplemented": Status(501, error_xml("NotImplemented", "A header you provided implies functionality …")),
    "XNotImplemented": Status(501, error_xml("XNotImplemented", "The functionality is not implemented.")),
    "MethodNotAllowed": Status(405, error_xml("MethodNotAllowed")),
    "InvalidArgument": Status(400, error_xml("InvalidArgument", "Invalid Argument")),
    "InvalidRequest": Status(400, error_xml("InvalidRequest", "list-type")),
    "501 without a body": Status(501),
    "405 without a body": Status(405),
}
"""The responses of servers that lack ListObjectsV2."""


class Version1:
    """A bucket of a server that has only ListObjects.

    Args:
        refusal: what it answers to ListObjectsV2; None where it does not know `list-type` and lists by version 1.
        start: the parameter that it begins after; None where it begins anew every time.
    """

    def __init__(
        self,
        refusal: Status | None = None,
        keys: list[str] = KEYS,
        start: str | None = "marker",
        inclusive: bool = False,
    ) -> None:
        self.refusal = refusal
        self.keys = keys
        self.start = start
        self.inclusive = inclusive

    def __call__(self, request: Request) -> Status:
        query = request.query
        if self.refusal is not None and "list-type" in query:
            return self.refusal
        after = query.get(self.start, "") if self.start else ""
        found = [
            key
            for key in self.keys
            if key.startswith(query["prefix"]) and (key > after or (self.inclusive and key == after))
        ]
        limit = int(query["max-keys"])
        body = list_xml([quote(key, safe="/") for key in found[:limit]], truncated=len(found) > limit)
        return Status(200, body.replace(b"<Name>", b"<EncodingType>url</EncodingType><Name>"))


def how(proxy: FaultProxy) -> list[str]:
    """The version of each list request so far."""
    return ["2" if "list-type" in request.query else "1" for request in proxy.requests]


@pytest.mark.parametrize("refusal", NOT_OFFERED.values(), ids=NOT_OFFERED)
async def test_server_that_refuses_version_2_is_listed_by_version_1(transport: Transport, refusal: Status) -> None:
    with FaultProxy(respond=Version1(refusal)) as server:
        assert [found.key for found in await list_all(open_store(transport, server.url), limit=5)] == KEYS
        assert how(server) == ["2", "1", "1", "1"]
        # Another request of the same process knows.
        assert [found.key for found in await list_all(open_store(transport, server.url), limit=5)] == KEYS
        assert how(server)[4:] == ["1", "1", "1"]
        assert all(
            "start-after" not in request.query for request in server.requests if "list-type" not in request.query
        )


async def test_server_that_treats_version_2_as_version_1_is_listed(transport: Transport) -> None:
    """Such a server ignores start-after, which the second page shows."""
    with FaultProxy(respond=Version1()) as server:
        assert [found.key for found in await list_all(open_store(transport, server.url), limit=5)] == KEYS
        assert how(server) == ["2", "2", "1", "1"]
        assert [found.key for found in await list_all(open_store(transport, server.url), limit=5)] == KEYS
        assert how(server)[4:] == ["1", "1", "1"]


@pytest.mark.parametrize("refusal", [None, NOT_OFFERED["NotImplemented"]], ids=["taken for version 1", "refused"])
async def test_pages_of_random_keys_make_one_sorted_list(transport: Transport, refusal: Status | None) -> None:
    chosen = random.Random(7)
    keys = sorted({"".join(chosen.choices("ab/ +%üé🦊", k=chosen.randint(1, 5))) for _ in range(150)})
    with FaultProxy(respond=Version1(refusal, keys)) as server:
        for root in ("", "a/", "b"):
            below = [key[len(root) :] for key in keys if key.startswith(root) and key != root]
            for _ in range(8):
                limit, prefix = chosen.randint(1, 40), chosen.choice(["", "a", "b/", "é"])
                store = open_store(transport, server.url, root=root)
                expected = [key for key in below if key.startswith(prefix)]
                assert [found.key for found in await list_all(store, prefix, limit)] == expected
                after = chosen.choice(keys)
                page = await store.list_page("", after, 1000)
                assert [found.key for found in page.objects] == [key for key in below if key > after]


async def test_lack_of_version_2_is_kept_per_bucket(transport: Transport) -> None:
    """Huawei's parallel file systems lack ListObjectsV2, while buckets at the same endpoint have it."""

    def respond(request: Request) -> Status:
        if request.target.startswith("/files") and "list-type" in request.query:
            return NOT_OFFERED["MethodNotAllowed"]
        return Version1(start="start-after" if "list-type" in request.query else "marker")(request)

    with FaultProxy(respond=respond) as server:
        for bucket in ("files", "bucket", "files", "bucket"):
            assert len(await list_all(open_store(transport, server.url, bucket))) == len(KEYS)
        assert how(server) == ["2", "1", "2", "1", "2"]


async def test_empty_bucket_and_last_page(transport: Transport) -> None:
    with FaultProxy(respond=Version1(keys=[])) as server:
        assert await list_all(open_store(transport, server.url)) == []
    with FaultProxy(respond=Version1()) as server:
        page = await open_store(transport, server.url).list_page("", KEYS[-1], 5)
        assert (page.objects, page.resume_after) == ([], None)


async def test_transient_faults_are_retried(transport: Transport) -> None:
    with FaultProxy(respond=Version1(NOT_OFFERED["NotImplemented"])) as server:
        server.faults += [Status(503), None, Status(500), None]
        assert [found.key for found in await list_all(open_store(transport, server.url), limit=5)] == KEYS
        assert how(server) == ["2", "2", "1", "1", "1", "1"]


async def test_operator_endpoint_may_lack_version_2(transport: Transport) -> None:
    config = parse_config(
        {
            "type": "S3",
            "fullPath": "bucket",
            "s3Region": "us-east-1",
            "s3AccessKeyId": KEY_ID,
            "s3SecretAccessKey": SECRET,
        }
    )
    assert isinstance(config, S3Config)
    with FaultProxy(respond=Version1(NOT_OFFERED["NotImplemented"])) as server:
        assert [found.key for found in await list_all(open_s3(config, transport, server.url))] == KEYS


async def refused(transport: Transport, respond: Callable[[Request], Status]) -> tuple[StoreError, list[str]]:
    with FaultProxy(respond=respond) as server:
        store = open_store(transport, server.url)
        with pytest.raises(StoreError) as error:
            await list_all(store, limit=5)
        return error.value, how(server)


async def test_amazon_gets_no_version_1_request(transport: Transport) -> None:
    """Amazon has ListObjectsV2, so that its errors are final."""
    with FaultProxy(respond=Version1(NOT_OFFERED["InvalidArgument"])) as server:
        store = open_store(transport, server.url)
        store._bucket = replace(store._bucket, is_custom_endpoint=False)
        with pytest.raises(LocationInvalidError, match="InvalidArgument"):
            await store.list_page("", None, 5)
        assert how(server) == ["2"]


@pytest.mark.parametrize("inclusive", [False, True])
async def test_server_that_ignores_both_parameters_is_named(transport: Transport, inclusive: bool) -> None:
    error, versions = await refused(transport, Version1(start="marker" if inclusive else None, inclusive=inclusive))
    assert type(error) is LocationInvalidError
    assert "does not support start-after" in error.message
    assert versions == ["2", "2", "1"]


async def test_version_1_without_marker_is_an_error(transport: Transport) -> None:
    error, versions = await refused(transport, Version1(NOT_OFFERED["NotImplemented"], start=None))
    assert type(error) is LocationInvalidError
    assert "does not support marker" in error.message
    assert versions == ["2", "1", "1"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", CredentialsRefusedError),
        (403, "SignatureDoesNotMatch", CredentialsRefusedError),
        (400, "AuthorizationHeaderMalformed", LocationInvalidError),
        (400, "ExpiredToken", CredentialsRefusedError),
        (400, "InvalidBucketName", LocationInvalidError),
        (404, "NoSuchBucket", LocationInvalidError),
        (301, "PermanentRedirect", LocationInvalidError),
    ],
)
async def test_other_errors_cause_no_version_1_request(
    transport: Transport, status: int, code: str, kind: type[StoreError]
) -> None:
    error, versions = await refused(transport, lambda _: Status(status, error_xml(code)))
    assert type(error) is kind
    assert error.provider_code == code
    assert versions == ["2"]


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (Status(403, error_xml("AccessDenied")), CredentialsRefusedError, "Allow s3:ListBucket"),
        (Status(404, error_xml("NoSuchBucket")), LocationInvalidError, "no such bucket"),
        (Status(501, error_xml("NotImplemented")), LocationInvalidError, "does not offer this operation"),
        (Status(503, error_xml("SlowDown")), StoreUnavailableError, "fewer requests"),
        (Status(200, b"<html>Console</html>"), LocationInvalidError, "does not speak S3"),
    ],
)
async def test_error_of_version_1_is_raised(
    transport: Transport, answer: Status, kind: type[StoreError], text: str
) -> None:
    def respond(request: Request) -> Status:
        return NOT_OFFERED["NotImplemented"] if "list-type" in request.query else answer

    with FaultProxy(respond=respond) as server:
        store = open_store(transport, server.url)
        for _ in range(2):
            with pytest.raises(StoreError, match=text) as error:
                await store.list_page("", None, 5)
            assert type(error.value) is kind
        assert how(server).count("2") == 2, "nothing was learned from a failure"


class Version1Bucket(as_obs(MotoBucket)):  # type: ignore[misc]  # made by a function
    """A bucket of moto, listed by version 1."""

    extra_requests: ClassVar[int] = 1


class TestObsByVersion1(StoreConformance):
    """moto without ListObjectsV2."""

    @pytest.fixture
    async def prepared(self, moto: str, moto_client: S3Client, transport: Transport) -> AsyncIterator[Prepared]:
        def respond(request: Request) -> Fault:
            return NOT_OFFERED["NotImplemented"] if "list-type" in request.query else Delay(0)

        with FaultProxy(moto, respond) as proxy:
            yield Version1Bucket(moto_client, proxy, transport)

    async def test_folders_beside_the_root_are_listed(self, prepared: Prepared) -> None:
        """Such a server was asked by ListObjectsV2 only.

        moto does not encode folders in version 1, so none has "+" here.
        """
        prepared.put({"a b/x": b"1", "c/d/x": b"2", "c/e": b"3", "f": b"4"})
        store = prepared.open("absent/")
        assert sorted(await store.list_folders(store.root.removesuffix("absent/"))) == ["a b", "c"]
        assert await store.list_folders(store.root + "absent/") == []
