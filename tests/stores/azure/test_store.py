"""Listing, reading, writing and signing against Azurite, with what is there prepared by the vendor's SDK."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

from headwater.domain.errors import (
    CredentialsRefusedError,
    LocationInvalidError,
    ObjectNotFoundError,
    OverwriteRefusedError,
    StoreError,
)
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.observability.work import observing
from headwater.stores.azure.store import AzureStore, open_azure
from headwater.testing.fault_proxy import FaultProxy
from tests.observability.recorder import Recorder
from tests.servers import AZURE_ACCOUNT, AZURE_KEY
from tests.stores.azure.server import account_sas, asked, config, container_sas, later, list_all, names, open_store, put
from tests.stores.s3.server import fetch

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


def fill(container: ContainerClient, keys: Iterable[str], body: bytes = b"content") -> None:
    for key in keys:
        container.upload_blob(key, body)


@pytest.fixture
def name(container: ContainerClient) -> str:
    return container.container_name


@pytest.fixture
def store(transport: Transport, azurite_url: str, name: str) -> AzureStore:
    return open_store(transport, azurite_url, name)


# --- where it is ---


@pytest.mark.parametrize(
    "account", ["ab", "a" * 25, "Account", "my-account", "acct.blob.example.com", "a/b", "a@b", "ac\nct", "évil"]
)
def test_an_invalid_account_name_is_refused(transport: Transport, account: str) -> None:
    for endpoint in (None, "http://127.0.0.1:9"):
        with pytest.raises(
            LocationInvalidError, match=r"^accountName: expected the name of a storage account, which has 3 to 24"
        ):
            open_azure(config("data", account=account), transport, endpoint)


@pytest.mark.parametrize(
    "container",
    ["ab", "a" * 64, "Data", "a--b", "-ab", "ab-", "a.b", "a_b", "$other", "data\n", "a%2Fb", "..", "data?comp=list"],
)
def test_an_invalid_container_name_is_refused(transport: Transport, container: str) -> None:
    with pytest.raises(
        LocationInvalidError, match=r"^fullPath: expected container/path, where the container has 3 to 63"
    ):
        open_azure(config(f"{container}/path"), transport)


@pytest.mark.parametrize("container", ["abc", "a-b-3", "0" * 63, "$root", "$web", "$logs"])
async def test_at_azure_the_account_is_part_of_the_host(transport: Transport, container: str) -> None:
    store = open_azure(config(f"{container}/a b", account="acct"), transport)
    (url,) = await store.sign(["ü.jpg"], 60)
    path = container.replace("$", "%24")
    assert url.startswith(f"https://acct.blob.core.windows.net/{path}/a%20b/%C3%BC.jpg?se=")
    assert "&spr=https&" in url


async def test_the_operators_endpoint_has_the_account_in_its_path(transport: Transport) -> None:
    store = open_azure(config("data", account="acct"), transport, "http://blobs.test:1000/base/")
    (url,) = await store.sign(["a"], 60)
    assert url.startswith("http://blobs.test:1000/base/acct/data/a?se=")
    assert "spr=" not in url
    with pytest.raises(LocationInvalidError, match="HEADWATER_AZURE_ENDPOINT: expected a URL"):
        open_azure(config("data"), transport, "blobs.test")


@pytest.mark.parametrize(
    ("account", "endpoint", "expected"),
    [
        ("acct.blob.core.usgovcloudapi.net", None, "https://acct.blob.core.usgovcloudapi.net/data/"),
        ("https://ACCT.blob.core.chinacloudapi.cn/", None, "https://acct.blob.core.chinacloudapi.cn/data/"),
        (" acct\n", None, "https://acct.blob.core.windows.net/data/"),
        ("acct.dfs.core.windows.net", None, "https://acct.blob.core.windows.net/data/"),
        ("acct.z12.blob.storage.azure.net", None, "https://acct.z12.blob.storage.azure.net/data/"),
        ("acct", "https://blob.core.usgovcloudapi.net", "https://acct.blob.core.usgovcloudapi.net/data/"),
        ("acct", "https://acct.blob.core.chinacloudapi.cn/", "https://acct.blob.core.chinacloudapi.cn/data/"),
        ("acct", "https://acct.blob.local.azurestack.external", "https://acct.blob.local.azurestack.external/data/"),
        ("acct", "http://127.0.0.1:10000/acct", "http://127.0.0.1:10000/acct/data/"),
        ("acct.blob.core.chinacloudapi.cn", "http://127.0.0.1:1", "https://acct.blob.core.chinacloudapi.cn/data/"),
    ],
)
async def test_accounts_in_other_clouds_have_their_own_hosts(
    transport: Transport, account: str, endpoint: str | None, expected: str
) -> None:
    """All requests went to blob.core.windows.net, and an endpoint that named the account got it a second time."""
    store = open_azure(config("data", account=account), transport, endpoint)
    (url,) = await store.sign(["a"], 60)
    assert url.startswith(f"{expected}a?se=")


def test_the_endpoint_of_another_account_is_refused(transport: Transport) -> None:
    """A request for one account must not be sent to another."""
    with pytest.raises(LocationInvalidError, match=r"ENDPOINT: .* sets https://blob\.core\.usgovcloudapi\.net for all"):
        open_azure(config("data", account="acct"), transport, "https://other.blob.core.usgovcloudapi.net")


async def test_requests_to_an_endpoint_with_the_account_are_signed_correctly(
    transport: Transport, azurite_url: str, name: str, container: ContainerClient
) -> None:
    """Azurite's own BlobEndpoint ends in the account, which was put into the path twice: every request failed."""
    fill(container, ["a b"])
    store = open_azure(config(name), transport, f"{azurite_url}/{AZURE_ACCOUNT}")
    assert await names(store) == ["a b"]
    (url,) = await store.sign(["a b"], 60)
    assert fetch(url) == (200, b"content")


