"""One sample into the folder: whole under its name, or not there at all."""

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

from swagger_client.exceptions import OpenApiException
from swagger_client.samples.folder import Folder, Parent
from swagger_client.samples.names import parts_of, shown, temporary
from swagger_client.samples.patience import Patience, is_passing

if TYPE_CHECKING:
    from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow

CHUNK = 256 * 1024
"""Bytes read from the store at a time."""

MOST_REDIRECTS = 5
MOST_RENEWALS = 2
"""How often one file gets a fresh URL: the first may be one that was kept and has expired too."""

CONNECT_TIMEOUT = 10.0
"""Seconds."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_EXPIRED = frozenset((400, 401, 403))
_PASSING = frozenset((408, 429, 500, 502, 503, 504))
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_QUERY = re.compile(r"\?[^\s'\")>]*")

Renew = Callable[["DatasourceRawSamplesDataRow", str], Optional[str]]
"""Takes a row and the URL of it that the store refused; returns a fresh one, or None where there is none."""


class TransferError(OpenApiException):
    """A sample could not be got from where its URL leads.

    Attributes:
        status: of the store's answer; None where there was none.
    """

    def __init__(self, text: str, status: Optional[int] = None) -> None:
        super().__init__(text)
        self.status = status


class Stopped(BaseException):
    """The download was given up while a file was under way."""


class Options(NamedTuple):
    """How every file is got.

    Attributes:
        pool: the connections.
        renew: finds fresh URLs.
        patience: how often and with which pauses to try, as long as nothing comes.
        timeout: seconds without a byte after which a connection counts as broken.
        fsync: whether a file is on disk before it has its name.
        received: told how many bytes have come.
        stop: set to give up.
    """

    pool: urllib3.PoolManager
    renew: Renew
    patience: Patience
    timeout: float
    fsync: bool
    received: Callable[[int], None]
    stop: threading.Event


def transfer(row: DatasourceRawSamplesDataRow, folder: Folder, options: Options) -> bool:
    """Get one sample, unless a file of its name and size is there.

    Returns:
        Whether it was got; False where it was there.

    Raises:
        UnusableName: no file can have its name.
        InTheWay: something else stands where it should be.
        SameToTheFileSystem: another file has a name that the file system does not tell from it.
        TransferError: the store refused it, or failed to the last attempt.
        ApiException: a fresh URL was needed, and the server refused to list.
        OSError: it cannot be written.
        Stopped: the download was given up.
    """
    parts = parts_of(row.file_name)
    with folder.parent(parts) as parent:
        return _Transfer(row, parent, parts[-1], options).run()


class _Passing(Exception):
    """This attempt failed, the next one may not."""

    def __init__(self, reason: TransferError, headers: Optional[Mapping[str, str]] = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.headers = headers


class _Expired(Exception):
    """The store refuses the URL."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class _Begun(NamedTuple):
    """A temporary file that a further attempt can go on with: the bytes of one version."""

    etag: str
    size: int


