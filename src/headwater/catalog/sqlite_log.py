"""Whether a write-ahead log of SQLite belongs to the file beside it.

When SQLite opens a file, it adds what is in the log to it, whatever file that is: a copy that was put in place of a
catalog after a crash would be damaged, or silently become a mixture. So each transaction increments a number in the
header of the database (`PRAGMA user_version`, in page 1). Before a log begins anew, SQLite has brought all of it into
the file. So the file has at least the number from before the first transaction in the log, and a copy from before that
has a lower one. A copy that is not older becomes what the catalog was before the crash.

https://sqlite.org/fileformat2.html
"""

from __future__ import annotations

import struct
from pathlib import Path

from sqlalchemy import Connection

from headwater.domain.errors import StartupError

_NUMBERS = 2**31
"""The numbers begin with 0 again after the largest one."""

_NUMBER = struct.Struct(">i")
_NUMBER_AT = 60
_LOG_HEADER = struct.Struct(">IIIIII")  # magic number, version, size of a page, checkpoint, two salts
_LOG_HEADER_BYTES = 32
_FRAME_HEADER = struct.Struct(">IIII")  # page, pages in the database, two salts
_FRAME_HEADER_BYTES = 24


def count_write(connection: Connection) -> None:
    """Increment the number of the database, in the transaction that is open."""
    number = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA user_version = {(number + 1) % _NUMBERS}")


def check_log(file: Path, log: Path) -> None:
    """Check that a log, if there is one, belongs to the file. Reads both without SQLite, which would change the file.

    Other processes may use both. The log is read first, because the number in the file only grows.

    Raises:
        StartupError: it does not.
    """
    first = _first_number(log)
    if first is None:
        return
    with file.open("rb") as opened:
        opened.seek(_NUMBER_AT)
        (number,) = _NUMBER.unpack(opened.read(_NUMBER.size).rjust(_NUMBER.size, b"\0"))
    if (number - (first - 1)) % _NUMBERS >= _NUMBERS // 2:
        raise StartupError(
            f"catalog {file} is older than the changes in {log.name} beside it, which would damage it: a copy was put "
            f"in its place after a crash. To use the copy, move {log.name} and {file.name}-shm away; to use the "
            f"catalog as it was before the crash, put its own file back"
        )


def _first_number(log: Path) -> int | None:
    """Return the number of the first transaction in a log; None if there is no transaction with a number."""
    try:
        opened = log.open("rb")
    except FileNotFoundError:
        return None
    with opened:
        header = opened.read(_LOG_HEADER_BYTES)
        if len(header) < _LOG_HEADER_BYTES:
            return None
        _, _, page_bytes, _, *salts = _LOG_HEADER.unpack_from(header)
        while len(frame := opened.read(_FRAME_HEADER_BYTES + page_bytes)) == _FRAME_HEADER_BYTES + page_bytes:
            page, _, *salts_of_frame = _FRAME_HEADER.unpack_from(frame)
            if salts_of_frame != salts:
                return None  # what follows is of an earlier log
            if page == 1:
                (number,) = _NUMBER.unpack_from(frame, _FRAME_HEADER_BYTES + _NUMBER_AT)
                return int(number)
    return None
