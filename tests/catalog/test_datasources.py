"""Datasources in the catalog, on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from headwater.domain.dataset import NewDataset
from headwater.domain.datasource import Datasource
from headwater.domain.errors import MalformedRequestError
from headwater.domain.ids import is_id, new_id
from headwater.domain.purposes import Reconfigured
from tests.catalog.values import config, dataset_with_datasources, put
from tests.domain.configs import SECRETS, VALID


@pytest.mark.parametrize("type_name", VALID)
async def test_datasource_is_stored_unchanged(catalog, type_name):
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    new = config(type_name, thumbSuffix=".thumbs/[filename]_ü\n.[extension]", purpose="INPUT")
    assert await catalog.datasources.change(dataset.id, put(dataset.id, new))
    (stored,) = await catalog.datasources.list(dataset.id)
    assert (stored.dataset_id, stored.config) == (dataset.id, new)
    assert is_id(stored.id)
    _, held = await dataset_with_datasources(catalog, dataset.id)
    assert held == [stored]
    if type_name in SECRETS:
        assert stored.config.secret == new.secret == VALID[type_name][SECRETS[type_name]]


async def test_list_returns_the_datasources_of_one_dataset(catalog):
    one, two = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two")]
    await catalog.datasources.change(one.id, put(one.id, config("S3", purpose="INPUT")))
    await catalog.datasources.change(one.id, put(one.id, config("GCS", purpose="LIGHTLY")))
    await catalog.datasources.change(two.id, put(two.id, config("LOCAL")))
    assert [source.config.type for source in await catalog.datasources.list(one.id)] == ["S3", "GCS"]
    assert [source.config.type for source in (await dataset_with_datasources(catalog, one.id))[1]] == ["S3", "GCS"]
    assert [source.config.type for source in await catalog.datasources.list(two.id)] == ["LOCAL"]


async def test_summaries_need_no_key(catalog, monkeypatch):
    """A list of datasets must not fail because the secret of one of them is lost."""
    monkeypatch.setattr("headwater.catalog.datasources.MAX_IDS_PER_QUERY", 1)
    made = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two", "none")]
    await catalog.datasources.change(made[0].id, put(made[0].id, config("S3", purpose="INPUT")))
    await catalog.datasources.change(made[0].id, put(made[0].id, config("AZURE", purpose="LIGHTLY")))
    await catalog.datasources.change(made[1].id, put(made[1].id, config("OBS")))
    monkeypatch.setattr("headwater.catalog.stored_datasource._decrypt", None)
    found = await catalog.datasources.summaries([dataset.id for dataset in made])
    assert [
        [(each.type, each.purpose, each.full_path, each.authority) for each in found[dataset.id]] for dataset in made
    ] == [
        [
            ("S3", "INPUT", VALID["S3"]["fullPath"], None),
            ("AZURE", "LIGHTLY", VALID["AZURE"]["fullPath"], VALID["AZURE"]["accountName"]),
        ],
        [("OBS", "INPUT_OUTPUT", VALID["OBS"]["fullPath"], VALID["OBS"]["obsEndpoint"])],
        [],
    ]


async def test_ids_returns_a_list_for_each_dataset(catalog, monkeypatch):
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


async def test_change_passes_the_stored_datasources_and_stores_the_returned_ones(catalog):
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
    assert await catalog.datasources.change(dataset.id, decide_to(first, second)) == Reconfigured(
        (first, second), False
    )
    changed = await catalog.datasets.get(dataset.id)
    assert changed == replace(dataset, modified_at=changed.modified_at)
    assert changed.modified_at > dataset.modified_at
    assert await catalog.datasources.change(dataset.id, decide_to(second))
    assert await catalog.datasources.change(dataset.id, decide_to())
    assert await catalog.datasources.change(dataset.id, decide_to(first))
    assert seen == [[], [first, second], [second], []]
    assert await catalog.datasources.list(dataset.id) == [first]


async def test_change_passes_on_an_error_of_the_decision_and_changes_nothing(catalog):
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


async def test_change_that_cannot_be_stored_changes_nothing(catalog):
    """Stored datasources were deleted before the new ones were known to fit."""
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config()))
    before = await dataset_with_datasources(catalog, dataset.id)
    twice = tuple(Datasource(new_id(), dataset.id, config("LOCAL")) for _ in range(2))
    with pytest.raises(Exception, match=r"(?i)unique"):
        await catalog.datasources.change(dataset.id, lambda _: Reconfigured(twice, True))
    assert await dataset_with_datasources(catalog, dataset.id) == before
