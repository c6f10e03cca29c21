"""Ways to change a text that a server has signed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote, unquote

from hypothesis import strategies as st

URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ODD = ["", "\0", "\n", "%", "%00", "%2e%2e%2f", "../", "/", "=", "&", "?", "#", "+", " ", "é", "\ud7ff", "=="]


@st.composite
def mutated(draw: st.DrawFn, text: str, other: str = "") -> str:
    """Return a text that differs from `text`.

    Args:
        draw: draws values.
        text: what was signed.
        other: a text of the same kind, from which parts are taken.
    """
    change: Callable[[st.DrawFn, str, str], str] = draw(st.sampled_from(_CHANGES))
    found = change(draw, text, other)
    return found if found != text else text + draw(st.sampled_from("aA0-_"))


def _replace(draw: st.DrawFn, text: str, _: str) -> str:
    at = draw(st.integers(0, len(text) - 1))
    return text[:at] + draw(st.sampled_from(URL_SAFE)) + text[at + 1 :]


def _insert(draw: st.DrawFn, text: str, _: str) -> str:
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.one_of(st.sampled_from(ODD), st.text(max_size=5))) + text[at:]


def _cut(draw: st.DrawFn, text: str, _: str) -> str:
    start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    return text[:start] + text[end:]


def _swap(draw: st.DrawFn, text: str, _: str) -> str:
    start, end = sorted((draw(st.integers(0, len(text) - 1)), draw(st.integers(0, len(text) - 1))))
    letters = list(text)
    letters[start], letters[end] = letters[end], letters[start]
    return "".join(letters)


def _splice(draw: st.DrawFn, text: str, other: str) -> str:
    at = draw(st.integers(0, len(text)))
    return text[:at] + other[at:]


def _flip_bits(draw: st.DrawFn, text: str, _: str) -> str:
    """Change bits of what base64 encodes; of a text that is not base64, those of its bytes."""
    try:
        raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raw = bytearray()
    if not raw:
        return text.swapcase()
    for _number in range(draw(st.integers(1, 3))):
        raw[draw(st.integers(0, len(raw) - 1))] ^= 1 << draw(st.integers(0, 7))
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _spell_differently(draw: st.DrawFn, text: str, _: str) -> str:
    return draw(
        st.sampled_from(
            [
                *(text.lower(), text.upper(), text.swapcase(), quote(text), unquote(text), text[::-1], text * 2),
                *(text + "=", text.replace("-", "+").replace("_", "/")),
            ]
        )
    )


def _anything(draw: st.DrawFn, _text: str, _: str) -> str:
    return draw(st.one_of(st.text(max_size=200), st.text(URL_SAFE, max_size=400)))


_CHANGES = [_replace, _insert, _cut, _swap, _splice, _flip_bits, _spell_differently, _anything]
