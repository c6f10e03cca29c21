"""What each method of the catalog promises, on SQLite and PostgreSQL."""

import asyncio
import hashlib
import time
from dataclasses import replace

import pytest

from headwater.domain.dataset import DatasetCreator, DatasetType, ImageType, NewDataset
from headwater.domain.datasource import Datasource, Purpose
from headwater.domain.errors import MalformedRequestError, NameTakenError
from headwater.domain.ids import is_id, new_id
from headwater.domain.purposes import Reconfigured
from headwater.domain.window import LAST_SECOND, Window
from tests.catalog.values import add_user, config, dataset_with_datasources, put
from tests.domain.configs import SECRETS, VALID

EVERYTHING = NewDataset(
    name="all of it",
    type=DatasetType.VIDEOS,
    img_type=ImageType.THUMBNAIL,
    creator=DatasetCreator.USER_WORKER,
    parent_id=new_id(),
    include_all_files=True,
)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def test_answers_a_ping(catalog):
    await catalog.ping()


async def test_users(catalog):
    assert not await catalog.users.exists("ann")
    await add_user(catalog, "ann")
    await add_user(catalog, "ann")
    await add_user(catalog, "https://issuer.example.com/|sub'\"%s:x")
    assert await catalog.users.exists("ann")
    assert await catalog.users.exists("https://issuer.example.com/|sub'\"%s:x")
    assert not await catalog.users.exists("Ann")
    assert await catalog.users.list() == ["ann", "https://issuer.example.com/|sub'\"%s:x"]


async def test_tokens(catalog):
    before = time.time_ns() // 1_000_000
    first = await catalog.tokens.add("ann", False, digest("1"))
    second = await catalog.tokens.add("root", True, digest("2"))
    after = time.time_ns() // 1_000_000
    assert is_id(first.id)
    assert (first.user, first.admin, first.revoked_at) == ("ann", False, None)
    assert before <= first.created_at <= after
    assert second.admin is True
    assert await catalog.users.exists("root")
    assert await catalog.tokens.find(digest("1")) == first
    assert await catalog.tokens.find(digest("2")) == second
    assert await catalog.tokens.find(digest("3")) is None
    assert sorted(await catalog.tokens.list(), key=lambda token: token.user) == [first, second]


async def test_revoked_token_is_none_and_keeps_the_time_of_its_first_revocation(catalog):
    token = await catalog.tokens.add("ann", False, digest("1"))
    other = await catalog.tokens.add("ann", False, digest("2"))
    assert await catalog.tokens.revoke(token.id)
    assert await catalog.tokens.find(digest("1")) is None
    assert await catalog.tokens.find(digest("2")) == other
    (revoked,) = [each for each in await catalog.tokens.list() if each.id == token.id]
    assert token.created_at <= revoked.revoked_at <= time.time_ns() // 1_000_000
    await asyncio.sleep(0.005)
    assert await catalog.tokens.revoke(token.id)
    assert revoked in await catalog.tokens.list()
    assert not await catalog.tokens.revoke(new_id())


@pytest.mark.parametrize("new", [NewDataset(name="plain"), EVERYTHING], ids=["plain", "everything"])
async def test_dataset_is_kept_as_it_was_made(catalog, new):
    before = time.time_ns() // 1_000_000
    made = await catalog.datasets.add("ann", new)
    assert is_id(made.id)
    assert (made.owner, made.watermark) == ("ann", 0)
    assert before <= made.created_at == made.modified_at <= time.time_ns() // 1_000_000
    assert {name: getattr(made, name) for name in new.__slots__} == {name: getattr(new, name) for name in new.__slots__}
    assert await catalog.datasets.get(made.id) == made
    assert await dataset_with_datasources(catalog, made.id) == (made, [])
    assert await catalog.users.exists("ann")


async def test_unknown_dataset(catalog):
    absent = new_id()
    assert await catalog.datasets.get(absent) is None
    assert await dataset_with_datasources(catalog, absent) is None
    assert await catalog.datasources.list(absent) == []
    assert not await catalog.datasets.rename(absent, "name")
    assert not await catalog.datasets.delete(absent)
    assert not await catalog.datasets.set_watermark(absent, 1)
    assert await catalog.datasources.change(absent, put(absent, config())) is None