def test_an_invalid_key_is_refused_on_open(transport: Transport) -> None:
    with pytest.raises(CredentialsRefusedError, match=r"^accountKey: expected an account key"):
        open_azure(config("data", key="not-a-key"), transport)


async def test_a_missing_account_is_an_error() -> None:
    """DNS does not know its host name."""

    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    transport = Transport(Egress.parse(""), resolver=resolve)
    with pytest.raises(LocationInvalidError) as error:
        await open_azure(config("data", account="nosuchaccount"), transport).list_page("", None, 1)
    await transport.aclose()
    assert "'nosuchaccount.blob.core.windows.net' is not known to DNS" in error.value.message
    assert error.value.message.endswith(
        "The host name is derived from accountName: check that this storage account exists, "
        "or give its host in another cloud, such as "
        "nosuchaccount.blob.core.usgovcloudapi.net"
    )


# --- listing ---


async def test_a_blob_has_key_size_time_and_etag(store: AzureStore, container: ContainerClient) -> None:
    fill(container, ["a.jpg"], b"12345")
    theirs = container.get_blob_client("a.jpg").get_blob_properties()
    [ours] = (await store.list_page("", None, 10)).objects
    assert ours.key == "a.jpg"
    assert ours.size == 5
    assert ours.modified == int(theirs.last_modified.timestamp())
    assert ours.etag == theirs.etag.strip('"')


async def test_a_blob_with_the_name_of_the_root_is_skipped(
    transport: Transport, azurite_url: str, container: ContainerClient, name: str
) -> None:
    fill(container, ["data", "data/", "data/a", "data/b/", "data-x"])
    below = open_store(transport, azurite_url, name, "data/")
    for limit in (1, 2, 10):
        assert await names(below, limit=limit) == ["a", "b/"]