class _Transfer:
    def __init__(self, row: DatasourceRawSamplesDataRow, parent: Parent, name: str, options: Options) -> None:
        self._row = row
        self._called = shown(row.file_name)
        self._parent = parent
        self._name = name
        self._options = options
        self._url = row.read_url
        self._renewals = 0
        self._begun: Optional[_Begun] = None
        self._most = 0
        """Bytes of the file that were there at once."""

    def run(self) -> bool:
        """Get the file; see `transfer`."""
        present = self._parent.size(self._name, self._called)
        if present and self._patiently(lambda: self._store_has(present)):
            return False
        return self._patiently(lambda: self._get(present))

    def _patiently(self, work: Callable[[], bool]) -> bool:
        failures = 0
        while True:
            before = self._most
            try:
                return work()
            except _Expired as error:
                self._renew(error.status)
            except _Passing as error:
                failures = 1 if self._most > before else failures + 1  # it gets on, if slowly
                if failures >= self._options.patience.attempts:
                    raise error.reason from None
                if self._options.stop.wait(self._options.patience.seconds(failures, error.headers)):
                    raise Stopped from None

    def _renew(self, status: int) -> None:
        fresh = None
        if self._options.stop.is_set():
            raise Stopped
        if self._renewals < MOST_RENEWALS:
            fresh = self._options.renew(self._row, self._url)
        if self._options.stop.is_set():
            raise Stopped
        if fresh is None or fresh == self._url:
            if self._renewals:
                more = ", fresh ones too"
            else:
                more = ", and no fresh one is listed (rows that are not from iter_samples need api and dataset_id)"
            raise TransferError(f"the store refuses the URL of {self._called} with {status}{more}", status)
        self._renewals += 1
        self._url = fresh

    def _store_has(self, size: int) -> bool:
        """Whether the store's file has this size: one byte is asked for, and its length comes with it."""
        with self._answer({"Range": f"bytes={size - 1}-{size - 1}"}) as response:
            if response.status == 206:
                _, total = _content_range(response.headers)
                return total == size
            return response.status == 200 and _length(response.headers) == size

    def _get(self, present: Optional[int]) -> bool:
        headers = {}
        begun, offset = self._begun, 0
        if begun is not None:
            with self._parent.open_temporary(self._temporary(begun), self._called) as file:
                offset = file.seek(0, os.SEEK_END)
            if offset:
                headers = {"Range": f"bytes={offset}-", "If-Range": begun.etag}
        with self._answer(headers) as response:
            if response.status == 416:
                self._forget()
                raise _Passing(TransferError(f"{self._called} has changed in the store", 416))
            if response.status == 206:
                return self._go_on(response, begun, offset)
            return self._begin(response, present)

    def _begin(self, response: urllib3.BaseHTTPResponse, present: Optional[int]) -> bool:
        """Take a whole answer; but where an earlier run has begun with this version, ask for the rest of it instead."""
        size = _length(response.headers)
        if size is None and "chunked" not in (response.headers.get("Transfer-Encoding") or "").lower():
            raise TransferError(f"the store does not say how long {self._called} is, so it could come cut short")
        if size == present == 0:
            return False
        etag = response.headers.get("ETag") or ""
        begun = _Begun(etag, size) if size is not None and etag.startswith('"') else None  # no weak ones
        if begun != self._begun:
            self._forget()
        name = self._temporary(begun)
        with self._parent.open_temporary(name, self._called) as file:
            # A loss of power may have left a file of an earlier run with its length, but not with all its bytes.
            resumable = begun is not None and self._begun is None and not self._options.fsync
            offset = file.seek(0, os.SEEK_END) if resumable else 0
            self._begun = begun
            if begun is not None and 0 < offset <= begun.size:
                self._most = offset
                if offset == begun.size:
                    return self._commit(file, name)
                response.close()
            else:
                file.truncate(0)
                return self._receive(response, file, name, 0, size)
        return self._get(present)

    def _go_on(self, response: urllib3.BaseHTTPResponse, begun: Optional[_Begun], offset: int) -> bool:
        start, total = _content_range(response.headers)
        etag = response.headers.get("ETag")
        if begun is None or (start, total) != (offset, begun.size) or etag != begun.etag:
            self._forget()
            raise _Passing(TransferError(f"the store answered with another part of {self._called} than was asked for"))
        name = self._temporary(begun)
        with self._parent.open_temporary(name, self._called) as file:
            if file.seek(0, os.SEEK_END) != offset:
                raise _Passing(TransferError(f"another process is writing {self._called}"))
            return self._receive(response, file, name, offset, begun.size)

    def _receive(
        self, response: urllib3.BaseHTTPResponse, file: BinaryIO, name: str, offset: int, size: Optional[int]
    ) -> bool:
        """Write the body of an answer to a file, and give the file its name if it is whole then."""
        try:
            file.seek(offset)
            with _connection_errors(self._called):
                for block in response.stream(CHUNK, decode_content=False):
                    if self._options.stop.is_set():
                        raise Stopped
                    _write(file, block)
                    offset += len(block)
                    self._options.received(len(block))
            if size is not None and offset != size:
                raise _Passing(TransferError(f"{self._called} ended after {offset} of {size} bytes"))
        except BaseException:
            if self._begun is None or not offset:
                self._parent.discard(name)
            else:
                self._most = max(self._most, offset)
            raise
        return self._commit(file, name)

    def _commit(self, file: BinaryIO, name: str) -> bool:
        if self._options.fsync:
            os.fsync(file.fileno())
        if os.name == "nt":
            file.close()  # or it could not be renamed
        try:
            self._parent.commit(name, self._name)
        except IsADirectoryError:
            self._parent.discard(name)
            self._parent.size(self._name, self._called)  # says what is in the way
            raise
        if self._options.fsync:
            self._parent.sync()
        return True

    def _forget(self) -> None:
        """Begin anew: what was begun is of a version that is gone."""
        if self._begun is not None:
            self._parent.discard(self._temporary(self._begun))
            self._begun = None

    def _temporary(self, begun: Optional[_Begun]) -> str:
        return temporary(self._row.file_name, *(("", 0) if begun is None else begun))

    @contextmanager
    def _answer(self, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """Ask for the file, through redirects: an answer 200, 206 or 416, its body unread."""
        if self._options.stop.is_set():
            raise Stopped
        with _connection_errors(self._called):
            response = self._ask(headers)
        if response.status in (200, 206, 416):
            try:
                yield response
            except BaseException:
                response.close()
                raise
            _give_back(response)
            return
        _give_back(response)
        if response.status in _EXPIRED:
            raise _Expired(response.status)
        error = TransferError(f"the store answered {response.status} for {self._called}", response.status)
        raise _Passing(error, response.headers) if response.status in _PASSING else error

    def _ask(self, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        url = self._url
        for _ in range(MOST_REDIRECTS + 1):
            if urlsplit(url).scheme.lower() not in ("http", "https") or not urlsplit(url).hostname:
                raise TransferError(f"the URL of {self._called} does not lead to an http or https server")
            response = self._options.pool.urlopen(
                "GET",
                url,
                headers={"Accept-Encoding": "identity", **headers},
                preload_content=False,
                decode_content=False,
                enforce_content_length=True,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=self._options.timeout),
            )
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            _give_back(response)
            url = urljoin(url, location)
        raise TransferError(f"the URL of {self._called} leads through more than {MOST_REDIRECTS} redirects")


@contextmanager
def _connection_errors(called: str) -> Iterator[None]:
    """Turn urllib3's errors into ours, without the query of the URL, which lets anyone in who reads it."""
    try:
        yield
    except (urllib3_exceptions.HTTPError, ValueError) as error:
        reason = _QUERY.sub("?***", f"{type(error).__name__}: {error}")
        wrapped = TransferError(f"{called} did not come: {reason}")
        raise _Passing(wrapped) if is_passing(error) else wrapped from None


def _write(file: BinaryIO, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]


def _give_back(response: urllib3.BaseHTTPResponse) -> None:
    """Keep the connection where its answer was read, or is short; else close it."""
    length = _length(response.headers)
    if length is not None and length <= CHUNK:
        try:
            response.drain_conn()
        except (urllib3_exceptions.HTTPError, OSError):
            pass
        response.release_conn()
    else:
        response.close()


def _length(headers: Mapping[str, str]) -> Optional[int]:
    text = headers.get("Content-Length") or ""
    return int(text) if text.isascii() and text.isdigit() else None


def _content_range(headers: Mapping[str, str]) -> tuple[Optional[int], Optional[int]]:
    """The first byte and the whole length that an answer names."""
    found = _CONTENT_RANGE.fullmatch((headers.get("Content-Range") or "").strip())
    if not found:
        return None, None
    start, _, total = found.groups()
    return None if start is None else int(start), None if total == "*" else int(total)


def is_full(error: BaseException) -> bool:
    """Whether no further file could be written either."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
