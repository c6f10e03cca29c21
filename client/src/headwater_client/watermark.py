"""List what is new since the watermark, and move the watermark only after all of it was processed."""

from __future__ import annotations

import logging
import math
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Generator, Iterator, Mapping, NoReturn, Optional, TypeVar, cast

from headwater_client.arguments import check_dataset_id, seconds
from headwater_client.listing import (
    DEFAULT_ATTEMPTS,
    DEFAULT_PAUSE_SECONDS,
    DEFAULT_TIMEOUT_SECONDS,
    Listing,
    fetch_page,
    iter_rows,
)
from headwater_client.retries import RetryPolicy
from headwater_client.sample import DatasetId, PageRequest, Sample
from headwater_client.times import server_seconds
from swagger_client.exceptions import ApiException, ApiTypeError, ApiValueError
from swagger_client.model.datasource_processed_until_timestamp_request import DatasourceProcessedUntilTimestampRequest
from swagger_client.model.timestamp import Timestamp

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.rest import Timeout

T = TypeVar("T")

DEFAULT_SETTLE_SECONDS = 60.0
"""How long before now the window of new samples ends if the server has no exact feed."""

_FEED_HEADER = "Headwater-Feed"
"""Says which feed the dataset has: `exact` or `dates`. Older servers do not send it and list by dates."""

# A child of the logger "swagger_client", so that `Configuration.debug` and `logger_file` apply to it.
_logger = logging.getLogger("swagger_client.samples.watermark")


def new_samples(
    api: DatasourcesApi,
    dataset_id: DatasetId,
    *,
    settle: Optional[float] = None,
    attempts: int = DEFAULT_ATTEMPTS,
    pause: float = DEFAULT_PAUSE_SECONDS,
    request_timeout: Timeout = DEFAULT_TIMEOUT_SECONDS,
) -> AbstractContextManager[NewSamples, None]:
    """List what is new since the watermark, and move the watermark when the block succeeds.

        with new_samples(api, dataset_id) as samples:
            for sample in samples:
                process(sample)

    The window begins one second after the watermark, or with the first file if the watermark is 0. It ends `settle`
    seconds before now. "Now" is the server's time from the `Date` header of its response, or this machine's clock
    without that header. What `settle` is for depends on the server:

    - If the dataset has an **exact feed** (the server sends the header `Headwater-Feed: exact`), the window ends now.
      The feed gives every version of a file to exactly one window, whenever it appears and whatever its time is: a slow
      upload, a file that was copied with its old time (`cp -p`, `rsync -t`), a file with a time in the future. As long
      as your blocks succeed, you get each version once: none is lost, and none is repeated. A file that was overwritten
      is a new version. A version that is overwritten or deleted before it was listed is never listed. What arrives
      during a block, or in the second in which it began, is listed by the next block that begins in a later second.
    - Without an exact feed, the time of a file alone decides, and the window ends 60 seconds before now: files still
      arrive in the current second, and the clocks of the server and of those who write files differ. A file that
      appears in the listing more than `settle` seconds after its own time is missed. Use an hour if uploads take that
      long, and do not copy files with their old times into a folder that is listed this way.

    The watermark moves to the end of the window **only if the block ends without an exception and all samples were
    read**, even if there were none. Therefore:

    - A crash, an exception or a lost connection leaves the watermark unchanged. The next run lists the same files
      again, so your processing must be idempotent. No file is lost.
    - `break` leaves the watermark unchanged too: rows are ordered by name, not by time, so no watermark describes a
      partial loop. Read all samples to move it.
    - A process that is forked in the block does not move the watermark, even if it reads all samples. The process that
      began the block does: wait for the others in the block.
    - The watermark never moves backwards. If it is already past the end of the window, nothing is listed or changed.
    - The watermark is read again before it moves. If it was lowered in the meantime (to process files again, or because
      the datasource moved to other data, which resets it to 0), or the datasource moved, it stays unchanged, and the
      logger `swagger_client.samples.watermark` gets a warning. If it was raised, but not past the end of this window,
      it still moves to that end. The API has no atomic compare-and-set: a value that is set between the read and the
      write, or while the client retries the write, may be overwritten.

    Args:
        api: the API of the server.
        dataset_id: ObjectId of the dataset.
        settle: seconds before now at which the window ends, 0 or more; None for 0 with an exact feed and 60 without.
            With 0 and without an exact feed, a file that arrives in the second of the listing can be missed.
        attempts: attempts for each request, 1 or more, each with the retries of the client's configuration.
        pause: seconds before the second attempt, doubled each time, up to 30; `Retry-After` can lengthen it.
        request_timeout: time limit for each request in seconds, or a pair for connecting and for reading; None for no
            limit.

    Returns:
        A context manager that returns the samples. Use it for one `with` only.

    Raises:
        ApiValueError: `dataset_id` is no id, or `settle`, `attempts` or `pause` is out of range.
        ApiException: at the beginning or end of the block, or during iteration: the server refused or failed.
        urllib3.exceptions.HTTPError: at the same points: no response was received.
    """
    check_dataset_id(dataset_id)
    settle = None if settle is None else seconds(settle, "settle")
    return _Block(_Watermark(api, dataset_id, RetryPolicy(attempts, pause), request_timeout), settle)