async def test_name_is_unique_for_one_owner_only(catalog):
    await catalog.datasets.add("ann", NewDataset(name="cats"))
    with pytest.raises(NameTakenError, match="'cats'"):
        await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasets.add("bob", NewDataset(name="cats"))
    await catalog.datasets.add("ann", NewDataset(name="Cats"))
    assert len(await catalog.datasets.list(None)) == 3


async def test_rename(catalog):
    made = await catalog.datasets.add("ann", NewDataset(name="cats"))
    other = await catalog.datasets.add("ann", NewDataset(name="dogs"))
    with pytest.raises(NameTakenError, match="'dogs'"):
        await catalog.datasets.rename(made.id, "dogs")
    assert await catalog.datasets.get(made.id) == made
    await asyncio.sleep(0.002)
    assert await catalog.datasets.rename(made.id, "birds")
    renamed = await catalog.datasets.get(made.id)
    assert renamed == replace(made, name="birds", modified_at=renamed.modified_at)
    assert renamed.modified_at > made.modified_at
    assert await catalog.datasets.rename(made.id, "birds")
    assert await catalog.datasets.get(other.id) == other
    await catalog.datasets.add("ann", NewDataset(name="cats"))


async def test_datasets_come_in_the_order_they_were_made(catalog):
    made = [await catalog.datasets.add(("ann", "bob")[i % 2], NewDataset(name=f"set {9 - i}")) for i in range(6)]
    made.sort(key=lambda dataset: (dataset.created_at, dataset.id))
    ann = [dataset for dataset in made if dataset.owner == "ann"]
    assert await catalog.datasets.list(None) == made
    assert await catalog.datasets.list("ann") == ann
    assert await catalog.datasets.list("nobody") == []
    assert await catalog.datasets.list(None, limit=2) == made[:2]
    assert await catalog.datasets.list(None, offset=4) == made[4:]
    assert await catalog.datasets.list(None, limit=2, offset=3) == made[3:5]
    assert await catalog.datasets.list("ann", limit=5, offset=1) == ann[1:]
    assert await catalog.datasets.list(None, limit=10**30) == made
    assert await catalog.datasets.list(None, offset=10**30) == []


async def test_datasets_of_a_name(catalog):
    ann = await catalog.datasets.add("ann", NewDataset(name="cats"))
    bob = await catalog.datasets.add("bob", NewDataset(name="cats"))
    await catalog.datasets.add("ann", NewDataset(name="cats and dogs"))
    assert {dataset.id for dataset in await catalog.datasets.list(None, name="cats")} == {ann.id, bob.id}
    assert await catalog.datasets.list("bob", name="cats") == [bob]
    assert await catalog.datasets.list(None, name="cat") == []
    assert await catalog.datasets.list(None, name="Cats") == []


async def test_datasets_whose_names_begin_alike(catalog):
    """`_` and `%` are wildcards of LIKE, which takes no notice of letter case on SQLite; a dictionary's order does not
    keep names with a prefix together on PostgreSQL."""
    names = ["a_b", "axb", "a_b c", "A_b", "a_", "a_-", "a b", "ab", "a-b", "b_a", "a_zz", "aZ", "a_B", "a_b_1"]
    for name in names:
        await catalog.datasets.add("ann", NewDataset(name=name))
    await catalog.datasets.add("bob", NewDataset(name="a_b"))
    for prefix in ["a_b", "a_", "a", "A", "a%", "a_b ", "z", "a-", "a_z", *names]:
        found = await catalog.datasets.list("ann", prefix=prefix)
        assert {each.name for each in found} == {name for name in names if name.startswith(prefix)}, prefix
        assert found == [each for each in await catalog.datasets.list("ann") if each in found]
    assert [each.owner for each in await catalog.datasets.list(None, prefix="a_b_")] == ["ann"]
    assert len(await catalog.datasets.list(None, prefix="a_b")) == 4
    assert await catalog.datasets.list("ann", prefix="a_", limit=1, offset=1) == [
        (await catalog.datasets.list("ann", prefix="a_"))[1]
    ]


async def test_newest_are_chosen_before_pages(catalog):
    made = [await catalog.datasets.add("ann", NewDataset(name=f"set {number}")) for number in range(5)]
    await catalog.datasets.add("bob", NewDataset(name="set"))
    made.sort(key=lambda dataset: (dataset.created_at, dataset.id))
    assert await catalog.datasets.list("ann", newest=3) == made[2:]
    assert await catalog.datasets.list("ann", 2, 1, newest=3) == made[3:]
    assert await catalog.datasets.list("ann", newest=10**30) == made
    assert await catalog.datasets.list("ann", newest=3, prefix="no") == []


