"""Download samples into a folder with several threads: atomic, resumable, checked, and never outside the folder."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from contextlib import contextmanager
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    Iterator,
    Literal,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Sized,
    Tuple,
    Union,
)

import urllib3

from headwater_client.arguments import seconds, whole_number
from headwater_client.connections import Connections
from headwater_client.file_names import printable
from headwater_client.progress import Progress
from headwater_client.read_urls import ReadUrls
from headwater_client.refusals import may_concern_all_files
from headwater_client.retries import RetryPolicy
from headwater_client.target_folder import TargetFolder
from headwater_client.transfer import (
    DownloadStoppedError,
    RefusedError,
    RenewUrl,
    TransferOptions,
    is_storage_full,
    transfer,
)
from swagger_client.exceptions import ApiValueError, OpenApiException
from swagger_client.forks import Event
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model_utils import wrong_type

if TYPE_CHECKING:
    from headwater_client.sample import DatasetId
    from swagger_client.api.datasources_api import DatasourcesApi

    _Queue = queue.Queue[Optional[DatasourceRawSamplesDataRow]]

DEFAULT_WORKERS = 8
DEFAULT_ATTEMPTS = 5
DEFAULT_PAUSE_SECONDS = 1.0
DEFAULT_TIMEOUT_SECONDS = 60.0

_MAX_NAMED_ERRORS = 10
_MAX_JOIN_SECONDS = 5.0
_POLL_SECONDS = 0.1

# A child of the logger "swagger_client", so that `Configuration.debug` and `logger_file` apply to it.
_logger = logging.getLogger("swagger_client.samples.downloads")


class Downloaded(NamedTuple):
    """The result of a download.

    Attributes:
        files: number of files downloaded by this run.
        bytes: number of bytes received by this run.
        skipped: number of files that already existed with the size that the store has.
        refused: with `on_refused="skip"`, the error for each file that the store refuses, by the name of the sample.
    """

    files: int
    bytes: int
    skipped: int
    refused: Mapping[str, RefusedError] = {}


class DownloadError(OpenApiException):
    """Some files could not be downloaded. All others were; call `download` again to continue with the missing ones.

    Attributes:
        errors: the error for each file, by the name of the sample.
        downloaded: the result for the other files.
    """

    def __init__(self, errors: Mapping[str, Exception], downloaded: Downloaded) -> None:
        self.errors = errors
        self.downloaded = downloaded
        done = downloaded.files + downloaded.skipped + len(downloaded.refused)
        title = f"{len(errors):,} of {len(errors) + done:,} files could not be downloaded:"
        text = _listed(title, errors, "errors")
        if errors and len(_denials(errors)) == len(errors):
            text += (
                "\nCheck with the operation verify that the datasource may read its files. "
                'on_refused="skip" leaves out such files only if the store serves another file of the run to its end.'
            )
        super().__init__(text)

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.errors, self.downloaded)


def download(  # noqa: PLR0913  a public signature; the options are keyword-only
    samples: Iterable[DatasourceRawSamplesDataRow],
    folder: Union[str, os.PathLike[str]],
    *,
    workers: int = DEFAULT_WORKERS,
    api: Optional[DatasourcesApi] = None,
    dataset_id: Optional[DatasetId] = None,
    renew: Optional[RenewUrl] = None,
    progress: bool = True,
    fail_fast: bool = False,
    on_refused: Literal["raise", "skip"] = "raise",
    fsync: bool = False,
    attempts: int = DEFAULT_ATTEMPTS,
    pause: float = DEFAULT_PAUSE_SECONDS,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    pool: Optional[urllib3.PoolManager] = None,
) -> Downloaded:
    """Download samples into a folder, under their own names.

    - A file is complete or missing, never partial: its bytes go to a temporary file (`.headwater-….part`) in the same
      folder first, and are counted. Another call skips files that exist with the size that the store has, and resumes
      temporary files if the store's ETag proves that the version is the same. It replaces a file of another size.
    - Names are untrusted, because anyone who can write to the bucket chooses them. Nothing is ever written outside the
      folder, and links in it are not followed. A name that cannot be used exactly as it is causes an error for that
      file.
    - If a URL has expired or its credentials have changed, a sample of `iter_samples` or `new_samples` gets a fresh one
      by listing its page again; other rows need `api` and `dataset_id`, or `renew`. A page is listed again once, and
      not for each of its files.
    - The store can refuse a file for a reason that a fresh URL does not change: it is archived (S3's Glacier classes,
      Azure's archive tier), encrypted with a key of its own (SSE-C) or one that the datasource may not use (KMS), or a
      policy denies it. The error has the store's code and text. If access is denied, a fresh URL is tried first,
      because the old one can be signed with former credentials.
    - Connection errors and the statuses 408, 429 and 5xx are retried with growing delays.

    Args:
        samples: what to download: `iter_samples(…)`, or any other rows. The calling thread reads them, a few ahead.
        folder: the target folder; created if missing.
        workers: number of files to download concurrently, 1 or more.
        api: the API of the server, for fresh URLs of rows that are not from `iter_samples`, or were copied or pickled.
        dataset_id: the dataset of these rows; required with `api`.
        renew: finds fresh URLs in another way: takes the row and the refused URL, and returns a fresh one, or None.
            Several threads call it.
        progress: whether to show files, bytes and rate on stderr, if that is a terminal.
        fail_fast: stop after the first file that fails, instead of continuing with the others.
        on_refused: what to do if the store refuses a file for such a reason. "raise": treat it like any other error, so
            a block of `new_samples` leaves the watermark unchanged, and lists the file again next time. "skip": log a
            warning, and report the file in `refused` of the result; the watermark moves past it. If access is denied to
            every file of the run, even if that is one, or at its end also to a file that it has downloaded, the
            credentials may have lost the permission to read: this is an error. A refusal without a known code is always
            an error.
        fsync: flush each file to disk before it gets its name, so that even a power failure leaves no partial file.
            Temporary files of earlier runs are then not resumed.
        attempts: consecutive attempts for a file without any progress, 1 or more.
        pause: seconds before the second attempt, doubled each time, up to 30; `Retry-After` can lengthen it.
        timeout: seconds without a byte after which a connection counts as broken.
        pool: connections with your own settings (a proxy, certificates), for all URLs. Default: for files that the
            server itself serves (scheme, host and port are those of `host`), the connection settings of the client's
            configuration, such as `ssl_ca_cert`, `verify_ssl`, `cert_file` and `proxy`; for stores, urllib3's defaults.

    Returns:
        The number of files and bytes downloaded, and of files skipped; the files that the store refuses.

    Raises:
        DownloadError: files could not be downloaded; it names them. With `fail_fast` it has the first one. Also with
            `on_refused="skip"` if the permission to read may be lost.
        ApiValueError: `folder` is empty, or `workers`, `attempts`, `pause`, `timeout` or `on_refused` is out of range.
        ApiTypeError: only one of `api` and `dataset_id` is given; a sample is not a row of a listing; a number has the
            wrong type.
        OpenApiException: the process was forked while it read `samples`, and this is the forked one.
        OSError: the folder cannot be created, or the disk is full.
        Exception: whatever `samples` raises; another call can resume the temporary files.
    """
    workers = whole_number(workers, "workers", 1)
    timeout = seconds(timeout, "timeout", zero=False)
    if on_refused not in ("raise", "skip"):
        raise ApiValueError(f'on_refused is {on_refused!r}: it must be "raise" or "skip"', ["on_refused"])
    retry_policy = RetryPolicy(attempts, pause)
    urls = ReadUrls(api, dataset_id)
    connections = Connections(workers, pool, api)
    target = TargetFolder(folder)
    stop = Event()
    try:
        with Progress(progress, len(samples) if isinstance(samples, Sized) else None) as counts:
            find_url = urls.fresh if renew is None else lambda row, refused, _: renew(row, refused)
            options = TransferOptions(connections, find_url, retry_policy, timeout, fsync, counts.received, stop)
            return _Download(target, options, counts, fail_fast, on_refused == "skip").run(samples, workers)
    finally:
        urls.stop.set()
        target.close()
        connections.close()


class _Download:
    """One call of `download`: a queue of rows, and the threads that transfer them."""

    def __init__(
        self, folder: TargetFolder, options: TransferOptions, counts: Progress, fail_fast: bool, skip_refused: bool
    ) -> None:
        self._folder = folder
        self._options = options
        self._stop = options.stop
        self._process_id = os.getpid()
        self._counts = counts
        self._fail_fast = fail_fast
        self._skip_refused = skip_refused
        self._errors: Dict[str, Exception] = {}
        self._refused: Dict[str, RefusedError] = {}
        self._served: Optional[DatasourceRawSamplesDataRow] = None
        """A sample that the store has served."""
        self._fatal: Optional[BaseException] = None
        self._in_flight: Set[str] = set()
        self._changed = threading.Condition()

    def run(self, samples: Iterable[DatasourceRawSamplesDataRow], workers: int) -> Downloaded:
        waiting: _Queue = queue.Queue(2 * workers)
        threads = [
            threading.Thread(
                target=self._work, args=(waiting,), name=f"headwater_client: download {number}", daemon=True
            )
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
                        thread.join(_POLL_SECONDS)
            self._check_process()
            self._check_permission()
        finally:
            self._stop.set()
            deadline = time.monotonic() + _MAX_JOIN_SECONDS
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0, deadline - time.monotonic()))
        if self._fatal is not None:
            raise self._fatal
        downloaded = Downloaded(self._counts.files, self._counts.bytes, self._counts.skipped, self._refused)
        if self._refused:
            _logger.warning(
                _listed(f"files that the store refuses ({len(self._refused):,}):", self._refused, "refused")
            )
        if self._errors:
            raise DownloadError(self._errors, downloaded)
        return downloaded

    def _put(self, waiting: _Queue, row: Optional[DatasourceRawSamplesDataRow]) -> bool:
        """Put a row into the queue; return False if the download was stopped instead."""
        self._check_process()
        while not self._stop.is_set():
            try:
                waiting.put(row, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def _check_process(self) -> None:
        if os.getpid() != self._process_id:
            raise OpenApiException(
                "this download began in another process, and its threads are only there: call download again in the "
                "forked process"
            )

    def _work(self, waiting: _Queue) -> None:
        try:
            self._transfer_rows(waiting)
        except BaseException as error:
            # Without this, the thread would end and its row would be lost without notice.
            self._fatal = self._fatal or error
            self._stop.set()

    def _check_permission(self) -> None:
        """Do not skip denied files if the permission to read any file may be missing, or was lost during the run."""
        denied = _denials(self._refused)
        if not denied or self._stop.is_set():
            return
        if self._served is None:
            lost = len(denied) == len(self._refused)  # the store tells only those who may read that a file is archived
        else:
            try:
                transfer(self._served, self._folder, self._options)  # requests one byte
                lost = False
            except Exception as error:
                lost = isinstance(error, RefusedError)
        if lost:
            self._errors.update(denied)
            for name in denied:
                del self._refused[name]

    def _transfer_rows(self, waiting: _Queue) -> None:
        while not self._stop.is_set():
            try:
                row = waiting.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if row is None:
                return
            try:
                with self._exclusive(row.file_name):
                    downloaded = transfer(row, self._folder, self._options)
            except DownloadStoppedError:
                return
            except Exception as error:
                self._failed(row.file_name, error)
            else:
                self._served = row
                self._counts.done(files=int(downloaded), skipped=int(not downloaded))

    @contextmanager
    def _exclusive(self, name: str) -> Iterator[None]:
        """Wait while another thread has a sample of the same name: the samples can contain a name twice."""
        with self._changed:
            self._changed.wait_for(lambda: name not in self._in_flight)
            self._in_flight.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._in_flight.remove(name)
                self._changed.notify_all()

    def _failed(self, name: str, error: Exception) -> None:
        # The text is enough. The frames of a traceback would stay in memory for each of many errors.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        if self._skip_refused and isinstance(error, RefusedError):
            self._refused[name] = error
            self._counts.done(refused=1)
            return
        self._counts.done(failed=1)
        with self._changed:
            self._errors[name] = error
            if is_storage_full(error):
                self._fatal = self._fatal or error
        if self._fail_fast or is_storage_full(error):
            self._stop.set()


def _denials(errors: Mapping[str, Exception]) -> Dict[str, RefusedError]:
    """Return those of these errors with which the store may refuse every file, for want of a permission."""
    return {
        name: error
        for name, error in errors.items()
        if isinstance(error, RefusedError) and may_concern_all_files(error.code)
    }


def _listed(title: str, errors: Mapping[str, Exception], attribute: str) -> str:
    """Return a text with the first of these errors."""
    lines = [title]
    for name, error in list(errors.items())[:_MAX_NAMED_ERRORS]:
        lines.append(f"  {printable(name)}: {' '.join(str(error).split()) or type(error).__name__}")
    if len(errors) > _MAX_NAMED_ERRORS:
        lines.append(f"  … and {len(errors) - _MAX_NAMED_ERRORS:,} more, in `{attribute}`")
    return "\n".join(lines)


def _checked(row: DatasourceRawSamplesDataRow) -> DatasourceRawSamplesDataRow:
    """Return the row.

    Raises:
        ApiTypeError: it is not a row, or has no name or URL.
    """
    if not isinstance(row, DatasourceRawSamplesDataRow):
        raise wrong_type(row, DatasourceRawSamplesDataRow, ("samples",))
    for member in ("file_name", "read_url"):
        if not isinstance(row.get(member), str):
            raise wrong_type(row.get(member), str, ("samples", member))
    return row
