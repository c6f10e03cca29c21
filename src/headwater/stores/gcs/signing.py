"""V4 signed URLs of Cloud Storage, and the threads for RSA.

Source: "V4 signing process with your own program" and "Canonical requests" of Cloud Storage. Tests compare the URLs
with those of google-cloud-storage, byte for byte.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar, TypeVarTuple

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from headwater.net.threads import DaemonExecutor, LimitedExecutor, UserThreads
from headwater.net.urls import encode_path, encode_value
from headwater.net.users import current_user
from headwater.stores.gcs.bucket import GcsBucket

MAX_TTL_SECONDS = 604_800
"""The longest life of a signed URL that Cloud Storage accepts: seven days."""

CHUNK_URLS = 25
"""URLs that one thread signs before other requests have a turn."""

MAX_THREADS = 4

_ALGORITHM = "GOOG4-RSA-SHA256"

Args = TypeVarTuple("Args")
T = TypeVar("T")

# A signature of RSA-2048 takes 0.3 to 0.9 ms, so a page of a thousand would block the event loop for up to a second.
# `cryptography` releases the GIL while it signs: measured with its release 50 on two cores, a thousand signatures took
# 0.90 s in one thread and 0.46 s in two, and the event loop never waited for more than 2 ms.
# A user may use all threads, and takes turns with others.
_threads = UserThreads(DaemonExecutor(max(2, min(MAX_THREADS, os.cpu_count() or 1)), "rsa"), MAX_THREADS)


class UrlSigner:
    """Signs URLs for many keys of one bucket. The parts that do not depend on the key are computed once.

    Args:
        bucket: the bucket.
        email: of the service account.
        private_key: of the service account.
        ttl: seconds from `now`, at least 1 and at most `MAX_TTL_SECONDS`.
        now: Unix seconds.
        method: the method of the requests: GET, HEAD or PUT.
    """

    def __init__(
        self, bucket: GcsBucket, email: str, private_key: RSAPrivateKey, ttl: int, now: float, method: str = "GET"
    ) -> None:
        if not 1 <= ttl <= MAX_TTL_SECONDS:
            raise ValueError(f"the life of a signed URL is between 1 and {MAX_TTL_SECONDS} seconds")
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        scope = f"{date[:8]}/auto/storage/goog4_request"
        # In alphabetical order, in which it is signed.
        query = {
            "X-Goog-Algorithm": _ALGORITHM,
            "X-Goog-Credential": f"{email}/{scope}",
            "X-Goog-Date": date,
            "X-Goog-Expires": str(ttl),
            "X-Goog-SignedHeaders": "host",
        }
        encoded = "&".join(f"{name}={encode_value(value)}" for name, value in query.items())
        self._private_key = private_key
        self._url_start = f"{bucket.origin}{bucket.base_path}/{bucket.name}/"
        self._url_end = f"?{encoded}&X-Goog-Signature="
        self._canonical_start = f"{method}\n/{bucket.name}/".encode()
        host = bucket.origin.authority
        self._canonical_end = f"\n{encoded}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD".encode()
        self._to_sign = f"{_ALGORITHM}\n{date}\n{scope}\n"

    def sign(self, keys: Sequence[str]) -> list[str]:
        """Return one URL per key, which is the complete key in the bucket, not percent-encoded. Slow: use `sign`."""
        sign, pkcs1, sha256 = self._private_key.sign, padding.PKCS1v15(), SHA256()
        urls = []
        for key in keys:
            path = encode_path(key)
            canonical = hashlib.sha256(self._canonical_start + path.encode() + self._canonical_end).hexdigest()
            signature = sign((self._to_sign + canonical).encode(), pkcs1, sha256)
            urls.append(f"{self._url_start}{path}{self._url_end}{signature.hex()}")
        return urls


async def sign(signer: UrlSigner, keys: Sequence[str]) -> list[str]:
    """Return one URL per key, signed in threads so that the event loop is not blocked."""
    # An executor per call, so that a small page does not wait until a large one is done.
    executor = LimitedExecutor(_threads.for_user(current_user()), MAX_THREADS)
    parts = await asyncio.gather(
        *(
            asyncio.wrap_future(executor.submit(signer.sign, keys[start : start + CHUNK_URLS]))
            for start in range(0, len(keys), CHUNK_URLS)
        )
    )
    return [url for part in parts for url in part]


async def in_thread(work: Callable[[*Args], T], *args: *Args) -> T:
    """Return the result of other work with RSA, done in a thread."""
    return await asyncio.wrap_future(_threads.for_user(current_user()).submit(work, *args))
