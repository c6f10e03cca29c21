"""Key files of Google in the forms in which people paste them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from headwater.domain.key_file import find_key_file, unescaped_pem, what_is_wrong
from tests.stores.gcs.server import key_file, pem, private_key

FILE = key_file()
TEXT = json.dumps(FILE, indent=2)

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "with a byte order mark": lambda text: f"\ufeff{text}\r\n",
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 for URLs, without padding": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "JSON string": lambda text: json.dumps(text),
    "JSON string twice": lambda text: json.dumps(json.dumps(text)),
    "JSON string in base64": lambda text: base64.b64encode(json.dumps(text).encode()).decode(),
    "with escaped quotes": lambda text: json.dumps(text)[1:-1],
    "with expanded line breaks": lambda text: text.replace("\\n", "\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_file_is_found_in_every_form(form: str) -> None:
    """All but the first form were called incomplete, with the advice to copy all of it."""
    found = find_key_file(FORMS[form](TEXT))
    assert found is not None
    assert unescaped_pem(found["private_key"]) == FILE["private_key"]
    assert found == FILE


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\\n"),
        lambda text: text.replace("\n", "\\\\n"),
        lambda text: text.replace("\n", "\\r\\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", " "),
        lambda text: text.replace("\n", ""),
        lambda text: f" {text.strip()} ",
    ],
)
def test_line_breaks_of_a_private_key_are_restored(change: Callable[[str], str]) -> None:
    """A key whose line breaks were escaped twice, by a secret store, could not be read."""
    restored = unescaped_pem(change(FILE["private_key"]))
    loaded = load_pem_private_key(restored.encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.private_numbers() == private_key().private_numbers()


@pytest.mark.parametrize("text", ["", "hello", pem(private_key())[:300], pem(private_key()) * 2, "-----BEGIN X-----"])
def test_other_text_is_no_private_key(text: str) -> None:
    assert unescaped_pem(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (pem(private_key()), "this is only the private key in it"),
        ("{", "this begins like one and is cut short or altered"),
        (TEXT[:-100], "this begins like one and is cut short or altered"),
        ("secrets/key-1.json", "this is the name of a file and not its content"),
        ("hello", ""),
    ],
)
def test_other_text_is_no_key_file(text: str, expected: str) -> None:
    assert find_key_file(text) is None
    assert what_is_wrong(text) == expected


@pytest.mark.parametrize("text", ["", "5", "null", "[]", '"' * 30_000, "[" * 30_000, "A" * 32_000, "{\\" * 10_000])
def test_long_or_odd_text_is_checked(text: str) -> None:
    assert find_key_file(text) is None
    assert unescaped_pem(text) == text