class NewSamples(Iterator[Sample]):
    """An iterator over the samples between the watermark and the end of the window.

    Attributes:
        begin: the first second of the window, in Unix seconds: the watermark plus one, or 0 if the watermark is 0.
        end: the last second of the window, in Unix seconds: the next watermark. Before `begin` if the window is empty.
        consumed: whether all samples were read.
        moved: whether the watermark was moved; only true after the block.
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
            # A generator that raised or was closed also stops, but not at the end of the listing.
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
            # Another thread is reading. Keep the exception of the block, and leave the watermark unchanged.
            self.consumed = False


class _Block:
    """The context manager of `new_samples`: reads the watermark at its beginning and moves it at its end."""

    def __init__(self, watermark: _Watermark, settle: Optional[float]) -> None:
        self._watermark = watermark
        self._settle = settle
        self._before = 0
        self._samples: Optional[NewSamples] = None
        self._listing: Optional[Listing] = None
        self._process_id = 0

    def __iter__(self) -> NoReturn:
        raise ApiTypeError("use `with new_samples(...) as samples:`, and read `samples` in this block")

    def __enter__(self) -> NewSamples:
        if self._samples is not None:
            raise ApiValueError("these new samples were already listed: call new_samples again for each block")
        self._process_id = os.getpid()
        self._before, now, exact = self._watermark.read()
        settle = self._settle
        if settle is None:
            settle = 0 if exact else DEFAULT_SETTLE_SECONDS
        begin, end = self._before + 1 if self._before else 0, math.floor(now - settle)
        self._listing = self._watermark.listing(begin, end) if begin <= end else None
        self._samples = NewSamples(begin, end, _no_rows() if self._listing is None else iter_rows(self._listing))
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
        if exc_type is not None or not samples.consumed or listing is None:
            return
        if os.getpid() != self._process_id:
            _logger.warning("the watermark is not moved by a forked process: its parent may not have finished its part")
        else:
            samples.moved = self._watermark.move(self._before, samples.end, listing)


def _no_rows() -> Generator[Sample, None, None]:
    yield from ()


class _Watermark:
    """Reads and moves the watermark of a dataset."""

    def __init__(self, api: DatasourcesApi, dataset_id: DatasetId, retry_policy: RetryPolicy, timeout: Timeout) -> None:
        self._api = api
        self._dataset_id = dataset_id
        self._retry_policy = retry_policy
        self._timeout = timeout

    def listing(self, begin: int, end: int) -> Listing:
        """Return a listing of the dataset; the window is in Unix seconds."""
        first = PageRequest(self._api, self._dataset_id, None, begin, end)
        return Listing(first, self._retry_policy, self._timeout)

    def read(self) -> tuple[int, float, bool]:
        """Return the watermark and the server's time, both in Unix seconds, and whether the dataset's feed is exact."""
        response, _, headers = cast("tuple[Any, int, Mapping[str, str]]", self._call(self._get))
        now = server_seconds(headers)
        exact = headers.get(_FEED_HEADER) == "exact"
        return response.processed_until_timestamp.value, time.time() if now is None else now, exact

    def move(self, before: int, end: int, listing: Listing) -> bool:
        """Move the watermark to the end of a window, unless it was lowered or the data moved in the meantime.

        Args:
            before: the watermark when the window was chosen, in Unix seconds.
            end: the end of the window, in Unix seconds.
            listing: the listing that was read completely.

        Returns:
            Whether the watermark was moved.
        """
        put = False

        def attempt() -> bool:
            # Check again in each attempt: the watermark can be lowered in the minutes between two attempts.
            nonlocal put
            try:
                # The page is empty; the server refuses the cursor if the datasource moved to other data.
                fetch_page(listing.page_request(listing.last_cursor), self._timeout)
            except ApiException as error:
                if (error.status, error.code) != (400, "MALFORMED_REQUEST"):
                    raise
                _logger.warning("the watermark is not moved: %s", error.message)
                return False
            present = self._get()[0].processed_until_timestamp.value
            if present < before:
                _logger.warning("the watermark is not moved: it was set back from %d to %d", before, present)
                return False
            if present >= end:
                return put and present == end  # an earlier attempt succeeded, but its response was lost
            put = True
            self._put(end)
            return True

        return self._call(attempt)

    def _call(self, work: Callable[[], T]) -> T:
        return self._retry_policy.call(work, "a request for the watermark")

    def _get(self) -> Any:
        return self._api.get_datasource_processed_until_timestamp_by_dataset_id(
            self._dataset_id, _return_http_data_only=False, _request_timeout=self._timeout
        )

    def _put(self, end: int) -> None:
        self._api.update_datasource_processed_until_timestamp_by_dataset_id(
            self._dataset_id,
            DatasourceProcessedUntilTimestampRequest(Timestamp(end)),
            _request_timeout=self._timeout,
        )