@pytest.mark.parametrize("sas", [False, True])
async def test_a_listing_costs_one_request_per_page(
    transport: Transport, azurite_url: str, container: ContainerClient, name: str, sas: bool
) -> None:
    fill(container, [f"{number:02}" for number in range(20)])
    with FaultProxy(azurite_url) as proxy:
        store = open_store(transport, proxy.url, name, key=account_sas() if sas else AZURE_KEY)
        assert len(await list_all(store, limit=5)) == 20
        assert [asked(request) for request in proxy.requests] == [
            {"maxresults": "5"},
            *({"maxresults": "6", "startFrom": start} for start in ("04", "09", "14")),
        ]


async def test_a_page_deep_in_a_container_costs_one_request(
    transport: Transport, azurite_url: str, container: ContainerClient, name: str
) -> None:
    """Also after a split point at which no page ended."""
    fill(container, [f"data/{number:02}" for number in range(20)])
    for bound, expected in (("17", ["18", "19"]), ("17x", ["18", "19"]), ("19", []), ("", ["00", "01", "02"])):
        with FaultProxy(azurite_url) as proxy:
            page = await open_store(transport, proxy.url, name, "data/").list_page("", bound, 3)
            assert [item.key for item in page.objects] == expected
            assert len(proxy.requests) == 1


async def test_a_name_removed_between_pages_costs_one_extra_request(
    transport: Transport, azurite_url: str, container: ContainerClient, name: str
) -> None:
    fill(container, [f"{number:02}" for number in range(12)])
    with FaultProxy(azurite_url) as proxy:
        store = open_store(transport, proxy.url, name)
        page = await store.list_page("", None, 4)
        assert page.resume_after == "03"
        container.delete_blob("03")
        page = await store.list_page("", page.resume_after, 4, page.marker)
        assert [item.key for item in page.objects] == ["04", "05", "06", "07"]
        page = await store.list_page("", page.resume_after, 4, page.marker)
        assert [item.key for item in page.objects] == ["08", "09", "10", "11"]
        assert [set(asked(request)) - {"maxresults"} for request in proxy.requests] == [
            set(),
            {"startFrom"},
            {"marker"},
            {"startFrom"},
        ]


async def test_a_page_is_never_longer_than_a_thousand(transport: Transport, azurite_url: str, name: str) -> None:
    with FaultProxy(azurite_url) as proxy:
        store = open_store(transport, proxy.url, name)
        await store.list_page("", None, 5000)
        assert asked(proxy.requests[0]) == {"maxresults": "1000"}


async def test_nothing_is_lost_in_the_order_of_utf_16(store: AzureStore, container: ContainerClient) -> None:
    """Azurite's: a fox is before `\\uffee`, which comes first as UTF-8 bytes."""
    keys = [f"{start}{number}" for start in ("a", "\uffee", "🦊", "ü") for number in range(5)]
    fill(container, keys)
    for limit in (1, 2, 3, 7, 100):
        found = await names(store, limit=limit)
        assert sorted(found) == sorted(keys)
        assert len(found) == len(set(found))


# --- objects ---


async def test_read_returns_the_start_of_a_blob(store: AzureStore, container: ContainerClient) -> None:
    fill(container, ["a"], b"0123456789")
    fill(container, ["empty"], b"")
    assert [await store.read("a", limit) for limit in (0, 4, 10, 1_000_000)] == [b"", b"0123", *[b"0123456789"] * 2]
    assert await store.read("empty", 10) == b""
    with pytest.raises(ObjectNotFoundError, match="BlobNotFound"):
        await store.read("absent", 10)


async def test_urls_work_for_every_method(store: AzureStore, container: ContainerClient) -> None:
    fill(container, ["a b"])
    assert fetch((await store.sign(["a b"], 60, "HEAD"))[0], "HEAD") == (200, b"")
    (url,) = await store.sign(["new/ü"], 60, "PUT")
    for body in (b"created", b"replaced"):
        assert put(url, body) == 201
        assert container.download_blob("new/ü").readall() == body
    assert fetch(url)[0] == 403, "a URL for PUT does not read"
    (url,) = await store.sign(["a b"], 60)
    assert put(url, b"changed") == 403, "a URL for GET does not write"


