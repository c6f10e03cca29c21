"""What expires is fetched once for all, renewed before it ends, and given up once it is refused."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import pytest
import structlog

from headwater.domain.errors import CredentialsRefusedError, StoreUnavailableError
from headwater.net import refreshing as renewal
from headwater.net.refreshing import RETRY_PAUSE_SECONDS, Expiring, RefreshingCache

LIFE = 3600.0


class Source:
    """Where values come from: it counts, waits and fails as it is told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.fetched = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.overdue = math.inf

    def clock(self) -> float:
        return self.now

    async def fetch(self) -> Expiring[str]:
        self.fetched += 1
        number, failure = self.fetched, self.failure
        await self.gate.wait()
        if failure is not None:
            raise failure
        return Expiring(f"value {number}", self.now + LIFE / 2, self.now + LIFE, self.overdue + self.now)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def renewed(source: Source) -> AsyncIterator[RefreshingCache[str]]:
    renewed: RefreshingCache[str] = RefreshingCache(source.clock)
    yield renewed
    await renewed.aclose()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_who_ask_share_one_fetch(renewed: RefreshingCache[str], source: Source) -> None:
    source.gate.clear()
    asking = [asyncio.ensure_future(renewed.get("key", source.fetch)) for _ in range(50)]
    await settled()
    source.gate.set()
    assert await asyncio.gather(*asking) == ["value 1"] * 50
    assert await renewed.get("key", source.fetch) == "value 1"
    assert source.fetched == 1


async def test_each_key_has_a_value_of_its_own(renewed: RefreshingCache[str], source: Source) -> None:
    assert [await renewed.get(key, source.fetch) for key in "aab"] == ["value 1", "value 1", "value 2"]


async def test_who_gives_up_does_not_end_it_for_the_others(renewed: RefreshingCache[str], source: Source) -> None:
    source.gate.clear()
    first = asyncio.ensure_future(renewed.get("key", source.fetch))
    second = asyncio.ensure_future(renewed.get("key", source.fetch))
    await settled()
    first.cancel()
    await settled()
    source.gate.set()
    assert await second == "value 1"
    assert source.fetched == 1
    assert first.cancelled()


async def test_a_value_is_renewed_in_the_background(renewed: RefreshingCache[str], source: Source) -> None:
    await renewed.get("key", source.fetch)
    source.now += LIFE / 2 - 1
    assert await renewed.get("key", source.fetch) == "value 1"
    assert source.fetched == 1
    source.now += 1
    source.gate.clear()
    for _ in range(3):
        assert await renewed.get("key", source.fetch) == "value 1", "nobody waits"
    await settled()
    assert source.fetched == 2
    source.gate.set()
    await settled()
    assert await renewed.get("key", source.fetch) == "value 2"
    assert source.fetched == 2


async def test_a_value_that_is_overdue_is_waited_for(renewed: RefreshingCache[str], source: Source) -> None:
    """Nobody had asked for a while: it would be given out for what little is left of it."""
    source.overdue = LIFE * 0.75
    await renewed.get("key", source.fetch)
    source.now += LIFE * 0.75
    assert await asyncio.gather(*(renewed.get("key", source.fetch) for _ in range(5))) == ["value 2"] * 5
    source.now += LIFE * 0.75
    source.failure = StoreUnavailableError("The provider is down")
    assert [await renewed.get("key", source.fetch) for _ in range(5)] == ["value 2"] * 5, "better than none"
    assert source.fetched == 3
    source.now += RETRY_PAUSE_SECONDS
    source.failure = None
    assert await renewed.get("key", source.fetch) == "value 4"


async def test_a_value_is_not_given_out_after_its_end(renewed: RefreshingCache[str], source: Source) -> None:
    await renewed.get("key", source.fetch)
    source.now += LIFE
    assert await renewed.get("key", source.fetch) == "value 2"


async def test_a_failed_renewal_keeps_the_old_value_and_is_not_repeated_at_once(
    renewed: RefreshingCache[str], source: Source
) -> None:
    await renewed.get("key", source.fetch)
    source.now += LIFE / 2
    source.failure = StoreUnavailableError("The provider is down")
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            assert await renewed.get("key", source.fetch) == "value 1"
            await settled()
        assert source.fetched == 2
        source.now += RETRY_PAUSE_SECONDS
        assert await renewed.get("key", source.fetch) == "value 1"
        await settled()
        assert source.fetched == 3
    assert [line["reason"] for line in logs] == ["The provider is down"] * 2
    source.now += LIFE / 2
    with pytest.raises(StoreUnavailableError):
        await renewed.get("key", source.fetch)
    source.failure = None
    assert await renewed.get("key", source.fetch) == "value 5"


async def test_a_failure_is_told_to_all_who_wait_and_remembered_by_nobody(
    renewed: RefreshingCache[str], source: Source
) -> None:
    source.failure = CredentialsRefusedError("They are wrong")
    source.gate.clear()
    asking = [asyncio.ensure_future(renewed.get("key", source.fetch)) for _ in range(5)]
    await settled()
    source.gate.set()
    assert {type(told) for told in await asyncio.gather(*asking, return_exceptions=True)} == {CredentialsRefusedError}
    assert source.fetched == 1
    source.failure = None
    assert await renewed.get("key", source.fetch) == "value 2"


async def test_a_refused_value_is_fetched_anew_once(renewed: RefreshingCache[str], source: Source) -> None:
    value = await renewed.get("key", source.fetch)
    source.now += RETRY_PAUSE_SECONDS
    assert [renewed.forget("key", value) for _ in range(20)] == [True] * 20
    assert await asyncio.gather(*(renewed.get("key", source.fetch) for _ in range(20))) == ["value 2"] * 20
    # Late ones still complain of the first.
    assert renewed.forget("key", value)
    assert await renewed.get("key", source.fetch) == "value 2"
    assert source.fetched == 2


async def test_a_value_that_was_only_just_fetched_is_not_fetched_anew(
    renewed: RefreshingCache[str], source: Source
) -> None:
    """Else a store that takes none would cost a fetch for each request."""
    value = await renewed.get("key", source.fetch)
    source.now += RETRY_PAUSE_SECONDS - 1
    assert not renewed.forget("key", value)
    assert await renewed.get("key", source.fetch) == value
    assert source.fetched == 1


async def test_what_nobody_asks_for_is_forgotten(
    renewed: RefreshingCache[str], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "MAX_ENTRIES", 3)
    for key in ("a", "b", "c", "a", "d"):
        await renewed.get(key, source.fetch)
    assert source.fetched == 4
    assert await renewed.get("a", source.fetch) == "value 1"
    assert await renewed.get("b", source.fetch) == "value 5"
    assert renewed.forget("never asked for", "value 1")


async def test_closing_gives_up_what_is_under_way(source: Source) -> None:
    renewed: RefreshingCache[str] = RefreshingCache(source.clock)
    source.gate.clear()
    asking = asyncio.ensure_future(renewed.get("key", source.fetch))
    await settled()
    await renewed.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asking
