"""Which keys a listing covers, and where it continues."""

from __future__ import annotations

from typing import NamedTuple

from headwater.domain.key_order import Order, sort_text
from headwater.domain.objects import Key


class Resume(NamedTuple):
    """Where a listing continues. `Resume()` is its beginning.

    Attributes:
        after: the listing continues strictly after this key; None if no key was listed yet.
        marker: the provider's continuation token of the page that ended at `after`; None if the provider needs none.
        prefix_done: whether every key that begins with `after` was listed. Set by listings of a selection, where
            `after` is then one of its prefixes.
    """

    after: Key | None = None
    marker: str | None = None
    prefix_done: bool = False


class KeyRange(NamedTuple):
    """The keys that begin with `prefix`, up to `last_key`.

    Attributes:
        prefix: it need not end in `/`.
        last_key: a split point; a key equal to it belongs to the range. None if the range has no end.
        order: the order of the store, which decides which keys come after `last_key`.
    """

    prefix: str = ""
    last_key: Key | None = None
    order: str = Order.CODE_POINTS

    def is_past_end(self, key: Key) -> bool:
        """Return whether the store lists `key` after the end of the range."""
        if self.last_key is None:
            return False
        return sort_text(key, self.order) > sort_text(self.last_key, self.order)
