"""Download one sample into the folder: complete under its name, or not there at all."""

from __future__ import annotations

import errno
import os
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Callable, Iterator, Mapping, NamedTuple, Optional
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions as urllib3_exceptions

from headwater_client.connections import Connections
from headwater_client.file_names import path_parts, printable, temporary_name
from headwater_client.refusals import MAX_RENEWALS as MAX_RENEWALS
from headwater_client.refusals import REFUSED_STATUSES, Refusal, read_refusal
from headwater_client.retries import RetryPolicy, is_transient
from headwater_client.sample import page_request_of
from headwater_client.store_responses import content_length, content_range, release
from headwater_client.target_folder import ParentFolder, TargetFolder
from swagger_client.connection_errors import describe, origin
from swagger_client.exceptions import OpenApiException

if TYPE_CHECKING:
    from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow

CHUNK_BYTES = 256 * 1024
"""How much is read from the store at a time."""

MAX_REDIRECTS = 5
CONNECT_TIMEOUT_SECONDS = 10.0

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_TRANSIENT = frozenset((408, 429, 500, 502, 503, 504))
_QUERY = re.compile(r"\?[^\s'\")>]*")

RenewUrl = Callable[["DatasourceRawSamplesDataRow", str], Optional[str]]
"""Takes a row and its URL that the store refused; returns a fresh URL, or None if there is none."""

FindUrl = Callable[["DatasourceRawSamplesDataRow", str, bool], Optional[str]]
"""Takes a row, its URL that the store refused, and whether that has expired; returns the URL that is listed now, which
can be the same, or None if there is none."""


class TransferError(OpenApiException):
    """A sample could not be downloaded from its URL.

    Attributes:
        status: the HTTP status of the store's response; None if there was none.
    """

    def __init__(self, text: str, status: Optional[int] = None) -> None:
        super().__init__(text)
        self.status = status


class RefusedError(TransferError):
    """The store refuses a sample for a reason that a fresh URL does not change: archived, or its encryption or policy.

    Attributes:
        status: the HTTP status of the store's response.
        code: the store's error code, such as `InvalidObjectState`.
    """

    def __init__(self, text: str, status: Optional[int] = None, code: Optional[str] = None) -> None:
        super().__init__(text, status)
        self.code = code


class DownloadStoppedError(BaseException):
    """The download was stopped while a file was in flight. Not an `Exception`, so no retry catches it."""


class TransferOptions(NamedTuple):
    """What the transfers of one download have in common.

    Attributes:
        connections: the connections to stores and to the server.
        find_url: finds fresh URLs.
        retry_policy: attempts and delays while no bytes arrive.
        timeout: seconds without a byte after which a connection counts as broken.
        fsync: whether to flush a file to disk before it gets its name.
        received: called with the number of bytes received.
        stop: set to stop the download.
    """

    connections: Connections
    find_url: FindUrl
    retry_policy: RetryPolicy
    timeout: float
    fsync: bool
    received: Callable[[int], None]
    stop: threading.Event


def transfer(row: DatasourceRawSamplesDataRow, folder: TargetFolder, options: TransferOptions) -> bool:
    """Download one sample, unless a file with its name and size exists.

    Returns:
        Whether it was downloaded; False if the file existed.

    Raises:
        UnusableNameError: no file can have its name.
        PathBlockedError: something else exists at its path.
        CaseCollisionError: the file system treats the name of another file as the same.
        RefusedError: the store refused it for a reason that a fresh URL does not change.
        TransferError: the store refused its URL, or all attempts failed.
        ApiException: it needed a fresh URL, and the server refused to list.
        OSError: it cannot be written.
        DownloadStoppedError: the download was stopped.
    """
    parts = path_parts(row.file_name)
    with folder.parent(parts) as parent:
        return _Transfer(row, parent, parts[-1], options).run()


def is_storage_full(error: BaseException) -> bool:
    """Return whether further files would fail with the same error."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class _TransientError(Exception):
    """This attempt failed, but the next one may succeed."""

    def __init__(self, reason: TransferError, headers: Optional[Mapping[str, str]] = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.headers = headers


class _UrlRefusedError(Exception):
    """The store refuses the URL."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


class _Partial(NamedTuple):
    """The version of a file whose temporary file a later attempt can resume."""

    etag: str
    size: int


