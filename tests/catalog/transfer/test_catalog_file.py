"""A file that is damaged, incomplete or of another version is refused before anything is changed."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.catalog.engine import parse_database_url
from headwater.catalog.schema import HEAD, migrate
from headwater.catalog.transfer.catalog_file import CatalogFile
from headwater.catalog.transfer.importing import import_catalog
from headwater.domain.errors import HeadwaterError, MalformedRequestError, StartupError
from tests.catalog.transfer.random_catalogs import connected, content
from tests.catalog.transfer.test_round_trip import export, fill_new, load

Lines = list[Any]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    fill_new(f"sqlite:///{folder}/a.db", 7, at_least=1)
    return export(f"sqlite:///{folder}/a.db", folder / "file")


def test_every_incomplete_or_altered_file_is_refused(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    file = tmp_path / "damaged"
    cut = [data[:length] for length in range(0, len(data), 97)]
    header_bytes = 10  # of gzip, which hold nothing
    flipped = [
        data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(header_bytes, len(data), 61)
    ]
    appended = [data + b"\n", data + data]
    for damaged in (*cut, *flipped, *appended):
        if _content(damaged) == _content(data):
            continue  # a bit that fills up the last byte of the compressed data
        file.write_bytes(damaged)
        with pytest.raises(MalformedRequestError, match=str(file)):
            CatalogFile(file)
    assert len(cut) + len(flipped) > 50
    CatalogFile(whole)


def _content(data: bytes) -> bytes | None:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None


def _changed(whole: Path, file: Path, change: Callable[[Lines], object]) -> Path:
    """Write a file with other lines, and a checksum that fits them."""
    with gzip.open(whole) as source:
        lines = [json.loads(line) for line in source]
    change(lines)
    texts = [json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for line in lines]
    end = {**lines[-1], "sha256": hashlib.sha256(b"".join(texts[:-1])).hexdigest()}
    with gzip.open(file, "wb") as target:
        target.writelines([*texts[:-1], json.dumps(end, separators=(",", ":")).encode() + b"\n"])
    return file


def _first_row(lines: Lines) -> Lines:
    row: Lines = next(line for line in lines if isinstance(line, list))
    return row


def _table(lines: Lines, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(line for line in lines if isinstance(line, dict) and line.get("table") == name)
    return found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: lines[0].update(format="songs"), "no catalog file"),
        (lambda lines: lines[0].update(version=2), "has version 2 of the format"),
        (lambda lines: lines[0].pop("tables"), "tables"),
        (lambda lines: lines[0].update(more=1), "more"),
        (lambda lines: lines.pop(-2), "does not match"),
        (lambda lines: lines[-1]["rows"].update(users=10**6), "does not match"),
        (lambda lines: _first_row(lines).append(1), "line"),
        (lambda lines: _first_row(lines).__setitem__(0, {}), "line"),
        (lambda lines: _table(lines, "users")["columns"].update(name="colour"), "unknown type"),
        (lambda lines: lines.insert(2, dict(lines[1])), "occurs twice"),
    ],
)
def test_malformed_line_is_refused_with_its_number(
    whole: Path, tmp_path: Path, change: Callable[[Lines], object], says: str
) -> None:
    with pytest.raises(MalformedRequestError, match=says):
        CatalogFile(_changed(whole, tmp_path / "file", change))


def test_unchanged_lines_are_accepted(whole: Path, tmp_path: Path) -> None:
    CatalogFile(_changed(whole, tmp_path / "file", lambda _lines: None))


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("text", [b"", b"songs", b"{}\n", b"[1]\n"])
def test_another_file_is_refused(tmp_path: Path, text: bytes, compressed: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(gzip.compress(text) if compressed else text)
    with pytest.raises(MalformedRequestError, match=str(file)):
        CatalogFile(file)
    with pytest.raises(MalformedRequestError, match="cannot be read: No such file"):
        CatalogFile(tmp_path / "missing")
    with pytest.raises(MalformedRequestError, match="cannot be read: Is a directory"):
        CatalogFile(tmp_path)


def _without_table(lines: Lines) -> None:
    at = lines.index(_table(lines, "feed_claims"))
    del lines[-1]["rows"]["feed_claims"]
    del lines[at]
    while isinstance(lines[at], list):
        del lines[at]


def _strange_table(lines: Lines) -> None:
    lines[-1]["rows"]["songs"] = 0
    lines.insert(1, {"table": "songs", "columns": {"x": "integer"}})


def _strange_column(lines: Lines) -> None:
    columns = _table(lines, "feed_changes")["columns"]
    columns["x"] = columns.pop("at")


def _lost_parent(lines: Lines) -> None:
    at = lines.index(_table(lines, "users"))
    lines[-1]["rows"]["users"] = 0
    while isinstance(lines[at + 1], list):
        del lines[at + 1]


def _nul(lines: Lines) -> None:
    lines[lines.index(_table(lines, "users")) + 1][0] = None


@pytest.mark.parametrize(
    "change",
    [
        _without_table,
        _strange_table,
        _strange_column,
        _lost_parent,
        _nul,
        lambda lines: lines[0].update(tables="9999"),
        lambda lines: lines[0].update(tables="0002"),
    ],
)
def test_file_that_cannot_be_loaded_changes_nothing(
    url: str, whole: Path, tmp_path: Path, change: Callable[[Lines], None]
) -> None:
    load(whole, url)
    before = content(url)
    file = CatalogFile(_changed(whole, tmp_path / "file", change))
    with pytest.raises(Exception, match=r"cannot be used|newer|constraint|NULL|null") as caught:
        import_catalog(parse_database_url(url), file, replace=True, check=lambda _connection: None)
    assert isinstance(caught.value, HeadwaterError) or "IntegrityError" in type(caught.value).__name__
    assert content(url) == before


def test_file_that_changes_while_it_is_loaded_is_noticed(url: str, whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(whole.read_bytes())
    file = CatalogFile(copy)
    _changed(whole, copy, lambda lines: lines[0].update(headwater="x"))
    with pytest.raises(MalformedRequestError, match="was changed while it was read"):
        import_catalog(parse_database_url(url), file, replace=False, check=lambda _connection: None)
    if url.startswith("sqlite"):
        assert list(Path(url.removeprefix("sqlite:///")).parent.iterdir()) == []


def test_only_an_empty_catalog_is_replaced(url: str, whole: Path) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
        Path(url.removeprefix("sqlite:///")).touch(0o600)
    with connected(url) as connection:
        migrate(connection, HEAD)
    load(whole, url)
    before = content(url)
    with pytest.raises(MalformedRequestError, match="there is a catalog with data"):
        load(whole, url)
    load(whole, url, replace=True)
    assert content(url) == before


@pytest.mark.slow
def test_tables_of_another_program_stay(postgres_url: str, whole: Path) -> None:
    with connected(postgres_url) as connection:
        connection.exec_driver_sql("CREATE TABLE songs (x INTEGER)")
    with pytest.raises(StartupError, match="tables of another program"):
        load(whole, postgres_url, replace=True)
    with connected(postgres_url) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM songs").scalar() == 0
