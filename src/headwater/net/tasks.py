"""How work is started that may outlive the request that needs it, such as a refresh of a token."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class TaskStarter(Protocol):
    """Starts tasks. The service passes one that stops them when the service stops (`service.background`)."""

    def __call__(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `work` as a task with this name, and return the task."""


def start_task(name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that lives as long as the event loop. For programs and tests without a service."""
    return asyncio.create_task(work, name=name)