class _Transfer:
    """The download of one file: its attempts, its URL and its temporary file."""

    def __init__(
        self, row: DatasourceRawSamplesDataRow, parent: ParentFolder, name: str, options: TransferOptions
    ) -> None:
        self._row = row
        self._label = printable(row.file_name)
        self._parent = parent
        self._name = name
        self._options = options
        self._url = row.read_url
        self._renewals = 0
        self._partial: Optional[_Partial] = None
        self._max_offset = 0
        """The largest number of bytes that the temporary file has had."""

    def run(self) -> bool:
        """Download the file; see `transfer`."""
        present = self._parent.size(self._name, self._label)
        if present and self._with_retries(lambda: self._store_has(present)):
            return False
        return self._with_retries(lambda: self._download(present))

    def _with_retries(self, work: Callable[[], bool]) -> bool:
        failures = 0
        while True:
            before = self._max_offset
            try:
                return work()
            except _UrlRefusedError as error:
                self._renew_url(error.refusal)
            except _TransientError as error:
                failures = 1 if self._max_offset > before else failures + 1  # slow progress is not a failure
                if failures >= self._options.retry_policy.attempts:
                    raise error.reason from None
                if self._options.stop.wait(self._options.retry_policy.delay_seconds(failures, error.headers)):
                    raise DownloadStoppedError from None

    def _renew_url(self, refusal: Refusal) -> None:
        self._check_stop()
        if self._renewals >= refusal.max_renewals:
            raise self._refused(refusal, is_current=True)
        fresh = self._options.find_url(self._row, self._url, refusal.expired)
        self._check_stop()
        if fresh is None or fresh == self._url:
            raise self._refused(refusal, is_current=fresh is not None)
        self._renewals += 1
        self._url = fresh

    def _refused(self, refusal: Refusal, is_current: bool) -> TransferError:
        """Return the error for a refused URL; `is_current` says that there is no fresher one."""
        text = f"the store refuses {self._label} with {refusal}"
        if refusal.max_renewals and self._renewals:
            text += "; it refused a fresh URL, too"
        elif refusal.max_renewals and is_current:
            text += "; the server lists the same URL again"
        elif refusal.max_renewals:
            text += "; no fresh URL is listed"
            if page_request_of(self._row) is None:
                text += " (rows that are not from iter_samples need api and dataset_id)"
        if refusal.of_file and is_current:
            return RefusedError(text, refusal.status, refusal.code)
        return TransferError(text, refusal.status)

    def _check_stop(self) -> None:
        if self._options.stop.is_set():
            raise DownloadStoppedError

    def _store_has(self, size: int) -> bool:
        """Return whether the store's file has this size: the response to a request for one byte contains it."""
        with self._response({"Range": f"bytes={size - 1}-{size - 1}"}) as response:
            if response.status == 206:
                _, total = content_range(response.headers)
                return total == size
            return response.status == 200 and content_length(response.headers) == size

    def _download(self, present: Optional[int]) -> bool:
        headers = {}
        partial, offset = self._partial, 0
        if partial is not None:
            with self._parent.open_temporary(self._temporary_name(partial), self._label) as file:
                offset = file.seek(0, os.SEEK_END)
            if offset:
                headers = {"Range": f"bytes={offset}-", "If-Range": partial.etag}
        with self._response(headers) as response:
            if response.status == 416:
                self._discard_partial()
                raise _TransientError(TransferError(f"{self._label} has changed in the store", 416))
            if response.status == 206:
                return self._resume(response, partial, offset)
            return self._start(response, present)

    def _start(self, response: urllib3.BaseHTTPResponse, present: Optional[int]) -> bool:
        """Write a whole response; or request only the rest, if an earlier run has a part of this version."""
        size = content_length(response.headers)
        if size is None and "chunked" not in (response.headers.get("Transfer-Encoding") or "").lower():
            raise TransferError(
                f"the store does not send the length of {self._label}, so a truncated file would go unnoticed"
            )
        if size == present == 0:
            return False
        etag = response.headers.get("ETag") or ""
        partial = _Partial(etag, size) if size is not None and etag.startswith('"') else None  # no weak ETags
        if partial != self._partial:
            self._discard_partial()
        name = self._temporary_name(partial)
        with self._parent.open_temporary(name, self._label) as file:
            # After a power failure, a file of an earlier run can have its length without all of its bytes.
            resumable = partial is not None and self._partial is None and not self._options.fsync
            offset = file.seek(0, os.SEEK_END) if resumable else 0
            self._partial = partial
            if partial is not None and 0 < offset <= partial.size:
                self._max_offset = offset
                if offset == partial.size:
                    return self._commit(file, name)
                response.close()
            else:
                file.truncate(0)
                return self._write_body(response, file, name, 0, size)
        return self._download(present)

    def _resume(self, response: urllib3.BaseHTTPResponse, partial: Optional[_Partial], offset: int) -> bool:
        start, total = content_range(response.headers)
        etag = response.headers.get("ETag")
        if partial is None or (start, total) != (offset, partial.size) or etag != partial.etag:
            self._discard_partial()
            raise _TransientError(TransferError(f"the store sent another part of {self._label} than was requested"))
        name = self._temporary_name(partial)
        with self._parent.open_temporary(name, self._label) as file:
            if file.seek(0, os.SEEK_END) != offset:
                raise _TransientError(TransferError(f"another process is writing {self._label}"))
            return self._write_body(response, file, name, offset, partial.size)

    def _write_body(
        self, response: urllib3.BaseHTTPResponse, file: BinaryIO, name: str, offset: int, size: Optional[int]
    ) -> bool:
        """Write the body of a response to a temporary file; rename the file if it is then complete."""
        try:
            file.seek(offset)
            with _connection_errors(f"{self._label} was not received completely"):
                for block in response.stream(CHUNK_BYTES, decode_content=False):
                    self._check_stop()
                    _write_all(file, block)
                    offset += len(block)
                    self._options.received(len(block))
            if size is not None and offset != size:
                raise _TransientError(TransferError(f"{self._label} ended after {offset} of {size} bytes"))
        except BaseException:
            if self._partial is None or not offset:
                self._parent.discard(name)
            else:
                self._max_offset = max(self._max_offset, offset)
            raise
        return self._commit(file, name)

    def _commit(self, file: BinaryIO, name: str) -> bool:
        if self._options.fsync:
            os.fsync(file.fileno())
        if os.name == "nt":
            file.close()  # Windows cannot rename an open file
        try:
            self._parent.commit(name, self._name)
        except IsADirectoryError:
            self._parent.discard(name)
            self._parent.size(self._name, self._label)  # raises an error that says what exists there
            raise
        if self._options.fsync:
            self._parent.sync()
        return True

    def _discard_partial(self) -> None:
        """Start again: the partial file is of a version that no longer exists."""
        if self._partial is not None:
            self._parent.discard(self._temporary_name(self._partial))
            self._partial = None

    def _temporary_name(self, partial: Optional[_Partial]) -> str:
        return temporary_name(self._row.file_name, *(("", 0) if partial is None else partial))

    @contextmanager
    def _response(self, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """Request the file, and follow redirects; the response is 200, 206 or 416, and its body is unread."""
        self._check_stop()
        response, url = self._request(headers)
        if response.status in (200, 206, 416):
            try:
                yield response
            except BaseException:
                response.close()
                raise
            release(response)
            return
        refusal = read_refusal(response, url) if response.status in REFUSED_STATUSES else None
        release(response)
        if refusal is not None:
            raise _UrlRefusedError(refusal)
        error = TransferError(f"the store answered {response.status} for {self._label}", response.status)
        raise _TransientError(error, response.headers) if response.status in _TRANSIENT else error

    def _request(self, headers: Mapping[str, str]) -> tuple[urllib3.BaseHTTPResponse, str]:
        """Return the response after redirects, and its URL."""
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            with _connection_errors(f"{self._label} was not received from {origin(url)}"):
                response = self._send(url, headers)
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location:
                    return response, url
                release(response)
                url = urljoin(url, location)
        raise TransferError(f"the URL of {self._label} leads through more than {MAX_REDIRECTS} redirects")

    def _send(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        if urlsplit(url).scheme.lower() not in ("http", "https") or not urlsplit(url).hostname:
            raise TransferError(f"the URL of {self._label} does not lead to an http or https server")
        return self._options.connections.pool(url, self._row).urlopen(
            "GET",
            url,
            headers={"Accept-Encoding": "identity", **headers},
            preload_content=False,
            decode_content=False,
            enforce_content_length=True,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=self._options.timeout),
        )


@contextmanager
def _connection_errors(failure: str) -> Iterator[None]:
    """Convert the errors of urllib3, without the query of the URL: it is a secret, as it grants access."""
    try:
        yield
    except (urllib3_exceptions.HTTPError, ValueError) as error:
        wrapped = TransferError(f"{failure}: {_QUERY.sub('?***', describe(error))}")
        raise _TransientError(wrapped) if is_transient(error) else wrapped from None


def _write_all(file: BinaryIO, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]
