"""What every store must do, as tests to run against a real server: `class TestMyStore(StoreConformance)`.

A subclass overrides one fixture, `prepared`. It yields a `Prepared`: an empty bucket, and access to it that does not
use the store under test, such as the vendor's SDK. `Prepared.skipped_tests` and `Prepared.why_not_storable` name what
the server cannot do; the suite skips that. The tests are coroutines: run them with pytest-asyncio.

    class TestMyStore(StoreConformance):
        @pytest.fixture
        async def prepared(self, my_server):
            async with my_bucket(my_server) as bucket:
                yield bucket

The rules are those of contract.md#lists-and-time-windows and of `headwater.stores.base`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterable

import pytest

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, ObjectNotFoundError, StoreError
from headwater.domain.objects import Key, version_of
from headwater.stores.base import Store
from headwater.testing.prepared import ODD_KEYS, Prepared, fetch, list_all, list_keys

URL_LIFE_SECONDS = 2
"""How long the URLs of the expiry tests are valid."""


@pytest.mark.asyncio
class StoreConformance:
    """The tests. Each starts with an empty bucket."""

    @pytest.fixture
    def prepared(self) -> Prepared:
        """Return the prepared bucket; a subclass overrides this."""
        raise NotImplementedError("a subclass overrides the fixture `prepared`")

    @pytest.fixture(autouse=True)
    def _skip_impossible_test(self, request: pytest.FixtureRequest, prepared: Prepared) -> None:
        name = getattr(request.node, "originalname", request.node.name)
        if name in prepared.skipped_tests:
            pytest.skip(prepared.skipped_tests[name])

    # --- listing ---

    async def test_an_empty_bucket_has_an_empty_listing(self, prepared: Prepared) -> None:
        for after in (None, "", "a"):
            page = await prepared.open().list_page("", after, 10)
            assert (page.objects, page.resume_after, page.unreadable) == ([], None, 0)

    async def test_an_object_has_key_size_and_etag(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"12345"})
        (found,) = (await prepared.open().list_page("", None, 10)).objects
        assert (found.key, found.size) == ("a.jpg", 5)
        assert found.etag is None or found.etag

    async def test_a_version_changes_when_the_object_is_replaced_and_not_before(self, prepared: Prepared) -> None:
        versions = []
        for content in (b"12345", b"another"):
            prepared.put({"a.jpg": content})
            for _ in range(2):
                (found,) = (await prepared.open().list_page("", None, 10)).objects
                versions.append(version_of(found))
        assert versions[0] == versions[1] != versions[2] == versions[3]

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
        assert await list_keys(prepared.open(), limit=limit) == keys

    async def test_a_full_last_page_ends_the_listing(self, prepared: Prepared) -> None:
        """A full page may announce another one, which is then empty and the last."""
        prepared.put(dict.fromkeys("abc", b"x"))
        store = prepared.open()
        page = await store.list_page("", None, 3)
        assert [item.key for item in page.objects] == ["a", "b", "c"]
        if page.resume_after is not None:
            page = await store.list_page("", page.resume_after, 3, page.marker)
            assert (page.objects, page.resume_after) == ([], None)

    async def test_many_pages_make_one_listing(self, prepared: Prepared) -> None:
        keys = [f"{folder}/{number:03}" for folder in "abc" for number in range(40)]
        prepared.put(dict.fromkeys(keys, b"x"))
        assert await list_keys(prepared.open(), limit=7) == keys

    async def test_a_listing_starts_strictly_after_any_key(self, prepared: Prepared) -> None:
        prepared.put(dict.fromkeys(["a", "b", "c"], b"x"))
        store = prepared.open()
        for after, expected in (("a", "bc"), ("aa", "bc"), ("c", ""), ("", "abc"), ("`", "abc"), ("\U0010ffff", "")):
            assert [item.key for item in (await store.list_page("", after, 10)).objects] == list(expected), after

    async def test_order_is_by_utf_8_bytes(self, prepared: Prepared) -> None:
        """UTF-16 and locales order these keys differently."""
        keys = ["A", "B", "a", "ab", "b", "é", "\uffee", "🦊"]
        assert keys == _in_utf8_order(keys)
        prepared.put(dict.fromkeys(reversed(keys), b"x"))
        assert await list_keys(prepared.open(), limit=3) == keys

    async def test_a_prefix_selects_no_neighbours(self, prepared: Prepared) -> None:
        prepared.put(dict.fromkeys(["dat", "data-x", "data/a", "data/b/c", "data2/a", "x/data/a"], b"x"))
        store = prepared.open()
        assert await list_keys(store, "data/") == ["data/a", "data/b/c"]
        assert await list_keys(store, "data/b") == ["data/b/c"]
        assert await list_keys(store, "data") == ["data-x", "data/a", "data/b/c", "data2/a"]
        assert await list_keys(store, "data", limit=1) == ["data-x", "data/a", "data/b/c", "data2/a"]
        assert await list_keys(store, "nothing") == []

    async def test_a_store_reaches_nothing_outside_its_root(self, prepared: Prepared) -> None:
        prepared.put({"data/a": b"1", "data/b/c": b"2", "data2/a": b"3", "a": b"4"})
        below = prepared.open("data/")
        for limit in (1, 2, 1000):
            assert await list_keys(below, limit=limit) == ["a", "b/c"]
        assert await list_keys(below, "b/") == ["b/c"]
        assert await below.read("a", 10) == b"1"
        await below.write("new", b"5")
        await below.delete("a")
        assert (prepared.get("data/new"), prepared.get("data/a")) == (b"5", None)
        assert (prepared.get("data2/a"), prepared.get("a")) == (b"3", b"4")

    async def test_folders_beside_the_root_are_listed(self, prepared: Prepared) -> None:
        """Verify suggests them if nothing is under the root."""
        prepared.put({"a b+ü/x": b"1", "c/d/x": b"2", "c/e": b"3", "f": b"4"})
        store = prepared.open("absent/")
        if not store.root:
            pytest.skip("the root of this store has no name")
        above = store.root.removesuffix("absent/")
        assert sorted(await store.list_folders(above)) == ["a b+ü", "c"]
        assert await store.list_folders(f"{above}c/") == ["d"]

    async def test_unchanged_objects_are_listed_once_while_others_change(self, prepared: Prepared) -> None:
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
                # Including the key at which the listing resumes.
                for gone in {f"{turn:02}-goes", after} - set(stay):
                    prepared.remove(gone)
                prepared.put({f"{turn:02}-new": b"x", f"{19 - turn:02}-late": b"x"})
            turn += 1
        assert [key for key in seen if key in stay] == stay
        assert len(seen) == len(set(seen))

    @pytest.mark.parametrize("seed", range(3))
    async def test_pages_of_random_keys_make_one_sorted_list(self, prepared: Prepared, seed: int) -> None:
        chosen = random.Random(seed)
        alphabet = [*"abc019-_. +/%", "é", "ü", "中"]
        keys = {
            "/".join("".join(chosen.choices(alphabet[:-3] + alphabet[-3:], k=3)) for _ in range(2)) for _ in range(60)
        }
        keys = {key for key in keys if _is_plain(key) and prepared.why_not_storable(key) is None}
        prepared.put(dict.fromkeys(sorted(keys, key=lambda _: chosen.random()), b"x"))
        store = prepared.open()
        for _ in range(6):
            prefix = chosen.choice(["", "a", "a/", *(key[: chosen.randint(1, 4)] for key in sorted(keys)[:5])])
            limit = chosen.randint(1, 30)
            expected = [key for key in _in_utf8_order(keys) if key.startswith(prefix)]
            assert await list_keys(store, prefix, limit) == expected, (prefix, limit)

    @pytest.mark.parametrize("seed", range(3))
    async def test_split_points_divide_a_listing_into_disjoint_parts(self, prepared: Prepared, seed: int) -> None:
        """Split points are existing keys, keys that do not exist, and parts of keys."""
        chosen = random.Random(seed)
        keys = _in_utf8_order(
            {f"{chosen.choice('aby')}/{chosen.randint(0, 99):02}/{chosen.choice('xyü')}" for _ in range(60)}
        )
        prepared.put(dict.fromkeys(keys, b"x"))
        store = prepared.open()
        split_points = _in_utf8_order(
            {*chosen.sample(keys, 3), "a", "b/5", "b/", "zz", "", chosen.choice(keys) + "\U0010ffff"}
        )
        ends: list[Key | None] = [None, *split_points, None]
        parts = [
            [item.key for item in await list_all(store, "", 10, after, last_key)]
            for after, last_key in itertools.pairwise(ends)
        ]
        assert [key for part in parts for key in part] == keys

    # --- what a listing costs ---

    async def test_a_listing_costs_one_request_per_page(self, prepared: Prepared) -> None:
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

    async def test_signing_sends_no_request(self, prepared: Prepared) -> None:
        prepared.put({"a": b"x"})
        store = prepared.open()
        await store.list_page("", None, 1)
        before = _count(prepared)
        assert len(await store.sign(["a", "b", "c"] * 100, 60)) == 300
        assert _count(prepared) == before

    # --- objects ---

    async def test_read_returns_the_content_up_to_the_limit(self, prepared: Prepared) -> None:
        prepared.put({"a": b"0123456789", "empty": b""})
        store = prepared.open()
        assert [await store.read("a", limit) for limit in (1, 4, 10, 100)] == [b"0", b"0123", *[b"0123456789"] * 2]
        assert await store.read("empty", 10) == b""
        for absent in ("b", "a/b", "no/such"):
            with pytest.raises(ObjectNotFoundError):
                await store.read(absent, 10)

    async def test_read_returns_a_part(self, prepared: Prepared) -> None:
        prepared.put({"a": b"0123456789", "empty": b""})
        store = prepared.open()
        parts = [(1, 0), (1, 3), (4, 0), (4, 8), (10, 0), (100, 9), (1, 10), (5, 99)]
        expected = [b"0", b"3", b"0123", b"89", b"0123456789", b"9", b"", b""]
        assert [await store.read("a", limit, start) for limit, start in parts] == expected
        assert await store.read("empty", 10, 5) == b""
        with pytest.raises(ObjectNotFoundError):
            await store.read("b", 10, 5)

    async def test_objects_are_written_replaced_and_deleted(self, prepared: Prepared) -> None:
        store = prepared.open()
        for data in (b"first", b"", b"\x00\xff" * 1000):
            await store.write("folder/a b.txt", data)
            assert prepared.get("folder/a b.txt") == data
        await store.delete("folder/a b.txt")
        assert prepared.get("folder/a b.txt") is None
        await store.delete("folder/a b.txt")
        await store.delete("never/was")

    async def test_a_written_version_is_deleted(self, prepared: Prepared) -> None:
        """For stores that return versions."""
        store = prepared.open()
        versions = [await store.write("a b.txt", data) for data in (b"first", b"second")]
        for version in reversed(versions):
            if version is None:
                pytest.skip("the bucket keeps no versions")
            await store.delete_version("a b.txt", version)
        assert prepared.get("a b.txt") is None

    @pytest.mark.parametrize("root", ["", "a b/ü+/"])
    @pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: ascii(key)[1:40])
    async def test_odd_keys_stay_unchanged(self, prepared: Prepared, key: Key, root: str) -> None:
        if (reason := prepared.why_not_storable(root + key)) is not None:
            pytest.skip(reason)
        prepared.put({root + key: b"odd", root + "zz": b"plain"})
        store = prepared.open(root)
        assert await list_keys(store) == _in_utf8_order([key, "zz"])
        if key.isprintable():  # XML, in which a server may repeat the prefix, has no control characters
            assert await list_keys(store, key[:3]) == [name for name in [key, "zz"] if name.startswith(key[:3])]
        assert await list_keys(store, limit=1) == _in_utf8_order([key, "zz"])
        assert await store.read(key, 100) == b"odd"
        if "test_a_get_url_reads_the_object" not in prepared.skipped_tests:
            (url,) = await store.sign([key], 60)
            assert fetch(url) == (200, b"odd")
        await store.write(key, b"new")
        assert prepared.get(root + key) == b"new"
        await store.delete(key)
        assert prepared.get(root + key) is None

    # --- signed URLs ---

    async def test_a_get_url_reads_the_object(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"content", "b.jpg": b"other"})
        first, absent, second = await prepared.open().sign(["a.jpg", "absent.jpg", "b.jpg"], 60)
        assert fetch(first) == (200, b"content")
        assert fetch(second) == (200, b"other")
        assert fetch(absent)[0] in (403, 404)

    async def test_a_head_url_describes_the_object(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"content"})
        (url,) = await prepared.open().sign(["a.jpg"], 60, "HEAD")
        assert fetch(url, "HEAD") == (200, b"")

    async def test_a_put_url_writes_the_object(self, prepared: Prepared) -> None:
        store = prepared.open()
        for body in (b"by url", b"again"):
            (url,) = await store.sign([".lightly/a b.json"], 60, "PUT")
            status, _ = _put(url, body)
            assert status in (200, 201)
            assert prepared.get(".lightly/a b.json") == body

    async def test_a_url_is_valid_only_for_its_object_and_method(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"content", "b.jpg": b"other"})
        (url,) = await prepared.open().sign(["a.jpg"], 60)
        assert fetch(url) == (200, b"content")
        assert fetch(url.replace("a.jpg", "b.jpg"))[0] in (400, 403)
        assert _put(url, b"changed")[0] in (400, 403, 405)
        assert prepared.get("a.jpg") == b"content"

    async def test_a_url_expires(self, prepared: Prepared) -> None:
        prepared.put({"a.jpg": b"content"})
        (url,) = await prepared.open().sign(["a.jpg"], URL_LIFE_SECONDS)
        await asyncio.sleep(URL_LIFE_SECONDS + 1.5)
        assert fetch(url)[0] in (400, 403)

    # --- errors ---

    async def test_a_missing_bucket_is_an_error(self, prepared: Prepared) -> None:
        store = prepared.open_missing_bucket()
        if store is None:
            pytest.skip("every bucket exists here")
        for name, call in _calls(store).items():
            with pytest.raises(LocationInvalidError) as refusal:
                await call()
            assert len(refusal.value.message) > 20, name

    async def test_wrong_credentials_are_refused(self, prepared: Prepared) -> None:
        store = prepared.open_with_wrong_credentials()
        if store is None:
            pytest.skip("no credentials are refused here")
        for name, call in _calls(store).items():
            with pytest.raises(CredentialsRefusedError) as refusal:
                await call()
            assert refusal.value.provider_code, name

    async def test_an_unreachable_server_is_an_error(self, prepared: Prepared) -> None:
        store = prepared.open_unreachable()
        if store is None:
            pytest.skip("there is no endpoint")
        began = time.monotonic()
        with pytest.raises(StoreError) as refusal:
            await store.list_page("", None, 10)
        assert time.monotonic() - began < 15
        assert not isinstance(refusal.value, ObjectNotFoundError | CredentialsRefusedError)


def _in_utf8_order(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=str.encode)


def _is_plain(key: Key) -> bool:
    """Return whether every server can store this key; odd keys have their own test."""
    return all(part.strip(". ") == part and part for part in key.split("/"))


def _count(prepared: Prepared) -> int:
    count = prepared.request_count()
    if count is None:
        pytest.skip("requests are not counted here")
    return count


def _put(url: str, body: bytes) -> tuple[int, bytes]:
    return fetch(url, "PUT", body)


def _calls(store: Store) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "list": lambda: store.list_page("", None, 10),
        "read": lambda: store.read("a", 10),
        "write": lambda: store.write("a", b"x"),
    }