async def test_datasets_of_ids(catalog, monkeypatch):
    monkeypatch.setattr("headwater.catalog.datasets.MAX_IDS_PER_QUERY", 2)
    made = [await catalog.datasets.add("ann", NewDataset(name=f"set {number}")) for number in range(4)]
    ids = [made[3].id, new_id(), made[0].id, made[1].id, made[3].id]
    assert await catalog.datasets.list_by_ids(ids) == sorted(
        [made[0], made[1], made[3]], key=lambda dataset: (dataset.created_at, dataset.id)
    )
    assert await catalog.datasets.list_by_ids([]) == []


async def test_children(catalog):
    parent = await catalog.datasets.add("ann", NewDataset(name="parent"))
    made = [
        await catalog.datasets.add(owner, NewDataset(name="child", parent_id=parent.id)) for owner in ("ann", "bob")
    ]
    await catalog.datasets.add("ann", NewDataset(name="not a child", parent_id=made[0].id))
    assert {each.id for each in await catalog.datasets.list_children(parent.id)} == {each.id for each in made}
    assert await catalog.datasets.list_children(new_id()) == []


async def test_touch(catalog):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await asyncio.sleep(0.002)
    assert await catalog.datasets.touch(dataset.id)
    touched = await catalog.datasets.get(dataset.id)
    assert touched == replace(dataset, modified_at=touched.modified_at)
    assert touched.modified_at > dataset.modified_at
    assert not await catalog.datasets.touch(new_id())


@pytest.mark.parametrize("kind", VALID)
async def test_datasource_comes_back_as_it_was_put(catalog, kind):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    new = config(kind, thumbSuffix=".thumbs/[filename]_ü\n.[extension]", purpose="INPUT")
    assert await catalog.datasources.change(dataset.id, put(dataset.id, new))
    (stored,) = await catalog.datasources.list(dataset.id)
    assert (stored.dataset_id, stored.config) == (dataset.id, new)
    assert is_id(stored.id)
    _, held = await dataset_with_datasources(catalog, dataset.id)
    assert held == [stored]
    if kind in SECRETS:
        assert stored.config.secret == new.secret == VALID[kind][SECRETS[kind]]


async def test_datasources_of_a_dataset_are_its_own(catalog):
    one, two = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two")]
    await catalog.datasources.change(one.id, put(one.id, config("S3", purpose="INPUT")))
    await catalog.datasources.change(one.id, put(one.id, config("GCS", purpose="LIGHTLY")))
    await catalog.datasources.change(two.id, put(two.id, config("LOCAL")))
    assert [source.config.type for source in await catalog.datasources.list(one.id)] == ["S3", "GCS"]
    assert [source.config.type for source in (await dataset_with_datasources(catalog, one.id))[1]] == ["S3", "GCS"]
    assert [source.config.type for source in await catalog.datasources.list(two.id)] == ["LOCAL"]


async def test_datasource_ids(catalog, monkeypatch):
    monkeypatch.setattr("headwater.catalog.datasources.MAX_IDS_PER_QUERY", 2)
    made = [await catalog.datasets.add("ann", NewDataset(name=f"set {number}")) for number in range(5)]
    for dataset in made[:4]:
        await catalog.datasources.change(dataset.id, put(dataset.id, config("S3", purpose="INPUT")))
    await catalog.datasources.change(made[0].id, put(made[0].id, config("GCS", purpose="LIGHTLY")))
    absent = new_id()
    ids = [dataset.id for dataset in made]
    expected = {each: [source.id for source in await catalog.datasources.list(each)] for each in ids}
    assert [len(held) for held in expected.values()] == [2, 1, 1, 1, 0]
    assert await catalog.datasources.ids([*ids, absent]) == {**expected, absent: []}
    assert await catalog.datasources.ids([]) == {}


