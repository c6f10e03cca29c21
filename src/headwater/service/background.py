"""The one place that starts and stops background work: what runs without a request that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import structlog

STOP_SECONDS = 5.0
"""How long `stop` waits for cancelled tasks to end."""

log = structlog.get_logger(__name__)


class BackgroundTasks:
    """Runs named tasks until they end or the service stops. An async context manager: leaving it stops them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` as a task.

        Args:
            name: appears in the log as `task`.
            work: it is cancelled when the service stops. An exception ends the task and is logged as
                `background_task_failed`; work that should go on handles its own errors.
        """
        task = asyncio.create_task(_run(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancel all tasks and wait until they have ended, for at most `STOP_SECONDS`."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, pending = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in pending:
            log.warning("background_task_not_stopped", task=task.get_name())


async def _run(name: str, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:
        log.exception("background_task_failed", task=name)
