"""URLs that Headwater serves itself: signed, expiring, good for anyone who has them

Source: contract.md#lists-and-time-windows.

    {base}/files/{path}?expires={Unix seconds}&signature={HMAC-SHA256, base64url without padding}

`path` is relative to a folder of the server's and percent-encoded but for `/` and the unreserved characters, so that
every client sends it back as it was signed. A URL is signed to read (GET and HEAD) or to write (PUT), never both.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from headwater.domain.errors import ForbiddenError

FILES = "/files/"
"""What stands between the base URL and a path below the mount root of LOCAL datasources."""

MANAGED = "/managed/"
"""What stands between the base URL and a path in the storage that the operator provides."""

_KEY_BYTES = 32
_EXPIRES = re.compile(r"[0-9]{1,15}")


class ReadUrlSigner:
    """Signs the paths of files, and checks what comes back.

    Args:
        keys: HMAC keys of 32 bytes; the first signs, all verify, so that a URL outlives a rotation.
        base_url: what URLs begin with, as clients reach the server: scheme, host, perhaps a path.
        scope: what the paths are relative to. A URL that was signed in another scope is not good in this one, so
            URLs end when the operator points the server at another mount root.
        start: what stands between the base URL and the path, with a `/` at both ends.

    Raises:
        ValueError: no key, or one of another length.
    """

    def __init__(self, keys: Sequence[bytes], base_url: str, scope: str, start: str = FILES) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise ValueError(f"read URLs are signed with keys of {_KEY_BYTES} bytes, one at least")
        where = hashlib.sha256(scope.encode("utf-8", "surrogatepass")).digest()
        self._macs = {
            # What is signed is told apart before anything that a user names comes in.
            write: tuple(hmac.new(key, b"headwater %s url 1\n" % use + where, hashlib.sha256) for key in keys)
            for write, use in ((False, b"read"), (True, b"write"))
        }
        self.start = start
        self._url_start = base_url.rstrip("/") + start

    def sign(self, paths: Sequence[str], expires: int, *, write: bool = False) -> list[str]:
        """Make one URL for each path. The files need not exist.

        Args:
            paths: relative to the folder, without a leading `/`.
            expires: the Unix second from which the URLs are no longer good.
            write: good for PUT alone, instead of GET and HEAD.
        """
        until, start = _until(self._macs[write][0], str(expires)), self._url_start
        end = f"?expires={expires}&signature="
        return [f"{start}{quote(path, '/', errors='surrogatepass')}{end}{_signature(until, path)}" for path in paths]

    def verify(self, path: str, expires: str, signature: str, now: float, *, write: bool = False) -> int:
        """Check the three parts of a URL as they came, and return how many seconds it has left.

        Args:
            path: percent-decoded.
            expires: as in the query.
            signature: as in the query.
            now: Unix seconds.
            write: the URL is used to write.

        Raises:
            Forbidden: the parts do not belong together, or the time is over.
        """
        given = signature.encode("utf-8", "surrogatepass")
        # Every key is tried, so that the time taken does not tell which one signed.
        good = [
            hmac.compare_digest(_signature(_until(mac, expires), path).encode(), given)
            for mac in self._macs[write]
            if _EXPIRES.fullmatch(expires)
        ]
        if not any(good):
            raise ForbiddenError(
                "the signature of this write URL does not match: use the URL exactly as it was given, or ask again"
                if write
                else "the signature of this read URL does not match: use it exactly as it was listed, or list again"
            )
        left = int(expires) - now
        if left <= 0:
            what = (
                "write URL expired at {}: ask again" if write else "read URL expired at {}: list again for a fresh one"
            )
            raise ForbiddenError("this " + what.format(_date(int(expires))))
        return int(left)


def _until(mac: hmac.HMAC, expires: str) -> hmac.HMAC:
    """Go on with what all paths of one expiry share; the path comes last, so the parts cannot run together."""
    mac = mac.copy()
    mac.update(f"{expires}\n".encode())
    return mac


def _signature(until: hmac.HMAC, path: str) -> str:
    mac = until.copy()
    mac.update(path.encode("utf-8", "surrogatepass"))
    return urlsafe_b64encode(mac.digest())[:43].decode()


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} (Unix seconds)"
