"""The forms of values of settings: what a value must look like, and the errors for those that do not."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from headwater.domain.s3_region import split_region

MIN_TOKEN_CHARACTERS = 16
"""The length of the shortest token that an operator may choose."""

MAX_QUOTED = 100
"""How many characters of a value an error text repeats."""


class Form(NamedTuple):
    """The form of the values of one setting, if its type does not say it.

    Attributes:
        least: the smallest number.
        most: the largest number.
        unit: what the number counts, for error texts.
        check_text: checks a value that is text; raises a ValueError that says what was expected.
    """

    least: int = 0
    most: int = 0
    unit: str = ""
    check_text: Callable[[str], None] | None = None

    def whole_number(self, text: str) -> int:
        """Return a value that is a whole number.

        Raises:
            ValueError: it is none, or too small or too large; the error says what was expected.
        """
        least, most, unit, _ = self
        if not re.fullmatch(r"-?[0-9]{1,15}", text) or not least <= int(text) <= most:
            of = f" of {unit}" if unit else ""
            raise ValueError(f"expected a whole number{of} from {least} to {most}, not {quoted(text)}")
        return int(text)


def check_networks(value: str) -> None:
    """Check a list of addresses and networks, separated by commas."""
    for entry in (part.strip() for part in value.split(",")):
        try:
            if entry:
                ip_network(entry)
        except ValueError:
            raise ValueError(
                f"{quoted(entry)} is neither an address nor a network such as 10.1.0.0/16 (all bits after the prefix "
                f"must be zero)"
            ) from None


def check_token(value: str) -> None:
    """Check a bearer token."""
    if not re.fullmatch(rf"[A-Za-z0-9._~+/=-]{{{MIN_TOKEN_CHARACTERS},}}", value):
        raise ValueError(
            f"expected {MIN_TOKEN_CHARACTERS} or more letters, digits and characters of -._~+/=, "
            f"such as the output of `openssl rand -hex 32`"
        )


def check_url(value: str) -> None:
    """Check an http or https URL."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        usable = usable and not parts.query and not parts.fragment and not parts.username
    except ValueError:
        usable = False
    if not usable:
        shown = "" if set(value) & set("@?#") else f", not {quoted(value)}"  # what may be a secret is not repeated
        raise ValueError(f"expected a URL such as https://data.example.com, without query or credentials{shown}")


def check_s3_url(value: str) -> None:
    """Check an http or https URL, which may end in `?region=NAME`."""
    url, _ = split_region(value)
    check_url(url)


def quoted(text: str) -> str:
    """Return a value as error texts repeat it."""
    return repr(text) if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]!r}..."
