"""How the tests open Cloud Storage."""

from __future__ import annotations

import json
from typing import Any

from headwater.net.egress import Egress
from headwater.net.refreshing import RefreshingCache
from headwater.net.transport import Transport
from headwater.stores.gcs.bucket import gcs_bucket
from headwater.stores.gcs.credentials import read_key_file
from headwater.stores.gcs.store import CONFIGURED, GcsStore
from tests.stores.gcs.server import GcsServer

LOOPBACK = Egress.parse("127.0.0.1")


def open_store(
    transport: Transport,
    gcs: GcsServer,
    tokens: RefreshingCache[str],
    root: str = "",
    *,
    bucket: str = "bucket",
    url: str | None = None,
    **more: Any,
) -> GcsStore:
    """Open the store on a server, or on another one (`url`) that takes its tokens."""
    key_file = read_key_file(json.dumps(gcs.key_file()), "gcsCredentials", LOOPBACK)
    return GcsStore(transport, gcs_bucket(bucket, url or gcs.url), root, key_file, tokens, CONFIGURED, **more)
