"""What every store must do, as tests to run against a real server: `class TestMine(StoreConformance)`.

A subclass has one fixture, `prepared`, that yields a `Prepared`: an empty bucket and a way to it that is not the store
under test, such as the vendor's SDK. What the server itself cannot do is skipped by name, with the reason that
`Prepared.cannot` or `Prepared.cannot_store` gives. The tests are coroutines: run them with pytest-asyncio.

    class TestMine(StoreConformance):
        @pytest.fixture
        async def prepared(self, my_server):
            async with my_bucket(my_server) as bucket:
                yield bucket

pytest and pytest-asyncio are not installed with Headwater. Rules are those of contract.md#lists-and-time-windows and of
`headwater.stores.base`.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import ClassVar

import pytest

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, ObjectNotFoundError, StoreError
from headwater.domain.objects import Key, StoredObject
from headwater.stores.base import Store

ODD_KEYS = (
    *("a b", "a+b", "a%41", "a%2Fb", "a#b", "a?b", "a&b", "a=b", "a;b", "a'b", 'a"b', "a<&>b", "a\\b", "a//b", "a:b@c"),
    *("é", "e\u0301", "🦊", "שלום", "~", "a|b", "a*b", "folder/", "(1)", "\u2028", "k" * 1000, "ü" * 500),
    *("/lead", "//x", "a/../b", "../x", ".", "..", "a/./b", "a/", "x/..", "\t", "\x01\x7f\x1f", "a\rb", "a\nb"),
)
"""Keys that clients, proxies and servers like to change. Those that a server cannot store are skipped by name."""

EXPIRY = 2
"""Seconds that the tests of expiry let a URL live."""


class Prepared(ABC):
    """An empty bucket of a real server, and a way to it beside the store under test."""

    cannot: ClassVar[Mapping[str, str]] = {}
    """Tests that this server makes impossible: the name of the test, and the reason."""

    extra_requests: ClassVar[int] = 0
    """Requests that finding out about the server may cost, once."""

    @abstractmethod
    def open(self, root: str = "") -> Store:
        """Open the store under test on the bucket, or on a folder in it (empty or ending in `/`)."""

    @abstractmethod
    def put(self, objects: Mapping[Key, bytes]) -> None:
        """Put objects into the bucket, in this order."""

    @abstractmethod
    def get(self, key: Key) -> bytes | None:
        """Read an object; None where there is none."""

    @abstractmethod
    def remove(self, key: Key) -> None:
        """Remove an object."""

    @abstractmethod
    def modified(self, key: Key) -> float:
        """When the provider says that an object was made, in Unix seconds."""

    def cannot_store(self, key: Key) -> str | None:
        """Why this server cannot hold an object of this key faithfully; None where it can."""
        return None

    def requests(self) -> int | None:
        """How many requests the server has had so far; None where nobody counts."""
        return None

    def missing(self) -> Store | None:
        """The store, opened on a bucket that is not there; None where there is no such thing."""
        return None

    def stranger(self) -> Store | None:
        """The store, opened with credentials that are no good here; None where there are none."""
        return None

    def unreachable(self) -> Store | None:
        """The store, opened where nobody listens; None where that cannot be."""
        return None


async def list_all(
    store: Store, prefix: str = "", limit: int = 1000, after: Key | None = None, until: Key | None = None
) -> list[StoredObject]:
    """List from a bound to the end, or to another bound: the keys after `after`, up to `until`."""
    found: list[StoredObject] = []
    marker = None
    while True:
        page = await store.list_page(prefix, after, limit, marker)
        assert len(page.objects) <= limit
        for item in page.objects:
            if until is not None and item.key > until:
                return found
            found.append(item)
        after, marker = page.resume_after, page.marker
        if after is None:
            return found


def fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """Ask as any program would, without headers of its own; `http.client` changes nothing in a path."""
    scheme, _, rest = url.partition("://")
    authority, _, target = rest.partition("/")
    connect = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = connect(authority, timeout=10)
    try:
        connection.request(method, f"/{target}", body=body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


async def _names(store: Store, prefix: str = "", limit: int = 1000) -> list[Key]:
    return [item.key for item in await list_all(store, prefix, limit)]


def _utf8(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=str.encode)


@pytest.mark.asyncio
class StoreConformance:
    """The tests. Each begins with an empty bucket."""

    @pytest.fixture
    def prepared(self) -> Prepared:
        """Override this."""
        raise NotImplementedError("a subclass gives the fixture `prepared`")

    @pytest.fixture(autouse=True)
    def _possible(self, request: pytest.FixtureRequest, prepared: Prepared) -> None:
        name = getattr(request.node, "originalname", request.node.name)
        if name in prepared.cannot:
            pytest.skip(prepared.cannot[name])

    # --- listing ---

    async def test_an_empty_bucket_has_an_empty_listing(self, prepared: Prepared) -> None:
        for after in (None, "", "a"):
            page = await prepared.open().list_page("", after, 10)
            assert (page.objects, page.resume_after, page.unreadable) == ([], None, 0)

    async def test_what_is_told_of_an_object(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"12345"})
        (found,) = (await prepared.open().list_page("", None, 10)).objects
        assert (found.key, found.size) == ("a.jpg", 5)
        assert found.etag is None or found.etag

    async def test_times_are_floored_to_the_second(self, prepared: Prepared) -> None:
        prepared.put({"a": b"", "b": b""})
        for found in await list_all(prepared.open()):
            assert isinstance(found.modified, int)
            assert found.modified == int(prepared.modified(found.key))
            assert abs(found.modified - time.time()) < 300

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, 1000])
    async def test_pages_of_every_length_make_one_listing(self, prepared: Prepared, limit: int) -> None:
        keys = ["a!", "a-1", "a/1", "a/2", "b", "ü"]
        prepared.put(dict.fromkeys(reversed(keys), b"x"))
        assert await _names(prepared.open(), limit=limit) == keys

    async def test_exactly_a_page(self, prepared: Prepared) -> None:
        """A full page may say that more is to come; the next one then is empty and the last."""
        prepared.put(dict.fromkeys("abc", b"x"))
        store = prepared.open()
        page = await store.list_page("", None, 3)
        assert [item.key for item in page.objects] == ["a", "b", "c"]
        if page.resume_after is not None:
            page = await store.list_page("", page.resume_after, 3, page.marker)
            assert (page.objects, page.resume_after) == ([], None)

    async def test_many_pages(self, prepared: Prepared) -> None:
        keys = [f"{folder}/{number:03}" for folder in "abc" for number in range(40)]
        prepared.put(dict.fromkeys(keys, b"x"))
        assert await _names(prepared.open(), limit=7) == keys

    async def test_a_listing_begins_strictly_after_any_key(self, prepared: Prepared) -> None:
        prepared.put(dict.fromkeys(["a", "b", "c"], b"x"))
        store = prepared.open()
        for after, expected in (("a", "bc"), ("aa", "bc"), ("c", ""), ("", "abc"), ("`", "abc"), ("\U0010ffff", "")):
            assert [item.key for item in (await store.list_page("", after, 10)).objects] == list(expected), after

    async def test_order_is_that_of_utf_8_bytes(self, prepared: Prepared) -> None:
        """UTF-16 and locales order these otherwise."""
        keys = ["A", "B", "a", "ab", "b", "é", "\uffee", "🦊"]
        assert keys == _utf8(keys)
        prepared.put(dict.fromkeys(reversed(keys), b"x"))
        assert await _names(prepared.open(), limit=3) == keys

    async def test_prefixes_and_their_neighbours(self, prepared: Prepared) -> None:
        prepared.put(dict.fromkeys(["dat", "data-x", "data/a", "data/b/c", "data2/a", "x/data/a"], b"x"))
        store = prepared.open()
        assert await _names(store, "data/") == ["data/a", "data/b/c"]
        assert await _names(store, "data/b") == ["data/b/c"]
        assert await _names(store, "data") == ["data-x", "data/a", "data/b/c", "data2/a"]
        assert await _names(store, "data", limit=1) == ["data-x", "data/a", "data/b/c", "data2/a"]
        assert await _names(store, "nothing") == []

    async def test_a_root_reaches_no_neighbour(self, prepared: Prepared) -> None:
        prepared.put({"data/a": b"1", "data/b/c": b"2", "data2/a": b"3", "a": b"4"})
        below = prepared.open("data/")
        for limit in (1, 2, 1000):
            assert await _names(below, limit=limit) == ["a", "b/c"]
        assert await _names(below, "b/") == ["b/c"]
        assert await below.read("a", 10) == b"1"
        await below.write("new", b"5")
        await below.delete("a")
        assert (prepared.get("data/new"), prepared.get("data/a")) == (b"5", None)
        assert (prepared.get("data2/a"), prepared.get("a")) == (b"3", b"4")

    async def test_what_stays_is_listed_once_whatever_comes_and_goes(self, prepared: Prepared) -> None:
        stay = [f"{number:02}-stays" for number in range(20)]
        prepared.put(dict.fromkeys([*stay, *(f"{number:02}-goes" for number in range(20))], b"x"))
        store = prepared.open()
        seen: list[Key] = []
        after, marker, turn = None, None, 0
        while True:
            page = await store.list_page("", after, 4, marker)
            seen += [item.key for item in page.objects]
            after, marker = page.resume_after, page.marker
            if after is None:
                break
            if turn < 20:
                # Also the very key that the listing stands at.
                for gone in {f"{turn:02}-goes", after} - set(stay):
                    prepared.remove(gone)
                prepared.put({f"{turn:02}-new": b"x", f"{19 - turn:02}-late": b"x"})
            turn += 1
        assert [key for key in seen if key in stay] == stay
        assert len(seen) == len(set(seen))

    @pytest.mark.parametrize("seed", range(3))
    async def test_paging_is_one_sorted_list(self, prepared: Prepared, seed: int) -> None:
        chosen = random.Random(seed)
        alphabet = [*"abc019-_. +/%", "é", "ü", "中"]
        keys = {
            "/".join("".join(chosen.choices(alphabet[:-3] + alphabet[-3:], k=3)) for _ in range(2)) for _ in range(60)
        }
        keys = {key for key in keys if _is_tame(key) and prepared.cannot_store(key) is None}
        prepared.put(dict.fromkeys(sorted(keys, key=lambda _: chosen.random()), b"x"))
        store = prepared.open()
        for _ in range(6):
            prefix = chosen.choice(["", "a", "a/", *(key[: chosen.randint(1, 4)] for key in sorted(keys)[:5])])
            limit = chosen.randint(1, 30)
            expected = [key for key in _utf8(keys) if key.startswith(prefix)]
            assert await _names(store, prefix, limit) == expected, (prefix, limit)

    @pytest.mark.parametrize("seed", range(3))
    async def test_bounds_cut_a_listing_into_disjoint_parts(self, prepared: Prepared, seed: int) -> None:
        """Bounds are keys that are there, keys that are not, and parts of keys."""
        chosen = random.Random(seed)
        keys = _utf8({f"{chosen.choice('aby')}/{chosen.randint(0, 99):02}/{chosen.choice('xyü')}" for _ in range(60)})
        prepared.put(dict.fromkeys(keys, b"x"))
        store = prepared.open()
        bounds = _utf8({*chosen.sample(keys, 3), "a", "b/5", "b/", "zz", "", chosen.choice(keys) + "\U0010ffff"})
        cuts: list[Key | None] = [None, *bounds, None]
        parts = [
            [item.key for item in await list_all(store, "", 10, after, until)]
            for after, until in itertools.pairwise(cuts)
        ]
        assert [key for part in parts for key in part] == keys

    # --- what a listing costs ---

    async def test_a_listing_costs_a_request_for_each_page(self, prepared: Prepared) -> None:
        prepared.put({f"{number:03}": b"x" for number in range(60)})
        store = prepared.open()
        before = _count(prepared)
        assert len(await list_all(store, limit=10)) == 60
        assert 6 <= _count(prepared) - before <= 7 + prepared.extra_requests

    async def test_a_page_costs_one_request_deep_and_shallow(self, prepared: Prepared) -> None:
        prepared.put({f"{number:03}": b"x" for number in range(60)})
        store = prepared.open()
        await list_all(store, limit=30)
        after, marker, costs = None, None, []
        for _ in range(5):
            before = _count(prepared)
            page = await store.list_page("", after, 10, marker)
            after, marker = page.resume_after, page.marker
            costs.append(_count(prepared) - before)
        assert costs == [1] * 5

    async def test_signing_asks_nobody(self, prepared: Prepared) -> None:
        prepared.put({"a": b"x"})
        store = prepared.open()
        await store.list_page("", None, 1)
        before = _count(prepared)
        assert len(await store.sign(["a", "b", "c"] * 100, 60)) == 300
        assert _count(prepared) == before

    # --- objects ---

    async def test_reading(self, prepared: Prepared) -> None:
        prepared.put({"a": b"0123456789", "empty": b""})
        store = prepared.open()
        assert [await store.read("a", limit) for limit in (1, 4, 10, 100)] == [b"0", b"0123", *[b"0123456789"] * 2]
        assert await store.read("empty", 10) == b""
        for absent in ("b", "a/b", "no/such"):
            with pytest.raises(ObjectNotFoundError):
                await store.read(absent, 10)

    async def test_reading_a_part(self, prepared: Prepared) -> None:
        prepared.put({"a": b"0123456789", "empty": b""})
        store = prepared.open()
        parts = [(1, 0), (1, 3), (4, 0), (4, 8), (10, 0), (100, 9), (1, 10), (5, 99)]
        expected = [b"0", b"3", b"0123", b"89", b"0123456789", b"9", b"", b""]
        assert [await store.read("a", limit, start) for limit, start in parts] == expected
        assert await store.read("empty", 10, 5) == b""
        with pytest.raises(ObjectNotFoundError):
            await store.read("b", 10, 5)

    async def test_writing_replacing_and_removing(self, prepared: Prepared) -> None:
        store = prepared.open()
        for data in (b"first", b"", b"\x00\xff" * 1000):
            await store.write("folder/a b.txt", data)
            assert prepared.get("folder/a b.txt") == data
        await store.delete("folder/a b.txt")
        assert prepared.get("folder/a b.txt") is None
        await store.delete("folder/a b.txt")
        await store.delete("never/was")

    @pytest.mark.parametrize("root", ["", "a b/ü+/"])
    @pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: ascii(key)[1:40])
    async def test_odd_keys_are_what_they_are(self, prepared: Prepared, key: Key, root: str) -> None:
        if (reason := prepared.cannot_store(root + key)) is not None:
            pytest.skip(reason)
        prepared.put({root + key: b"odd", root + "zz": b"plain"})
        store = prepared.open(root)
        assert await _names(store) == _utf8([key, "zz"])
        if key.isprintable():  # a server may repeat the prefix in XML, which has no control characters
            assert await _names(store, key[:3]) == [name for name in [key, "zz"] if name.startswith(key[:3])]
        assert await _names(store, limit=1) == _utf8([key, "zz"])
        assert await store.read(key, 100) == b"odd"
        if "test_a_url_reads_the_object" not in prepared.cannot:
            (url,) = await store.sign([key], 60)
            assert fetch(url) == (200, b"odd")
        await store.write(key, b"new")
        assert prepared.get(root + key) == b"new"
        await store.delete(key)
        assert prepared.get(root + key) is None

    # --- signed URLs ---

    async def test_a_url_reads_the_object(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"content", "b.jpg": b"other"})
        first, absent, second = await prepared.open().sign(["a.jpg", "absent.jpg", "b.jpg"], 60)
        assert fetch(first) == (200, b"content")
        assert fetch(second) == (200, b"other")
        assert fetch(absent)[0] in (403, 404)

    async def test_a_url_tells_of_the_object(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"content"})
        (url,) = await prepared.open().sign(["a.jpg"], 60, "HEAD")
        assert fetch(url, "HEAD") == (200, b"")

    async def test_a_url_writes_the_object(self, prepared: Prepared) -> None:
        store = prepared.open()
        for body in (b"by url", b"again"):
            (url,) = await store.sign([".lightly/a b.json"], 60, "PUT")
            status, _ = _put(url, body)
            assert status in (200, 201)
            assert prepared.get(".lightly/a b.json") == body

    async def test_a_url_is_good_for_its_object_and_method_alone(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"content", "b.jpg": b"other"})
        (url,) = await prepared.open().sign(["a.jpg"], 60)
        assert fetch(url) == (200, b"content")
        assert fetch(url.replace("a.jpg", "b.jpg"))[0] in (400, 403)
        assert _put(url, b"changed")[0] in (400, 403, 405)
        assert prepared.get("a.jpg") == b"content"

    async def test_a_url_ends(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"content"})
        (url,) = await prepared.open().sign(["a.jpg"], EXPIRY)
        await asyncio.sleep(EXPIRY + 1.5)
        assert fetch(url)[0] in (400, 403)

    # --- refusals ---

    async def test_a_bucket_that_is_not_there_is_no_empty_one(self, prepared: Prepared) -> None:
        store = prepared.missing()
        if store is None:
            pytest.skip("there is no such thing")
        for name, call in _calls(store).items():
            with pytest.raises(LocationInvalidError) as refusal:
                await call()
            assert len(refusal.value.message) > 20, name

    async def test_credentials_that_are_no_good_are_told_so(self, prepared: Prepared) -> None:
        store = prepared.stranger()
        if store is None:
            pytest.skip("nobody is refused here")
        for name, call in _calls(store).items():
            with pytest.raises(CredentialsRefusedError) as refusal:
                await call()
            assert refusal.value.provider_code, name

    async def test_a_server_that_is_not_there_is_told_so(self, prepared: Prepared) -> None:
        store = prepared.unreachable()
        if store is None:
            pytest.skip("it is always there")
        began = time.monotonic()
        with pytest.raises(StoreError) as refusal:
            await store.list_page("", None, 10)
        assert time.monotonic() - began < 15
        assert not isinstance(refusal.value, ObjectNotFoundError | CredentialsRefusedError)


def _is_tame(key: Key) -> bool:
    """Whether a key is one that every server stores: what is odd has tests of its own."""
    return all(part.strip(". ") == part and part for part in key.split("/"))


def _count(prepared: Prepared) -> int:
    count = prepared.requests()
    if count is None:
        pytest.skip("nobody counts requests here")
    return count


def _put(url: str, body: bytes) -> tuple[int, bytes]:
    return fetch(url, "PUT", body)


def _calls(store: Store) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "list": lambda: store.list_page("", None, 10),
        "read": lambda: store.read("a", 10),
        "write": lambda: store.write("a", b"x"),
    }
