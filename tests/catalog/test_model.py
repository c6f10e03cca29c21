"""The catalog behaves like a few dictionaries under any sequence of calls."""

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.domain.dataset import DatasetType, ImageType, NewDataset
from headwater.domain.datasource import Purpose
from headwater.domain.errors import CatalogUnavailableError, MalformedRequestError, NameTakenError
from headwater.domain.feed import FeedMode
from headwater.domain.ids import new_id
from headwater.domain.purposes import input_datasource, reconfigure
from headwater.domain.sharing import owned_by
from headwater.domain.users import NewToken, Scope
from headwater.domain.window import LAST_SECOND
from tests.catalog.feed.fed import NOW, Fed, found
from tests.catalog.values import KEY, config, dataset_with_datasources
from tests.domain.configs import VALID

KEYRING = Keyring([("test", KEY)])
NAMES = st.sampled_from(["cats", "dogs", "Dogs", "birds of prey"])
OWNERS = st.sampled_from(["ann", "bob", "https://issuer/|sub"])


class CatalogAgainstDictionaries(RuleBasedStateMachine):
    ids = Bundle("ids")
    token_ids = Bundle("token_ids")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="headwater-model-"))
        self.runner = asyncio.Runner()
        self.users = set()
        self.tokens = {}  # digest -> token
        self.datasets = {}  # id -> dataset
        self.sources = {}  # dataset id -> datasources
        self.reopen()

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def reopen(self):
        self.catalog = self.run(Catalog.open(f"sqlite:///{self.folder}/catalog.sqlite3", KEYRING))

    def teardown(self):
        self.run(self.catalog.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @initialize(target=ids)
    def one_dataset_is_absent(self):
        return new_id()

    @initialize(target=token_ids)
    def one_token_is_absent(self):
        return new_id()

    @rule()
    def restart(self):
        self.run(self.catalog.close())
        self.reopen()

    @rule(target=token_ids, user=OWNERS, admin=st.booleans())
    def add_token(self, user, admin):
        digest = len(self.tokens).to_bytes(32, "big")
        token = self.run(self.catalog.tokens.add(user, NewToken(scope=Scope.ADMIN if admin else Scope.WRITE), digest))
        self.tokens[digest] = token
        self.users.add(user)
        return token.id

    @rule(token_id=token_ids)
    def revoke_token(self, token_id):
        held = {token.id: digest for digest, token in self.tokens.items()}
        assert self.run(self.catalog.tokens.revoke(token_id)) is (token_id in held)
        if token_id in held and self.tokens[held[token_id]].revoked_at is None:
            (revoked,) = [token for token in self.run(self.catalog.tokens.list()) if token.id == token_id]
            assert revoked.revoked_at is not None
            self.tokens[held[token_id]] = revoked

    @rule(
        target=ids,
        owner=OWNERS,
        new=st.builds(
            NewDataset,
            name=NAMES,
            type=st.sampled_from(DatasetType),
            img_type=st.none() | st.sampled_from(ImageType),
            include_all_files=st.booleans(),
        ),
    )
    def add_dataset(self, owner, new):
        taken = any((each.owner, each.name) == (owner, new.name) for each in self.datasets.values())
        try:
            dataset = self.run(self.catalog.datasets.add(owner, new))
        except NameTakenError:
            assert taken
            return new_id()
        assert not taken
        self.users.add(owner)
        self.datasets[dataset.id] = dataset
        self.sources[dataset.id] = []
        return dataset.id

    @rule(dataset_id=ids, name=NAMES)
    def rename_dataset(self, dataset_id, name):
        before = self.datasets.get(dataset_id)
        others = {(each.owner, each.name) for each in self.datasets.values() if each.id != dataset_id}
        try:
            assert self.run(self.catalog.datasets.rename(dataset_id, name)) is (before is not None)
        except NameTakenError:
            assert before is not None
            assert (before.owner, name) in others
            return
        if before is not None:
            assert (before.owner, name) not in others
            self._changed(replace(before, name=name))

    @rule(dataset_id=consumes(ids))
    def delete_dataset(self, dataset_id):
        assert self.run(self.catalog.datasets.delete(dataset_id)) is (dataset_id in self.datasets)
        self.datasets.pop(dataset_id, None)
        self.sources.pop(dataset_id, None)

    @rule(
        dataset_id=ids,
        type_name=st.sampled_from(list(VALID)),
        purpose=st.sampled_from(Purpose),
        path=st.sampled_from(["one/x", "two/x"]),
    )
    def put_datasource(self, dataset_id, type_name, purpose, path):
        new = config(type_name, purpose=purpose.value, fullPath=path)
        decided = []

        def decide(stored):
            assert list(stored) == sorted(self.sources[dataset_id], key=lambda source: source.config.purpose)
            decided.append(reconfigure(dataset_id, stored, new))
            return decided[0]

        after = self.run(self.catalog.datasources.change(dataset_id, decide))
        assert after == (decided[0] if dataset_id in self.datasets else None)
        if decided:
            self.sources[dataset_id] = list(decided[0].datasources)
            before = self.datasets[dataset_id]
            if decided[0].input_moved:
                before = replace(before, watermark=0, n_samples=0, size_in_bytes=0, counted=False)
            self._changed(before)

    @rule(dataset_id=ids)
    def refuse_a_datasource(self, dataset_id):
        def decide(_):
            raise MalformedRequestError("no")

        try:
            assert self.run(self.catalog.datasources.change(dataset_id, decide)) is None
        except MalformedRequestError:
            assert dataset_id in self.datasets
        else:
            assert dataset_id not in self.datasets

    @rule(dataset_id=ids, seconds=st.integers(0, LAST_SECOND))
    def set_watermark(self, dataset_id, seconds):
        possible = input_datasource(self.sources.get(dataset_id, [])) is not None
        assert self.run(self.catalog.datasets.set_watermark(dataset_id, seconds, NOW)) is possible
        if possible:
            self.datasets[dataset_id] = replace(self.datasets[dataset_id], watermark=seconds)

    @rule(dataset_id=ids, sizes=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)))
    def list_everything(self, dataset_id, sizes):
        source = input_datasource(self.sources.get(dataset_id, []))
        if source is None:
            with pytest.raises(CatalogUnavailableError):
                self.run(Fed(self.catalog, dataset_id, new_id()).begin())
            return
        objects = [found(key, size=size) for key, size in sorted(sizes.items())]
        self.run(Fed(self.catalog, dataset_id, source.id).list_all(objects))
        counts = {"n_samples": len(sizes), "size_in_bytes": sum(sizes.values())}
        self.datasets[dataset_id] = replace(self.datasets[dataset_id], counted=True, **counts)

    @rule(dataset_id=ids)
    def drop_feed(self, dataset_id):
        self.run(self.catalog.feed.drop(dataset_id))
        self._feed_dropped(dataset_id)

    @rule(dataset_id=ids, feed=st.none() | st.sampled_from(FeedMode))
    def set_feed(self, dataset_id, feed):
        exists = dataset_id in self.datasets
        assert self.run(self.catalog.datasets.set_feed(dataset_id, feed, feed or FeedMode.EXACT)) is exists
        if exists:
            self.datasets[dataset_id] = replace(self.datasets[dataset_id], feed=feed)
        if feed is FeedMode.DATES:
            self._feed_dropped(dataset_id)

    def _feed_dropped(self, dataset_id):
        """The counts stay; a count of nothing cannot be told from none."""
        if dataset_id in self.datasets:
            dataset = self.datasets[dataset_id]
            self.datasets[dataset_id] = replace(dataset, counted=dataset.n_samples > 0)

    def _changed(self, expected):
        stored = self.run(self.catalog.datasets.get(expected.id))
        assert stored.modified_at >= expected.modified_at
        self.datasets[expected.id] = replace(expected, modified_at=stored.modified_at)

    @invariant()
    def holds_what_the_dictionaries_hold(self):
        ordered = sorted(self.datasets.values(), key=lambda dataset: (dataset.created_at, dataset.id))
        assert self.run(self.catalog.datasets.list(None)) == ordered
        for owner in ("ann", "bob"):
            assert self.run(self.catalog.datasets.list(owned_by(owner))) == [
                each for each in ordered if each.owner == owner
            ]
            assert self.run(self.catalog.users.exists(owner)) is (owner in self.users)
        assert self.run(self.catalog.users.list()) == sorted(self.users)
        assert self.run(self.catalog.datasets.list(None, name="cats")) == [
            each for each in ordered if each.name == "cats"
        ]
        dogs = [each for each in ordered if each.name.startswith("do")]
        assert self.run(self.catalog.datasets.list(None, prefix="do")) == dogs
        sources = {
            dataset_id: sorted(held, key=lambda source: source.config.purpose)
            for dataset_id, held in self.sources.items()
        }
        for dataset_id, held in sources.items():
            assert self.run(dataset_with_datasources(self.catalog, dataset_id)) == (self.datasets[dataset_id], held)
        ids = {dataset_id: [source.id for source in held] for dataset_id, held in sources.items()}
        assert self.run(self.catalog.datasources.ids(list(ids))) == ids
        assert sorted(self.run(self.catalog.tokens.list()), key=str) == sorted(self.tokens.values(), key=str)
        for digest, token in self.tokens.items():
            assert self.run(self.catalog.tokens.find(digest)) == (
                (token, frozenset()) if token.revoked_at is None else None
            )


CatalogAgainstDictionaries.TestCase.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
TestCatalogAgainstDictionaries = pytest.mark.slow(CatalogAgainstDictionaries.TestCase)
