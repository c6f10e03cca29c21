"""Read and write URLs that Headwater serves itself: signed, expiring, usable by anyone who has them.

Source: contract.md#lists-and-time-windows.

    {base}/files/{path}?expires={Unix seconds}&signature={HMAC-SHA256, base64url without padding}

`path` is relative to a folder of the server and percent-encoded except `/` and unreserved characters, so that every
client sends it back as it was signed. A URL is signed to read (GET and HEAD) or to write (PUT), never both.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from headwater.domain.errors import ForbiddenError

FILES = "/files/"
"""The part of a URL between the base URL and a path in the mount root of LOCAL datasources."""

MANAGED = "/managed/"
"""The part of a URL between the base URL and a path in the storage that the operator provides."""

_KEY_BYTES = 32
_EXPIRES = re.compile(r"[0-9]{1,15}")


class ReadUrlSigner:
    """Signs URLs of files, and verifies them.

    Args:
        keys: HMAC keys of 32 bytes. The first signs; all verify, so that a URL outlives a key rotation. The
            sequence may change.
        base_url: the beginning of URLs, as clients reach the server: scheme, host, and optionally a path.
        scope: what the paths are relative to. A URL that was signed for another scope is invalid, so URLs become
            invalid when the operator changes the mount root.
        start: the part of a URL between the base URL and the path, with a `/` at both ends.

    Raises:
        ValueError: there is no key, or a key has another length.
    """

    def __init__(self, keys: Sequence[bytes], base_url: str, scope: str, start: str = FILES) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise ValueError(f"read URLs are signed with at least one key of {_KEY_BYTES} bytes")
        self._keys: Callable[[], Sequence[bytes]] = lambda: keys  # so that no representation shows them
        where = hashlib.sha256(scope.encode("utf-8", "surrogatepass")).digest()
        # The use comes first, before anything that a user controls, so that one use cannot be taken for another.
        self._uses = {
            write: b"headwater %s url 1\n" % use + where for write, use in ((False, b"read"), (True, b"write"))
        }
        self.start = start
        self._url_start = base_url.rstrip("/") + start

    def sign(self, paths: Sequence[str], expires: int, *, write: bool = False) -> list[str]:
        """Return one URL for each path. The files need not exist.

        Args:
            paths: relative to the folder, without a leading `/`.
            expires: the Unix second from which the URLs are invalid.
            write: whether the URLs are for PUT, instead of for GET and HEAD.
        """
        mac, start = self._mac(self._keys()[0], str(expires), write), self._url_start
        end = f"?expires={expires}&signature="
        return [f"{start}{quote(path, '/', errors='surrogatepass')}{end}{_signature(mac, path)}" for path in paths]

    def verify(self, path: str, expires: str, signature: str, now: float, *, write: bool = False) -> int:
        """Verify a URL, and return how many seconds it stays valid.

        Args:
            path: percent-decoded.
            expires: as in the query.
            signature: as in the query.
            now: Unix seconds.
            write: whether the URL is used to write.

        Raises:
            ForbiddenError: the signature is invalid, or the URL has expired.
        """
        given = signature.encode("utf-8", "surrogatepass")
        # Every key is tried, so that the time taken does not show which key signed.
        matches = [
            hmac.compare_digest(_signature(self._mac(key, expires, write), path).encode(), given)
            for key in self._keys()
            if _EXPIRES.fullmatch(expires)
        ]
        if not any(matches):
            raise ForbiddenError(
                "the signature of this write URL does not match: use it exactly as it was given, or request a new one"
                if write
                else "the signature of this read URL does not match: use it exactly as it was listed, or list again"
            )
        left = int(expires) - now
        if left <= 0:
            what = (
                "write URL expired at {}: request a new one"
                if write
                else "read URL expired at {}: list again for a fresh one"
            )
            raise ForbiddenError("this " + what.format(_date(int(expires))))
        return int(left)

    def _mac(self, key: bytes, expires: str, write: bool) -> hmac.HMAC:
        """Return an HMAC of the use and the expiry. The path comes last, so that no two URLs sign the same text."""
        return hmac.new(key, self._uses[write] + f"{expires}\n".encode(), hashlib.sha256)


def _signature(mac: hmac.HMAC, path: str) -> str:
    mac = mac.copy()
    mac.update(path.encode("utf-8", "surrogatepass"))
    return urlsafe_b64encode(mac.digest())[:43].decode()


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} (Unix seconds)"
