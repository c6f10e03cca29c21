"""Clients in forked processes, as multiprocessing, a DataLoader, Celery and gunicorn with preload start them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3

import swagger_client
from headwater_client import ReadUrls, download, iter_samples, new_samples
from headwater_client.target_folder import PathBlockedError, TargetFolder
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.conftest import certificate  # noqa: F401  a fixture
from tests.client.server import DATASET, Answer, Request, Scripted, running
from tests.headwater_client.conftest import put
from tests.headwater_client.stores import CONTENT, listed_page, row, serve, tree
from tests.live import Live

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # since Python 3.12
]

FORKED = multiprocessing.get_context("fork")


def _run(work: Callable[[], Any], results: Any, number: int) -> None:
    try:
        results.put((number, work()))
    except BaseException:
        results.put((number, traceback.format_exc()))
        raise


def in_children(works: Sequence[Callable[[], Any]], meanwhile: Callable[[], object] = lambda: None) -> list[Any]:
    """Return what each function returns in a forked process of its own; fail if one raises or hangs."""
    results = FORKED.SimpleQueue()
    children = [FORKED.Process(target=_run, args=(work, results, number)) for number, work in enumerate(works)]
    for child in children:
        child.start()
    meanwhile()
    deadline = time.monotonic() + 20
    got: dict[int, Any] = {}
    try:
        while len(got) < len(children):
            while results.empty():
                assert time.monotonic() < deadline, "a child hangs"
                time.sleep(0.005)
            number, result = results.get()
            got[number] = result
    finally:
        for child in children:
            child.join(max(0, deadline - time.monotonic()))
            if child.exitcode is None:
                child.kill()
                child.join()
    assert [child.exitcode for child in children] == [0] * len(children), got
    return [got[number] for number in range(len(children))]


def names(api: DatasourcesApi, dataset: str) -> list[str]:
    return [sample.file_name for sample in iter_samples(api, dataset)]


@pytest.fixture
def two_datasets(live: Live, bucket: Path, tmp_path: Path) -> dict[str, list[str]]:
    """The names in two datasets of thirty files each, by their ids."""
    datasets = {}
    for folder in ("one", "two"):
        listed = [put(bucket / folder, f"{folder}-{number:02}.png") for number in range(30)]
        datasets[live.configured({"type": "LOCAL", "fullPath": f"{bucket.name}/{folder}"})] = listed
    return datasets


@contextlib.contextmanager
def requests_in_a_thread(work: Callable[[], object]) -> Iterator[None]:
    """Repeat requests in another thread of this process during the block; they must succeed."""
    stop, errors = threading.Event(), []

    def repeat() -> None:
        try:
            while not stop.is_set():
                work()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert errors == []


def test_forked_processes_get_their_own_rows(live_api: DatasourcesApi, two_datasets: dict[str, list[str]]) -> None:
    """Children used the connections of their parent, and got rows of another dataset, or too few, without an error."""
    one, two = two_datasets
    with requests_in_a_thread(lambda: names(live_api, one)):
        for _ in range(3):
            works = [partial(names, live_api, dataset) for dataset in (one, two, one, two)]
            listed = in_children(works, lambda: names(live_api, two))
            assert listed == [two_datasets[dataset] for dataset in (one, two, one, two)]
    assert names(live_api, one) == two_datasets[one], "the connections of the parent still work"


@pytest.mark.parametrize("read", [1, 7, 10])
def test_an_iteration_continues_in_forked_processes(
    live_api: DatasourcesApi, two_datasets: dict[str, list[str]], read: int
) -> None:
    """The thread that fetches the next page is only in the parent, so children waited for its page in vain."""
    dataset, listed = next(iter(two_datasets.items()))
    samples = iter_samples(live_api, dataset)
    begun = [next(samples).file_name for _ in range(read)]

    def rest() -> list[str]:
        return [sample.file_name for sample in samples]

    children = in_children([rest] * 3)
    assert [begun + more for more in (*children, rest())] == [listed] * 4


def test_a_fork_while_the_next_page_is_on_its_way(plain_api: DatasourcesApi, server: Scripted) -> None:
    """The worst moment for a fork: another thread is in the middle of a request."""
    arrived = threading.Event()

    def answer(request: Request) -> Answer:
        if "cursor" not in dict(request.query):
            return listed_page(("a", "http://x/a"), more=True)
        arrived.set()
        page = listed_page(("b", "http://x/b"))
        page.delay = 0.3
        return page

    server.answer = answer
    samples = iter_samples(plain_api, DATASET)
    assert next(samples).file_name == "a"
    assert arrived.wait(5)
    assert in_children([lambda: [sample.file_name for sample in samples]] * 3) == [["b"]] * 3
    assert [sample.file_name for sample in samples] == ["b"]


def test_locks_that_were_held_during_the_fork(plain_api: DatasourcesApi, server: Scripted) -> None:
    """A lock that another thread held during the fork is never released in the child, which waited for ever."""
    server.script(listed_page(("a", "http://x/a")))
    names(plain_api, DATASET)
    pools = plain_api.api_client.rest_client.pool_manager.pools
    (key,) = pools.keys()
    idle = pools[key].pool
    urls = ReadUrls(plain_api, DATASET)
    assert idle is not None
    of_event = urls.stop._cond  # type: ignore[attr-defined]
    with pools.lock, idle.mutex, plain_api.api_client._pool_lock, urls._lock, of_event:

        def in_child() -> Any:
            async_call: Any = plain_api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, async_req=True)
            urls.stop.set()
            pools.clear()
            return len(names(plain_api, DATASET)), len(async_call.get(5).data), urls.stop.is_set()

        assert in_children([lambda: in_another_thread(in_child)]) == [(1, 1, True)]
    assert not urls.stop.is_set()


def in_another_thread(work: Callable[[], Any]) -> Any:
    """Return the result of a function, run in another thread: this one holds the locks, and some are reentrant."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join(5)
    assert results, "it waits for a lock"
    return results[0]


