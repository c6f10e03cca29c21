"""Samples into a folder, with several threads: atomic, resumed, checked, never outside the folder."""

from __future__ import annotations

import os
import queue
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    Iterator,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Sized,
    Tuple,
    Union,
)

import urllib3

from swagger_client.exceptions import ApiValueError, OpenApiException
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model_utils import wrong_type
from swagger_client.samples.folder import Folder
from swagger_client.samples.names import shown
from swagger_client.samples.patience import Patience
from swagger_client.samples.progress import Progress
from swagger_client.samples.read_urls import ReadUrls
from swagger_client.samples.transfer import Options, Renew, Stopped, is_full, transfer

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.samples.sample import DatasetId

    _Queue = queue.Queue[Optional[DatasourceRawSamplesDataRow]]

WORKERS = 8
ATTEMPTS = 5
PAUSE = 1.0
TIMEOUT = 60.0

_NAMED = 10
_LAST_WAIT = 5.0
_POLL = 0.1


class Downloaded(NamedTuple):
    """What a download did.

    Attributes:
        files: downloaded by this run.
        bytes: received by this run.
        skipped: files that were there already, in the size that the store has.
    """

    files: int
    bytes: int
    skipped: int


class DownloadError(OpenApiException):
    """Some files could not be downloaded. All others were; calling again goes on with those that are missing.

    Attributes:
        errors: by the name of the sample, why.
        downloaded: what was done nevertheless.
    """

    def __init__(self, errors: Mapping[str, Exception], downloaded: Downloaded) -> None:
        self.errors = errors
        self.downloaded = downloaded
        done = downloaded.files + downloaded.skipped
        lines = [f"{len(errors):,} of {len(errors) + done:,} files could not be downloaded:"]
        for name, error in list(errors.items())[:_NAMED]:
            lines.append(f"  {shown(name)}: {' '.join(str(error).split()) or type(error).__name__}")
        if len(errors) > _NAMED:
            lines.append(f"  … and {len(errors) - _NAMED:,} more, in `errors`")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.errors, self.downloaded)


def download(
    samples: Iterable[DatasourceRawSamplesDataRow],
    folder: Union[str, os.PathLike[str]],
    *,
    workers: int = WORKERS,
    api: Optional[DatasourcesApi] = None,
    dataset_id: Optional[DatasetId] = None,
    renew: Optional[Renew] = None,
    progress: bool = True,
    fail_fast: bool = False,
    fsync: bool = False,
    attempts: int = ATTEMPTS,
    pause: float = PAUSE,
    timeout: float = TIMEOUT,
    pool: Optional[urllib3.PoolManager] = None,
) -> Downloaded:
    """Download samples into a folder, under their own names.

    - A file is there whole or not at all: it is prepared under another name (`.headwater-….part`) in the same
      folder, and its bytes are counted. Calling again skips the files that are there in the size that the store has,
      and goes on with those that were begun, where the store gives an ETag to tell that it is still the same version.
      A file of another size is replaced.
    - Names come from whoever writes to the bucket: nothing is ever written outside the folder, whatever they are, and
      links in it are not followed. A name that cannot be used as it is, exactly, is an error for that file.
    - A URL that the store refuses with 400, 401 or 403 has expired or been withdrawn. A sample of `iter_samples` or
      `new_samples` gets a fresh one by listing its page again; other rows need `api` and `dataset_id`, or `renew`.
    - Connection errors, 408, 429 and 5xx are tried again, with growing pauses.

    Args:
        samples: what to download: `iter_samples(…)`, or any other rows. Read by the calling thread, a few ahead.
        folder: where to; made where it is missing.
        workers: how many files are downloaded at the same time, 1 or more.
        api: of the server, for fresh URLs of rows that are not from `iter_samples`, or were copied or pickled.
        dataset_id: their dataset; with `api`.
        renew: finds fresh URLs in another way: takes the row and the URL that was refused, and returns a fresh one, or
            None. Several threads call it.
        progress: whether to show files, bytes and rate on stderr; only ever where that is a terminal.
        fail_fast: stop at the first file that fails, instead of going on with the others.
        fsync: have each file on disk before it gets its name, so that also a loss of power leaves none in part; what an
            earlier run has begun is then begun anew.
        attempts: how often in a row a file is tried without getting on, 1 or more.
        pause: seconds before the second attempt, doubled each time, up to 30; `Retry-After` may lengthen it.
        timeout: seconds without a byte after which a connection counts as broken.
        pool: connections with settings of your own (a proxy, certificates). Default: urllib3's.

    Returns:
        How many files and bytes were downloaded, and how many files were there.

    Raises:
        DownloadError: files could not be downloaded; it names them. With `fail_fast` it has the first one.
        ApiValueError: `workers`, `attempts` or `pause` is out of range.
        ApiTypeError: only one of `api` and `dataset_id` is given; a sample is no row of a listing.
        OSError: the folder cannot be made, or the disk is full.
        Exception: whatever `samples` raises; the files that were begun can be gone on with.
    """
    if workers < 1:
        raise ApiValueError(f"workers is {workers}: give 1 or more", ["workers"])
    if not timeout > 0:
        raise ApiValueError(f"timeout is {timeout}: give more than 0 seconds", ["timeout"])
    patience = Patience(attempts, pause)
    urls = ReadUrls(api, dataset_id)
    connections = urllib3.PoolManager(maxsize=workers) if pool is None else pool
    target = Folder(Path(folder))
    stop = threading.Event()
    try:
        with Progress(progress, len(samples) if isinstance(samples, Sized) else None) as counts:
            options = Options(connections, renew or urls.fresh, patience, timeout, fsync, counts.received, stop)
            return _Download(target, options, counts, fail_fast).run(samples, workers)
    finally:
        urls.stop.set()
        target.close()
        if pool is None:
            connections.clear()


