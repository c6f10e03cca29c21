"""The region that requests to an S3-compatible store are signed for, as an endpoint can name it.

https://store.example.com:9000?region=RegionOne
"""

from __future__ import annotations

import re

_is_region = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?").fullmatch


def is_region(text: str) -> bool:
    """Return whether a text can be a region. It becomes part of headers and URLs."""
    return _is_region(text) is not None


def split_region(endpoint: str) -> tuple[str, str | None]:
    """Split an endpoint into its URL and its region; None if it names none.

    Raises:
        ValueError: the query is something else than a region. The text says what was expected.
    """
    url, mark, query = endpoint.partition("?")
    if not mark:
        return endpoint, None
    name, _, region = query.partition("=")
    if name != "region" or not is_region(region):
        raise ValueError(
            "expected a URL without a query, or with the region to sign for: https://storage.example.com?region=NAME, "
            "whose name has letters, digits, '-' and '_'"
        )
    return url, region
