"""Fresh read URLs for samples whose own have expired: no operation gives one URL, so their pages are listed again."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Deque, Dict, Iterator, NamedTuple, Optional

from swagger_client.exceptions import ApiTypeError
from swagger_client.samples.listing import ATTEMPTS, PAUSE, TIMEOUT, Listing
from swagger_client.samples.patience import Patience
from swagger_client.samples.sample import DatasetId, Place, place_of

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
    from swagger_client.rest import Timeout

PAGES_KEPT = 4
"""Pages whose fresh URLs are kept: rows that expire together mostly stood together."""

PAGES_SEARCHED = 10
"""Pages to look at, from the one on that a row stood in; files that came meanwhile have pushed it on."""


class _Page(NamedTuple):
    api: DatasourcesApi
    dataset_id: DatasetId
    urls: Dict[str, str]


class ReadUrls:
    """Finds fresh read URLs. Threads may share it.

    A sample of `iter_samples` knows its page: that page is listed again, and its neighbours expect no further request.
    Any other row is looked for in the whole listing, from where the last search ended: rows in the order of the
    listing cost one listing together, a single one at most two.

    Args:
        api: for rows that do not know their listing. Default: these have no fresh URL.
        dataset_id: their dataset; with `api`.
        attempts: how often each page is asked for.
        pause: seconds before the second attempt, doubled each time.
        request_timeout: seconds for each request.

    Raises:
        ApiTypeError: only one of `api` and `dataset_id` is given.
    """

    def __init__(
        self,
        api: Optional[DatasourcesApi] = None,
        dataset_id: Optional[DatasetId] = None,
        *,
        attempts: int = ATTEMPTS,
        pause: float = PAUSE,
        request_timeout: Timeout = TIMEOUT,
    ) -> None:
        if (api is None) != (dataset_id is None):
            raise ApiTypeError("api and dataset_id belong together: give both or none", ["api", "dataset_id"])
        self._whole = None if api is None or dataset_id is None else Place(api, dataset_id, None, None, None)
        self._patience = Patience(attempts, pause)
        self._timeout = request_timeout
        self._kept: Deque[_Page] = deque(maxlen=PAGES_KEPT)
        self._lock = threading.Lock()
        self._search: Optional[Iterator[_Page]] = None
        self.stop = threading.Event()
        """Set it, and no further page is listed."""

    def fresh(self, row: DatasourceRawSamplesDataRow, refused: str) -> Optional[str]:
        """A read URL of a file that is not the refused one; None where the listing has none.

        Args:
            row: of the file.
            refused: the URL that the store no longer takes.

        Raises:
            ApiException: the server refused to list, or failed.
            urllib3.exceptions.HTTPError: no answer came.
        """
        place = place_of(row) or self._whole
        if place is None:
            return None
        with self._lock:  # the others wait: what one finds is mostly what they look for
            for page in list(self._kept):
                if page.api is place.api and page.dataset_id == place.dataset_id:
                    url = page.urls.get(row.file_name)
                    if url == refused:
                        self._kept.remove(page)  # its other URLs are as old
                    elif url is not None:
                        return url
            pages = self._everywhere(place) if place is self._whole else self._nearby(place)
            for page in pages:
                self._keep(page)
                url = page.urls.get(row.file_name)
                if url is not None and url != refused:
                    return url
        return None

    def _keep(self, page: _Page) -> None:
        """Keep a page, in place of what was kept of the same files before."""
        for older in list(self._kept):
            if older.api is page.api and older.dataset_id == page.dataset_id and older.urls.keys() & page.urls.keys():
                self._kept.remove(older)
        self._kept.append(page)

    def _nearby(self, place: Place) -> Iterator[_Page]:
        for _, page in zip(range(PAGES_SEARCHED), self._pages(place)):  # noqa: B905  strict= needs Python 3.10
            yield page

    def _everywhere(self, place: Place) -> Iterator[_Page]:
        if self._search is not None:
            yield from _left_open(self._search)
        self._search = self._pages(place)
        yield from _left_open(self._search)
        self._search = None

    def _pages(self, place: Place) -> Iterator[_Page]:
        listing = Listing(place.api, place.dataset_id, place.begin, place.end, self._patience, self._timeout)
        cursor = place.cursor
        while not self.stop.is_set():
            page = listing.page(cursor, self.stop)
            yield _Page(place.api, place.dataset_id, {row.file_name: row.read_url for row in page.data})
            if not page.has_more:
                return
            cursor = page.cursor


def _left_open(pages: Iterator[_Page]) -> Iterator[_Page]:
    """The same pages; `yield from` a generator would close it with the one that it stands in."""
    for page in pages:
        yield page
