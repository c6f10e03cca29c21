"""Threads that nothing waits for."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from concurrent.futures import Future, wait

import pytest

from headwater.net.threads import (
    DaemonExecutor,
    LimitedExecutor,
    NoFreeThreadError,
    UserThreads,
    run_in_executor,
    thread_usage,
)
from headwater.observability.work import Usage


def test_an_executor_starts_no_more_threads_than_allowed() -> None:
    threads = DaemonExecutor(3, "test")
    together = threading.Barrier(3)
    used = [threads.submit(lambda: (together.wait(20), threading.get_ident())[1]) for _ in range(30)]
    assert len({future.result(20) for future in used}) == 3


def test_idle_threads_are_reused() -> None:
    threads = DaemonExecutor(100, "test")
    used = set()
    for _ in range(20):
        used.add(threads.submit(threading.get_ident).result(20))
        time.sleep(0.01)
    assert len(used) < 20


def test_errors_are_returned() -> None:
    future = LimitedExecutor(DaemonExecutor(1, "test"), 1).submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        future.result(20)


def test_a_busy_executor_takes_turns_with_others() -> None:
    threads = DaemonExecutor(1, "test")
    busy, other = LimitedExecutor(threads, 2), LimitedExecutor(threads, 2)
    begin, order = threading.Event(), list[str]()
    first = busy.submit(begin.wait, 20)
    futures: list[Future[None]] = [busy.submit(order.append, "busy") for _ in range(20)]
    futures.append(other.submit(order.append, "other"))
    begin.set()
    assert first.result(20)
    assert not wait(futures, 20).not_done
    assert order.index("other") < 5


def test_users_take_turns_and_share_their_part() -> None:
    """All work of a user who came first was done before that of others."""
    threads = UserThreads(DaemonExecutor(1, "test"), 1)
    begin, order = threading.Event(), list[str]()
    first = threads.for_user("eve").submit(begin.wait, 20)
    futures: list[Future[None]] = [threads.for_user("eve").submit(order.append, "eve") for _ in range(20)]
    futures.append(threads.for_user("ada").submit(order.append, "ada"))
    begin.set()
    assert first.result(20)
    assert not wait(futures, 20).not_done
    assert order.index("ada") <= 2


def test_cancelled_work_is_released_even_if_all_threads_hang() -> None:
    """Every request to a dead mount stayed in memory until the mount came back."""

    class Request:
        def handle(self) -> None: ...

    limited = LimitedExecutor(DaemonExecutor(1, "test"), 1)
    begun, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go_on.wait(30)

    limited.submit(hang)
    assert begun.wait(20)
    kept = []
    for _ in range(50):
        request = Request()
        kept.append(weakref.ref(request))
        limited.submit(request.handle).cancel()
        del request
    assert sum(ref() is not None for ref in kept) <= 2
    go_on.set()


async def test_work_that_did_not_start_in_time_is_never_done() -> None:
    limited = LimitedExecutor(DaemonExecutor(1, "test"), 1)
    go_on, done = threading.Event(), list[int]()
    hung = limited.submit(go_on.wait, 30)
    with pytest.raises(NoFreeThreadError):
        await run_in_executor(limited, done.append, 1, timeout=10, start_timeout=0.05)
    go_on.set()
    await asyncio.wrap_future(hung)
    await run_in_executor(limited, done.append, 2, timeout=10, start_timeout=10)
    assert done == [2]


def test_shutdown_ends_idle_threads_and_later_work_is_still_done() -> None:
    """A server that closes must give its threads back, and the last files must still be closed."""
    threads = DaemonExecutor(2, "test-shutdown")
    thread = threads.submit(threading.current_thread).result(20)
    threads.shutdown()
    thread.join(20)
    assert not thread.is_alive()
    assert threads.submit(int, "5").result(20) == 5


def usage_of(name: str) -> list[Usage]:
    return [usage for usage in thread_usage() if usage.limit == name]


def test_usage_counts_threads_and_work_once_however_many_parts_it_waits_in() -> None:
    """A part of a part queues up in both: the same work would be counted three times."""
    threads, other = DaemonExecutor(2, "counted"), DaemonExecutor(3, "counted")
    shared = LimitedExecutor(threads, 2)
    parts = UserThreads(shared, 1)
    begin, begun = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        begun.release()
        begin.wait(20)

    futures = [parts.for_user(user).submit(work) for user in ("ada", "eve", "bob") for _ in range(3)]
    futures.append(threads.submit(work))
    for _ in range(2):
        assert begun.acquire(timeout=20)
    given_up = parts.for_user("ada").submit(work)
    assert given_up.cancel()
    assert usage_of("counted") == [Usage("counted", 2, 2 + 3, 8)]
    begin.set()
    assert not wait(futures, 20).not_done
    del futures, given_up, other
    limit = time.monotonic() + 5
    while usage_of("counted") != [Usage("counted", 0, 2, 0)]:
        assert time.monotonic() < limit, usage_of("counted")
        time.sleep(0.01)
