"""The shapes of names: what tells similar folders and files from others.

`class_0120/img_001` and `class_0733/img_204` have the same shape. All texts are sort texts (`key_order.sort_text`).
"""

from __future__ import annotations

import re
from string import ascii_lowercase, ascii_uppercase, digits

SLASH, HASH, MIXED = "\0", "\1", "\2"
"""In shapes: a `/`, a digit of a hash, a character of a name made of digits and letters of both cases."""

ALPHABETS = {
    HASH: digits + "abcdef",
    MIXED: digits + ascii_uppercase + ascii_lowercase,
}

MAX_CHILDREN = 64
"""The most children of a node that are counted. Alphabets have fewer characters, scripts have more."""

_CHARACTER_RANGES = (
    *(("0", "9"), ("A", "Z"), ("a", "z"), ("\x80", "\u07ff"), ("\u0800", "\u33ff"), ("\u3400", "\u9fff")),
    *(("\ua000", "\ud7ff"), ("\ue000", "\ufffd"), ("\U00010000", "\U0001efff"), ("\U0001f000", "\U0001fffd")),
    ("\U00020000", "\U0010fffd"),
)
"""The first and last of characters that are used alike in names: digits, letters, scripts."""

_SCRIPT_SAMPLES = 16
"""Characters of a script that are tried, out of all between two."""

_HEX_NAME = re.compile(r"[0-9a-f]{6,}")
_MIXED_NAME = re.compile(r"[0-9A-Za-z]{8,}")
_SHAPES = str.maketrans(
    {"/": SLASH}
    | dict.fromkeys("123456789", "0")
    | dict.fromkeys(ascii_uppercase, "A")
    | dict.fromkeys(ascii_lowercase, "a")
)


def common_prefix_length(one: str, other: str) -> int:
    """Return the number of characters that two texts have in common at their beginning."""
    for index, (char, other_char) in enumerate(zip(one, other, strict=False)):
        if char != other_char:
            return index
    return min(len(one), len(other))


def shape_of(text: str) -> str:
    """Return the shape of a text: a text of the same length, with one character for each kind of character."""
    if not text.isascii():
        text = "".join(char if char < "\x80" else "u" for char in text)
    text = _HEX_NAME.sub(_shape_of_hash, text)
    text = _MIXED_NAME.sub(_shape_of_mixed, text)
    return text.translate(_SHAPES)


# The content of such names is examined once for each name. A regular expression with a lookahead would examine it again
# at each character, and a long name without digits would then block the server.
def _shape_of_hash(found: re.Match[str]) -> str:
    name = found[0]
    return name if name.isalpha() or name.isdigit() else HASH * len(name)


def _shape_of_mixed(found: re.Match[str]) -> str:
    name = found[0]
    if name.isalpha() or name.islower() or name.isupper() or name.isdigit():
        return name
    return MIXED * len(name)


def node_kind(shape: str, depth: int) -> str:
    """Return what similar nodes of the tree of keys have in common: the depth of the folder, and the shape of the name.

    Args:
        shape: the shape of a key.
        depth: the node is the first `depth` characters of the key.
    """
    return f"{shape.count(SLASH, 0, depth)}:{shape[shape.rfind(SLASH, 0, depth) + 1 : depth]}"


def following_characters(char: str, before: str | None, kind: str, known: set[str]) -> tuple[list[str], int]:
    """Return characters after `char` that names may have in the same position, in ascending order.

    Args:
        char: the character.
        before: in scripts, only characters before this one; None for no limit.
        kind: the character of the shape at this position.
        known: characters that were seen at this position in similar names.

    Returns:
        The characters, and how many characters each of them stands for.
    """
    found = {other for other in known if other > char} if len(known) < MAX_CHILDREN else set()
    step = 1
    if kind in ALPHABETS:
        found.update(other for other in ALPHABETS[kind] if other > char)
        return sorted(found), step
    for first, last in _CHARACTER_RANGES:
        if first <= char <= last:
            if char > "\x7f" and before is not None and before <= last:
                last = chr(ord(before) - 1)
            between = ord(last) - ord(char)
            if char > "\x7f" and between > 2 * _SCRIPT_SAMPLES:
                step = between // _SCRIPT_SAMPLES
                found = set()
            found.update(map(chr, range(ord(char) + step, ord(last) + 1, step)))
    return sorted(found), step
