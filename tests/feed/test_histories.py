"""No version is lost or handed out twice, in any history (contract.md#lists-and-time-windows)."""

from __future__ import annotations

import os
import time

import pytest

from tests.feed.play import Totals, play, shares
from tests.feed.variants import VARIANTS, Variant

HISTORIES = 300
NIGHTLY_HISTORIES = 10_000
PROGRESS_SECONDS = 10.0


@pytest.mark.slow
@pytest.mark.parametrize("variant", [pytest.param(variant, id=name) for name, variant in VARIANTS.items()])
def test_no_version_is_lost_or_handed_out_twice(variant: Variant) -> None:
    totals = play(variant, shares(HISTORIES)[variant])
    _fail_if_any(totals)


@pytest.mark.slow
def test_listings_by_date_lose_versions() -> None:
    """The harness can fail: with `HEADWATER_FEED=dates`, an object with a date before the watermark is never listed."""
    totals = play(VARIANTS["list"], range(10), feed="dates")
    assert totals.lost > 0
    assert totals.twice == 0


@pytest.mark.nightly
@pytest.mark.timeout(4 * 3600)
def test_no_version_is_lost_or_handed_out_twice_in_many_histories() -> None:
    histories = int(os.environ.get("HEADWATER_TESTS_HISTORIES", NIGHTLY_HISTORIES))
    total = Totals()
    for variant, seeds in shares(histories).items():
        progress = _Progress(variant, len(seeds))
        total += play(variant, seeds, installations=min(os.cpu_count() or 1, len(seeds)), progress=progress.show)
    print("\n".join(["", *total.failed, f"{total}  ({total.seconds / 60:.0f} minutes)"]), flush=True)
    _fail_if_any(total)


def _fail_if_any(totals: Totals) -> None:
    if totals.failed:
        pytest.fail("\n".join([str(totals), *totals.failed[:20]]), pytrace=False)


class _Progress:
    """Prints what was counted so far, every few seconds and at the end of a variant."""

    def __init__(self, variant: Variant, histories: int) -> None:
        self._variant = variant
        self._histories = histories
        self._shown_at = time.monotonic()

    def show(self, totals: Totals) -> None:
        """Print a line if it is time."""
        is_last = totals.histories == self._histories
        if is_last or time.monotonic() > self._shown_at + PROGRESS_SECONDS:
            self._shown_at = time.monotonic()
            speed = totals.histories / totals.seconds
            print(f"{self._variant.name:<20} {totals} ({speed:.1f} histories/s)", flush=True)
