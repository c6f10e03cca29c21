"""What Cloud Storage's JSON API answers: list pages, and how it says no (`refusals` has the table).

Sources: "Objects: list", "Error responses" and "HTTP status and error codes for JSON" of Cloud Storage.
"""

from __future__ import annotations

import msgspec

from headwater.net.transport import Response, is_transient
from headwater.stores.error_mapping import Operation, Provider, ProviderError
from headwater.stores.listing_xml import MAX_ERROR_BODY, NotAListingError

KIND = "storage#objects"


class ListedObject(msgspec.Struct, rename="camel"):
    """An object of a list page. `size` is in bytes, as text; `time_created` is RFC 3339."""

    name: str
    size: str
    time_created: str
    etag: str | None = None


class ListPage(msgspec.Struct, rename="camel"):
    """A list page. `kind` tells an empty one from some other JSON."""

    kind: str
    items: list[ListedObject] = []
    next_page_token: str | None = None


class _Detail(msgspec.Struct):
    reason: str = ""


class _Error(msgspec.Struct):
    message: str = ""
    status: str = ""
    errors: list[_Detail] = []


class _ErrorBody(msgspec.Struct):
    error: _Error


_pages = msgspec.json.Decoder(ListPage)
_errors = msgspec.json.Decoder(_ErrorBody)
_anything = msgspec.json.Decoder(msgspec.Raw)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding a stranger's JSON raises."""


def read_list_page(body: bytes) -> ListPage:
    """Read the answer to objects.list.

    Raises:
        NotAListingError: it is something else.
    """
    try:
        page = _pages.decode(body)
    except UNREADABLE as error:
        what = "JSON of another form" if isinstance(error, msgspec.ValidationError) else "no JSON that can be read"
        raise NotAListingError(what) from None
    if page.kind != KIND:
        raise NotAListingError("JSON of another kind")
    return page


def is_cut_short(body: bytes) -> bool:
    """Whether a body begins as JSON and lacks its end, which not every broken connection shows."""
    if not body.strip():
        return True
    if not body.lstrip().startswith(b"{"):
        return False
    try:
        _anything.decode(body)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except RecursionError:
        return False
    return False


def is_passing_refusal(response: Response) -> bool:
    """Whether trying again may help. Cloud Storage's own word for too many requests also comes as a 403."""
    return (
        is_transient(response)
        or response.status == 408
        or (response.status == 403 and b"ateLimitExceeded" in response.body)
    )


def read_error(response: Response, operation: Operation) -> ProviderError:
    """Read an answer that is not a success."""
    code, message = _read_error(response, operation)
    status = response.status
    foreign = not code and not message and bool(response.body.strip())
    return ProviderError(status, code, message, row=_row(status, code, message, operation), foreign=foreign)


GCS = Provider(
    "Cloud Storage's JSON API",
    read_error,
    "Allow {permission} {where} for the service account of {secret}",
    {
        Operation.LIST: "storage.objects.list",
        Operation.READ: "storage.objects.get",
        Operation.WRITE: "storage.objects.create",
        Operation.DELETE: "storage.objects.delete",
    },
    absent_looks_refused="; without storage.objects.list an absent object is refused like this too",
)


def _read_error(response: Response, operation: Operation) -> tuple[str, str]:
    """The reason and the message, as far as there are any."""
    body = response.body[:MAX_ERROR_BODY]
    try:
        error = _errors.decode(body).error
        return (error.errors[0].reason if error.errors else "") or error.status, error.message
    except UNREADABLE:
        pass
    # Downloads are refused with the message alone, as text that is called HTML.
    if operation is Operation.READ and not body.lstrip().startswith((b"<", b"{", b"[")):
        message = body.decode(errors="replace").strip()
        known = message.startswith(("No such object", "Not Found")) or _is_of_the_bucket(message)
        reasons = {401: "authError", 403: "forbidden", 404: "notFound" if known else ""}
        return reasons.get(response.status, "") if message else "", message
    return "", ""


def _row(status: int, code: str, message: str, operation: Operation) -> str:
    """Where the table tells of an answer, where its reason alone does not decide."""
    if "requester pays" in message:
        return "userProjectMissing"
    if status == 403 and "billing" in message:
        return "accountDisabled"
    if status == 403 and operation is Operation.WRITE and "storage.objects.delete" in message:
        return "forbidden to replace"
    # An object that is not there is neither listed nor in the way of being written.
    of_no_object = operation in (Operation.LIST, Operation.WRITE) and (code or message)
    if status == 404 and (of_no_object or _is_of_the_bucket(message)):
        return "notFound bucket"
    return ""


def _is_of_the_bucket(message: str) -> bool:
    # Not where the name of an object says so.
    return message.startswith(("The specified bucket does not exist", "No such bucket"))