# --- SAS tokens ---


async def test_urls_carry_the_sas_token(
    transport: Transport, azurite_url: str, container: ContainerClient, name: str
) -> None:
    keys = ["a b", "a+b", "a%41", "q?#&=", "é/ü", "a//b"]
    fill(container, keys)
    for key in (account_sas("rl"), "?" + container_sas(name, "rl", start=later(-1), protocol="https,http")):
        store = open_store(transport, azurite_url, name, key=key)
        urls = await store.sign(keys, 60)
        assert all(url.endswith("?" + key.removeprefix("?")) for url in urls)
        assert [fetch(url) for url in urls] == [(200, b"content")] * len(keys)
        with pytest.raises(
            CredentialsRefusedError, match=r"^accountKey: the SAS token lacks the permission c or w \(sp\)"
        ):
            await store.sign(["a"], 60, "PUT")


async def test_a_sas_token_that_cannot_sign_urls_is_refused(transport: Transport, azurite_url: str, name: str) -> None:
    for key, lack in (
        (container_sas(name, hours=-1), r"the SAS token expired at 20\d\d-.*Z \(se\)"),
        (container_sas(name, start=later(0.5)), r"the SAS token is not valid before 20\d\d-.*Z \(st\)"),
        (container_sas(name, "wl"), r"the SAS token lacks the permission r \(sp\)"),
        (account_sas(resource_types="c"), r"the SAS token is not for objects \(srt lacks o\)"),
    ):
        with pytest.raises(CredentialsRefusedError, match=f"^accountKey: {lack}, so that no URL can be made with it"):
            await open_store(transport, azurite_url, name, key=key).sign(["a"], 60)


async def test_a_stored_access_policy_decides(
    transport: Transport, azurite_url: str, container: ContainerClient, name: str
) -> None:
    from azure.storage.blob import AccessPolicy

    fill(container, ["a"])
    container.set_container_access_policy({"rules": AccessPolicy(permission="rl", expiry=later(1), start=later(-1))})
    store = open_store(transport, azurite_url, name, key=container_sas(name, None, expiry=None, policy_id="rules"))
    assert await names(store) == ["a"]
    assert fetch((await store.sign(["a"], 60))[0]) == (200, b"content")
    with pytest.raises(CredentialsRefusedError, match="AuthorizationPermissionMismatch"):
        await store.write("b", b"")


Call = Callable[[AzureStore], Awaitable[Any]]
LIST: Call = lambda store: store.list_page("", None, 10)  # noqa: E731
READ: Call = lambda store: store.read("a", 1)  # noqa: E731
WRITE: Call = lambda store: store.write("a", b"new")  # noqa: E731
DELETE: Call = lambda store: store.delete("a")  # noqa: E731
EVERY = (LIST, READ, WRITE, DELETE)


async def refused(store: AzureStore, call: Call) -> StoreError:
    with pytest.raises(StoreError) as error:
        await call(store)
    assert AZURE_KEY not in error.value.message
    assert "sig=" not in error.value.message
    return error.value


@pytest.mark.parametrize(
    ("call", "permissions", "advice"),
    [
        (LIST, "rwcd", "with the permission l (list) on the container '"),
        (READ, "lwcd", "with the permission r (read) on the path '"),
        (WRITE, "rld", "with the permission w (write) on the path '"),
        (DELETE, "rlwc", "with the permission d (delete) on the path '"),
    ],
)
async def test_a_refusal_names_the_permission_that_the_token_lacks(
    transport: Transport,
    azurite_url: str,
    container: ContainerClient,
    name: str,
    call: Call,
    permissions: str,
    advice: str,
) -> None:
    fill(container, ["a"])
    for key in (account_sas(permissions), container_sas(name, permissions)):
        with observing(recorder := Recorder()):
            error = await refused(open_store(transport, azurite_url, name, key=key), call)
        assert type(error) is CredentialsRefusedError
        assert error.provider_code == "AuthorizationPermissionMismatch"
        assert ["azure", "AuthorizationPermissionMismatch"] in recorder.counted("store_errors")
        assert "accountKey: make a SAS token " + advice in error.message