async def test_change_hands_over_what_is_stored_and_stores_exactly_what_comes_back(catalog):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    seen = []
    first = Datasource(new_id(), dataset.id, config("S3"))
    second = Datasource(new_id(), dataset.id, config("AZURE", purpose="LIGHTLY"))

    def decide_to(*after):
        def decide(stored):
            seen.append(list(stored))
            return Reconfigured(after, input_moved=False)

        return decide

    await asyncio.sleep(0.002)
    assert await catalog.datasources.change(dataset.id, decide_to(first, second)) == ((first, second), False)
    changed = await catalog.datasets.get(dataset.id)
    assert changed == replace(dataset, modified_at=changed.modified_at)
    assert changed.modified_at > dataset.modified_at
    assert await catalog.datasources.change(dataset.id, decide_to(second))
    assert await catalog.datasources.change(dataset.id, decide_to())
    assert await catalog.datasources.change(dataset.id, decide_to(first))
    assert seen == [[], [first, second], [second], []]
    assert await catalog.datasources.list(dataset.id) == [first]


async def test_an_error_of_the_decision_changes_nothing_and_passes_through(catalog):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config()))
    before = await dataset_with_datasources(catalog, dataset.id)
    refusal = MalformedRequestError("no")

    def decide(_):
        raise refusal

    with pytest.raises(MalformedRequestError) as caught:
        await catalog.datasources.change(dataset.id, decide)
    assert caught.value is refusal
    assert await dataset_with_datasources(catalog, dataset.id) == before


async def test_what_cannot_be_stored_changes_nothing(catalog):
    """Stored datasources were deleted before the new ones were known to fit."""
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config()))
    before = await dataset_with_datasources(catalog, dataset.id)
    twice = tuple(Datasource(new_id(), dataset.id, config("LOCAL")) for _ in range(2))
    with pytest.raises(Exception, match=r"(?i)unique"):
        await catalog.datasources.change(dataset.id, lambda _: Reconfigured(twice, True))
    assert await dataset_with_datasources(catalog, dataset.id) == before


async def test_watermark_survives_new_credentials_and_not_a_move(catalog):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config("S3", fullPath="s3://a/b")))
    assert await catalog.datasets.set_watermark(dataset.id, 1577836800)
    await catalog.datasources.change(
        dataset.id, put(dataset.id, config("S3", fullPath="a/b/", s3SecretAccessKey="another"))
    )
    assert (await catalog.datasets.get(dataset.id)).watermark == 1577836800
    await catalog.datasources.change(dataset.id, put(dataset.id, config("S3", fullPath="a/c")))
    assert (await catalog.datasets.get(dataset.id)).watermark == 0


async def test_watermark_takes_any_second_also_lower_ones(catalog):
    dataset, other = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two")]
    for each in (dataset, other):
        await catalog.datasources.change(each.id, put(each.id, config()))
    for seconds in (1, LAST_SECOND, 5, 0, 7):
        assert await catalog.datasets.set_watermark(dataset.id, seconds)
        assert (await catalog.datasets.get(dataset.id)).watermark == seconds
    assert (await catalog.datasets.get(other.id)).watermark == 0


@pytest.mark.parametrize(("purpose", "allowed"), [("INPUT_OUTPUT", True), ("INPUT", True), ("LIGHTLY", False)])
async def test_watermark_needs_a_datasource_for_raw_samples(catalog, purpose, allowed):
    dataset, other = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two")]
    await catalog.datasources.change(other.id, put(other.id, config()))
    assert not await catalog.datasets.set_watermark(dataset.id, 5)
    await catalog.datasources.change(dataset.id, put(dataset.id, config(purpose=purpose)))
    assert await catalog.datasets.set_watermark(dataset.id, 6) is allowed
    assert (await catalog.datasets.get(dataset.id)).watermark == (6 if allowed else 0)


async def counted(catalog, dataset_id):
    dataset = await catalog.datasets.get(dataset_id)
    return dataset.n_samples, dataset.size_in_bytes


@pytest.fixture
async def listed(catalog):
    """A dataset with an input, and how to count what a listing of it found."""
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    other = await catalog.datasets.add("ann", NewDataset(name="dogs"))
    for each in (dataset, other):
        await catalog.datasources.change(each.id, put(each.id, config(fullPath="a/b")))
    ((source,),) = (await catalog.datasources.ids([dataset.id])).values()

    async def count(start, end, samples, size, source=source):
        before = await catalog.datasets.get(dataset.id)
        await catalog.datasets.count_samples(dataset.id, source, Window(start, end), samples, size)
        after = await catalog.datasets.get(dataset.id)
        assert replace(after, n_samples=0, size_in_bytes=0) == replace(before, n_samples=0, size_in_bytes=0)
        assert await counted(catalog, other.id) == (0, 0)
        return after.n_samples, after.size_in_bytes

    return dataset.id, count


