"""A server that is killed loses no acknowledged write, breaks no listing, and its feed loses and repeats nothing.

The database, too: "immediate shutdown" ends PostgreSQL as a crash does, and servers work again without a restart.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.crashes.play import Totals, play

KILLS = 20
CRASHES = 2
"""Of PostgreSQL."""

NIGHTLY_KILLS = int(os.environ.get("HEADWATER_TESTS_KILLS", "1000"))
PROGRESS_SECONDS = 10.0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_in_kills() -> None:
    _check(play(KILLS, seed=time.time_ns()), KILLS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_if_postgresql_crashes() -> None:
    _check(play(CRASHES, seed=time.time_ns(), database="postgresql", kill_database=True), CRASHES)


@pytest.mark.nightly
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize(
    ("database", "kill_database", "share"),
    [("sqlite", False, 0.9), ("postgresql", False, 0.05), ("postgresql", True, 0.05)],
    ids=["sqlite", "postgresql", "postgresql-crashes"],
)
def test_nothing_is_lost_in_many_kills(database: str, kill_database: bool, share: float) -> None:
    kills = max(int(NIGHTLY_KILLS * share), 1)
    seed = time.time_ns()
    print(f"\nseed {seed}", flush=True)
    totals = play(kills, seed, database=database, kill_database=kill_database, progress=_Progress().show)
    print(totals, flush=True)
    _check(totals, kills)


def _check(totals: Totals, kills: int) -> None:
    if totals.faults:
        pytest.fail("\n".join([str(totals), *totals.faults[:50]]), pytrace=False)
    assert totals.kills == kills
    assert totals.writes > kills, "the writers have not written"
    assert totals.listings
    assert totals.histories


class _Progress:
    """Prints what was counted so far, every few seconds."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    def show(self, totals: Totals) -> None:
        """Print a line if it is time."""
        if time.monotonic() > self._shown_at + PROGRESS_SECONDS:
            self._shown_at = time.monotonic()
            print(totals, flush=True)
