"""How tables, sizes and fields are shown, at a terminal of any width and in a pipe."""

from __future__ import annotations

import sys

import pytest
from rich.cells import cell_len

from headwater.cli import format as shown
from headwater.cli.format import Column, format_bytes, format_count, print_fields, print_table, time_cell

COLUMNS = (
    Column("NAME", cut=True),
    Column("LOCATION", cut=True),
    Column("FILES", right=True),
    Column("ID", optional=True),
)
LONG = (
    "a name that is longer than any table is wide",
    "S3 bucket/" + "folder/" * 20,
    "1,234",
    "6b0d7dd25fbf25a91287cc8c",
)
SHORT = ("short", "LOCAL a", "7", "6b0d81d0f611b0a8a88e10ed")
WIDE = ("日本語の名前の長いデータセット", "GCS バケット/フォルダ/写真/二〇二六年", "", None)
HOSTILE = ("a\x1b[2Jb\nc", "AZURE \u202e/x", "0", "")


def _terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("rows", [[SHORT], [LONG], [WIDE, HOSTILE], [SHORT, LONG, WIDE, HOSTILE]])
def test_a_table_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
    rows: list[tuple[str, ...]],
) -> None:
    """Rows were folded into several lines, in the middle of names and ids."""
    _terminal(monkeypatch, columns)
    print_table(COLUMNS, rows, "nothing")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(rows) + 1
    assert all(cell_len(line) <= columns for line in lines)
    assert all(line.isprintable() for line in lines)
    # The last column that is left of them ends at the same cell in each row: wide characters count as two.
    assert lines[0].split() == ["NAME", "LOCATION", "FILES", "ID"][: len(lines[0].split())]


def test_wide_characters_keep_columns_in_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _terminal(monkeypatch, 80)
    print_table((Column("NAME", cut=True), Column("SIZE", right=True)), [("日本", "1 B"), ("ab", "10 KiB")], "")
    assert capsys.readouterr().out == "NAME    SIZE\n日本     1 B\nab    10 KiB\n"


def test_what_was_cut_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that was cut cannot be copied into the next command."""
    _terminal(monkeypatch, 60)
    print_table(COLUMNS, [LONG], "")
    captured = capsys.readouterr()
    assert "…" in captured.out
    assert "--json shows all of it" in captured.err
    print_table(COLUMNS, [SHORT], "")
    assert capsys.readouterr().err == ""


def test_a_pipe_gets_everything(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Even if the variable COLUMNS is set: programs search the lines."""
    monkeypatch.setenv("COLUMNS", "20")
    print_table(COLUMNS, [LONG, WIDE], "nothing")
    captured = capsys.readouterr()
    assert all(str(cell) in captured.out for cell in (*LONG, *WIDE[:2]))
    assert captured.err == ""
    print_table(COLUMNS, [], "nothing")
    assert capsys.readouterr() == ("", "nothing\n")


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (10_189, "10 KiB"),
        (10_239, "10 KiB"),
        (1_048_575, "1.0 MiB"),
        (1_047_552, "1,023 KiB"),
        (5 * 2**30 // 2, "2.5 GiB"),
        (2**63, "8.0 EiB"),
        (2**80, "1,048,576 EiB"),
    ],
)
def test_sizes_are_short(count: int, expected: str) -> None:
    assert format_bytes(count) == expected


def test_times_are_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert time_cell(0) == "1970-01-01 00:00:00 UTC"
    _terminal(monkeypatch, 80)
    assert time_cell(0) == "1970-01-01 00:00"
    _terminal(monkeypatch, 79)
    assert (time_cell(0), time_cell(0, dates_below=60)) == ("1970-01-01", "1970-01-01 00:00")


def test_counts_have_a_plural() -> None:
    assert [format_count(count, "file") for count in (0, 1, 1200)] == ["0 files", "1 file", "1,200 files"]


def test_fields_are_aligned_and_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields([("name", "a\x1b[2J"), ("a long label", 5), ("absent", None), ("empty", "")])
    assert capsys.readouterr().out == "name          a\\x1b[2J\na long label  5\nempty\n"


def test_a_width_is_known_only_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown.terminal_width() is None
    _terminal(monkeypatch, 61)
    assert shown.terminal_width() == 61
