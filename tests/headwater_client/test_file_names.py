"""The path for a sample: exactly its name, strictly inside the folder, or an error."""

from __future__ import annotations

import ntpath
import os
import posixpath
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater_client.case_collisions import CaseCollisionError, CaseCollisionGuard
from headwater_client.file_names import UnusableNameError, path_parts, printable, temporary_name
from swagger_client.exceptions import ApiValueError

HOSTILE = [
    "",
    "/",
    ".",
    "..",
    "../a",
    "a/../../b",
    "a/..",
    "a/.",
    "./a",
    "/etc/passwd",
    "//server/share/a",
    "a//b",
    "a/",
    "a\0b",
    "\0",
    "a/\ud800.png",
    "x" * 256,
    "ä" * 256,
    "a/" + "x" * 256 + "/b",
    ".headwater-" + "0" * 32 + ".part",
    "a/.HEADWATER-" + "A" * 32 + ".PART",
    ".headwater-" + "0" * 32 + ".part/a",
]
ON_WINDOWS = [
    "C:/a",
    "C:a",
    "C:\\a",
    "\\a",
    "..\\a",
    "a\\..\\..\\b",
    "\\\\server\\share\\a",
    "a:stream",
    "a.png::$DATA",
    "NUL",
    "nul.png",
    "a/con",
    "COM1.tar.gz",
    "lpt¹",
    "CONIN$",
    "aux .png",
    "PRN.",
    "a.",
    "a ",
    "a. /b",
    "... ",
    "a?",
    "a*",
    "a|b",
    "<a>",
    'a"',
    "a\nb",
    "a\x1fb",
]
FINE = [
    "a",
    "a/b.png",
    "..a",
    "a..",
    "...",
    "-rf",
    "~",
    "$HOME",
    "%2e%2e/a",
    "a b",
    "ü/日本.png",
    "e\u0301",
    "\u00e9",
    "x" * 255,
]

hostile_text = st.one_of(
    st.text(),
    st.sampled_from(HOSTILE + ON_WINDOWS + FINE),
    st.lists(
        st.sampled_from(
            ["..", ".", "", "a", "A", "b", "C:", "\\", "..\\", "\0", "nul", "é", "e\u0301", "x" * 255, " ", "."]
        ),
        max_size=6,
    ).map("/".join),
)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("windows", [False, True])
def test_names_that_no_file_can_have_are_refused(name: str, windows: bool) -> None:
    with pytest.raises(UnusableNameError) as caught:
        path_parts(name, windows)
    text = str(caught.value)
    assert text.isascii()
    assert text.isprintable()
    assert isinstance(caught.value, ApiValueError)


@pytest.mark.parametrize("name", ON_WINDOWS)
def test_names_with_a_special_meaning_on_windows_are_refused(name: str) -> None:
    with pytest.raises(UnusableNameError):
        path_parts(name, windows=True)
    if name.strip(". ") or name == "... ":
        assert "/".join(path_parts(name, windows=False)) == name


@pytest.mark.parametrize("name", FINE)
def test_unusual_names_are_accepted(name: str) -> None:
    assert "/".join(path_parts(name, windows=False)) == name


@given(hostile_text)
@example("a/b")
def test_every_path_is_inside_the_folder(name: str) -> None:
    """Checked with the path functions of the system."""
    for windows, rules, folder in ((False, posixpath, "/folder"), (True, ntpath, "C:\\folder")):
        try:
            parts = path_parts(name, windows)
        except UnusableNameError:
            continue
        path = rules.normpath(rules.join(folder, *parts))
        assert path.startswith(folder + rules.sep)
        assert path[len(folder) + 1 :].split(rules.sep) == list(parts), "nothing was dropped or resolved"
        assert rules.splitdrive(path)[0] == rules.splitdrive(folder)[0]


@given(hostile_text, hostile_text)
def test_different_names_have_different_paths(first: str, second: str) -> None:
    for windows in (False, True):
        try:
            paths = path_parts(first, windows), path_parts(second, windows)
        except UnusableNameError:
            continue
        assert (paths[0] == paths[1]) == (first == second)


@given(st.text(), st.text(), st.integers(min_value=0))
def test_temporary_names_are_refused_for_samples(name: str, etag: str, size: int) -> None:
    made = temporary_name(name, etag, size)
    assert len(made) < 64
    with pytest.raises(UnusableNameError, match="temporary files"):
        path_parts(made)


def test_each_name_and_version_has_its_own_temporary_name() -> None:
    versions = [("a", "", 0), ("a", '"1"', 5), ("a", '"1"', 6), ("a", '"2"', 5), ("b", '"1"', 5)]
    assert len({temporary_name(*version) for version in versions}) == len(versions)


@given(st.text())
def test_names_in_errors_have_no_control_characters(name: str) -> None:
    assert printable(name).isascii()
    assert printable(name).isprintable()
    assert len(printable(name)) < 210


class TestTwins:
    """Names that the file system treats as equal. Linux file systems have none, so the tests set `folds_names`."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("a.png", "A.png"),
            ("caf\u00e9.png", "cafe\u0301.png"),
            ("CAF\u00c9", "cafe\u0301"),
            ("a/b", "A/b"),
            ("a/b", "A/c"),
            ("a/B", "a/b"),
        ],
    )
    def test_a_colliding_name_is_refused(self, tmp_path: Path, first: str, second: str) -> None:
        guard = CaseCollisionGuard(tmp_path, folds_names=True)
        guard.claim(tuple(first.split("/")))
        guard.claim(tuple(first.split("/")))
        with pytest.raises(CaseCollisionError) as caught:
            guard.claim(tuple(second.split("/")))
        assert str(caught.value).isascii()
        guard.claim(("other",))

    def test_a_colliding_name_is_refused_by_a_later_run(self, tmp_path: Path) -> None:
        (tmp_path / "A").mkdir()
        (tmp_path / "A" / "b.png").touch()
        for parts in (("a", "b.png"), ("a", "c.png"), ("A", "B.png")):
            with pytest.raises(CaseCollisionError):
                CaseCollisionGuard(tmp_path, folds_names=True).claim(parts)
        CaseCollisionGuard(tmp_path, folds_names=True).claim(("A", "b.png"))
        CaseCollisionGuard(tmp_path, folds_names=True).claim(("A", "c.png"))

    def test_a_file_system_can_decompose_accents(self, tmp_path: Path) -> None:
        """As the older file system of macOS does: it returns a name in another form than it was given."""
        (tmp_path / unicodedata.normalize("NFD", "é")).touch()
        guard = CaseCollisionGuard(tmp_path, folds_names=True)
        guard.claim(("é",))
        with pytest.raises(CaseCollisionError):
            guard.claim((unicodedata.normalize("NFD", "é"),))

    def test_folding_of_the_file_system_is_detected(self, tmp_path: Path) -> None:
        (tmp_path / "x").touch()
        same = os.path.lexists(tmp_path / "X")
        guard = CaseCollisionGuard(tmp_path)
        guard.claim(("a",))
        if same:
            with pytest.raises(CaseCollisionError):
                guard.claim(("A",))
        else:
            guard.claim(("A",))
        assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
