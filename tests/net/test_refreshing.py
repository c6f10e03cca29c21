"""Values that expire are fetched once for all callers, refreshed before they expire, and dropped if refused."""

from __future__ import annotations

import asyncio
import math

import pytest
import structlog

from headwater.domain.errors import CredentialsRefusedError, StoreUnavailableError
from headwater.net import refreshing
from headwater.net.refreshing import REFUSAL_SECONDS, RETRY_PAUSE_SECONDS, Expiring, RefreshingCache
from headwater.service.background import BackgroundTasks

LIFE = 3600.0


class Source:
    """Provides values, with a count, a gate and failures that a test controls."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.fetched = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.refresh_by = math.inf

    def clock(self) -> float:
        return self.now

    async def fetch(self) -> Expiring[str]:
        self.fetched += 1
        number, failure = self.fetched, self.failure
        await self.gate.wait()
        if failure is not None:
            raise failure
        return Expiring(f"value {number}", self.now + LIFE / 2, self.now + LIFE, self.refresh_by + self.now)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(source: Source) -> RefreshingCache[str]:
    return RefreshingCache(clock=source.clock)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_concurrent_callers_share_one_fetch(cache: RefreshingCache[str], source: Source) -> None:
    source.gate.clear()
    callers = [asyncio.ensure_future(cache.get("key", source.fetch)) for _ in range(50)]
    await settled()
    source.gate.set()
    assert await asyncio.gather(*callers) == ["value 1"] * 50
    assert await cache.get("key", source.fetch) == "value 1"
    assert source.fetched == 1


async def test_each_key_has_its_own_value(cache: RefreshingCache[str], source: Source) -> None:
    assert [await cache.get(key, source.fetch) for key in "aab"] == ["value 1", "value 1", "value 2"]


async def test_cancelled_caller_does_not_cancel_the_fetch(cache: RefreshingCache[str], source: Source) -> None:
    source.gate.clear()
    first = asyncio.ensure_future(cache.get("key", source.fetch))
    second = asyncio.ensure_future(cache.get("key", source.fetch))
    await settled()
    first.cancel()
    await settled()
    source.gate.set()
    assert await second == "value 1"
    assert source.fetched == 1
    assert first.cancelled()


async def test_value_is_refreshed_in_the_background(cache: RefreshingCache[str], source: Source) -> None:
    await cache.get("key", source.fetch)
    source.now += LIFE / 2 - 1
    assert await cache.get("key", source.fetch) == "value 1"
    assert source.fetched == 1
    source.now += 1
    source.gate.clear()
    for _ in range(3):
        assert await cache.get("key", source.fetch) == "value 1", "no caller waits"
    await settled()
    assert source.fetched == 2
    source.gate.set()
    await settled()
    assert await cache.get("key", source.fetch) == "value 2"
    assert source.fetched == 2


async def test_callers_wait_for_a_refresh_that_is_due(cache: RefreshingCache[str], source: Source) -> None:
    """After a while without callers, the old value would be returned for the short rest of its life."""
    source.refresh_by = LIFE * 0.75
    await cache.get("key", source.fetch)
    source.now += LIFE * 0.75
    assert await asyncio.gather(*(cache.get("key", source.fetch) for _ in range(5))) == ["value 2"] * 5
    source.now += LIFE * 0.75
    source.failure = StoreUnavailableError("The provider is down")
    assert [await cache.get("key", source.fetch) for _ in range(5)] == ["value 2"] * 5, (
        "an old value is better than none"
    )
    assert source.fetched == 3
    source.now += RETRY_PAUSE_SECONDS
    source.failure = None
    assert await cache.get("key", source.fetch) == "value 4"


async def test_expired_value_is_not_returned(cache: RefreshingCache[str], source: Source) -> None:
    await cache.get("key", source.fetch)
    source.now += LIFE
    assert await cache.get("key", source.fetch) == "value 2"


async def test_failed_refresh_keeps_the_old_value_and_is_retried_after_a_pause(
    cache: RefreshingCache[str], source: Source
) -> None:
    await cache.get("key", source.fetch)
    source.now += LIFE / 2
    source.failure = StoreUnavailableError("The provider is down")
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            assert await cache.get("key", source.fetch) == "value 1"
            await settled()
        assert source.fetched == 2
        source.now += RETRY_PAUSE_SECONDS
        assert await cache.get("key", source.fetch) == "value 1"
        await settled()
        assert source.fetched == 3
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("credentials_refresh_failed", "The provider is down")
    ] * 2
    source.now += LIFE / 2
    with pytest.raises(StoreUnavailableError):
        await cache.get("key", source.fetch)
    source.failure = None
    assert await cache.get("key", source.fetch) == "value 5"


async def test_failure_reaches_all_waiting_callers(cache: RefreshingCache[str], source: Source) -> None:
    source.failure = CredentialsRefusedError("They are wrong")
    source.gate.clear()
    callers = [asyncio.ensure_future(cache.get("key", source.fetch)) for _ in range(5)]
    await settled()
    source.gate.set()
    assert {type(error) for error in await asyncio.gather(*callers, return_exceptions=True)} == {
        CredentialsRefusedError
    }
    assert source.fetched == 1


async def test_refusal_is_remembered_for_a_short_while(cache: RefreshingCache[str], source: Source) -> None:
    """Each request of a datasource whose role was refused cost an AssumeRole."""
    source.failure = CredentialsRefusedError("They are wrong", "AccessDenied")
    for _ in range(20):
        with pytest.raises(CredentialsRefusedError, match="They are wrong") as refusal:
            await cache.get("key", source.fetch)
        assert refusal.value.provider_code == "AccessDenied"
    assert source.fetched == 1
    source.failure = None
    assert await cache.get("another", source.fetch) == "value 2"
    source.now += REFUSAL_SECONDS
    assert await cache.get("key", source.fetch) == "value 3"


async def test_transient_error_is_not_remembered(cache: RefreshingCache[str], source: Source) -> None:
    source.failure = StoreUnavailableError("The provider is down")
    with pytest.raises(StoreUnavailableError):
        await cache.get("key", source.fetch)
    source.failure = None
    assert await cache.get("key", source.fetch) == "value 2"


async def test_refused_value_is_fetched_again_once(cache: RefreshingCache[str], source: Source) -> None:
    value = await cache.get("key", source.fetch)
    source.now += RETRY_PAUSE_SECONDS
    assert [cache.forget("key", value) for _ in range(20)] == [True] * 20
    assert await asyncio.gather(*(cache.get("key", source.fetch) for _ in range(20))) == ["value 2"] * 20
    # A late report about the first value.
    assert cache.forget("key", value)
    assert await cache.get("key", source.fetch) == "value 2"
    assert source.fetched == 2


async def test_recently_fetched_value_is_not_fetched_again(cache: RefreshingCache[str], source: Source) -> None:
    """Otherwise a store that refuses all values would cost a fetch for each request."""
    value = await cache.get("key", source.fetch)
    source.now += RETRY_PAUSE_SECONDS - 1
    assert not cache.forget("key", value)
    assert await cache.get("key", source.fetch) == value
    assert source.fetched == 1


async def test_least_recently_used_value_is_dropped(
    cache: RefreshingCache[str], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "MAX_ENTRIES", 3)
    for key in ("a", "b", "c", "a", "d"):
        await cache.get(key, source.fetch)
    assert source.fetched == 4
    assert await cache.get("a", source.fetch) == "value 1"
    assert await cache.get("b", source.fetch) == "value 5"
    assert cache.forget("never used", "value 1")


async def test_stopping_the_service_cancels_fetches(source: Source) -> None:
    async with BackgroundTasks() as background:
        cache: RefreshingCache[str] = RefreshingCache(background.start, clock=source.clock)
        source.gate.clear()
        callers = asyncio.ensure_future(cache.get("key", source.fetch))
        await settled()
    with pytest.raises(asyncio.CancelledError):
        await callers
