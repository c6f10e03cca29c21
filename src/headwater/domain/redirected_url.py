"""Redirected URLs: short read URLs that do not expire by themselves, each for one object of one datasource.

Source: contract.md#redirected-read-urls.

    {base}/v1/datasets/{dataset}/datasource/readurlRedirect?path={key}&publicToken={HMAC-SHA256, cut to 128 bits}

The server answers with a redirect to a freshly signed read URL. The token covers the dataset, the key, the location of
the datasource that serves the key, and the id of the datasource that brought the dataset to this location
(`domain.purposes.reconfigure`). So a URL of a raw sample becomes invalid when the INPUT datasource moves, one of a file
under `.lightly/` when the LIGHTLY datasource does.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from headwater.domain.datasource import Datasource
from headwater.domain.objects import Key
from headwater.domain.purposes import input_datasource, lightly_datasource
from headwater.domain.samples import LIGHTLY_FOLDER

ROUTE = "readurlRedirect"

_TOKEN_BYTES = 16


class RedirectedUrlSigner:
    """Signs redirected URLs, and finds the datasource that one was signed for.

    Args:
        keys: HMAC keys. The first signs; all verify, so that URLs outlive a key rotation. The sequence may change.
        base_url: the beginning of URLs, as clients reach the server: scheme, host, and optionally a path.
    """

    def __init__(self, keys: Sequence[bytes], base_url: str) -> None:
        self._keys = keys
        self._base = base_url.rstrip("/")

    def sign(self, datasource: Datasource, keys: Iterable[Key]) -> list[str]:
        """Return one URL for each key. The objects need not exist.

        Args:
            datasource: the one that serves these keys: the LIGHTLY datasource for those under `.lightly/`, the INPUT
                datasource for all others.
            keys: the keys.
        """
        raw, lightly = (_with_datasource(self._keys[0], datasource, in_folder) for in_folder in (False, True))
        start = f"{self._base}/v1/datasets/{datasource.dataset_id}/datasource/{ROUTE}?path="
        return [
            f"{start}{quote(key, '/', errors='surrogatepass')}"
            f"&publicToken={_token(lightly if key.startswith(LIGHTLY_FOLDER) else raw, key)}"
            for key in keys
        ]

    def find(self, datasources: Sequence[Datasource], key: Key, token: str) -> Datasource | None:
        """Return the datasource that serves `key` if the token was signed for it, else None.

        Args:
            datasources: those of one dataset.
            key: the key.
            token: the token.
        """
        in_folder = key.startswith(LIGHTLY_FOLDER)
        datasource = (lightly_datasource if in_folder else input_datasource)(datasources)
        if datasource is None:
            return None
        given = token.encode("utf-8", "surrogatepass")
        signed = [_token(_with_datasource(each, datasource, in_folder), key).encode() for each in self._keys]
        return datasource if any(hmac.compare_digest(each, given) for each in signed) else None


def _with_datasource(signing_key: bytes, datasource: Datasource, in_folder: bool) -> hmac.HMAC:
    """Return an HMAC that includes the datasource. The object's key comes last, so that no two URLs share a token."""
    origin = (datasource.lightly_origin if in_folder else datasource.input_origin) or datasource.id
    # The purpose comes first, before anything that a user controls, so that no other token can be taken for one.
    mac = hmac.new(signing_key, b"headwater redirected read url 1\n", hashlib.sha256)
    mac.update(f"{datasource.dataset_id}\n{origin}\n{datasource.config.location.fingerprint}\n".encode())
    return mac


def _token(mac: hmac.HMAC, key: Key) -> str:
    mac = mac.copy()
    mac.update(key.encode("utf-8", "surrogatepass"))
    return urlsafe_b64encode(mac.digest()[:_TOKEN_BYTES]).rstrip(b"=").decode()