class _Download:
    def __init__(self, folder: Folder, options: Options, counts: Progress, fail_fast: bool) -> None:
        self._folder = folder
        self._options = options
        self._stop = options.stop
        self._counts = counts
        self._fail_fast = fail_fast
        self._errors: Dict[str, Exception] = {}
        self._fatal: Optional[BaseException] = None
        self._under_way: Set[str] = set()
        self._changed = threading.Condition()

    def run(self, samples: Iterable[DatasourceRawSamplesDataRow], workers: int) -> Downloaded:
        waiting: _Queue = queue.Queue(2 * workers)
        threads = [
            threading.Thread(target=self._work, args=(waiting,), name=f"swagger_client: download {number}", daemon=True)
            for number in range(workers)
        ]
        try:
            for thread in threads:
                thread.start()
            if all(self._put(waiting, _checked(row)) for row in samples):
                for _ in threads:
                    self._put(waiting, None)
                for thread in threads:
                    while thread.is_alive() and not self._stop.is_set():
                        thread.join(_POLL)
        finally:
            self._stop.set()
            deadline = time.monotonic() + _LAST_WAIT
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0, deadline - time.monotonic()))
        if self._fatal is not None:
            raise self._fatal
        downloaded = Downloaded(self._counts.files, self._counts.bytes, self._counts.skipped)
        if self._errors:
            raise DownloadError(self._errors, downloaded)
        return downloaded

    def _put(self, waiting: _Queue, row: Optional[DatasourceRawSamplesDataRow]) -> bool:
        while not self._stop.is_set():
            try:
                waiting.put(row, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False

    def _work(self, waiting: _Queue) -> None:
        try:
            self._take(waiting)
        except BaseException as error:
            # Nobody else would notice that this thread has ended, and with it its row.
            self._fatal = self._fatal or error
            self._stop.set()

    def _take(self, waiting: _Queue) -> None:
        while not self._stop.is_set():
            try:
                row = waiting.get(timeout=_POLL)
            except queue.Empty:
                continue
            if row is None:
                return
            try:
                with self._alone(row.file_name):
                    got = transfer(row, self._folder, self._options)
            except Stopped:
                return
            except Exception as error:
                self._failed(row.file_name, error)
            else:
                self._counts.done(files=int(got), skipped=int(not got))

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Wait while another thread has a sample of the same name: a listing may be given twice."""
        with self._changed:
            self._changed.wait_for(lambda: name not in self._under_way)
            self._under_way.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.remove(name)
                self._changed.notify_all()

    def _failed(self, name: str, error: Exception) -> None:
        self._counts.done(failed=1)
        # Its text tells; what it holds of frames would be kept for each of very many.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        with self._changed:
            self._errors[name] = error
            if is_full(error):
                self._fatal = self._fatal or error
        if self._fail_fast or is_full(error):
            self._stop.set()


def _checked(row: DatasourceRawSamplesDataRow) -> DatasourceRawSamplesDataRow:
    if not isinstance(row, DatasourceRawSamplesDataRow):
        raise wrong_type(row, DatasourceRawSamplesDataRow, ("samples",))
    for member in ("file_name", "read_url"):
        if not isinstance(row.get(member), str):
            raise wrong_type(row.get(member), str, ("samples", member))
    return row