def test_threads_of_async_calls_are_started_again(plain_api: DatasourcesApi, server: Scripted) -> None:
    """`async_req` in a child waited for threads that only the parent has."""
    server.script(listed_page(("a", "http://x/a")))

    def rows() -> int:
        call: Any = plain_api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, async_req=True)
        return len(call.get(10).data)

    assert rows() == 1
    assert in_children([rows, rows]) == [1, 1]
    plain_api.api_client.close()


@pytest.mark.parametrize("own_pool", [False, True])
def test_downloads_in_forked_processes(store: Scripted, tmp_path: Path, own_pool: bool) -> None:
    """With one pool of connections for all processes, a file could have the bytes of another."""
    store.answer = lambda request: Answer(body=request.path.encode() * 5000)
    pool = urllib3.PoolManager(maxsize=4) if own_pool else None

    def fetched(folder: str) -> bool:
        rows = [row(store, f"{number}.png", f"/{folder}/{number}") for number in range(20)]
        download(rows, tmp_path / folder, pool=pool, workers=4)
        return all(
            (tmp_path / folder / f"{number}.png").read_bytes() == f"/{folder}/{number}".encode() * 5000
            for number in range(20)
        )

    assert fetched("parent")
    works = [partial(fetched, folder) for folder in ("a", "b", "c")]
    assert in_children(works, lambda: fetched("meanwhile")) == [True] * 3
    if pool is not None:
        pool.clear()


def test_a_download_does_not_continue_in_a_forked_process(store: Scripted, tmp_path: Path) -> None:
    """A child of the process that reads the samples has no download threads: it reported files that it never had."""
    store.answer = serve()
    reports: list[int] = []

    def rows() -> Iterator[Any]:
        yield row(store, "a.png")
        reports.append(os.fork())
        yield row(store, "b.png")

    try:
        done = download(rows(), tmp_path, workers=1)
    except swagger_client.OpenApiException as error:
        if reports == [0]:
            os._exit(7 if "began in another process" in str(error) else 8)
        raise
    finally:
        if reports == [0]:
            os._exit(9)
    _, status = os.waitpid(reports[0], 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert done.files == 2


def test_only_the_process_that_began_the_block_moves_the_watermark(
    live: Live, live_api: DatasourcesApi, dataset: str, fill: Callable[[int], list[str]]
) -> None:
    """A child that left the block first moved the watermark, so that files that its parent lost were not repeated."""
    listed = fill(20)
    with new_samples(live_api, dataset) as samples:
        child = os.fork()
        read = [sample.file_name for sample in samples]
        if child:
            _, status = os.waitpid(child, 0)
            watermark = live.call("GET", live.datasource(dataset, "processedUntilTimestamp"))
            assert watermark.json == {"processedUntilTimestamp": 0}
    if not child:
        os._exit(7 if read == listed and not samples.moved else 8)
    assert os.waitstatus_to_exitcode(status) == 7
    assert read == listed
    assert samples.moved


def test_a_forked_process_does_not_keep_the_lock_of_a_temporary_file(tmp_path: Path) -> None:
    """A child that was forked during a download kept the file locked, so that resuming it failed in the parent."""
    folder = TargetFolder(tmp_path)
    with folder.parent(("a.png",)) as parent:
        with parent.open_temporary("a.part", "a.png") as file:
            file.write(CONTENT)
            leave = FORKED.Event()
            child = FORKED.Process(target=leave.wait)
            child.start()
            with pytest.raises(PathBlockedError, match="another process is writing"):
                parent.open_temporary("a.part", "a.png")
        parent.open_temporary("a.part", "a.png").close()
    leave.set()
    child.join()
    folder.close()
    assert tree(tmp_path) == ["a.part"]


def test_a_child_leaves_the_connections_of_its_parent_open(plain_api: DatasourcesApi, server: Scripted) -> None:
    server.script(listed_page(("a", "http://x/a")))
    names(plain_api, DATASET)
    pools = plain_api.api_client.rest_client.pool_manager.pools
    (key,) = pools.keys()
    before = pools[key].num_connections
    assert in_children([lambda: len(names(plain_api, DATASET))] * 2) == [1, 1]
    names(plain_api, DATASET)
    assert pools[key].num_connections == before


def test_a_child_does_not_end_the_tls_connections_of_its_parent(certificate: Path) -> None:  # noqa: F811
    """Closing a TLS connection in the child must not tell the server that the parent is done with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(context) as server:
        server.script(listed_page(("a", "http://x/a")))
        configuration = swagger_client.Configuration(host=server.url, ssl_ca_cert=str(certificate))
        configuration.retries = 0
        with swagger_client.ApiClient(configuration) as api_client:
            api = DatasourcesApi(api_client)
            names(api, DATASET)
            assert in_children([lambda: len(names(api, DATASET))] * 2) == [1, 1]
            assert names(api, DATASET) == ["a"]
            pools = api_client.rest_client.pool_manager.pools
            (key,) = pools.keys()
            assert pools[key].num_connections == 1
