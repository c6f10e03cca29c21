"""MongoObjectIDs: 24 lower-case hex digits, of which four bytes are the time and eight are random."""

from __future__ import annotations

import re
import secrets
import time

from headwater.domain.errors import MalformedRequestError

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


def new_id() -> str:
    """Return a new id. Ids are ordered by the second in which they were made."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{secrets.token_hex(8)}"


def is_id(text: str) -> bool:
    """Return whether `text` has the form of an id."""
    return _OBJECT_ID.fullmatch(text) is not None


def check_id(name: str, text: str) -> str:
    """Return `text` if it has the form of an id.

    Raises:
        MalformedRequestError: it does not; the text names the field `name`.
    """
    if not is_id(text):
        raise MalformedRequestError(f"{name}: expected an id of 24 lower-case hex digits")
    return text
