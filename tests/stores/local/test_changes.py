"""Files that are written in blocks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headwater.stores.local import changes
from headwater.stores.local.root import TRAVERSE, LocalRoot


def test_a_closed_file_accepts_no_data(tmp_path: Path) -> None:
    """Its descriptor number may have been reused for another file."""
    root = LocalRoot(tmp_path)
    top = root.walk((), TRAVERSE)
    try:
        new = changes.NewFile(root, top, (), ("a",))
        new.write(b"x")
        new.close()
        for late in (lambda: new.write(b"y"), new.commit):
            with pytest.raises(OSError, match="Bad file descriptor"):
                late()
        new.close()
    finally:
        os.close(top)
    assert list(tmp_path.iterdir()) == []


def test_long_files_are_synced_while_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncing a file of gigabytes at its end exceeded the time limit, so that such files could never be written."""
    synced: list[int] = []
    monkeypatch.setattr(changes, "SYNC_BYTES", 10)
    monkeypatch.setattr("headwater.stores.local.changes.os.fdatasync", synced.append)
    root = LocalRoot(tmp_path)
    top = root.walk((), TRAVERSE)
    try:
        new = changes.NewFile(root, top, (), ("a",))
        for _ in range(7):
            new.write(b"12345")
        new.commit()
        new.close()
    finally:
        os.close(top)
    assert len(synced) == 3
    assert (tmp_path / "a").read_bytes() == b"12345" * 7
