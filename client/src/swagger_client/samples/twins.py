"""Names that differ, and are one and the same to the file system: by case, or by how accents are encoded."""

from __future__ import annotations

import os
import threading
import unicodedata
from pathlib import Path
from typing import Dict, Optional

from swagger_client.exceptions import OpenApiException
from swagger_client.samples.names import Parts, shown


class SameToTheFileSystem(OpenApiException):
    """Two names differ, but the file system takes them for one, and would overwrite one file with the other."""


class Twins:
    """Remembers which names are taken, on file systems that take different names for one. Threads may share it.

    Args:
        path: of the folder.
        folds: whether its file system does so. Default: found out by trying.
    """

    def __init__(self, path: Path, folds: Optional[bool] = None) -> None:
        self._path = path
        self._folds = _folds(path) if folds is None else folds
        self._taken: Dict[Parts, Dict[str, str]] = {}
        self._lock = threading.Lock()

    def claim(self, parts: Parts) -> None:
        """Take a path, and the folders on its way.

        Raises:
            SameToTheFileSystem: one of them has another name already, from this run or from an earlier one.
        """
        if not self._folds:
            return
        with self._lock:
            for count, name in enumerate(parts, 1):
                above = tuple(map(_folded, parts[: count - 1]))
                names = self._taken.get(above)
                if names is None:
                    names = self._taken[above] = self._present(parts[: count - 1])
                folded = _folded(name)
                taken = names.setdefault(folded, name)
                if isinstance(taken, _OnDisk) and _decomposed(taken) == _decomposed(name):
                    names[folded] = taken = name  # some file systems give every name back with its accents apart
                if taken != name:
                    raise SameToTheFileSystem(
                        f"the name {shown('/'.join(parts))} cannot be a file's here: {shown(taken)} is in this folder, "
                        f"and the file system does not tell it from {shown(name)}"
                    )

    def _present(self, folder: Parts) -> Dict[str, str]:
        try:
            names = [entry.name for entry in self._path.joinpath(*folder).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return {_folded(name): _OnDisk(name) for name in names}


class _OnDisk(str):
    """A name that was there before."""

    __slots__ = ()


def _decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def _folded(name: str) -> str:
    return _decomposed(_decomposed(name).casefold())


def _folds(path: Path) -> bool:
    """Whether a file is found under another case, or another encoding of an accent, than it was made with."""
    start = f".headwater-{os.urandom(16).hex()}-"
    name = "a\u00e9.probe"
    others: tuple[str, ...] = ("A\u00c9.PROBE", "ae\u0301.probe")
    try:
        os.fsencode(name + others[1])
    except UnicodeEncodeError:
        name, others = "a.probe", ("A.PROBE",)  # an encoding without accents has one spelling of each name
    made = path / (start + name)
    made.touch(exist_ok=False)
    try:
        return any(os.path.lexists(path / (start + other)) for other in others)
    finally:
        made.unlink()
