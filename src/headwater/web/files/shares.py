"""How many files may be sent or received at the same time: in all, and by the URLs of one datasource."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.domain.errors import TooManyRequestsError
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.observability.work import Usage


class Shares:
    """Counts the transfers in flight, so that no datasource can occupy all of them.

    Args:
        name: what is counted, for metrics.
        what: the same, for error texts, such as "files are being uploaded".
        most: how many there may be.
        most_of_one: how many of them may belong to one datasource.
    """

    def __init__(self, name: str, what: str, most: int, most_of_one: int) -> None:
        self._name = name
        self._what = what
        self._most = most
        self._most_of_one = most_of_one
        self._in_flight: Counter[str] = Counter()

    def usage(self) -> Usage:
        """Return how many transfers there are."""
        return Usage(self._name, self._in_flight.total(), self._most)

    @contextmanager
    def hold(self, share: str) -> Iterator[None]:
        """Count one transfer for the duration of the block.

        Args:
            share: of which datasource, from `share_of`.

        Raises:
            TooManyRequestsError: there are too many already.
        """
        if self._in_flight[share] >= self._most_of_one:
            raise TooManyRequestsError(
                f"{self._most_of_one} {self._what} already with the URLs of this datasource; try again in a second"
            )
        if self._in_flight.total() >= self._most:
            raise TooManyRequestsError(f"{self._most} {self._what} already; try again in a second")
        self._in_flight[share] += 1
        try:
            yield
        finally:
            self._in_flight[share] -= 1
            if not self._in_flight[share]:
                del self._in_flight[share]


def share_of(path: str) -> str:
    """Return the folder by which the URLs of a datasource are counted.

    The folder is what precedes `.lightly/` in the path. For a path without `.lightly/` it is the first two folders, as
    for the threads of a disk.

    Examples:
        >>> share_of("team/a/set/.lightly/predictions/task/a.json")
        '/team/a/set/'
        >>> share_of("team/a/set/2027/a.png")
        '/team/a'
    """
    folder, in_lightly_folder, _ = f"/{path}".partition(f"/{LIGHTLY_FOLDER}")
    if in_lightly_folder:
        return f"{folder}/"
    return "/" + "/".join(path.split("/")[:-1][:2])
