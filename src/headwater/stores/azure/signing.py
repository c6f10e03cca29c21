"""Signatures of Azure Storage: with an account key, for headers and URLs, and existing SAS tokens.

Sources: "Authorize with Shared Key", "Create a service SAS" and "Create an account SAS" in the Azure Storage REST
reference. Tests compare both signatures with those of azure-storage-blob, byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, unquote

from headwater.domain.errors import CredentialsRefusedError
from headwater.domain.times import parse_iso_seconds
from headwater.net.urls import encode_path

SAS_VERSION = "2021-12-02"
"""The `sv` of signed URLs. It determines which values a signature covers, and in which order."""

READ = "r"
CREATE_AND_WRITE = "cw"

_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_LIST_PARAMETERS = frozenset({"restype", "comp", "prefix", "marker", "maxresults", "startfrom", "delimiter", "include"})
"""Parameters of a list request. Pasted along with a SAS, they would be sent twice."""

_SINGLE_OBJECT_SCOPES = {"b": "one blob", "bs": "one snapshot", "bv": "one version of a blob", "d": "one directory"}


@dataclass(frozen=True, slots=True)
class SharedKey:
    """An account and one of its two keys; its repr does not show the key."""

    account: str
    key: bytes = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no error may contain."""
        return (base64.b64encode(self.key).decode(),)

    def sign(self, text: str) -> str:
        """Return the HMAC-SHA256 of a text, in base64."""
        return base64.b64encode(hmac.digest(self.key, text.encode(), "sha256")).decode()


