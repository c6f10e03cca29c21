"""Redirected URLs: short read URLs that do not expire by themselves, each for one object of one datasource.

Source: contract.md#redirected-read-urls.

    {base}/v1/datasets/{dataset}/datasource/readurlRedirect?path={key}&publicToken={HMAC-SHA256, cut to 128 bits}

The server answers with a redirect to a freshly signed read URL. The token covers the dataset, the id of the datasource,
its location and the key. A datasource that moves gets another id, so its URLs become invalid.
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
    """Signs redirected URLs, and finds the datasource that one was signed for.

    Args:
        keys: HMAC keys. The first signs; all verify, so that URLs outlive a key rotation.
        base_url: the beginning of URLs, as clients reach the server: scheme, host, and optionally a path.
    """

    def __init__(self, keys: Sequence[bytes], base_url: str) -> None:
        # The purpose comes first, before anything that a user controls, so that no other token can be taken for one.
        self._macs = tuple(hmac.new(key, b"headwater redirected read url 1\n", hashlib.sha256) for key in keys)
        self._base = base_url.rstrip("/")

    def sign(self, datasource: Datasource, keys: Iterable[Key]) -> list[str]:
        """Return one URL for each key. The objects need not exist."""
        mac = _with_datasource(self._macs[0], datasource)
        start = f"{self._base}/v1/datasets/{datasource.dataset_id}/datasource/{ROUTE}?path="
        return [f"{start}{quote(key, '/', errors='surrogatepass')}&publicToken={_token(mac, key)}" for key in keys]

    def find(self, datasources: Iterable[Datasource], key: Key, token: str) -> Datasource | None:
        """Return the datasource for whose object `key` the token was signed; None if it is none of `datasources`."""
        given = token.encode("utf-8", "surrogatepass")
        found = None
        for datasource in datasources:
            for mac in self._macs:
                if hmac.compare_digest(_token(_with_datasource(mac, datasource), key).encode(), given):
                    found = datasource
        return found


def _with_datasource(mac: hmac.HMAC, datasource: Datasource) -> hmac.HMAC:
    """Return a copy of `mac` that includes the datasource. The key comes last, so that no two URLs share a token."""
    mac = mac.copy()
    mac.update(f"{datasource.dataset_id}\n{datasource.id}\n{datasource.config.location.fingerprint}\n".encode())
    return mac


def _token(mac: hmac.HMAC, key: Key) -> str:
    mac = mac.copy()
    mac.update(key.encode("utf-8", "surrogatepass"))
    return urlsafe_b64encode(mac.digest()[:_TOKEN_BYTES]).rstrip(b"=").decode()
