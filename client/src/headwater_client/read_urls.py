"""Find fresh read URLs for samples whose URLs have expired.

The API has no operation for a single URL, so this lists the page of the sample again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Deque, Dict, Iterator, NamedTuple, Optional

from headwater_client.arguments import check_dataset_id
from headwater_client.listing import DEFAULT_ATTEMPTS, DEFAULT_PAUSE_SECONDS, DEFAULT_TIMEOUT_SECONDS, Listing
from headwater_client.retries import RetryPolicy
from headwater_client.sample import DatasetId, PageRequest, page_request_of
from swagger_client.exceptions import ApiTypeError
from swagger_client.forks import Event, after_fork

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
    from swagger_client.rest import Timeout

MAX_CACHED_PAGES = 4
"""Pages whose fresh URLs are cached: rows that expire together are usually from the same page."""

CURRENT_SECONDS = 10.0
"""How long a cached URL counts as current: if the store refuses it, and it has not expired, no other is listed."""

MAX_SEARCHED_PAGES = 10
"""Pages to search, from the page of the row on: new files can have moved the row to a later page."""


class _Page(NamedTuple):
    api: DatasourcesApi
    dataset_id: DatasetId
    urls: Dict[str, str]
    listed: float
    """When its request was sent, by the monotonic clock."""


class ReadUrls:
    """Find fresh read URLs. Thread-safe, and usable in forked processes.

    A sample of `iter_samples` knows its page. This lists that page again and caches it, so the other rows of the page
    cause no further request. Any other row is searched in the whole listing, from the end of the last search: for rows
    in listing order this costs one listing in total, for a single row at most two.

    Args:
        api: used for rows that do not know their page. Default: no URL is found for these.
        dataset_id: the dataset of these rows; required with `api`.
        attempts: attempts for each page.
        pause: seconds before the second attempt, doubled each time.
        request_timeout: time limit for each request in seconds.

    Raises:
        ApiTypeError: only one of `api` and `dataset_id` is given.
        ApiValueError: `dataset_id` is no id.
    """

    def __init__(
        self,
        api: Optional[DatasourcesApi] = None,
        dataset_id: Optional[DatasetId] = None,
        *,
        attempts: int = DEFAULT_ATTEMPTS,
        pause: float = DEFAULT_PAUSE_SECONDS,
        request_timeout: Timeout = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if (api is None) != (dataset_id is None):
            raise ApiTypeError("api and dataset_id belong together: give both or neither", ["api", "dataset_id"])
        check_dataset_id(dataset_id)
        self._whole_listing = (
            None if api is None or dataset_id is None else PageRequest(api, dataset_id, None, None, None)
        )
        self._retry_policy = RetryPolicy(attempts, pause)
        self._timeout = request_timeout
        self._cached: Deque[_Page] = deque(maxlen=MAX_CACHED_PAGES)
        self.stop = Event()
        """Set it to list no further pages."""
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._search: Optional[Iterator[_Page]] = None
        after_fork(self, ReadUrls._begin)

    def fresh(self, row: DatasourceRawSamplesDataRow, refused: str, expired: bool) -> Optional[str]:
        """Return the read URL of a file that is listed now; None if the file is not found.

        It is the refused one if the server still lists that: a URL that was signed in the same second with the same
        credentials is the same.

        Args:
            row: the row of the file.
            refused: the URL that the store refused.
            expired: whether it has expired, so that a cached URL that is the same has expired, too.

        Raises:
            ApiException: the server refused to list, or failed.
            urllib3.exceptions.HTTPError: no response was received.
        """
        request = page_request_of(row) or self._whole_listing
        if request is None:
            return None
        with self._lock:  # one search at a time: its result is usually what the waiting threads need
            for page in list(self._cached):
                if page.api is request.api and page.dataset_id == request.dataset_id:
                    url = page.urls.get(row.file_name)
                    if url == refused and (expired or time.monotonic() - page.listed > CURRENT_SECONDS):
                        self._cached.remove(page)  # its other URLs are as old
                    elif url is not None:
                        return url
            pages = self._search_everywhere(request) if request is self._whole_listing else self._search_nearby(request)
            for page in pages:
                self._cache(page)
                url = page.urls.get(row.file_name)
                if url is not None:
                    return url
        return None

    def _cache(self, page: _Page) -> None:
        """Cache a page in place of older pages with the same files."""
        for older in list(self._cached):
            if older.api is page.api and older.dataset_id == page.dataset_id and older.urls.keys() & page.urls.keys():
                self._cached.remove(older)
        self._cached.append(page)

    def _search_nearby(self, request: PageRequest) -> Iterator[_Page]:
        for _, page in zip(range(MAX_SEARCHED_PAGES), self._pages(request)):  # noqa: B905  strict= needs Python 3.10
            yield page

    def _search_everywhere(self, request: PageRequest) -> Iterator[_Page]:
        if self._search is not None:
            yield from _without_closing(self._search)
        self._search = self._pages(request)
        yield from _without_closing(self._search)
        self._search = None

    def _pages(self, request: PageRequest) -> Iterator[_Page]:
        listing = Listing(request, self._retry_policy, self._timeout)
        cursor = request.cursor
        while not self.stop.is_set():
            listed = time.monotonic()
            page = listing.page(cursor, self.stop)
            yield _Page(request.api, request.dataset_id, {row.file_name: row.read_url for row in page.data}, listed)
            if not page.has_more:
                return
            cursor = page.cursor


def _without_closing(pages: Iterator[_Page]) -> Iterator[_Page]:
    """Yield the same pages. `yield from` a generator would close it together with the outer generator."""
    for page in pages:
        yield page
