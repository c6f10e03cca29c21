"""The key file of a Google service account, in the forms in which people paste it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from headwater.domain.text import strip_pasted

_MAX_LAYERS = 4
"""How often a text is decoded: three times for a file with escaped quotes in a JSON string in base64."""

_base64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}").fullmatch
_FROM_URL_ALPHABET = str.maketrans("-_", "+/")
_pem = re.compile(r"\s*-----BEGIN ([A-Z ]+)-----(.*)-----END \1-----\s*", re.DOTALL).fullmatch
_pem_body = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}").fullmatch


def find_key_file(text: str) -> dict[str, Any] | None:
    """Return the members of the key file in a text; None if there is no JSON object in it.

    The file may have a byte order mark, be encoded in base64, be a JSON string, have its quotes escaped, or have line
    breaks in its strings.
    """
    for _ in range(_MAX_LAYERS):
        text = strip_pasted(text)
        if text.startswith("{\\"):
            text = f'"{text}"'
        found = _decoded_json(text)
        if isinstance(found, dict):
            return found
        inner = found if isinstance(found, str) else _decoded_base64(text)
        if inner is None:
            return None
        text = inner
    return None


def no_key_file(text: str) -> str:
    """Return the text of an error about a text that contains no key file. It repeats nothing of it."""
    wrong = what_is_wrong(text)
    got = f", and {wrong}" if wrong else ""
    return f"expected the key file of a service account, as JSON{got}. Send all that the downloaded file holds"


def what_is_wrong(text: str) -> str:
    """Return what a text that contains no key file is instead, as a clause; empty if nothing is known."""
    text = strip_pasted(text)
    if text.startswith("-----BEGIN"):
        return "this is only the private key in it"
    if text.startswith("{"):
        return "this begins like one and is cut short or altered"
    if re.fullmatch(r"[^\s{}\"]{1,200}\.(json|p12)", text):
        return "this is the name of a file and not its content"
    return ""


def unescaped_pem(text: str) -> str:
    """Return a private key in PEM with its line breaks, which may be escaped once more, blanks, or missing."""
    found = _pem(re.sub(r"\\+[rn]", "\n", text))
    if found is None:
        return text
    label, body = found[1], "".join(found[2].split())
    if not _pem_body(body):
        return text
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def _decoded_json(text: str) -> object:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _decoded_base64(text: str) -> str | None:
    joined = "".join(text.split()).translate(_FROM_URL_ALPHABET)
    if not _base64(joined):
        return None
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
