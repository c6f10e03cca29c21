"""Threads that compute: each user has a share, and other threads run meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from headwater.domain.errors import TooManyRequestsError
from headwater.net import compute as compute_module
from headwater.net.compute import WORK_SECONDS, Pace, compute
from headwater.net.threads import DaemonExecutor, UserThreads
from headwater.net.users import working_for


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of this test's own."""
    monkeypatch.setattr(compute_module, "_threads", UserThreads(DaemonExecutor(2, "test"), 1))


@pytest.mark.usefixtures("threads")
async def test_users_do_not_wait_for_the_work_of_others() -> None:
    """Work that computes was done in an executor that all requests shared: one user's filled it for minutes."""
    go_on = threading.Event()
    with working_for("eve"):
        blocked = [asyncio.create_task(compute(go_on.wait, 20)) for _ in range(50)]
        await asyncio.sleep(0.02)
    with working_for("ada"):
        async with asyncio.timeout(5):
            assert await compute(int, "5") == 5
    with working_for("eve"), pytest.raises(TooManyRequestsError, match="your other requests"):
        await compute(int, "5", start_seconds=0.02)
    go_on.set()
    assert all(await asyncio.gather(*blocked))


@pytest.mark.usefixtures("threads")
async def test_users_take_turns() -> None:
    """A user with many parts of work had all of them done before another user's first one."""
    go_on, done = threading.Event(), list[str]()
    holders: list[asyncio.Task[Any]] = []
    for user in ("eve", "bob"):
        with working_for(user):
            holders.append(asyncio.create_task(compute(go_on.wait, 20)))
            holders += [asyncio.create_task(compute(done.append, user)) for _ in range(20)]
            await asyncio.sleep(0.02)
    with working_for("ada"):
        last = asyncio.create_task(compute(done.append, "ada"))
        await asyncio.sleep(0.02)
    go_on.set()
    await asyncio.gather(*holders, last)
    assert done.index("ada") <= 6


def test_long_work_pauses_and_can_be_ended() -> None:
    checks = []

    def check() -> None:
        checks.append(time.perf_counter())
        if len(checks) == 3:
            raise StopIteration

    pace = Pace(check)

    def work() -> None:
        while True:
            pace()

    with pytest.raises(StopIteration):
        work()
    assert checks[-1] - checks[0] >= 2 * WORK_SECONDS
