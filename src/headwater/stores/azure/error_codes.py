"""How Azure Blob Storage says no (`refusals` has the table)."""

from __future__ import annotations

import re

from headwater.net.transport import Response
from headwater.stores.error_mapping import Operation, Provider, ProviderError, is_html
from headwater.stores.listing_xml import parse_error

VERSION_HEADER = "x-ms-version"


def read_error(response: Response, _: Operation) -> ProviderError:
    """Read an answer that is not a success."""
    said = parse_error(response.body)
    code = said.get("Code", "") or response.headers.get("x-ms-error-code", "")
    # The lines after the first name the request and the time.
    message = said.get("Message", "").partition("\n")[0].strip()
    row = ""
    if code in ("AuthenticationFailed", "AuthorizationFailure"):
        row = _cause(said.get("AuthenticationErrorDetail", ""), message) or code
    foreign = is_html(response) or (not code and bool(response.body.strip()))
    return ProviderError(response.status, code, message, row=row, foreign=foreign)


def refuses_version(response: Response) -> bool:
    """Whether the server does not know the version of the service that was asked for."""
    if response.status != 400:
        return False
    said = parse_error(response.body)
    if said.get("Code") != "InvalidHeaderValue":
        return False
    # Azurite says so in the message alone.
    return said.get("HeaderName", "").lower() == VERSION_HEADER or "API version" in said.get("Message", "")


def _cause(detail: str, message: str) -> str:
    """The row of the table for what "Server failed to authenticate the request" comes from."""
    if re.search(r"\bdate\b.{0,20}\bheader\b|\bheader\b.{0,20}\bdate\b", detail, re.IGNORECASE):
        return "AuthenticationFailed by the clock"
    if re.search(r"time frame|expiry time|start time", detail, re.IGNORECASE):
        return "AuthenticationFailed by its time"
    if re.search(r"resource.{0,30}not allowed|not allowed.{0,30}resource", detail, re.IGNORECASE):
        return "AuthenticationFailed by its resource"
    if re.search(r"mandatory|well formed|invalid", detail, re.IGNORECASE):
        return "AuthenticationFailed by its form"
    if message.startswith("Server failed to authenticate"):
        return "AuthenticationFailed"
    return ""


AZURE = Provider(
    "Azure Blob Storage",
    read_error,
    "{secret}: make a SAS token with the permission {permission} {where}",
    {
        Operation.LIST: "l (list)",
        Operation.READ: "r (read)",
        Operation.WRITE: "w (write)",
        Operation.DELETE: "d (delete)",
    },
    container="container",
)
