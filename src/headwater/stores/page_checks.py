"""What every answer to a list request goes through, whatever its form: no web page, no part of a page, read in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from headwater.domain.errors import StoreUnavailableError
from headwater.net.transport import Response
from headwater.stores.error_mapping import OperationContext, does_not_speak, is_html
from headwater.stores.listing_xml import NotAListingError

T = TypeVar("T")


async def read_list_answer(
    response: Response, asked: OperationContext, read: Callable[[bytes], T], *, cut_short: bool, big: bool
) -> T:
    """Read an answer with the status of a success.

    Args:
        response: the answer.
        asked: what was asked, for error texts.
        read: reads its body; raises NotAListingError where it is something else.
        cut_short: the body begins as a page and lacks its end, after all attempts.
        big: it is better read in a thread, so as not to hold up everybody's requests.

    Raises:
        LocationInvalidError: it is no listing: a web page, a listing of another kind.
        StoreUnavailableError: it is a part of one.
    """
    if is_html(response):
        raise does_not_speak(asked, "a web page")
    if cut_short:
        raise StoreUnavailableError(f"{asked.names.store} broke a list page off, several times. Try again")
    try:
        return await asyncio.to_thread(read, response.body) if big else read(response.body)
    except NotAListingError as error:
        raise does_not_speak(asked, str(error)) from None
