"""Stream a listing row by row, and fetch the next page while the current one is read."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Callable, Generator, Iterator, Optional

from headwater_client.arguments import check_dataset_id
from headwater_client.retries import RetryPolicy
from headwater_client.sample import DatasetId, PageRequest, Sample, sample_of
from headwater_client.times import Time, unix_seconds
from swagger_client.call_options import Timeout
from swagger_client.forks import Event

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.model.datasource_raw_samples_data import DatasourceRawSamplesData

DEFAULT_ATTEMPTS = 5
"""Attempts for each page, each with the retries of the client's configuration."""

DEFAULT_PAUSE_SECONDS = 1.0
"""The delay before the second attempt; 2 seconds before the third, then 4, then 8."""

DEFAULT_TIMEOUT_SECONDS: Timeout = (10.0, 120.0)
"""The time limits for connecting and for a response. A server returns a page within seconds."""

_ABANDON_SECONDS = 1.0


def iter_samples(
    api: DatasourcesApi,
    dataset_id: DatasetId,
    *,
    from_: Optional[Time] = None,
    to: Optional[Time] = None,
    attempts: int = DEFAULT_ATTEMPTS,
    pause: float = DEFAULT_PAUSE_SECONDS,
    request_timeout: Timeout = DEFAULT_TIMEOUT_SECONDS,
) -> Iterator[Sample]:
    """Return an iterator over the raw samples of a datasource; it fetches page after page.

    A thread fetches the next page while the current one is read. It is one page ahead, never more, so the length of
    the listing does not affect memory use. The first request fixes the window, even if `to` is left out and files keep
    arriving. If the connection fails, or the server is down or busy, for longer than the client's own retries last, the
    listing continues from the current page: no row is lost or repeated.

    The first request is sent when the first row is read. After the loop ends (`break`, an exception, `close()` of the
    iterator), no further page is fetched. A process that is forked during the iteration can continue it: like its
    parent, it gets all rows that are left.

    Args:
        api: the API of the server.
        dataset_id: ObjectId of the dataset.
        from_: Unix seconds, or a datetime with a time zone: lists files of this second and later. Default: all.
        to: the same: lists files of this second and earlier. Default: the second of the first request.
        attempts: attempts for each page, 1 or more, each with the retries of the client's configuration.
        pause: seconds before the second attempt, doubled each time, up to 30; `Retry-After` can lengthen it.
        request_timeout: time limit for each request in seconds, or a pair for connecting and for reading; None for no
            limit.

    Returns:
        An iterator over the files, in the order of the listing. It is not thread-safe.

    Raises:
        ApiTypeError: a time is neither whole seconds nor a datetime.
        ApiValueError: `dataset_id` is no id; a time is before 1970 or has no time zone; `attempts` or `pause` is out of
            range.
        ApiException: during iteration: the server refused, or all attempts failed.
        urllib3.exceptions.HTTPError: during iteration: no attempt received a response.
    """
    check_dataset_id(dataset_id)
    begin = None if from_ is None else unix_seconds(from_, "from_")
    end = None if to is None else unix_seconds(to, "to")
    first = PageRequest(api, dataset_id, None, begin, end)
    return iter_rows(Listing(first, RetryPolicy(attempts, pause), request_timeout))


class Listing:
    """Fetches the pages of one listing.

    Args:
        first: the request for its first page.
        retry_policy: attempts and delays for each page.
        timeout: the time limit for each request.

    Attributes:
        last_cursor: the cursor that the newest page returned; None before the first page.
    """

    def __init__(self, first: PageRequest, retry_policy: RetryPolicy, timeout: Timeout) -> None:
        self._first = first
        self._retry_policy = retry_policy
        self._timeout = timeout
        self.last_cursor: Optional[str] = None

    def page_request(self, cursor: Optional[str]) -> PageRequest:
        """Return the request for the page of this cursor."""
        return self._first._replace(cursor=cursor)

    def page(self, cursor: Optional[str], stop: Optional[threading.Event] = None) -> DatasourceRawSamplesData:
        """Return the page of a cursor, or the first page for None; retry transient errors.

        Raises:
            ApiException: the server refused, or all attempts failed.
            urllib3.exceptions.HTTPError: no attempt received a response.
        """
        request = self.page_request(cursor)
        page = self._retry_policy.call(lambda: fetch_page(request, self._timeout), "a page of the listing", stop)
        self.last_cursor = page.cursor
        return page


def fetch_page(request: PageRequest, timeout: Timeout) -> DatasourceRawSamplesData:
    """Return one page, with a single attempt."""
    first = request.cursor is None  # the cursor of a later page contains the window
    return request.api.get_list_of_raw_samples_from_datasource_by_dataset_id(
        request.dataset_id,
        _from=request.begin if first else None,
        to=request.end if first else None,
        cursor=request.cursor,
        _request_timeout=timeout,
    )


def iter_rows(listing: Listing) -> Generator[Sample, None, None]:
    """Yield the rows of a listing; fetch the next page while one is read. For one thread and one iteration."""
    stop = Event()
    next_page: Optional[_NextPage] = None
    cursor: Optional[str] = None
    try:
        page = listing.page(None)
        while True:
            next_page = _NextPage(listing.page, page.cursor, stop) if page.has_more else None
            request = listing.page_request(cursor)
            for row in page.data:
                yield sample_of(row, request)
            if next_page is None:
                return
            cursor, page = page.cursor, next_page.result()
    finally:
        stop.set()
        if next_page is not None:
            next_page.abandon()


class _NextPage:
    """A page that its own thread is fetching. The thread ends with the page, so none has to be stopped."""

    def __init__(
        self,
        fetch: Callable[[str, threading.Event], DatasourceRawSamplesData],
        cursor: str,
        stop: threading.Event,
    ) -> None:
        self._page: Optional[DatasourceRawSamplesData] = None
        self._error: Optional[BaseException] = None
        self._fetch = functools.partial(fetch, cursor, stop)
        self._thread = threading.Thread(target=self._run, name="headwater_client: next page", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._page = self._fetch()
        except BaseException as error:
            self._error = error  # `result` raises it

    def result(self) -> DatasourceRawSamplesData:
        """Wait for the page and return it.

        Raises:
            Exception: what the request raised.
        """
        self._thread.join()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback refers to this object
        # A forked process does not have the thread, so it fetches the page itself.
        return self._fetch() if self._page is None else self._page

    def abandon(self) -> None:
        """Wait for the thread, but not long: a request in flight cannot be cancelled."""
        self._thread.join(_ABANDON_SECONDS)
