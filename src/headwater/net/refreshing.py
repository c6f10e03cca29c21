"""What expires and is fetched anew: access tokens, sessions of a role. Fetched once for all who need it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

import structlog

from headwater.domain.errors import StoreError

T = TypeVar("T")

MOST = 1000
"""Values that are kept; the one that was not asked for for the longest time is forgotten first."""

COOL_DOWN = 30.0
"""Seconds between two attempts to renew a value that is still good, and between two values that are refused."""

log = structlog.get_logger(__name__)


class Expiring(NamedTuple, Generic[T]):
    """A value with its life, in Unix seconds.

    It is renewed in the background from `renew` on, and not given out from `expires` on. From `overdue` on it is given
    out only where it cannot be renewed: nobody may have asked for it in between.
    """

    value: T
    renew: float
    expires: float
    overdue: float = math.inf

    def __repr__(self) -> str:
        return f"Leased(renew={self.renew}, expires={self.expires})"


class _Entry(Generic[T]):
    def __init__(self) -> None:
        self.leased: Expiring[T] | None = None
        self.fetching: asyncio.Task[Expiring[T]] | None = None
        self.not_before = 0.0
        self.fetched = 0.0


class RefreshingCache(Generic[T]):
    """Values by key, each fetched when it is first asked for and renewed before it expires.

    However many ask at the same time, one fetch is under way for a key. While the old value is good, nobody waits for
    the new one before it is overdue, and nobody is troubled if it cannot be had yet.

    Args:
        clock: gives Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()

    async def get(self, key: Hashable, fetch: Callable[[], Awaitable[Expiring[T]]]) -> T:
        """Return the value of a key.

        Args:
            key: what tells it from the others; everything that `fetch` depends on.
            fetch: gets a new one.

        Raises:
            StoreError: what `fetch` raises, where there is no good value.
        """
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        now = self._clock()
        leased = entry.leased
        if leased is not None and now < leased.expires:
            if now < leased.renew or now < entry.not_before:
                return leased.value
            task = self._start(entry, fetch)
            if now < leased.overdue:
                return leased.value
            try:
                return (await asyncio.shield(task)).value
            except StoreError:
                return leased.value
        task = self._start(entry, fetch)
        self._forget()
        # One who gives up must not end it for the others.
        return (await asyncio.shield(task)).value

    def forget(self, key: Hashable, value: T) -> bool:
        """Take back a value that is refused before its time; whether `get` may bring another one.

        However many say so of one value, it is fetched anew once. One that was fetched less than `COOL_DOWN` seconds
        ago stays: another would be refused as well, and each request would cost a fetch.
        """
        entry = self._entries.get(key)
        if entry is None or entry.leased is None or entry.leased.value != value:
            return True
        if self._clock() < entry.fetched + COOL_DOWN:
            return False
        entry.leased = None
        return True

    async def aclose(self) -> None:
        """Give up what is being fetched."""
        tasks = [entry.fetching for entry in self._entries.values() if entry.fetching is not None]
        self._entries.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, entry: _Entry[T], fetch: Callable[[], Awaitable[Expiring[T]]]) -> asyncio.Task[Expiring[T]]:
        if entry.fetching is None:
            entry.fetching = asyncio.ensure_future(self._fetch(entry, fetch))
            # Nobody may be waiting for it, which asyncio would report as an error of ours.
            entry.fetching.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
        return entry.fetching

    async def _fetch(self, entry: _Entry[T], fetch: Callable[[], Awaitable[Expiring[T]]]) -> Expiring[T]:
        try:
            entry.leased = leased = await fetch()
            entry.fetched = self._clock()
            return leased
        except StoreError as error:
            entry.not_before = self._clock() + COOL_DOWN
            if entry.leased is not None:
                log.warning("credentials could not be renewed yet", reason=error.message)
            raise
        finally:
            entry.fetching = None

    def _forget(self) -> None:
        while len(self._entries) > MOST:
            for key, entry in self._entries.items():
                if entry.fetching is None:
                    del self._entries[key]
                    break
            else:
                return
