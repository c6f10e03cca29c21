"""Cut a listing into shards of similar size, in few requests and without reading the bucket (contract, section 8)."""

from __future__ import annotations

from headwater.domain.objects import Key
from headwater.domain.shards import Order
from headwater.stores.base import Store


async def cut(store: Store, prefix: str, shards: int) -> tuple[list[Key], Order]:
    """Find bounds that cut what a store holds below a prefix into at most so many shards of similar size.

    Returns at most `shards - 1` bounds, strictly ascending in the store's order, and that order, which
    `domain.shards.past` wants to be told. Shard i holds the keys after bound i - 1 up to bound i itself (`after` of
    `Store.list_page` is the one, `past(key, until, order)` tells of the other); the first begins with the listing and
    the last ends with it. No shard is known to be empty; where nothing is to be cut there are no bounds.

    Args:
        store: where to look.
        prefix: what is listed; empty for raw samples, and what lies under `.lightly/` is then passed over.
        shards: how many are wanted, at least 1.

    Raises:
        StoreError: as `Store.list_page`.
    """
    return [], Order.CODE_POINTS
