"""Background tasks run until the service stops, and their errors are logged."""

from __future__ import annotations

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from headwater.service import background
from headwater.service.background import BackgroundTasks


async def test_task_runs_and_is_cancelled_at_the_end() -> None:
    events: list[str] = []

    async def work() -> None:
        events.append("started")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("stopped")

    async with BackgroundTasks() as tasks:
        tasks.start("waiter", work())
        await asyncio.sleep(0)
        assert events == ["started"]
    assert events == ["started", "stopped"]


async def test_failed_task_is_logged_and_does_not_end_the_others() -> None:
    finished = asyncio.Event()

    async def fail() -> None:
        raise ValueError("broken")

    async def finish() -> None:
        finished.set()

    with capture_logs() as logs:
        async with BackgroundTasks() as tasks:
            tasks.start("failing", fail())
            tasks.start("finishing", finish())
            await asyncio.wait_for(finished.wait(), 5)
    assert [(entry["event"], entry["task"]) for entry in logs] == [("background_task_failed", "failing")]


async def test_stop_does_not_wait_longer_than_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "STOP_SECONDS", 0.05)
    release = asyncio.Event()

    async def ignore_cancellation() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    tasks = BackgroundTasks()
    tasks.start("stubborn", ignore_cancellation())
    await asyncio.sleep(0)
    started = time.monotonic()
    with capture_logs() as logs:
        await tasks.stop()
    assert time.monotonic() - started < 2
    assert [(entry["event"], entry["task"]) for entry in logs] == [("background_task_not_stopped", "stubborn")]
    release.set()
    await asyncio.sleep(0)
