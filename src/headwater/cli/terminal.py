"""What the encoding of a terminal cannot show is escaped, so that no output ends in an error."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

_HANDLER = "headwater.escape"


def escape_what_cannot_be_shown(*streams: TextIO | None) -> None:
    """Let streams write characters that their encoding lacks as `\\uXXXX`, also lone surrogates in UTF-8.

    In JSON these escapes stand for the same characters, so the output of `--json` is complete in every encoding.
    """
    codecs.register_error(_HANDLER, _escape)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end
