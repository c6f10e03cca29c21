"""A listing as a stream of rows, with the next page on its way while this one is read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable, Generator, Iterator, Optional

from swagger_client.samples.patience import Patience
from swagger_client.samples.sample import DatasetId, Place, Sample, sample_of
from swagger_client.samples.times import Time, unix_seconds

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.model.datasource_raw_samples_data import DatasourceRawSamplesData
    from swagger_client.rest import Timeout

ATTEMPTS = 5
"""How often a page is asked for, each time with the retries of the client's configuration."""

PAUSE = 1.0
"""Seconds before the second attempt; 2 before the third, then 4, then 8."""

TIMEOUT = 120.0
"""Seconds for one request; a server answers a page within seconds."""

_LAST_WAIT = 1.0


def iter_samples(
    api: DatasourcesApi,
    dataset_id: DatasetId,
    *,
    from_: Optional[Time] = None,
    to: Optional[Time] = None,
    attempts: int = ATTEMPTS,
    pause: float = PAUSE,
    request_timeout: Timeout = TIMEOUT,
) -> Iterator[Sample]:
    """List the raw samples of a datasource, row by row, for as long as there are more.

    While the rows of a page are read, the next page is fetched by a thread: one page ahead, never more, so memory does
    not grow with the listing. The window is that of the first request, also where `to` is left out and files
    keep arriving. When the connection fails or the server is down or busy, for longer than the client's own retries
    last, the listing goes on from the page where it stood: no row is lost, none comes twice.

    Nothing is asked before the first row is wanted. A loop that is left (`break`, an exception, `close()` of the
    iterator) fetches no further page.

    Args:
        api: of the server.
        dataset_id: ObjectId of the dataset.
        from_: Unix seconds, or a datetime with a time zone: files of this second and later. Default: all.
        to: likewise: files of this second and earlier. Default: the second of the first request.
        attempts: how often a page is asked for, 1 or more, each time with the retries of the client's configuration.
        pause: seconds before the second attempt, doubled each time, up to 30; `Retry-After` may lengthen it.
        request_timeout: seconds for each request, or a pair for connecting and for answering; None for no limit.

    Returns:
        An iterator over the files, in the order of the listing. Several threads may not share it.

    Raises:
        ApiTypeError: a time is neither whole seconds nor a datetime.
        ApiValueError: a time is before 1970 or has no time zone; `attempts` or `pause` is out of range.
        ApiException: while iterating: the server refused, or failed to the last attempt.
        urllib3.exceptions.HTTPError: while iterating: no answer came, to the last attempt.
    """
    begin = None if from_ is None else unix_seconds(from_, "from_")
    end = None if to is None else unix_seconds(to, "to")
    return rows_of(Listing(api, dataset_id, begin, end, Patience(attempts, pause), request_timeout))


class Listing:
    """What asks for the pages of one listing.

    Args:
        api: of the server.
        dataset_id: of the dataset.
        begin: Unix seconds; None for 0.
        end: Unix seconds; None for now.
        patience: how often and with which pauses to ask for a page.
        timeout: of each request.

    Attributes:
        last_cursor: of the newest page; None before the first.
    """

    def __init__(
        self,
        api: DatasourcesApi,
        dataset_id: DatasetId,
        begin: Optional[int],
        end: Optional[int],
        patience: Patience,
        timeout: Timeout,
    ) -> None:
        self._first = Place(api, dataset_id, None, begin, end)
        self._patience = patience
        self._timeout = timeout
        self.last_cursor: Optional[str] = None

    def place(self, cursor: Optional[str]) -> Place:
        """The place of the page that this cursor asks for."""
        return self._first._replace(cursor=cursor)

    def page(self, cursor: Optional[str], stop: Optional[threading.Event] = None) -> DatasourceRawSamplesData:
        """Fetch the page of a cursor, or the first one, with patience.

        Raises:
            ApiException: the server refused, or failed to the last attempt.
            urllib3.exceptions.HTTPError: no answer came.
        """
        page = self._patience.call(lambda: fetch(self.place(cursor), self._timeout), "a page of the listing", stop)
        self.last_cursor = page.cursor
        return page


def fetch(place: Place, timeout: Timeout) -> DatasourceRawSamplesData:
    """Fetch one page, in one attempt."""
    first = place.cursor is None  # later pages have the window in their cursor
    return place.api.get_list_of_raw_samples_from_datasource_by_dataset_id(
        place.dataset_id,
        _from=place.begin if first else None,
        to=place.end if first else None,
        cursor=place.cursor,
        _request_timeout=timeout,
    )


def rows_of(listing: Listing) -> Generator[Sample, None, None]:
    """The rows of a listing, the next page on its way while one is read. For one thread, and to be read once."""
    stop = threading.Event()
    ahead: Optional[_Ahead] = None
    cursor: Optional[str] = None
    try:
        page = listing.page(None)
        while True:
            ahead = _Ahead(listing.page, page.cursor, stop) if page.has_more else None
            place = listing.place(cursor)
            for row in page.data:
                yield sample_of(row, place)
            if ahead is None:
                return
            cursor, page = page.cursor, ahead.result()
    finally:
        stop.set()
        if ahead is not None:
            ahead.leave()


class _Ahead:
    """A page that a thread of its own is fetching. The thread ends with the page, so none is left to be ended."""

    def __init__(
        self,
        page: Callable[[str, threading.Event], DatasourceRawSamplesData],
        cursor: str,
        stop: threading.Event,
    ) -> None:
        self._page: Optional[DatasourceRawSamplesData] = None
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(
            target=self._run, args=(page, cursor, stop), name="swagger_client: next page", daemon=True
        )
        self._thread.start()

    def _run(
        self,
        page: Callable[[str, threading.Event], DatasourceRawSamplesData],
        cursor: str,
        stop: threading.Event,
    ) -> None:
        try:
            self._page = page(cursor, stop)
        except BaseException as error:
            self._error = error  # raised where the page is wanted

    def result(self) -> DatasourceRawSamplesData:
        """Wait for the page.

        Raises:
            Exception: what fetching it raised.
        """
        self._thread.join()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # the error's traceback leads to this object
        assert self._page is not None
        return self._page

    def leave(self) -> None:
        """Want the page no longer. A request under way cannot be called back, but is rarely worth a second's wait."""
        self._thread.join(_LAST_WAIT)
