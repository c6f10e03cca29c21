"""Requests that fail, or that a client gives up and repeats: nothing is lost, and nothing waits for the next poll."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.domain.errors import StoreUnavailableError
from tests.service.listing.feed_world import (
    LAYOUTS,
    PLAIN,
    HostileStore,
    Layout,
    Services,
    settings_for,
    temporary_folder,
)

ORDERED, UTF16, UNKNOWN = LAYOUTS[0], LAYOUTS[1], LAYOUTS[4]


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with temporary_folder() as folder:
        opened = Services(settings_for(folder))
        yield opened
        opened.close()


def test_a_request_is_handled_last_while_another_listing_completes_the_index(services: Services) -> None:
    world = services.world(ORDERED)
    for number, key in enumerate(PLAIN[:7]):
        world.put(key, 1000 + number)
    reader, poll = world.begin(0, world.now - 50), world.begin(1, world.now)
    given_up = poll.cursors[0]
    world.page(poll)
    world.read_to_end(reader)
    world.put("bx.png", 500)
    world.read_old_cursor(given_up)
    world.read_to_end(poll)
    world.acknowledge(poll)
    world.check(0)


def test_keys_without_a_place(services: Services) -> None:
    """All of these pages end at the same position."""
    world = services.world(UTF16)
    for number in range(7):
        world.put(f"\U0001f600{number}.png", 1000 + number)
    world.poll(0)
    world.now += 100
    for number in range(7):
        world.put(f"\U0001f600{number}.png", world.now - 10)
    poll = world.begin(world.watermark + 1, world.now)
    given_up = poll.cursors[0]
    world.page(poll)
    world.put("\U0001f60035.png", 500)
    world.read_old_cursor(given_up)
    world.read_to_end(poll)
    world.acknowledge(poll)
    world.check(0)


@pytest.mark.parametrize("layout", [ORDERED, UNKNOWN], ids=lambda layout: layout.name)
def test_a_request_reads_other_pages_of_the_store_than_its_repetition(services: Services, layout: Layout) -> None:
    world = services.world(layout)
    for number in range(14):
        world.put(f"k{number:02}.png", 1000 + number)
    for _ in range(2):
        world.poll(0)
        world.now += 100
    for number in (0, 1, 3, 7):
        world.put(f"k{number:02}.png", world.now - 10)
    poll = world.begin(world.watermark + 1, world.now)
    given_up = poll.cursors[0]
    world.page(poll)
    world.bucket.pop("k04.png")
    world.put("k065.png", 500)
    world.read_old_cursor(given_up)
    world.read_to_end(poll)
    world.acknowledge(poll)
    world.check(0)


def test_a_first_request_that_fails_promises_nothing(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client repeats it with the same window, which then has all that is new."""
    world = services.world(ORDERED)
    for number in range(4):
        world.put(f"old{number}.png", 1000 + number)
    world.poll(0)
    world.now += 86_400
    for number in range(4):
        world.put(f"new{number}.png", world.now - 3600 * number - 10)

    async def fail(*_arguments: object) -> None:
        raise StoreUnavailableError("the store does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(HostileStore, "list_page", fail)
        with pytest.raises(StoreUnavailableError):
            world.begin(world.watermark + 1, world.now)
    poll = world.begin(world.watermark + 1, world.now)
    world.read_to_end(poll)
    assert len(poll.handed_out) == 4
    world.acknowledge(poll)
    world.check(0)


def test_a_datasource_that_is_emptied_is_removed_from_the_index_in_parts(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.catalog.feed.merging.ROWS_PER_TRANSACTION", 3)
    monkeypatch.setattr("headwater.catalog.feed.rows.ROWS_PER_TRANSACTION", 3)
    world = services.world(ORDERED)
    for number in range(20):
        world.put(f"k{number:02}.png", 1000 + number)
    world.poll(0)
    world.now += 10
    for number in range(1, 19):
        world.bucket.pop(f"k{number:02}.png")
    world.put("k10.png", world.now)
    world.poll(0)
    assert len(world.acknowledged) == 21, "twenty at first, and one that was replaced"
    world.check(0)
