"""No version is lost or listed twice, whatever writers, clocks and clients do: `feed_world` under random actions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.servers import postgres_database, postgres_server
from tests.service.listing.feed_history import play
from tests.service.listing.feed_world import (
    FAR_AHEAD,
    LAYOUTS,
    Layout,
    Listing,
    Services,
    World,
    settings_for,
    temporary_folder,
)

DATES = st.sampled_from([0, 0, -1, -5, -60, 1, 40, 2 * FAR_AHEAD])
"""How far an object's date is from now."""


class FeedMachine(RuleBasedStateMachine):
    """A poller that owns the watermark, other readers, and writers."""

    services: Services

    def __init__(self) -> None:
        super().__init__()
        self.poll: Listing | None = None
        self.readers: list[Listing] = []
        self.held: list[Listing] = []
        self.cursors: list[str] = []

    @initialize(
        layout=st.sampled_from(LAYOUTS),
        skew=st.sampled_from([0, 0, 3, -3, -30, FAR_AHEAD]),
        dates=st.lists(st.integers(1, 100_000), max_size=6),
    )
    def set_up(self, layout: Layout, skew: int, dates: list[int]) -> None:
        self.world: World = self.services.world(layout)
        self.skew = skew
        self.alone = skew == FAR_AHEAD  # a clock that far ahead is exact only while nobody else lists
        for number, date in enumerate(dates):
            self.world.put(layout.keys[number], date)

    @rule(number=st.integers(0, 7), date=DATES)
    def put(self, number: int, date: int) -> None:
        self.world.put(self.world.layout.keys[number], self.world.now + date)

    @rule(number=st.integers(0, 7))
    def delete(self, number: int) -> None:
        self.world.bucket.pop(self.world.layout.keys[number], None)

    @rule(seconds=st.sampled_from([1, 1, 2, 5]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @precondition(lambda self: self.poll is None)
    @rule(shards=st.sampled_from([0, 0, 3]))
    def begin_poll(self, shards: int) -> None:
        first, end = self.world.watermark + 1, self.world.now + self.skew
        if shards:
            self.poll = self.world.begin_shards(first, end, shards)
        else:
            self.poll = self.world.begin(first, end)

    @precondition(lambda self: self.poll is None)
    @rule()
    def poll_undisturbed(self) -> None:
        self.world.poll(self.skew)

    @precondition(lambda self: self.poll is not None and self.poll.cursors and not self.poll.in_flight)
    @rule(number=st.integers(0, 2), hold=st.booleans())
    def poll_page(self, number: int, hold: bool) -> None:
        assert self.poll is not None
        self.world.page(self.poll, number, hold=hold)

    @precondition(lambda self: self.poll is not None and self.poll.in_flight)
    @rule()
    def release_poll(self) -> None:
        assert self.poll is not None
        self.world.release(self.poll)

    @precondition(lambda self: self.poll is not None and 0 < len(self.poll.old_cursors) < 4 and not self.poll.in_flight)
    @rule(number=st.integers(0, 3))
    def repeat_poll(self, number: int) -> None:
        assert self.poll is not None
        self.world.again(self.poll, number)

    @precondition(lambda self: self.poll is not None and self.poll.old_cursors and not self.alone)
    @rule(number=st.integers(0, 3))
    def handle_given_up_request(self, number: int) -> None:
        """A request whose repetition was answered is handled last. Nobody sees its answer."""
        assert self.poll is not None
        self.world.read_old_cursor(self.poll.old_cursors[number % len(self.poll.old_cursors)])

    @precondition(lambda self: self.poll is not None and self.poll.is_done)
    @rule(crashes=st.sampled_from([False, False, True]))
    def finish_poll(self, crashes: bool) -> None:
        assert self.poll is not None
        if not crashes:
            self.world.acknowledge(self.poll)
        self.cursors += self.poll.old_cursors
        self.poll = None

    @precondition(lambda self: not self.alone)
    @rule(
        start=st.sampled_from(["all", "recent", "new"]),
        ahead=st.sampled_from([0, 0, -20, 5, 300, 2 * FAR_AHEAD]),
        shards=st.sampled_from([0, 0, 2]),
        hold=st.booleans(),
    )
    def begin_reading(self, start: str, ahead: int, shards: int, hold: bool) -> None:
        world = self.world
        first, end = {"all": 0, "recent": world.now - 10, "new": world.watermark + 1}[start], world.now + ahead
        reader = world.begin_shards(first, end, shards) if shards else world.begin(first, end, hold=hold)
        self.readers.append(reader)

    @precondition(lambda self: any(each.cursors and not each.in_flight for each in self.readers))
    @rule(data=st.data(), hold=st.booleans())
    def read_on(self, data: st.DataObject, hold: bool) -> None:
        reader = data.draw(st.sampled_from([each for each in self.readers if each.cursors and not each.in_flight]))
        self.world.page(reader, hold=hold)
        self.cursors += reader.old_cursors[-1:]

    @precondition(lambda self: any(each.in_flight for each in self.readers))
    @rule(data=st.data())
    def release_reader(self, data: st.DataObject) -> None:
        self.world.release(data.draw(st.sampled_from([each for each in self.readers if each.in_flight])))

    @precondition(lambda self: self.cursors and not self.alone)
    @rule(data=st.data())
    def read_old_cursor(self, data: st.DataObject) -> None:
        self.world.read_old_cursor(data.draw(st.sampled_from(self.cursors)))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for listing in [*self.readers, *([self.poll] if self.poll else [])]:
            if listing.in_flight:
                self.world.release(listing)
        self.world.check(self.skew)


@contextmanager
def opened_services(database: str) -> Iterator[Services]:
    """Open two services on one catalog, in SQLite or PostgreSQL."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        url = None
        if database == "postgresql":
            url = stack.enter_context(postgres_database(stack.enter_context(postgres_server())))
        services = Services(settings_for(folder, url))
        stack.callback(services.close)
        yield services


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with opened_services("sqlite") as opened:
        yield opened


def run_machine(services: Services, examples: int) -> None:
    """Let the machine take random actions, this many times from the beginning."""
    FeedMachine.services = services
    checked = settings(
        max_examples=examples, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(FeedMachine, settings=checked)


@pytest.mark.slow
def test_no_version_is_lost_or_listed_twice(services: Services) -> None:
    run_machine(services, 60)


@pytest.mark.slow
def test_no_version_is_lost_or_listed_twice_in_random_histories(services: Services) -> None:
    assert play(services, range(150))[0] == 150


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("database", "examples", "histories"), [("sqlite", 1_000, 5_000), ("postgresql", 500, 2_000)])
def test_no_version_is_lost_or_listed_twice_in_the_long_run(database: str, examples: int, histories: int) -> None:
    with opened_services(database) as opened, logs_of_errors_only():
        run_machine(opened, examples)
        played, versions = play(opened, range(10_000, 10_000 + histories), progress=True)
    print(f"{database}: {played:,} histories in one process, {versions:,} versions: 0 lost, 0 twice", flush=True)


@contextmanager
def logs_of_errors_only() -> Iterator[None]:
    """Late arrivals are logged by the thousands otherwise."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)
