"""Detect names that differ but that the file system treats as equal, because of case or the encoding of accents."""

from __future__ import annotations

import os
import threading
import unicodedata
from pathlib import Path
from typing import Dict, Optional

from headwater_client.file_names import PathParts, printable
from swagger_client.exceptions import OpenApiException


class CaseCollisionError(OpenApiException):
    """Two different names are equal to the file system, so one file would overwrite the other."""


class CaseCollisionGuard:
    """Record the names that are in use, on file systems that treat different names as equal. Thread-safe.

    Args:
        path: the folder.
        folds_names: whether its file system does this. Default: detected with a test file.
    """

    def __init__(self, path: Path, folds_names: Optional[bool] = None) -> None:
        self._path = path
        self._folds_names = _folds_names(path) if folds_names is None else folds_names
        self._names: Dict[PathParts, Dict[str, str]] = {}
        self._lock = threading.Lock()

    def claim(self, parts: PathParts) -> None:
        """Reserve a path and the folders on it.

        Raises:
            CaseCollisionError: this run or an earlier one has used another name for one of them.
        """
        if not self._folds_names:
            return
        with self._lock:
            for count, name in enumerate(parts, 1):
                folder = tuple(map(_folded, parts[: count - 1]))
                names = self._names.get(folder)
                if names is None:
                    names = self._names[folder] = self._names_on_disk(parts[: count - 1])
                folded = _folded(name)
                used = names.setdefault(folded, name)
                if isinstance(used, _NameOnDisk) and _decomposed(used) == _decomposed(name):
                    names[folded] = used = name  # some file systems return every name with decomposed accents
                if used != name:
                    raise CaseCollisionError(
                        f"the name {printable('/'.join(parts))} cannot be used for a file here: the folder has "
                        f"{printable(used)}, and the file system treats {printable(name)} as the same name"
                    )

    def _names_on_disk(self, folder: PathParts) -> Dict[str, str]:
        try:
            names = [entry.name for entry in self._path.joinpath(*folder).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return {_folded(name): _NameOnDisk(name) for name in names}


class _NameOnDisk(str):
    """A name that existed before this run."""

    __slots__ = ()


def _decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def _folded(name: str) -> str:
    return _decomposed(_decomposed(name).casefold())


def _folds_names(path: Path) -> bool:
    """Return whether a file can be found with another case, or another encoding of an accent, than its own."""
    start = f".headwater-{os.urandom(16).hex()}-"
    name = "a\u00e9.probe"
    variants: tuple[str, ...] = ("A\u00c9.PROBE", "ae\u0301.probe")
    try:
        os.fsencode(name + variants[1])
    except UnicodeEncodeError:
        name, variants = "a.probe", ("A.PROBE",)  # the file system encoding has no accents
    probe = path / (start + name)
    probe.touch(exist_ok=False)
    try:
        return any(os.path.lexists(path / (start + variant)) for variant in variants)
    finally:
        probe.unlink()
