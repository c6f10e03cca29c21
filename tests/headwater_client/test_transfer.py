"""Transfers with failures: truncated bodies, busy stores, redirects, full disks. Complete or not at all."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater_client import Downloaded, DownloadError, TransferError, download
from headwater_client.file_names import temporary_name
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow as Row
from tests.client.server import Answer, Request, Scripted
from tests.headwater_client.stores import CONTENT, ETAG, after, ranges, raw_store, reason, row, serve, tree


def test_a_truncated_body_is_resumed(store: Scripted, tmp_path: Path) -> None:
    store.answer = after(Answer(cut=300_000), Answer(cut=100_000))
    done = download([row(store)], tmp_path, pause=0)
    assert (tmp_path / "a.png").read_bytes() == CONTENT
    assert done.bytes == len(CONTENT), "no byte came twice"
    starts = [int(wanted.split("=")[1].strip("-")) for wanted in ranges(store)[1:] if wanted]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1]
    assert store.requests[1].headers["If-Range"] == ETAG
    assert tree(tmp_path) == ["a.png"]


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_without_an_etag_the_download_starts_again(store: Scripted, tmp_path: Path, etag: str | None) -> None:
    store.answer = after(Answer(cut=300_000), etag=etag)
    download([row(store)], tmp_path, pause=0)
    assert (tmp_path / "a.png").read_bytes() == CONTENT
    assert ranges(store) == [None, None]
    assert tree(tmp_path) == ["a.png"]


def test_versions_of_a_replaced_file_are_not_mixed(store: Scripted, tmp_path: Path) -> None:
    other = bytes(reversed(CONTENT))
    first = after(Answer(cut=300_000))
    store.answer = lambda request: first(request) if len(store.requests) < 2 else serve(other, '"v2"')(request)
    download([row(store)], tmp_path, pause=0)
    assert (tmp_path / "a.png").read_bytes() == other
    assert tree(tmp_path) == ["a.png"], "nothing is left of the other version"


def test_a_store_that_ignores_ranges(store: Scripted, tmp_path: Path) -> None:
    waiting = [Answer(body=CONTENT, headers={"ETag": ETAG}, cut=1000)]
    store.answer = lambda _: waiting.pop() if waiting else Answer(body=CONTENT, headers={"ETag": ETAG})
    download([row(store)], tmp_path, pause=0)
    assert (tmp_path / "a.png").read_bytes() == CONTENT


def test_a_store_that_sends_another_range(store: Scripted, tmp_path: Path) -> None:
    wrong = {"ETag": ETAG, "Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"}
    store.answer = after(Answer(cut=300_000), Answer(206, body=CONTENT[5:], headers=wrong))
    download([row(store)], tmp_path, pause=0)
    assert (tmp_path / "a.png").read_bytes() == CONTENT


def test_a_file_that_became_shorter(store: Scripted, tmp_path: Path) -> None:
    first = after(Answer(cut=300_000))
    store.answer = lambda request: first(request) if len(store.requests) < 2 else serve(b"short")(request)
    download([row(store)], tmp_path, pause=0)
    assert (tmp_path / "a.png").read_bytes() == b"short"
    assert tree(tmp_path) == ["a.png"]


def test_a_file_that_is_always_truncated_never_gets_its_name(store: Scripted, tmp_path: Path) -> None:
    store.script(Answer(body=b"half", cut=2, headers={}))
    with pytest.raises(DownloadError) as caught:
        download([row(store)], tmp_path, attempts=3, pause=0)
    assert isinstance(reason(caught), TransferError)
    assert len(store.requests) == 3
    assert tree(tmp_path) == []


def test_a_later_run_resumes(store: Scripted, tmp_path: Path) -> None:
    store.answer = after(Answer(cut=300_000), Answer(404))
    with pytest.raises(DownloadError):
        download([row(store)], tmp_path, pause=0)
    partial = tmp_path / temporary_name("a.png", ETAG, len(CONTENT))
    assert tree(tmp_path) == [partial.name]
    size = partial.stat().st_size
    assert partial.read_bytes() == CONTENT[:size]
    store.requests.clear()
    done = download([row(store)], tmp_path)
    assert ranges(store) == [None, f"bytes={size}-"]
    assert done == Downloaded(1, len(CONTENT) - size, 0)
    assert (tmp_path / "a.png").read_bytes() == CONTENT
    assert tree(tmp_path) == ["a.png"]


def test_a_later_run_commits_a_complete_temporary_file(store: Scripted, tmp_path: Path) -> None:
    """The process died after the last byte and before the renaming."""
    store.answer = serve()
    (tmp_path / temporary_name("a.png", ETAG, len(CONTENT))).write_bytes(CONTENT)
    assert download([row(store)], tmp_path).files == 1
    assert (tmp_path / "a.png").read_bytes() == CONTENT
    assert tree(tmp_path) == ["a.png"]


def test_with_fsync_temporary_files_of_earlier_runs_are_not_resumed(store: Scripted, tmp_path: Path) -> None:
    """Without fsync, a file of the correct length can have holes after a power failure."""
    store.answer = serve()
    (tmp_path / temporary_name("a.png", ETAG, len(CONTENT))).write_bytes(bytes(len(CONTENT)))
    download([row(store)], tmp_path, fsync=True)
    assert (tmp_path / "a.png").read_bytes() == CONTENT


def test_a_temporary_file_of_another_version_is_not_resumed(store: Scripted, tmp_path: Path) -> None:
    store.answer = serve()
    (tmp_path / temporary_name("a.png", '"v0"', len(CONTENT))).write_bytes(b"0" * 1000)
    (tmp_path / temporary_name("a.png", ETAG, len(CONTENT) - 1)).write_bytes(b"0" * 1000)
    download([row(store)], tmp_path)
    assert (tmp_path / "a.png").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "trouble",
    [Answer(hang_up=True), Answer(500), Answer(503), Answer(429), Answer(408), Answer(502, body=b"x" * 1_000_000)],
)
def test_transient_errors_are_retried(store: Scripted, tmp_path: Path, trouble: Answer) -> None:
    store.answer = after(trouble, trouble)
    assert download([row(store)], tmp_path, pause=0).files == 1
    assert (tmp_path / "a.png").read_bytes() == CONTENT


def test_retry_after_is_used(store: Scripted, tmp_path: Path) -> None:
    store.answer = after(Answer(503, headers={"Retry-After": "1"}))
    start = time.monotonic()
    download([row(store)], tmp_path, pause=0)
    assert 1 <= time.monotonic() - start < 5


@pytest.mark.parametrize("status", [402, 404, 405, 410, 304])
def test_permanent_errors_are_not_retried(store: Scripted, tmp_path: Path, status: int) -> None:
    store.script(Answer(status))
    with pytest.raises(DownloadError, match=str(status)) as caught:
        download([row(store)], tmp_path)
    error = reason(caught)
    assert isinstance(error, TransferError)
    assert error.status == status
    assert len(store.requests) == 1
    assert tree(tmp_path) == []


def test_an_unreachable_store(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"'a\.png' was not received") as caught:
        download([Row("a.png", "http://127.0.0.1:9/a?signature=secret-of-a-url")], tmp_path, attempts=2, pause=0)
    assert "secret-of-a-url" not in str(caught.value) + repr(caught.value.errors)


def test_a_store_that_hangs(store: Scripted, tmp_path: Path) -> None:
    store.answer = after(Answer(delay=2))
    start = time.monotonic()
    assert download([row(store)], tmp_path, timeout=0.2, pause=0).files == 1
    assert time.monotonic() - start < 1.5


def test_a_body_without_a_length_is_refused(tmp_path: Path) -> None:
    """A truncated body would go unnoticed."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it"
    with raw_store(answer) as url, pytest.raises(DownloadError, match="does not send the length"):
        download([Row("a.png", url)], tmp_path)
    assert tree(tmp_path) == []


