"""Files that exist under their names only when they are complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.new_files import unfinished_file, write_synced


def test_a_file_takes_the_place_of_another_when_it_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("old")
    with unfinished_file(file) as unfinished:
        write_synced(unfinished, "néw\n")
        assert file.read_text() == "old"
        unfinished.replace(file)
    assert file.read_bytes() == "néw\n".encode()
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_not_complete_is_deleted(tmp_path: Path) -> None:
    def interrupted() -> None:
        with unfinished_file(tmp_path / "a") as unfinished:
            write_synced(unfinished, "half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_the_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, unfinished_file(tmp_path / "absent" / "a"):
        pass
    assert caught.value.filename == str(tmp_path / "absent" / "a")