async def test_counts_go_on_where_they_ended(catalog, listed):
    _, count = listed
    assert await count(101, 200, 9, 9) == (0, 0), "not from 0"
    assert await count(0, 100, 5, 5_000_000_000_000) == (5, 5_000_000_000_000)
    assert await count(101, 200, 2, 20) == (7, 5_000_000_000_020)
    assert await count(101, 200, 2, 20) == (7, 5_000_000_000_020), "the same again"
    assert await count(150, 300, 2, 20) == (7, 5_000_000_000_020), "overlaps"
    assert await count(202, 300, 2, 20) == (7, 5_000_000_000_020), "leaves a second out"
    assert await count(201, 200, 2, 20) == (7, 5_000_000_000_020), "no second at all"
    assert await count(201, 201, 1, 1) == (8, 5_000_000_000_021)
    assert await count(0, 201, 3, 30) == (3, 30), "counted anew, without what was deleted"
    assert await count(202, 300, 1, 1) == (4, 31)


async def test_a_count_from_0_does_not_go_back_but_from_the_future(catalog, listed):
    """A listing that ended late, or a look at the oldest files, left a gap that no later window closed."""
    _, count = listed
    now = int(time.time())
    assert await count(0, now - 10, 5, 5) == (5, 5)
    assert await count(0, now - 20, 4, 4) == (5, 5)
    assert await count(0, LAST_SECOND, 6, 6) == (6, 6)
    assert await count(0, now - 10, 7, 7) == (7, 7)
    assert await count(now - 9, now, 1, 1) == (8, 8)


async def test_counts_are_of_the_input_of_now(catalog, listed):
    dataset_id, count = listed
    ((source,),) = (await catalog.datasources.ids([dataset_id])).values()
    assert await count(0, 100, 5, 50) == (5, 50)
    assert await count(101, 200, 1, 1, new_id()) == (5, 50)
    await catalog.datasources.change(dataset_id, put(dataset_id, config(fullPath="a/b", s3SecretAccessKey="new one")))
    assert await count(101, 200, 1, 1) == (6, 51), "new credentials for the same place"

    def move(stored):
        (old,) = stored
        return Reconfigured((Datasource(new_id(), dataset_id, config(fullPath="a/c")), replace_purpose(old)), True)

    def replace_purpose(old):
        return Datasource(old.id, dataset_id, old.config.model_copy(update={"purpose": Purpose.LIGHTLY}))

    await catalog.datasources.change(dataset_id, move)
    assert await counted(catalog, dataset_id) == (0, 0)
    assert await count(0, 100, 5, 50, source) == (0, 0), "a listing that ended after the move"
    assert await count(201, 300, 5, 50, source) == (0, 0)
    input_id = next(each.id for each in await catalog.datasources.list(dataset_id) if each.id != source)
    assert await count(201, 300, 5, 50, input_id) == (0, 0), "nothing is counted yet"
    assert await count(0, 300, 2, 20, input_id) == (2, 20)
    await catalog.datasets.count_samples(new_id(), input_id, Window(0, 300), 2, 20)


async def test_windows_counted_by_many_at_once_are_counted_once(catalog, listed):
    dataset_id, _ = listed
    ((source,),) = (await catalog.datasources.ids([dataset_id])).values()
    await catalog.datasets.count_samples(dataset_id, source, Window(0, 0), 1, 10)
    for second in range(1, 6):
        await asyncio.gather(
            *(catalog.datasets.count_samples(dataset_id, source, Window(second, second), 1, 10) for _ in range(4))
        )
    assert await counted(catalog, dataset_id) == (6, 60)


async def test_delete_takes_everything_of_the_dataset_and_nothing_else(catalog):
    gone, kept = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("gone", "kept")]
    for dataset in (gone, kept):
        await catalog.datasources.change(dataset.id, put(dataset.id, config(purpose="INPUT")))
        await catalog.datasources.change(dataset.id, put(dataset.id, config("GCS", purpose="LIGHTLY")))
    before = await dataset_with_datasources(catalog, kept.id)
    assert await catalog.datasets.delete(gone.id)
    assert not await catalog.datasets.delete(gone.id)
    assert await dataset_with_datasources(catalog, gone.id) is None
    assert await catalog.datasources.list(gone.id) == []
    assert await dataset_with_datasources(catalog, kept.id) == before
    assert (await catalog.datasets.add("ann", NewDataset(name="gone"))).watermark == 0