async def test_a_refused_overwrite_is_recognised(
    transport: Transport, azurite_url: str, container: ContainerClient, name: str
) -> None:
    """Azurite sends the same error as if nothing may be written."""
    for key in (account_sas("rlc"), container_sas(name, "rlc")):
        store = open_store(transport, azurite_url, name, key=key)
        await store.write("new", b"first")
        error = await refused(store, lambda store: store.write("new", b"second"))
        assert type(error) is OverwriteRefusedError
        assert "accountKey: make a SAS token with the permission w (write) too" in error.message
        assert await store.read("new", 10) == b"first"
        container.delete_blob("new")
    store = open_store(transport, azurite_url, name, key=account_sas("rl"))
    assert type(await refused(store, WRITE)) is CredentialsRefusedError


async def test_a_wrong_key_is_refused(transport: Transport, azurite_url: str, name: str) -> None:
    for key in ("d3Jvbmc=", container_sas(name)[:-9] + "AAAAAA%3D"):
        store = open_store(transport, azurite_url, name, key=key)
        for call in EVERY:
            error = await refused(store, call)
            assert type(error) is CredentialsRefusedError
            assert "Check accountKey" in error.message


async def test_an_expired_token_is_refused(transport: Transport, azurite_url: str, name: str) -> None:
    """Azurite sends the same error as for a wrong token."""
    for key in (account_sas(hours=-1), container_sas(name, hours=-1)):
        store = open_store(transport, azurite_url, name, key=key)
        for call in EVERY:
            error = await refused(store, call)
            assert type(error) is CredentialsRefusedError
            assert "accountKey: the SAS token has expired" in error.message


async def test_a_token_of_another_kind_is_refused(transport: Transport, azurite_url: str, name: str) -> None:
    error = await refused(open_store(transport, azurite_url, name, key=account_sas(resource_types="o")), LIST)
    assert "AuthorizationResourceTypeMismatch" in error.message
    assert "accountKey: make the SAS token for the resource types container and object (srt=co)" in error.message
    error = await refused(open_store(transport, azurite_url, name, key=container_sas(name, protocol="https")), LIST)
    assert "AuthorizationProtocolMismatch" in error.message


async def test_a_missing_container_is_named(transport: Transport, azurite_url: str) -> None:
    store = open_store(transport, azurite_url, "no-such-container")
    for call in EVERY:
        error = await refused(store, call)
        assert type(error) is LocationInvalidError
        assert "'no-such-container': ContainerNotFound" in error.message
        assert "There is no such container: check fullPath and HEADWATER_AZURE_ENDPOINT" in error.message


async def test_another_account_is_named(transport: Transport, azurite_url: str) -> None:
    store = open_azure(config("data", account="another"), transport, azurite_url)
    error = await refused(store, LIST)
    assert type(error) is LocationInvalidError
    assert "There is no such account or container: check accountName and fullPath" in error.message


async def test_signing_a_thousand_urls_sends_no_request(transport: Transport, azurite_url: str) -> None:
    with FaultProxy(azurite_url) as proxy:
        store = open_store(transport, proxy.url, clock=lambda: 1_700_000_000.9)
        urls = await store.sign([f"{number}.jpg" for number in range(1000)], 60)
        assert len(set(urls)) == 1000
        assert "se=2023-11-14T22%3A14%3A20Z" in urls[0], "no longer than asked for"
        assert proxy.requests == []
