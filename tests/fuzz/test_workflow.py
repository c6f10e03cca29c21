"""Datasets, datasources, listings and watermarks in any order: each response is what a simple model says.

The model is a few dictionaries, so it also says which cursor is good, and that a listing is whole although other
requests came between its pages.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule, run_state_machine_as_test

from tests.fuzz.server import RAW_SAMPLES, FuzzedServer
from tests.live import Answer

RUNS = 20
NIGHTLY_RUNS = int(os.environ.get("HEADWATER_TESTS_CASES", "10000")) // 10
STEPS = 40

DATE = 1_700_000_000
"""The date of all files."""

FOLDERS = ["set", "set/a", "set/ü", "set/b%2F c"]
NAMES = st.text("abc -_9", min_size=3, max_size=5).filter(lambda name: name[0] not in " -_")
SECONDS = st.sampled_from([0, 1, DATE - 1, DATE, DATE + 1, 253_402_300_799])
CONFIGS = st.sampled_from(
    [*({"type": "LOCAL", "fullPath": folder} for folder in FOLDERS), {"type": "LIGHTLY", "fullPath": ""}]
)


@dataclass
class Dataset:
    """What the model knows of a dataset."""

    id: str
    name: str
    config: dict[str, Any] | None = None
    watermark: int = 0
    is_deleted: bool = False

    @property
    def expected(self) -> list[str]:
        """The names of all raw samples."""
        assert self.config is not None
        if self.config["type"] == "LIGHTLY":
            return []
        folder = f"{self.config['fullPath']}/".removeprefix("set/")
        return [name.removeprefix(folder) for name in RAW_SAMPLES if name.startswith(folder)]


@dataclass
class Listing:
    """A listing in progress: of which dataset, with which config, what it must return, and what it has."""

    dataset: Dataset
    config: dict[str, Any]
    expected: list[str]
    cursor: str
    names: list[str] = field(default_factory=list)
    is_done: bool = False


class Workflow(RuleBasedStateMachine):
    """A user who does everything in any order."""

    server: FuzzedServer

    datasets: Bundle[Dataset] = Bundle("datasets")
    listings: Bundle[Listing] = Bundle("listings")

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Dataset] = []
        self.prefix = os.urandom(8).hex()

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Answer:
        return self.server.live.call(method, path, body, query=query)

    @rule(target=datasets, name=NAMES)
    def create(self, name: str) -> Any:
        answer = self.call("POST", "/v1/datasets", {"name": f"{self.prefix} {name}"})
        if any(each.name == name and not each.is_deleted for each in self.made):
            assert (answer.status, answer.code) == (400, "DATASET_NAME_EXISTS")
            return multiple()
        assert answer.status == 201
        self.made.append(Dataset(answer.json["id"], name))
        return self.made[-1]

    @rule(dataset=datasets, name=NAMES)
    def rename(self, dataset: Dataset, name: str) -> None:
        answer = self.call("PUT", f"/v1/datasets/{dataset.id}", {"name": f"{self.prefix} {name}"})
        if dataset.is_deleted:
            assert answer.status == 404
        elif any(each.name == name and not each.is_deleted and each is not dataset for each in self.made):
            assert (answer.status, answer.code) == (400, "DATASET_NAME_EXISTS")
        else:
            assert answer.status == 200
            dataset.name = name

    @rule(dataset=consumes(datasets))
    def delete(self, dataset: Dataset) -> None:
        assert self.call("DELETE", f"/v1/datasets/{dataset.id}").status == 200
        dataset.is_deleted = True
        self.check(dataset)

    @rule(dataset=datasets, config=CONFIGS)
    def configure(self, dataset: Dataset, config: dict[str, Any]) -> None:
        answer = self.call("PUT", self.server.live.datasource(dataset.id), config)
        assert answer.status == 200
        if dataset.config != config:
            dataset.config, dataset.watermark = config, 0
        self.check(dataset)

    @rule(dataset=datasets, seconds=SECONDS)
    def set_watermark(self, dataset: Dataset, seconds: int) -> None:
        path = self.server.live.datasource(dataset.id, "processedUntilTimestamp")
        answer = self.call("PUT", path, {"processedUntilTimestamp": seconds})
        assert answer.status == (404 if dataset.config is None else 200)
        if dataset.config is not None:
            dataset.watermark = seconds
        self.check(dataset)

    def check(self, dataset: Dataset) -> None:
        """Compare all that the server says about a dataset with the model."""
        live = self.server.live
        found = self.call("GET", f"/v1/datasets/{dataset.id}")
        source = self.call("GET", live.datasource(dataset.id))
        mark = self.call("GET", live.datasource(dataset.id, "processedUntilTimestamp"))
        if dataset.is_deleted:
            assert [each.code for each in (found, source, mark)] == ["DATASET_UNKNOWN"] * 3
            return
        assert found.json["name"] == f"{self.prefix} {dataset.name}"
        assert mark.json["processedUntilTimestamp"] == dataset.watermark
        if dataset.config is None:
            assert source.code == "DATASET_DATASOURCE_UNKNOWN"
        else:
            assert source.json.items() >= dataset.config.items()

    @rule(target=listings, dataset=datasets, start=SECONDS, end=SECONDS)
    def begin(self, dataset: Dataset, start: int, end: int) -> Any:
        answer = self.call("GET", self.server.live.datasource(dataset.id, "list"), **{"from": start, "to": end})
        if dataset.config is None:
            assert answer.code == "DATASET_DATASOURCE_UNKNOWN"
            return multiple()
        expected = dataset.expected if start <= DATE <= end else []
        listing = Listing(dataset, dataset.config, expected, "")
        self.take(listing, answer)
        return listing

    @rule(listing=listings)
    def go_on(self, listing: Listing) -> None:
        """Request the next page, or the last one again."""
        answer = self.page(listing.dataset, listing.cursor)
        if listing.dataset.is_deleted:
            assert answer.code == "DATASET_UNKNOWN"
        elif listing.dataset.config != listing.config:  # it may have moved away and back
            assert answer.status == 400
            assert "moved" in answer.text
        else:
            self.take(listing, answer)

    @rule(listing=listings, other=datasets)
    def use_for_another_dataset(self, listing: Listing, other: Dataset) -> None:
        answer = self.page(other, listing.cursor)
        if other is not listing.dataset:
            assert answer.status == (404 if other.config is None else 400)

    def page(self, dataset: Dataset, cursor: str) -> Answer:
        return self.call("GET", self.server.live.datasource(dataset.id, "list"), cursor=cursor)

    def take(self, listing: Listing, answer: Answer) -> None:
        """Add a page to a listing, and compare the whole listing with the model at its end."""
        assert answer.status == 200, answer.body
        names = [row["fileName"] for row in answer.json["data"]]
        assert not (listing.is_done and names)
        listing.names += names
        listing.cursor, listing.is_done = answer.json["cursor"], not answer.json["hasMore"]
        if listing.is_done:
            assert listing.names == listing.expected
        else:
            assert listing.names == listing.expected[: len(listing.names)]

    def teardown(self) -> None:
        for dataset in self.made:
            if not dataset.is_deleted:
                self.call("DELETE", f"/v1/datasets/{dataset.id}")


def run(server: FuzzedServer, runs: int) -> None:
    """Let the user act, this many times from the beginning."""
    Workflow.server = server
    checked = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Workflow, settings=checked)


@pytest.mark.slow
def test_server_does_what_the_model_says(server: FuzzedServer) -> None:
    run(server, RUNS)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_server_does_what_the_model_says_in_the_long_run(server: FuzzedServer) -> None:
    run(server, NIGHTLY_RUNS)
