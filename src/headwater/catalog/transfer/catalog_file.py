"""The format of catalog files. docs/reference/catalog-file.md describes it for others.

A file is written and read line by line, so that its size does not matter. It is checked whole before it is used.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import msgspec

from headwater.domain.errors import MalformedRequestError

FORMAT = "headwater catalog"
VERSION = 1

MAX_LINE_BYTES = 64 * 2**20
"""The length of a line. No row is so long: the bodies of requests are limited to less."""

ROWS_PER_BATCH = 1000

_COMPRESSION = 3
"""A third of the time of the default, for a file that is a tenth larger."""

COLUMN_TYPES: Mapping[str, Any] = {"text": str, "integer": int, "boolean": bool, "bytes": bytes, "number": float}
"""The types of columns in a file, each with that of its values, which may be null. Bytes are in base64."""

Row = tuple[Any, ...]


class Header(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The first line of a file.

    Attributes:
        format: `FORMAT`.
        version: `VERSION`.
        tables: the version of the tables, which is the number of a migration.
        headwater: the version of the program that wrote the file.
        created_at: when, in ISO 8601.
        keys: the keys that decrypt the secrets, as `HEADWATER_SECRET_KEY` has them; None if the file lacks them.
    """

    format: str
    version: int
    tables: str
    headwater: str
    created_at: str
    keys: str | None = None

    def __repr__(self) -> str:
        return f"Header(tables={self.tables!r})"


class StoredTable(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The line before the rows of a table.

    Attributes:
        table: its name.
        columns: the type of each column by its name, in the order of the values in a row.
        last_id: the last id that was given, if the database numbers the rows: it must never be given again.
    """

    table: str
    columns: dict[str, str]
    last_id: int | None = None


class End(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The last line: the number of rows of each table, and the SHA-256 of all lines before, in hex."""

    rows: dict[str, int]
    sha256: str


class CatalogWriter:
    """Writes a catalog file. A context manager: leaving it without an error completes the file.

    Args:
        file: an empty file.
        header: the first line.
    """

    def __init__(self, file: IO[bytes], header: Header) -> None:
        self._gzip = gzip.GzipFile("", fileobj=file, mode="wb", compresslevel=_COMPRESSION, mtime=0)
        self._digest = hashlib.sha256()
        self.rows: dict[str, int] = {}
        self._write(msgspec.json.encode(header))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._write(msgspec.json.encode(End(rows=self.rows, sha256=self._digest.hexdigest())))
            self._gzip.close()

    def write_table(self, table: StoredTable, batches: Iterator[Sequence[Row]]) -> None:
        """Write a table with all its rows."""
        self._write(msgspec.json.encode(table))
        self.rows[table.table] = 0
        for batch in batches:
            self._write(b"\n".join(map(msgspec.json.encode, batch)))
            self.rows[table.table] += len(batch)

    def _write(self, lines: bytes) -> None:
        self._digest.update(lines + b"\n")
        self._gzip.write(lines + b"\n")


class TableInFile(NamedTuple):
    """A table of a file, and its rows, which must be read before the next table."""

    table: StoredTable
    batches: Iterator[Sequence[Row]]


class CatalogFile:
    """A catalog file that is complete and unaltered.

    Args:
        path: the file. It is read whole, to check it.

    Raises:
        MalformedRequestError: it cannot be read, or is no catalog file, or is damaged, or a newer version wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as lines:
            self.header = lines.header
            for _table, batches in lines.tables():
                for _batch in batches:
                    pass
            self.rows = dict(lines.rows)
            self._digest = lines.digest()

    @contextmanager
    def read(self) -> Iterator[Iterator[TableInFile]]:
        """Yield all tables. After the block, it is certain that they are those of the file that was checked.

        Raises:
            MalformedRequestError: the file was changed since it was checked.
        """
        with self._open() as lines:
            yield lines.tables()
            if lines.digest() != self._digest:
                raise MalformedRequestError(f"{self.path} was changed while it was read")

    @contextmanager
    def _open(self) -> Iterator[_Lines]:
        try:
            with gzip.open(self.path, "rb") as file:
                yield _Lines(self.path, file)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise MalformedRequestError(f"{self.path} is damaged, incomplete, or no catalog file ({error})") from None
        except OSError as error:
            if error.filename is not None and str(error.filename) != str(self.path):
                raise
            raise MalformedRequestError(f"{self.path} cannot be read: {error.strerror or error}") from None


class _Lines:
    """The lines of a file that is open."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file
        self._digest = hashlib.sha256()
        self._number = 0
        self.rows: dict[str, int] = {}
        self.header = self._check_header(self._next())

    def digest(self) -> str:
        """Return the SHA-256 of the lines that were read, except the last."""
        return self._digest.hexdigest()

    def tables(self) -> Iterator[TableInFile]:
        """Yield the tables, and check the end of the file."""
        line = self._next()
        while not line.startswith(b'{"rows"'):
            table = self._decode(line, StoredTable)
            if table.table in self.rows or not set(table.columns.values()) <= COLUMN_TYPES.keys():
                raise self._malformed("a table occurs twice, or has a column of an unknown type")
            self.rows[table.table] = 0
            last: list[bytes] = []
            yield TableInFile(table, self._batches(table, last))
            (line,) = last
        end = self._decode(line, End)
        if end.rows != self.rows or end.sha256 != self.digest() or self._file.readline(1):
            raise self._malformed("its end does not match: the file is incomplete, or was altered")

    def _batches(self, table: StoredTable, last: list[bytes]) -> Iterator[Sequence[Row]]:
        """Yield the rows of a table; then put the line after them into `last`."""
        types = tuple(COLUMN_TYPES[each] | None for each in table.columns.values())
        decoder: Any = msgspec.json.Decoder(tuple[types])  # type: ignore[valid-type]
        batch: list[Row] = []
        while (line := self._next()).startswith(b"["):
            try:
                batch.append(decoder.decode(line))
            except (msgspec.DecodeError, UnicodeError) as error:
                raise self._malformed(str(error)) from None
            if len(batch) == ROWS_PER_BATCH:
                self.rows[table.table] += len(batch)
                yield batch
                batch = []
        self.rows[table.table] += len(batch)
        if batch:
            yield batch
        last.append(line)

    def _next(self) -> bytes:
        line: bytes = self._file.readline(MAX_LINE_BYTES)
        self._number += 1
        if not line.endswith(b"\n"):
            raise self._malformed("the file is incomplete" if self._number > 1 else "this is no catalog file")
        if not line.startswith(b'{"rows"'):
            self._digest.update(line)
        return line

    def _check_header(self, line: bytes) -> Header:
        try:
            loose = msgspec.json.decode(line)
            if not isinstance(loose, dict) or loose.get("format") != FORMAT:
                raise ValueError
        except ValueError:
            raise self._malformed("this is no catalog file") from None
        if loose.get("version") != VERSION:
            raise MalformedRequestError(
                f"{self._path} has version {loose.get('version')} of the format, and this Headwater reads version "
                f"{VERSION}: use the Headwater that wrote it, or a newer one"
            )
        header: Header = self._decode(line, Header)
        return header

    def _decode(self, line: bytes, kind: type[Any]) -> Any:
        try:
            return msgspec.json.decode(line, type=kind)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise self._malformed(str(error)) from None

    def _malformed(self, what: str) -> MalformedRequestError:
        return MalformedRequestError(f"{self._path} cannot be used, line {self._number}: {what}")
