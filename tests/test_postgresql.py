"""Servers on PostgreSQL: every answer is right or a 503 in time, whatever happens to the database."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.live import Answer, Live, running
from tests.postgresql import PostgresServer, own_postgres, pooler

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 12.0
"""A request waits 10 seconds for the catalog."""


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresServer]:
    """A server of PostgreSQL of this module, which a test may stop if it starts it again."""
    with own_postgres() as server:
        with server.session() as operator:
            operator.execute("CREATE DATABASE headwater")
            operator.execute("ALTER DATABASE headwater SET lock_timeout = '1s'")
            operator.execute("CREATE DATABASE replicas")
        yield server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, primary: PostgresServer) -> Iterator[tuple[Live, str]]:
    """A server of this module with a dataset, and the id of the dataset."""
    with running(tmp_path_factory.mktemp("served"), database_url=primary.url("headwater")) as live:
        yield live, live.dataset()


def rename(live: Live, dataset: str) -> Answer:
    """Send a request that writes."""
    return live.call("PUT", f"/v1/datasets/{dataset}", {"name": f"set {os.urandom(6).hex()}"})


def check_unavailable(answer: Answer) -> None:
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "MALFORMED_RESPONSE", "5")
    assert "try again" in answer.text


def check_bounded(request: Callable[[], Answer]) -> None:
    """Check that a request that cannot be answered is a 503 in time."""
    began = time.monotonic()
    check_unavailable(request())
    assert time.monotonic() - began < LIMIT_SECONDS


def test_answers_through_a_pooler_are_right(tmp_path: Path, postgres_url: str) -> None:
    """Of four answers through PgBouncer in transaction mode three were a 500, and some a 404 for what exists.

    Prepared statements of one connection were run in a session that had others under the same names.
    """
    for name in "ab":
        (tmp_path / "files" / name).mkdir(parents=True)
        (tmp_path / "files" / name / f"{name}.png").touch()
    files = str(tmp_path / "files")
    with pooler(postgres_url) as pooled, running(tmp_path, database_url=pooled, local_root=files) as live:
        datasets = {name: live.configured({"type": "LOCAL", "fullPath": name}) for name in "ab"}

        def ask(number: int) -> tuple[int, Any]:
            name = "ab"[number % 2]
            source = live.datasource(datasets[name])
            match number % 6 // 2:
                case 0:
                    return (found := live.call("GET", source)).status, found.json["fullPath"] == name
                case 1:
                    found = live.call("GET", f"{source}/list")
                    return found.status, [row["fileName"] for row in found.json["data"]] == [f"{name}.png"]
                case _:
                    body = {"processedUntilTimestamp": 0}
                    return (found := live.call("PUT", f"{source}/processedUntilTimestamp", body)).status, True

        with ThreadPoolExecutor(12) as threads:
            assert set(threads.map(ask, range(300))) == {(200, True)}
        with psycopg.connect(pooled) as first, psycopg.connect(pooled) as second:
            for session in (first, second):
                left = "SELECT count(*), current_setting('lock_timeout') FROM pg_prepared_statements"
                assert session.execute(left).fetchone() == (0, "0"), "nothing is left for others in a session"


def test_lock_of_another_session_is_a_503_in_time(served: tuple[Live, str], primary: PostgresServer) -> None:
    live, dataset = served
    with primary.session("headwater") as operator, operator.transaction():
        operator.execute("SELECT * FROM datasets FOR UPDATE")
        check_bounded(lambda: rename(live, dataset))
        assert live.call("GET", f"/v1/datasets/{dataset}").status == 200, "readers do not wait for it"
    assert rename(live, dataset).status == 200


def test_hung_postgresql_is_a_503_in_time(served: tuple[Live, str], primary: PostgresServer) -> None:
    live, dataset = served
    requests = (lambda: rename(live, dataset), lambda: live.call("GET", f"/v1/datasets/{dataset}")) * 4
    with primary.hung(), ThreadPoolExecutor(8) as threads:
        list(threads.map(check_bounded, requests))
    assert rename(live, dataset).status == 200
    assert live.call("GET", "/readyz").status == 200


def test_killed_postgresql_is_a_503_until_it_is_back(served: tuple[Live, str], primary: PostgresServer) -> None:
    live, dataset = served
    primary.end(signal.SIGQUIT)
    try:
        for _ in range(3):
            check_bounded(lambda: rename(live, dataset))
            check_bounded(lambda: live.call("GET", f"/v1/datasets/{dataset}"))
        check_unavailable(live.call("GET", "/readyz"))
    finally:
        primary.start()
    assert rename(live, dataset).status == 200
    assert live.call("GET", "/readyz").status == 200


def test_sessions_that_became_read_only_are_replaced(served: tuple[Live, str], primary: PostgresServer) -> None:
    """They stayed in the pool: 45 of 45 PUTs failed in 45 seconds, while new sessions could write."""
    live, dataset = served
    alter = "ALTER DATABASE headwater SET default_transaction_read_only = off"  # it applies to new sessions
    with primary.read_only(after=alter), ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: rename(live, dataset).status, range(20)))
    assert answers == [200] * 20


def test_read_only_database_is_not_ready_until_it_can_be_written(
    served: tuple[Live, str], primary: PostgresServer
) -> None:
    live, dataset = served
    with primary.read_only(after="ALTER DATABASE headwater RESET default_transaction_read_only"):
        primary.disconnect("headwater")
        check_unavailable(rename(live, dataset))
        check_unavailable(live.call("GET", "/readyz"))
        assert live.call("GET", f"/v1/datasets/{dataset}").status == 200
    assert live.call("GET", "/readyz").status == 200
    assert rename(live, dataset).status == 200


def test_first_write_after_a_failover_is_made(tmp_path: Path) -> None:
    """The server went on with a primary that did not exist any more, and a URL could not name two hosts."""
    with own_postgres() as first:
        second = first.create_standby()
        hosts = f"postgres://postgres@{second.address},{first.address}/postgres"
        with running(tmp_path, database_url=hosts) as live:
            dataset = live.dataset("before")
            first.wait_for(second)
            first.end(signal.SIGQUIT)
            check_unavailable(rename(live, dataset))
            second.promote()
            assert rename(live, dataset).status == 200
            assert len(live.call("GET", "/v1/datasets").json) == 1
            assert live.call("GET", "/readyz").status == 200


def test_replicas_share_a_database(tmp_path: Path, primary: PostgresServer) -> None:
    """Two servers that start concurrently on an empty database, and write to it concurrently."""
    (tmp_path / "files").mkdir()
    for number in range(9):
        (tmp_path / "files" / f"{number}.png").touch()
    settings = {
        "database_url": primary.url("replicas"),
        "secret_key": f"test:{base64.b64encode(os.urandom(32)).decode()}",
        "local_root": str(tmp_path / "files"),
        "page_size": "2",
    }
    with ExitStack() as stack:
        with ThreadPoolExecutor(2) as threads:
            folders = (tmp_path / "one", tmp_path / "two")
            for folder in folders:
                folder.mkdir()
            one, two = threads.map(lambda folder: stack.enter_context(running(folder, **settings)), folders)
        two.token = one.token
        dataset = one.configured({"type": "LOCAL", "fullPath": ""})
        source = one.datasource(dataset)
        with ThreadPoolExecutor(8) as threads:
            names = [f"set {number}" for number in range(30)]
            ids = list(threads.map(lambda name: (one if hash(name) % 2 else two).dataset(name), names))
            taken = list(threads.map(lambda live: live.call("POST", "/v1/datasets", {"name": "same"}), (one, two) * 4))
        assert sorted(answer.status for answer in taken) == [201, *[400] * 7]
        assert {each["id"] for each in two.call("GET", "/v1/datasets").json} >= set(ids)
        listed: list[str] = []
        query: dict[str, str] = {}
        replicas = [one, two] * 9
        while replicas:
            page = replicas.pop().call("GET", f"{source}/list", query=query).json
            listed += [row["fileName"] for row in page["data"]]
            query = {"cursor": page["cursor"]}
            if not page["hasMore"]:
                break
        assert listed == [f"{number}.png" for number in range(9)]
        for mark in range(1, 6):
            writer, reader = (one, two) if mark % 2 else (two, one)
            body = {"processedUntilTimestamp": mark}
            assert writer.call("PUT", f"{source}/processedUntilTimestamp", body).status == 200
            assert reader.call("GET", f"{source}/processedUntilTimestamp").json == body
