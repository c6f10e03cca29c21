"""Which folders this process created: a delete removes only these when they become empty."""

from __future__ import annotations

from threading import Lock

MAX_FOLDERS = 1000
"""Folders that are remembered: the latest ones."""


class CreatedFolders:
    """The latest folders that writes of this process created, by mount root and path without links.

    A forgotten folder stays on the disk, empty. A folder that a user made is never taken for one of these.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._created: dict[tuple[bytes, tuple[str, ...]], object] = {}

    def add(self, root: bytes, real: tuple[str, ...]) -> None:
        """Remember a folder."""
        with self._lock:
            self._created.pop((root, real), None)
            self._created[root, real] = object()
            while len(self._created) > MAX_FOLDERS:
                del self._created[next(iter(self._created))]

    def find(self, root: bytes, real: tuple[str, ...]) -> object | None:
        """Return a token for this creation of a folder, or None if no write created it."""
        return self._created.get((root, real))

    def remove(self, root: bytes, real: tuple[str, ...], creation: object) -> None:
        """Forget a folder, unless a write has created it again since `find` returned `creation`."""
        with self._lock:
            if self._created.get((root, real)) is creation:
                del self._created[root, real]
