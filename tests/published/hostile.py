"""A hostile writer of files, its journal, and the judge of what a consumer of new files returned.

The writer does what real ones do: it copies files with their old dates, has a wrong clock, takes seconds to upload,
overwrites, deletes, and writes several times in one second. The consumer's rows have no versions, so the judge uses
times: a row can only be of a version that stood at some moment of its poll.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.published.dated_bucket import DatedBucket

DAY = 86_400.0


class Place(Protocol):
    """Where the writer writes. Each write has another size, which distinguishes versions of a file."""

    def put(self, name: str, size: int, date: float | None) -> int:
        """Write or overwrite a file, with this date or that of now; return how many versions may be seen meanwhile."""

    def delete(self, name: str) -> None:
        """Delete a file."""


class Folder:
    """A folder, which the writer fills in three ways: moving into it, copying into it, and changing files in place."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root = root
        self._chance = chance

    def put(self, name: str, size: int, date: float | None) -> int:
        """Write or overwrite a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if date is None and path.exists() and self._chance.random() < 0.5:
            with path.open("ab") as file:
                file.truncate(size)  # the folder does not change
            return 2
        if self._chance.random() < 0.5:
            path.write_bytes(bytes(size))  # as `cp -p` does: the date comes last
            if date is not None:
                os.utime(path, (date, date))
            return 5
        staging = path.with_suffix(".part")  # as `rsync -t` does
        staging.write_bytes(bytes(size))
        if date is not None:
            os.utime(staging, (date, date))
        staging.replace(path)
        return 1

    def delete(self, name: str) -> None:
        """Delete a file."""
        (self.root / name).unlink()


class Objects:
    """A bucket."""

    def __init__(self, bucket: DatedBucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    def put(self, name: str, size: int, date: float | None) -> int:
        """Write or overwrite an object."""
        self._bucket.put(self._prefix + name, size, time.time() if date is None else date)
        return 1

    def delete(self, name: str) -> None:
        """Delete an object."""
        self._bucket.delete(self._prefix + name)


@dataclass
class Version:
    """A version of a file: from when and until when it may have been seen."""

    since: float
    until: float = math.inf


class Writer:
    """Writes until it is told to stop, and keeps a journal."""

    def __init__(self, place: Place, chance: random.Random) -> None:
        self.journal: dict[str, list[Version]] = {}
        self._place = place
        self._chance = chance
        self._writes = 0
        self._uploads: list[tuple[float, str, float]] = []

    @property
    def versions(self) -> int:
        """How many versions it wrote, without those that were only seen while one was written."""
        return self._writes

    def fill(self, count: int) -> None:
        """Write the files that are there before the first poll."""
        for _ in range(count):
            self._put(self._new_name(), time.time() - self._chance.uniform(0, 10) * DAY)

    def write(self, seconds: float) -> None:
        """Write for so long. Slow uploads end at the end."""
        end = time.time() + seconds
        while time.time() < end:
            for _ in range(self._chance.choice((1, 1, 2, 8))):
                self._act()
            self._end_uploads(time.time())
            time.sleep(self._chance.choice((0.005, 0.02, 0.05)))
        self._end_uploads(math.inf)

    def _act(self) -> None:
        now, name = time.time(), self._new_name()
        standing = [known for known, versions in self.journal.items() if versions[-1].until == math.inf]
        what = self._chance.random()
        if what < 0.40:
            self._put(name, None)
        elif what < 0.55:
            self._put(name, now - self._chance.choice((1, 2, 5, 60, 3600, DAY, 365 * DAY)))
        elif what < 0.62:
            self._put(name, now + self._chance.choice((1, 2, 60, DAY)))
        elif what < 0.72:
            self._uploads.append((now + self._chance.uniform(0.2, 3), name, now))
        elif what < 0.84:
            # Also one that was deleted.
            self._put(self._chance.choice(list(self.journal)), self._chance.choice((None, now - 1, now - DAY)))
        elif what < 0.92:
            for date in self._chance.choice(((None, None), (now, now), (now - DAY, now))):
                self._put(name, date)  # twice in one second
        else:
            self._delete(self._chance.choice(standing))

    def _end_uploads(self, now: float) -> None:
        for upload in [each for each in self._uploads if each[0] <= now]:
            self._uploads.remove(upload)
            _, name, began = upload
            self._put(name, began)

    def _new_name(self) -> str:
        """Return a new name: at any position in the order of names, in a new folder or one that is there."""
        return f"{self._chance.choice('abcdefgh')}{self._chance.randrange(4)}/{self._chance.getrandbits(40):010x}.png"

    def _put(self, name: str, date: float | None) -> None:
        self._writes += 1
        self._record(name, lambda: self._place.put(name, self._writes, date))

    def _delete(self, name: str) -> None:
        def delete() -> int:
            self._place.delete(name)
            return 0

        self._record(name, delete)

    def _record(self, name: str, action: Callable[[], int]) -> None:
        began = time.time()
        count = action()
        ended = time.time()
        versions = self.journal.setdefault(name, [])
        if versions:
            versions[-1].until = min(versions[-1].until, ended)
        versions += [Version(began, ended) for _ in range(count - 1)]
        if count:
            versions.append(Version(began))


class Poll(NamedTuple):
    """A poll: when it began and ended, and the names that it returned."""

    began: float
    ended: float
    names: Sequence[str]


@dataclass
class Verdict:
    """What became of the versions.

    Attributes:
        standing: how many stand at the end.
        lost: the files whose standing version no poll returned.
        twice: the files of which more rows were returned than versions stood.
    """

    standing: int
    lost: list[str]
    twice: list[str]

    def __str__(self) -> str:
        return f"{len(self.lost)} of {self.standing} lost, {len(self.twice)} twice"


def judge(journal: Mapping[str, list[Version]], polls: Iterable[Poll]) -> Verdict:
    """Compare what was written with what the polls returned, in their order."""
    returned: dict[str, list[Poll]] = {name: [] for name in journal}
    for poll in polls:
        for name in poll.names:
            returned[name].append(poll)
    verdict = Verdict(0, [], [])
    for name, versions in journal.items():
        last, repeated = _match(versions, returned[name])
        if versions[-1].until == math.inf:
            verdict.standing += 1
            if last != len(versions) - 1:
                verdict.lost.append(name)
        if repeated:
            verdict.twice.append(name)
    return verdict


def _match(versions: Sequence[Version], polls: Sequence[Poll]) -> tuple[int, bool]:
    """Give each row the latest version that it can be of, from the last row to the first.

    Returns:
        The version of the last row, or -1; and whether a row was left without a version of its own.
    """
    last = -1
    at = len(versions)
    for poll in reversed(polls):
        at -= 1
        while at >= 0 and not (versions[at].since <= poll.ended and versions[at].until >= poll.began):
            at -= 1
        if at < 0:
            return last, True
        last = max(last, at)
    return last, False
