"""The checks that every list page goes through, whatever its format.

A server that a user names may send anything, and some compatible servers list in their own way. A page that lists the
wrong objects must be an error: otherwise a listing would be endless or silently incomplete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from headwater.domain.errors import LocationInvalidError, StoreUnavailableError, TooManyRequestsError
from headwater.net.compute import compute
from headwater.net.transport import Response
from headwater.stores.error_mapping import ConfigLabels, OperationContext, is_html, wrong_protocol_error

BIG_PAGE_BYTES = 2**20
"""List pages of this size are parsed in a thread, so that they do not hold up other requests."""

MAX_KEY_BYTES = 1024
"""Bytes of UTF-8 in a key, for S3 ("Naming Amazon S3 objects") and Cloud Storage ("About Cloud Storage objects")."""

MAX_OBJECT_BYTES = 2**63 - 1

T = TypeVar("T")


class NotAListingError(Exception):
    """The body is not what the provider sends as a list page; the text says in what way."""


async def parse_page(
    response: Response, context: OperationContext, parse: Callable[[bytes], T], *, is_cut_short: bool, is_big: bool
) -> T:
    """Parse the body of a successful list response.

    Args:
        response: the response.
        context: the operation, for error texts.
        parse: parses the body; raises NotAListingError if it is not a list page.
        is_cut_short: the body begins as a page and lacks its end, after all attempts.
        is_big: parse in a thread, so that other requests are not held up.

    Raises:
        LocationInvalidError: the body is not a listing but a web page or a listing of another kind.
        StoreUnavailableError: the page is incomplete.
    """
    if is_html(response):
        raise wrong_protocol_error(context, "a web page")
    if is_cut_short:
        raise StoreUnavailableError(f"{context.labels.store} sent an incomplete list page several times. Try again")
    try:
        return await compute(parse, response.body) if is_big else parse(response.body)
    except TooManyRequestsError as error:
        raise StoreUnavailableError(error.message) from None
    except NotAListingError as error:
        raise wrong_protocol_error(context, str(error)) from None


def folder_names(paths: Iterable[str], folder: str) -> list[str]:
    """Return the names of folders, given by their paths in the bucket. Those that are not in `folder` are left out."""
    return [path[len(folder) :].strip("/") for path in paths if path.startswith(folder) and path != folder]


def key_too_long() -> NotAListingError:
    """Return the error for a key of more than `MAX_KEY_BYTES`."""
    return NotAListingError(f"a key of more than {MAX_KEY_BYTES} bytes")


def impossible_size() -> NotAListingError:
    """Return the error for a size below 0 or above `MAX_OBJECT_BYTES`."""
    return NotAListingError("an object of impossible size")


def prefix_ignored(labels: ConfigLabels) -> LocationInvalidError:
    """Return the error for a page with keys that do not begin with the prefix of the request."""
    return LocationInvalidError(f"{labels.store} ignores the prefix of a listing. Check {labels.endpoint}")


def start_ignored(labels: ConfigLabels, parameter: str) -> LocationInvalidError:
    """Return the error for a page that begins at or before the key after which it should begin.

    Args:
        labels: what to call the store.
        parameter: the query parameter that names the key.
    """
    return LocationInvalidError(
        f"{labels.store} at this endpoint does not support {parameter}: a listing would start again with each page. "
        f"Check {labels.endpoint}"
    )


def keys_out_of_order(labels: ConfigLabels) -> LocationInvalidError:
    """Return the error for a page whose keys are not in ascending order."""
    return LocationInvalidError(
        f"{labels.store} at this endpoint does not list objects in the order of their keys, so that a listing could "
        f"not continue after a page. Check {labels.endpoint}"
    )


def listing_never_ends(labels: ConfigLabels, fault: str = "lists nothing") -> StoreUnavailableError:
    """Return the error for a page that announces another one and gives no position to resume from."""
    return StoreUnavailableError(f"{labels.store} says that a listing goes on, and {fault}. It could never be finished")