@dataclass(frozen=True, slots=True)
class Sas:
    """A SAS token: its decoded parts, and the query string for URLs. Its repr shows neither."""

    parts: Mapping[str, str] = field(repr=False)
    query: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no error may contain."""
        signature = self.parts["sig"]
        return (self.query, signature, quote(signature), quote(signature, safe=""))

    @property
    def expires(self) -> float | None:
        """The expiry in Unix seconds; None if a stored access policy determines it."""
        expiries = [expiry for name in ("se", "ske") if (expiry := _parse_time(self.parts.get(name))) is not None]
        return min(expiries, default=None)

    def allows(self, permissions: str) -> bool | None:
        """Return whether the token has one of these permissions; None if only its stored access policy knows."""
        granted = self.parts.get("sp", "")
        if any(permission in granted for permission in permissions):
            return True
        return None if "si" in self.parts else False

    def lack(self, permissions: str, now: float) -> str | None:
        """Return why URLs with this token cannot work, naming its part; None if no reason is known.

        Args:
            permissions: the permissions of which one is needed (`r`, `cw`).
            now: Unix seconds.
        """
        parts = self.parts
        if (expires := self.expires) is not None and expires <= now:
            return f"the SAS token expired at {_iso(expires)} (se)"
        starts = [start for start in map(_parse_time, (parts.get("st"), parts.get("skt"))) if start is not None]
        if starts and max(starts) > now:
            return f"the SAS token is not valid before {_iso(max(starts))} (st)"
        if (one := _SINGLE_OBJECT_SCOPES.get(parts.get("sr", ""))) is not None:
            return f"the SAS token is for {one} (sr={parts['sr']}), not for the container (sr=c)"
        if "srt" in parts and "b" not in parts.get("ss", ""):
            return "the SAS token is not for the Blob service (ss lacks b)"
        if "srt" in parts and "o" not in parts["srt"]:
            return "the SAS token is not for objects (srt lacks o)"
        if self.allows(permissions) is False:
            return f"the SAS token lacks the permission {' or '.join(permissions)} (sp)"
        return None


Credentials = SharedKey | Sas


def parse_credentials(account: str, text: str, member: str) -> Credentials:
    """Return the account key or the SAS token in a text.

    Args:
        account: the account's name.
        text: an account key, or a SAS token with or without a leading `?`.
        member: the config member or setting that holds it, for the error text.

    Raises:
        CredentialsRefusedError: the text is neither. The error says what to paste, and does not repeat the text.
    """
    text = text.strip()
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if key:
        return SharedKey(account, key)
    got = "what is there is neither"
    if re.match(r"https?://", text, re.IGNORECASE):
        got = "what is there is a URL. Paste the part of it behind the '?'"
    elif re.search(r"(?:^|;)\s*(?:AccountKey|SharedAccessSignature|DefaultEndpointsProtocol|BlobEndpoint)=", text):
        got = (
            "what is there is a connection string. Paste only what follows AccountKey= (or SharedAccessSignature=), "
            "up to the next ';'"
        )
    elif (sas := _parse_sas(text.removeprefix("?"))) is not None:
        return sas
    raise CredentialsRefusedError(
        f"{member}: expected an account key (base64, usually 88 characters) or a SAS token (sv=…&sr=c&sp=…&sig=…), and "
        f"{got}"
    )


class UnsignedRequest(NamedTuple):
    """A request before it is signed.

    Attributes:
        method: in upper case.
        path: percent-encoded, as it is sent.
        query: names and values, not encoded.
        headers: further headers by lower-case name.
        body: the content to send.
    """

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""


def sign_headers(request: UnsignedRequest, credentials: SharedKey, now: float) -> dict[str, str]:
    """Return the headers to send, with date and signature.

    Args:
        request: the request.
        credentials: the account and its key.
        now: Unix seconds.
    """
    sent = {name: " ".join(value.split()) for name, value in request.headers.items()}
    sent["x-ms-date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
    signed = {**sent, "content-length": str(len(request.body) or "")}
    query = sorted((name.lower(), value) for name, value in request.query.items())
    to_sign = "\n".join(
        (
            request.method,
            *(signed.get(name, "") for name in _SIGNED_HEADERS),
            *(f"{name}:{sent[name]}" for name in sorted(sent) if name.startswith("x-ms-")),
            f"/{credentials.account}{request.path}",
            *(f"{name}:{value}" for name, value in query),
        )
    )
    sent["authorization"] = f"SharedKey {credentials.account}:{credentials.sign(to_sign)}"
    return sent


class BlobSigner:
    """Signs URLs for many blobs of one container. The parts that do not depend on the blob are computed once.

    Each URL has a service SAS for its blob only (`sr=b`).

    Args:
        url: the container's URL, percent-encoded, without a trailing slash.
        container: the container's name.
        credentials: the account and its key.
        permissions: what the URLs allow: `READ` or `CREATE_AND_WRITE`.
        expires: Unix seconds.
    """

    def __init__(self, url: str, container: str, credentials: SharedKey, permissions: str, expires: int) -> None:
        expiry = _iso(expires)
        protocol = "https" if url.startswith("https:") else ""
        sent = {"se": expiry, "sp": permissions, "spr": protocol, "sv": SAS_VERSION, "sr": "b"}
        self._url_start = f"{url}/"
        self._url_end = "?" + "".join(f"{name}={quote(value)}&" for name, value in sent.items() if value) + "sig="
        # After the blob: si, sip, spr, sv, sr, snapshot, ses, rscc, rscd, rsce, rscl, rsct.
        self._end = f"\n\n\n{protocol}\n{SAS_VERSION}\nb\n\n\n\n\n\n\n".encode()
        # HMAC with its key blocks computed once (RFC 2104), as in sigv4: a third of the time per URL.
        key = credentials.key if len(credentials.key) <= 64 else hashlib.sha256(credentials.key).digest()
        block = key.ljust(64, b"\0")
        start = f"{permissions}\n\n{expiry}\n/blob/{credentials.account}/{container}/".encode()
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + start)
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, names: Iterable[str]) -> list[str]:
        """Return one URL per blob. Names are complete names in the container, not percent-encoded."""
        copy_inner, copy_outer, to_base64 = self._inner.copy, self._outer.copy, binascii.b2a_base64
        url_start, url_end, end = self._url_start, self._url_end, self._end
        urls = []
        for name in names:
            inner, outer = copy_inner(), copy_outer()
            inner.update(name.encode() + end)
            outer.update(inner.digest())
            # 32 bytes in base64 end in one "=".
            signature = to_base64(outer.digest(), newline=False)[:-1].decode().replace("+", "%2B")
            urls.append(f"{url_start}{encode_path(name)}{url_end}{signature}%3D")
        return urls


def _parse_sas(text: str) -> Sas | None:
    parts, pieces = {}, []
    if re.search(r"[\s\x00-\x20\x7f]", text):
        return None
    for piece in text.split("&"):
        name, _, value = piece.partition("=")
        if name.lower() in _LIST_PARAMETERS or not name:
            continue
        parts[name] = unquote(value)
        if name == "sig":
            # Some tools show it decoded; a "+" in it would then mean a blank.
            value = quote(parts[name])
        pieces.append(f"{quote(name)}={quote(value, safe='%+/:,;$!*()~')}")
    if not parts.get("sig") or not ("sr" in parts or "srt" in parts):
        return None
    return Sas(parts, "&".join(pieces))


def _parse_time(text: str | None) -> float | None:
    """Return the Unix seconds of a time of a SAS (ISO 8601, UTC by default); None if it is missing or invalid."""
    if text is None:
        return None
    try:
        return parse_iso_seconds(text)
    except ValueError:
        return None


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
