"""The one place that starts and stops background work: work that may outlive the request that needs it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from headwater.domain.errors import HeadwaterError

T = TypeVar("T")

STOP_SECONDS = 5.0
"""How long `stop` waits for cancelled tasks to end."""

log = structlog.get_logger(__name__)


class BackgroundTasks:
    """Runs named tasks until they end or the service stops. An async context manager: leaving it stops them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def start(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as a task, and return the task; a `net.tasks.TaskStarter`.

        Args:
            name: appears in the log as `task`.
            work: it is cancelled when the service stops. A HeadwaterError is for those who wait for the task; any other
                exception is logged as `background_task_failed`, too.
        """
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    async def stop(self) -> None:
        """Cancel all tasks, also those that start meanwhile, and wait until they have ended.

        After `STOP_SECONDS` the tasks that are left are logged as `background_task_not_stopped`.
        """
        deadline = time.monotonic() + STOP_SECONDS
        while self._tasks and (left := deadline - time.monotonic()) > 0:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(set(self._tasks), timeout=left)
        for task in self._tasks:
            log.warning("background_task_not_stopped", task=task.get_name())

    def _finish(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Reading the exception also keeps asyncio from reporting it as never retrieved, if nobody waits for the task.
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, HeadwaterError):
            log.error("background_task_failed", task=task.get_name(), exc_info=error)