def test_a_chunked_body(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_store(head + b"5\r\nwhole\r\n0\r\n\r\n") as url:
        download([Row("a.png", url)], tmp_path)
    assert (tmp_path / "a.png").read_bytes() == b"whole"
    with raw_store(head + b"5\r\nwhole\r\n") as url, pytest.raises(DownloadError):
        download([Row("b.png", url)], tmp_path, attempts=2, pause=0)
    assert tree(tmp_path) == ["a.png"]


def test_an_encoded_body_is_stored_unchanged(store: Scripted, tmp_path: Path) -> None:
    store.script(Answer(body=b"not gzip at all", headers={"Content-Encoding": "gzip"}))
    download([row(store)], tmp_path)
    assert (tmp_path / "a.png").read_bytes() == b"not gzip at all"
    assert store.request.headers["Accept-Encoding"] == "identity"


def test_an_empty_file(store: Scripted, tmp_path: Path) -> None:
    store.answer = serve(b"")
    assert download([row(store)], tmp_path) == Downloaded(1, 0, 0)
    assert (tmp_path / "a.png").read_bytes() == b""
    assert download([row(store)], tmp_path) == Downloaded(0, 0, 1)
    (tmp_path / "a.png").write_bytes(b"not empty")
    assert download([row(store)], tmp_path) == Downloaded(1, 0, 0)


def test_one_failure_does_not_stop_the_others(store: Scripted, tmp_path: Path) -> None:
    store.answer = lambda request: Answer(404) if "bad" in request.path else Answer(body=b"x")
    rows = [row(store, f"{number}.png", "/bad" if number % 2 else "/good") for number in range(30)]
    with pytest.raises(DownloadError, match="15 of 30 files could not be downloaded") as caught:
        download(rows, tmp_path)
    assert len(caught.value.errors) == 15
    assert "and 5 more" in str(caught.value)
    assert len(tree(tmp_path)) == 15


def test_fail_fast(store: Scripted, tmp_path: Path) -> None:
    store.answer = lambda request: Answer(404) if "bad" in request.path else Answer(body=b"x", delay=0.01)
    rows = (row(store, f"{number}.png", "/bad" if number == 5 else "/good") for number in range(1000))
    with pytest.raises(DownloadError) as caught:
        download(rows, tmp_path, workers=2, fail_fast=True)
    assert list(caught.value.errors) == ["5.png"]
    assert len(store.requests) < 50


def test_an_error_of_the_listing_ends_the_download(store: Scripted, tmp_path: Path) -> None:
    store.answer = lambda _: Answer(body=b"x", delay=0.01)

    def rows() -> Iterator[Row]:
        yield from (row(store, f"{number}.png") for number in range(10))
        raise KeyError("listing")

    with pytest.raises(KeyError, match="listing"):
        download(rows(), tmp_path)


def test_an_interrupt_leaves_temporary_files(tmp_path: Path) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\nETag: {ETAG}\r\n\r\n".encode()
    with raw_store(head, CONTENT) as url:

        def rows() -> Iterator[Row]:
            yield Row("a.png", url)
            while not any(path.stat().st_size for path in tmp_path.glob(".headwater-*.part")):
                time.sleep(0.001)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            download(rows(), tmp_path)
    (partial,) = tree(tmp_path)
    size = (tmp_path / partial).stat().st_size
    assert 0 < size < len(CONTENT)
    assert (tmp_path / partial).read_bytes() == CONTENT[:size]


def test_a_full_disk_stops_the_download(store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store.answer = lambda _: Answer(body=b"x")
    monkeypatch.setattr("headwater_client.transfer._write_all", full)
    with pytest.raises(OSError, match="No space left"):
        download((row(store, f"{number}.png") for number in range(10_000)), tmp_path)
    assert len(store.requests) < 100
    assert tree(tmp_path) == []


class TestRedirects:
    def test_redirects_keep_the_requested_range(self, store: Scripted, tmp_path: Path) -> None:
        good = after(Answer(cut=300_000))

        def answer(request: Request) -> Answer:
            if request.path == "/a.png":
                return Answer(302, headers={"Location": "/elsewhere"})
            return good(request)

        store.answer = answer
        download([row(store)], tmp_path, pause=0)
        assert (tmp_path / "a.png").read_bytes() == CONTENT
        assert [request.path for request in store.requests] == ["/a.png", "/elsewhere"] * 2

    def test_the_number_of_redirects_is_limited(self, store: Scripted, tmp_path: Path) -> None:
        store.script(Answer(307, headers={"Location": "/again"}))
        with pytest.raises(DownloadError, match="more than 5 redirects"):
            download([row(store)], tmp_path)
        assert len(store.requests) == 6

    @pytest.mark.parametrize(
        "location", ["file:///etc/passwd", "ftp://127.0.0.1/a", "gopher://x", "https:///a", "javascript:1"]
    )
    def test_redirects_to_other_schemes_are_refused(self, store: Scripted, tmp_path: Path, location: str) -> None:
        store.script(Answer(302, headers={"Location": location}))
        with pytest.raises(DownloadError, match="http"):
            download([row(store)], tmp_path, attempts=1)
        assert tree(tmp_path) == []

    @pytest.mark.parametrize(
        "url", ["file:///etc/passwd", "/a.png", "", "data:,x", "http://", "http://[::1", "https:///a"]
    )
    def test_an_invalid_read_url(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(DownloadError, match=r"'a\.png'"):
            download([Row("a.png", url)], tmp_path)
        assert tree(tmp_path) == []
