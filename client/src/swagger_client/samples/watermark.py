"""What is new since the watermark, which moves only when all of it was treated."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any, Callable, Generator, Iterator, Mapping, Optional, TypeVar, cast

from swagger_client.exceptions import ApiException, ApiValueError
from swagger_client.model.datasource_processed_until_timestamp_request import DatasourceProcessedUntilTimestampRequest
from swagger_client.model.timestamp import Timestamp
from swagger_client.samples.listing import ATTEMPTS, PAUSE, TIMEOUT, Listing, fetch, rows_of
from swagger_client.samples.patience import Patience
from swagger_client.samples.sample import DatasetId, Sample
from swagger_client.samples.times import server_seconds

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.rest import Timeout

T = TypeVar("T")

SETTLE = 60.0
"""Seconds before now that a listing of what is new ends at."""

_logger = logging.getLogger(__name__)


def new_samples(
    api: DatasourcesApi,
    dataset_id: DatasetId,
    *,
    settle: float = SETTLE,
    attempts: int = ATTEMPTS,
    pause: float = PAUSE,
    request_timeout: Timeout = TIMEOUT,
) -> AbstractContextManager[NewSamples, None]:
    """List what is new since the watermark, and move the watermark when all of it was treated.

        with new_samples(api, dataset_id) as samples:
            for sample in samples:
                treat(sample)

    The window begins in the second after the watermark and ends `settle` seconds before now: files still arrive in
    the second that is being listed, and the clocks of the server and of whoever writes files differ. A file that can
    be listed only later than `settle` seconds after the time that it bears is missed: give an hour where uploads
    take that long, and do not copy files with their old times (`cp -p`, `rsync -t`) into a folder that is listed so.
    Now is the server's time, as the `Date` of its answer has it; this machine's clock where the answer has none.

    The watermark moves to the end of the window **only if the block ends without an exception and the samples were
    read to their end**, also if there were none. So

    - a crash, an exception or a lost connection anywhere leaves it where it was. The next run lists the same files
      again: what you do with a file must bear to be done twice. None is lost.
    - `break` leaves it where it was, too: rows come in the order of names, not of time, so no watermark says how far
      a loop got. Read on to the end to move it.
    - it never moves backwards. If it lies beyond the end of the window already, nothing is listed or changed.
    - it is read again before it moves. If it has fallen meanwhile (somebody set it lower to process files again, or
      the datasource moved to other data, where it begins at 0), or the datasource moved otherwise, it is left as it
      is, with a warning in the log of `swagger_client.samples.watermark`. If it has risen, but not beyond the end
      of this window, it moves on to there. The API cannot compare and set in one step: somebody who sets it
      in the very moment between may be overwritten, and while the client's own retries repeat the request.

    Args:
        api: of the server.
        dataset_id: ObjectId of the dataset.
        settle: seconds before now at which the window ends, 0 or more. With 0 a file that lands in the second of the
            listing can be missed.
        attempts: how often each request is made, 1 or more, each time with the retries of the client's configuration.
        pause: seconds before the second attempt, doubled each time, up to 30; `Retry-After` may lengthen it.
        request_timeout: seconds for each request, or a pair for connecting and for answering; None for no limit.

    Returns:
        A context manager for one `with`, of the samples.

    Raises:
        ApiValueError: `settle`, `attempts` or `pause` is out of range.
        ApiException: at the beginning or end of the block, or while iterating: the server refused or failed.
        urllib3.exceptions.HTTPError: likewise: no answer came.
    """
    if not 0 <= settle < math.inf:
        raise ApiValueError(f"settle is {settle}: give seconds, 0 or more", ["settle"])
    return _Block(_Watermark(api, dataset_id, Patience(attempts, pause), request_timeout), settle)


class NewSamples(Iterator[Sample]):
    """What is new: an iterator over the samples between the watermark and the end of the window.

    Attributes:
        begin: Unix seconds, the window's first: the watermark plus one.
        end: Unix seconds, the window's last: where the watermark moves to. Before `begin` where the window is empty.
        consumed: whether the samples were read to their end.
        moved: whether the watermark was moved; true only after the block.
    """

    def __init__(self, begin: int, end: int, rows: Generator[Sample, None, None]) -> None:
        self.begin = begin
        self.end = end
        self.consumed = False
        self.moved = False
        self._rows = rows
        self._broken = False

    def __iter__(self) -> NewSamples:
        return self

    def __next__(self) -> Sample:
        try:
            return next(self._rows)
        except StopIteration:
            # Rows that have raised, or were closed, are at an end as well, but not at that of the listing.
            self.consumed = not self._broken
            raise
        except BaseException:
            self._broken = True
            raise

    def _close(self) -> None:
        self._broken = self._broken or not self.consumed
        try:
            self._rows.close()
        except ValueError:
            # Another thread is reading: what the block raised matters more, and the watermark stays.
            self.consumed = False


class _Block:
    """The block of a `with`: reads the watermark at its beginning, and moves it at its end."""

    def __init__(self, watermark: _Watermark, settle: float) -> None:
        self._watermark = watermark
        self._settle = settle
        self._before = 0
        self._samples: Optional[NewSamples] = None
        self._listing: Optional[Listing] = None

    def __enter__(self) -> NewSamples:
        if self._samples is not None:
            raise ApiValueError("these new samples were listed already: call new_samples again for each block")
        self._before, now = self._watermark.read()
        begin, end = self._before + 1, math.floor(now - self._settle)
        self._listing = self._watermark.listing(begin, end) if begin <= end else None
        self._samples = NewSamples(begin, end, _nothing() if self._listing is None else rows_of(self._listing))
        return self._samples

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        assert self._samples is not None
        samples, listing = self._samples, self._listing
        samples._close()
        if exc_type is None and samples.consumed and listing is not None:
            samples.moved = self._watermark.move(self._before, samples.end, listing)


def _nothing() -> Generator[Sample, None, None]:
    yield from ()


class _Watermark:
    """The watermark of a dataset, and how to reach it."""

    def __init__(self, api: DatasourcesApi, dataset_id: DatasetId, patience: Patience, timeout: Timeout) -> None:
        self._api = api
        self._dataset_id = dataset_id
        self._patience = patience
        self._timeout = timeout

    def listing(self, begin: int, end: int) -> Listing:
        """A listing of the dataset."""
        return Listing(self._api, self._dataset_id, begin, end, self._patience, self._timeout)

    def read(self) -> tuple[int, float]:
        """Read the watermark and the server's time, both in Unix seconds."""
        answer, _, headers = cast("tuple[Any, int, Mapping[str, str]]", self._call(self._get))
        now = server_seconds(headers)
        return answer.processed_until_timestamp.value, time.time() if now is None else now

    def move(self, before: int, end: int, listing: Listing) -> bool:
        """Move the watermark to the end of a window, unless somebody else decided otherwise meanwhile.

        Args:
            before: what it was when the window was made.
            end: of the window.
            listing: what was read to its end.

        Returns:
            Whether it was moved.
        """
        put = False

        def attempt() -> bool:
            # Each attempt looks anew: minutes may lie between two of them, in which somebody set the watermark back.
            nonlocal put
            try:
                fetch(listing.place(listing.last_cursor), self._timeout)  # an empty page; refused once the data moved
            except ApiException as error:
                if (error.status, error.code) != (400, "MALFORMED_REQUEST"):
                    raise
                _logger.warning("the watermark stays where it is: %s", error.message)
                return False
            present = self._get()[0].processed_until_timestamp.value
            if present < before:
                _logger.warning("the watermark stays where it is, for it was set back from %d to %d", before, present)
                return False
            if present >= end:
                return put and present == end  # the answer to an earlier attempt was lost
            put = True
            self._put(end)
            return True

        return self._call(attempt)

    def _call(self, work: Callable[[], T]) -> T:
        return self._patience.call(work, "a request for the watermark")

    def _get(self) -> Any:
        return self._api.get_datasource_processed_until_timestamp_by_dataset_id(
            self._dataset_id, _return_http_data_only=False, _request_timeout=self._timeout
        )

    def _put(self, seconds: int) -> None:
        self._api.update_datasource_processed_until_timestamp_by_dataset_id(
            self._dataset_id,
            DatasourceProcessedUntilTimestampRequest(Timestamp(seconds)),
            _request_timeout=self._timeout,
        )
