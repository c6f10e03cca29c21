"""A cache of values that expire and are fetched again: access tokens, sessions of a role."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from copy import copy
from typing import Generic, NamedTuple, TypeVar

import structlog

from headwater.domain.errors import StoreError, StoreUnavailableError
from headwater.net.tasks import TaskStarter, start_task

T = TypeVar("T")

MAX_ENTRIES = 1000
"""Values that are kept. The least recently used one is dropped first."""

RETRY_PAUSE_SECONDS = 30.0
"""The pause between two attempts to refresh a value that is still valid, and between two values that are refused."""

REFUSAL_SECONDS = 10.0
"""How long a refused fetch is remembered. Every request of a datasource needs the value: without a pause, each would
cost a fetch. It is short, so that whoever corrects a policy sees the effect soon."""

log = structlog.get_logger(__name__)


class Expiring(NamedTuple, Generic[T]):
    """A value and its life, in Unix seconds. Its repr does not show the value.

    Attributes:
        value: the value.
        refresh_at: from then on, the value is refreshed in the background.
        expires_at: from then on, the value is not returned any more.
        refresh_by: from then on, callers wait for the refreshed value, and get the old one only if the refresh fails.
            The value may not have been used, and so not refreshed, for a while before.
    """

    value: T
    refresh_at: float
    expires_at: float
    refresh_by: float = math.inf

    def __repr__(self) -> str:
        return f"Expiring(refresh_at={self.refresh_at}, expires_at={self.expires_at})"


class _Entry(Generic[T]):
    def __init__(self) -> None:
        self.current: Expiring[T] | None = None
        self.fetching: asyncio.Task[Expiring[T]] | None = None
        self.no_refresh_before = 0.0
        self.fetched_at = 0.0
        self.refusal: StoreError | None = None
        self.refused_at = 0.0


class RefreshingCache(Generic[T]):
    """Values by key. Each is fetched when it is first needed and refreshed before it expires.

    At most one fetch is in flight for a key, however many callers need the value. While the old value is valid, callers
    do not wait for the new one before `refresh_by`, and a failed refresh is no error for them. If there is no value, a
    refusal is raised again for `REFUSAL_SECONDS` before the next fetch. A transient error is not remembered.

    Args:
        start: starts the fetches, which are tasks: a caller that is cancelled does not end a fetch for the others.
        clock: returns Unix seconds.
    """

    def __init__(self, start: TaskStarter = start_task, clock: Callable[[], float] = time.time) -> None:
        self._start = start
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()

    async def get(self, key: Hashable, fetch: Callable[[], Awaitable[Expiring[T]]]) -> T:
        """Return the value of a key.

        Args:
            key: everything that `fetch` depends on.
            fetch: fetches a new value.

        Raises:
            StoreError: `fetch` raised it, now or a moment ago, and there is no valid value.
        """
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        now = self._clock()
        current = entry.current
        if current is not None and now < current.expires_at:
            if now < current.refresh_at or now < entry.no_refresh_before:
                return current.value
            task = self._start_fetch(entry, fetch)
            if now < current.refresh_by:
                return current.value
            try:
                return (await asyncio.shield(task)).value
            except StoreError:
                return current.value
        if entry.refusal is not None and entry.refused_at <= now < entry.refused_at + REFUSAL_SECONDS:
            raise copy(entry.refusal)
        task = self._start_fetch(entry, fetch)
        self._drop_oldest()
        # A caller that is cancelled must not end the fetch for the others.
        return (await asyncio.shield(task)).value

    def forget(self, key: Hashable, value: T) -> bool:
        """Drop a value that was refused before its expiry, and return whether `get` may return another one.

        Several reports about one value cause one fetch. A value that was fetched less than `RETRY_PAUSE_SECONDS` ago
        stays: a new one would be refused as well, and each request would cost a fetch.
        """
        entry = self._entries.get(key)
        if entry is None or entry.current is None or entry.current.value != value:
            return True
        if self._clock() < entry.fetched_at + RETRY_PAUSE_SECONDS:
            return False
        entry.current = None
        return True

    def _start_fetch(self, entry: _Entry[T], fetch: Callable[[], Awaitable[Expiring[T]]]) -> asyncio.Task[Expiring[T]]:
        if entry.fetching is None:
            entry.fetching = self._start("refresh", self._fetch(entry, fetch))
            # If nobody waits for the task, asyncio would log its exception as never retrieved.
            entry.fetching.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
        return entry.fetching

    async def _fetch(self, entry: _Entry[T], fetch: Callable[[], Awaitable[Expiring[T]]]) -> Expiring[T]:
        try:
            entry.current = fetched = await fetch()
            entry.fetched_at = self._clock()
            entry.refusal = None
            return fetched
        except StoreError as error:
            if not isinstance(error, StoreUnavailableError):
                entry.refusal, entry.refused_at = error, self._clock()
            entry.no_refresh_before = self._clock() + RETRY_PAUSE_SECONDS
            if entry.current is not None:
                log.warning("credentials_refresh_failed", reason=error.message)
            raise
        finally:
            entry.fetching = None

    def _drop_oldest(self) -> None:
        while len(self._entries) > MAX_ENTRIES:
            for key, entry in self._entries.items():
                if entry.fetching is None:
                    del self._entries[key]
                    break
            else:
                return
