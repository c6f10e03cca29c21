"""How the tests open S3 stores, and what their servers send."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from headwater.domain.errors import StoreError
from headwater.domain.objects import StoredObject
from headwater.net.transport import Response, Transport
from headwater.stores.error_mapping import ConfigLabels, Operation, OperationContext, error_from_response
from headwater.stores.s3.bucket import endpoint_bucket
from headwater.stores.s3.error_codes import S3
from headwater.stores.s3.sigv4 import Credentials
from headwater.stores.s3.store import S3Store, StaticCredentials
from headwater.testing.fault_proxy import Request, Status
from tests.servers import KEY_ID, SECRET

OBS = ConfigLabels("OBS", "obsAccessKeyId", "obsSecretAccessKey", "obsEndpoint")
S3_LABELS = ConfigLabels("S3", "s3AccessKeyId", "s3SecretAccessKey", "s3Region", "s3Region")
GOOD = Credentials(KEY_ID, SECRET)


def open_store(
    transport: Transport,
    url: str,
    bucket: str = "bucket",
    root: str = "",
    credentials: Credentials = GOOD,
    **more: Any,
) -> S3Store:
    address = endpoint_bucket(url, "obsEndpoint", bucket, None, is_operator_endpoint=False)
    return S3Store(transport, address, root, StaticCredentials(credentials), OBS, **more)


async def list_all(store: S3Store, prefix: str = "", limit: int = 1000) -> list[StoredObject]:
    found: list[StoredObject] = []
    after = None
    while True:
        page = await store.list_page(prefix, after, limit)
        assert len(page.objects) <= limit
        found += page.objects
        after = page.resume_after
        if after is None:
            return found


def fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """Send a plain request without headers. http.client does not change the path."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), body=body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def list_xml(keys: list[str], *, truncated: bool = False, head: str = "", more: str = "") -> bytes:
    rows = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2024-01-02T03:04:05.678Z</LastModified>"
        f"<ETag>&quot;abc&quot;</ETag><Size>7</Size>{more}</Contents>"
        for key in keys
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head}'
        f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
        f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{rows}</ListBucketResult>"
    ).encode()


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[Request], Status]:
    """Return a fake server's response to every request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Status(status, body, named)


def error_xml(code: str, message: str = "Said by the provider.", more: str = "") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>'.encode()


def store_error(
    status: int,
    body: bytes = b"",
    operation: Operation = Operation.LIST,
    labels: ConfigLabels = S3_LABELS,
    headers: dict[str, str] | None = None,
) -> StoreError:
    """Return the error for a response of S3 whose text must not contain the secret `hush-hush`."""
    response = Response(status, headers or {}, body)
    context = OperationContext(operation, "data", "train/", labels, S3)
    return error_from_response(response, context, ["hush-hush"])
