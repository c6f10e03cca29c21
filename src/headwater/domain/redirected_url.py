"""Redirected read URLs: short, not expiring, each good for one object of one datasource.

Source: contract.md#redirected-read-urls.

    {base}/v1/datasets/{dataset}/datasource/readurlRedirect?path={key}&publicToken={HMAC-SHA256, cut to 128 bits}

The server answers with a redirect to a read URL that it signs at that moment. What is signed here is the dataset, the
id of the datasource, its place and the key: a datasource that moves gets another id, so its URLs end with the move.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from headwater.domain.datasource import Datasource
from headwater.domain.objects import Key

ROUTE = "readurlRedirect"

_TOKEN_BYTES = 16


class RedirectedUrlSigner:
    """Makes redirected read URLs, and finds the datasource that one was made for.

    Args:
        keys: HMAC keys; the first signs, all verify, so that URLs outlive a rotation.
        base_url: what URLs begin with, as clients reach the server: scheme, host, perhaps a path.
    """

    def __init__(self, keys: Sequence[bytes], base_url: str) -> None:
        # What is signed is told apart before anything that a user names comes in.
        self._macs = tuple(hmac.new(key, b"headwater redirected read url 1\n", hashlib.sha256) for key in keys)
        self._base = base_url.rstrip("/")

    def sign(self, datasource: Datasource, keys: Iterable[Key]) -> list[str]:
        """Make one URL for each key. The objects need not exist."""
        mac = _of(self._macs[0], datasource)
        start = f"{self._base}/v1/datasets/{datasource.dataset_id}/datasource/{ROUTE}?path="
        return [f"{start}{quote(key, '/', errors='surrogatepass')}&publicToken={_token(mac, key)}" for key in keys]

    def find(self, datasources: Iterable[Datasource], key: Key, token: str) -> Datasource | None:
        """The datasource, among those of the dataset, for whose object `key` this token was made; None for no one's."""
        given = token.encode("utf-8", "surrogatepass")
        found = None
        for datasource in datasources:
            for mac in self._macs:
                if hmac.compare_digest(_token(_of(mac, datasource), key).encode(), given):
                    found = datasource
        return found


def _of(mac: hmac.HMAC, datasource: Datasource) -> hmac.HMAC:
    """Go on with what all keys of a datasource share; the key comes last, so the parts cannot run together."""
    mac = mac.copy()
    mac.update(f"{datasource.dataset_id}\n{datasource.id}\n{datasource.config.location.fingerprint}\n".encode())
    return mac


def _token(mac: hmac.HMAC, key: Key) -> str:
    mac = mac.copy()
    mac.update(key.encode("utf-8", "surrogatepass"))
    return urlsafe_b64encode(mac.digest()[:_TOKEN_BYTES]).rstrip(b"=").decode()
