"""Downloads into a folder, from a real server and a scripted store."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import swagger_client
from headwater_client import Downloaded, DownloadError, download, iter_samples, new_samples
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.exceptions import ApiTypeError
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow as Row
from tests.client.server import Answer, Request, Scripted
from tests.headwater_client.conftest import put
from tests.headwater_client.stores import CONTENT, WholeNumber, row, serve, tree
from tests.live import Live


def then(rows: Iterable[Row], work: Callable[[], object]) -> Iterator[Row]:
    """Yield the rows; call `work` when the first one is read."""
    for number, each in enumerate(rows):
        if number == 0:
            work()
        yield each


def test_a_listing_is_downloaded(
    live_api: DatasourcesApi, dataset: str, bucket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [
        put(bucket, f"{folder}/{number}.png", os.urandom(number * 1000)) for folder in "ab" for number in range(15)
    ]
    names.append(put(bucket, "ä b/%2e +#?.png", b"odd"))
    names.append(put(bucket, "large.mp4", CONTENT * 5))
    done = download(iter_samples(live_api, dataset), tmp_path / "new" / "folder")
    assert tree(tmp_path / "new" / "folder") == sorted(names)
    for name in names:
        assert (tmp_path / "new" / "folder" / name).read_bytes() == (bucket / name).read_bytes()
    assert done == Downloaded(files=32, bytes=sum((bucket / name).stat().st_size for name in names), skipped=0)
    assert capsys.readouterr() == ("", ""), "no progress line without a terminal"


def test_existing_files_are_not_downloaded_again(
    live_api: DatasourcesApi, dataset: str, bucket: Path, tmp_path: Path
) -> None:
    """A file that is replaced in the second of a listing is listed in the next second, so the test waits for that."""
    for number in range(20):
        put(bucket, f"{number}.png", os.urandom(number * 500))
    download(iter_samples(live_api, dataset), tmp_path)
    (tmp_path / "7.png").unlink()
    (tmp_path / "8.png").write_bytes(b"short")
    time.sleep(1.1)
    put(bucket, "9.png", b"has become shorter")
    put(bucket, "10.png", os.urandom(100_000))
    done = download(iter_samples(live_api, dataset), tmp_path)
    assert (done.files, done.skipped) == (4, 16)
    for number in range(20):
        assert (tmp_path / f"{number}.png").read_bytes() == (bucket / f"{number}.png").read_bytes()
    assert len(tree(tmp_path)) == 20


def test_a_download_of_new_samples_moves_the_watermark(
    live: Live, live_api: DatasourcesApi, dataset: str, fill: Callable[[int], list[str]], tmp_path: Path
) -> None:
    fill(20)
    with new_samples(live_api, dataset) as samples:
        download(samples, tmp_path)
    assert samples.moved
    assert len(tree(tmp_path)) == 20


def test_a_failed_file_leaves_the_watermark_unchanged(
    live_api: DatasourcesApi, dataset: str, bucket: Path, fill: Callable[[int], list[str]], tmp_path: Path
) -> None:
    fill(20)
    with pytest.raises(DownloadError) as caught, new_samples(live_api, dataset) as samples:
        download(then(samples, (bucket / "0003.png").unlink), tmp_path)
    assert not samples.moved
    assert list(caught.value.errors) == ["0003.png"]
    assert "404" in str(caught.value)
    assert caught.value.downloaded.files == 19
    assert len(tree(tmp_path)) == 19


def test_a_list_with_duplicate_rows(store: Scripted, tmp_path: Path) -> None:
    store.answer = serve()
    done = download([row(store)] * 20, tmp_path)
    assert (done.files, done.skipped) == (1, 19)
    assert (tmp_path / "a.png").read_bytes() == CONTENT


def test_no_samples(tmp_path: Path) -> None:
    assert download([], tmp_path) == Downloaded(0, 0, 0)


def test_no_more_downloads_than_workers(store: Scripted, tmp_path: Path) -> None:
    present, most, lock = 0, 0, threading.Lock()

    def answer(request: Request) -> Answer:
        nonlocal present, most
        with lock:
            present += 1
            most = max(most, present)
        time.sleep(0.05)
        with lock:
            present -= 1
        return Answer(body=b"x")

    store.answer = answer
    download((row(store, f"{number}.png") for number in range(20)), tmp_path, workers=4)
    assert most == 4


def test_only_a_few_samples_are_read_ahead(store: Scripted, tmp_path: Path) -> None:
    store.answer = lambda _: Answer(body=b"x", delay=0.02)
    read = 0

    def rows() -> Iterator[Row]:
        nonlocal read
        for number in range(40):
            assert read - len(store.requests) <= 3 * 2 + 1
            read += 1
            yield row(store, f"{number}.png")

    assert download(rows(), tmp_path, workers=2).files == 40


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"attempts": 0}, {"pause": -1}, {"timeout": 0}])
def test_invalid_parameters_are_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(swagger_client.ApiValueError, match=next(iter(wrong))):
        download([], tmp_path, **wrong)


@pytest.mark.parametrize("wrong", [{"workers": 2.5}, {"workers": True}, {"workers": "8"}, {"timeout": "60"}])
def test_parameters_of_a_wrong_type_are_refused(tmp_path: Path, wrong: Any) -> None:
    """They were bare errors of `range` or `<`."""
    with pytest.raises(swagger_client.ApiTypeError, match=f"{next(iter(wrong))} must be a"):
        download([], tmp_path, **wrong)


def test_numbers_of_other_libraries(store: Scripted, tmp_path: Path) -> None:
    """A number of workers that numpy had computed was refused."""
    store.answer = serve()
    workers: Any = WholeNumber(2)
    attempts: Any = WholeNumber(1)
    pause: Any = Fraction(1, 2)
    assert download([row(store)], tmp_path, workers=workers, attempts=attempts, pause=pause, timeout=pause).files == 1


def test_a_sample_that_is_not_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(swagger_client.ApiTypeError, match="samples"):
        download(["a.png"], tmp_path)  # type: ignore[list-item]


def test_fsync_flushes_files_and_folders(store: Scripted, tmp_path: Path) -> None:
    store.answer = serve()
    assert download([row(store, "b/a.png")], tmp_path, fsync=True).files == 1


def test_a_download_error_can_be_pickled() -> None:
    """Process pools hung or failed because of it."""
    error = DownloadError({"a": ValueError("no")}, Downloaded(1, 2, 3))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.downloaded) == (str(error), error.downloaded)


def test_threads_end_if_one_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started threads polled for work ten times a second until the process ended."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_some(thread: threading.Thread) -> None:
        if thread.name.startswith("headwater_client: download"):
            if len(started) == 3:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    with pytest.raises(RuntimeError, match="new thread"):
        download([Row("a", "http://127.0.0.1:1/a")], tmp_path)
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()


def test_a_row_without_a_name_is_refused(tmp_path: Path) -> None:
    """It ended its thread, and the download reported success."""
    nameless = Row("a", "http://127.0.0.1:1/a")
    object.__delattr__(nameless, "file_name") if hasattr(type(nameless), "__slots__") else None
    with pytest.raises(ApiTypeError, match="file_name"):
        download([nameless], tmp_path)
