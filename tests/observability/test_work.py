"""Observers see all work: how it began, how long it took and how it ended."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from headwater.domain.errors import LocationInvalidError, StoreUnavailableError
from headwater.observability.work import CatalogWork, StoreWork, count, observing, status_label
from tests.observability.recorder import Recorder


def test_observers_see_work_that_begins_while_they_observe() -> None:
    recorder = Recorder()
    before = CatalogWork("read")
    with before, observing(recorder):
        with CatalogWork("write") as work:
            count("late_arrivals", amount=2)
        count("pages", "exact")
    count("pages", "exact")
    with CatalogWork("read"):
        pass
    assert recorder.told == [("begin", work), ("late_arrivals", 2), ("end", work, 1), ("pages", 1, "exact")]
    assert work.seconds > 0
    assert work.error is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "ok"),
        (TimeoutError(), "no_response"),
        (StoreUnavailableError("it does not answer"), "no_response"),
        (StoreUnavailableError("no space", "ENOSPC"), "error"),
        (LocationInvalidError("no such folder"), "error"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_status_of_a_request_to_a_store_tells_how_it_ended(error: BaseException | None, status: str) -> None:
    work = StoreWork("local", "disk")
    with contextlib.suppress(BaseException), work:
        if error is not None:
            raise error
    assert (work.status, work.error) == (status, error)


def test_a_store_cannot_choose_labels() -> None:
    """Each of the statuses from 100 to 999 would be a series of its own."""
    labels = {status_label(status) for status in range(1000)}
    assert {"200", "404", "503", "other"} <= labels
    assert len(labels) < 80
