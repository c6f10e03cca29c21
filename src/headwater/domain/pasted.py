"""Addresses that people copy from a browser although a path or an endpoint is expected, and what they mean."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from headwater.domain.azure_account import StorageAccount, parse_account

_AWS = r"(?:[a-z0-9-]+\.)*console\.(?:aws\.amazon\.com|amazonaws\.cn|amazonaws-us-gov\.com)"
_CONSOLES = {
    _AWS: "the AWS console",
    r"console\.cloud\.google\.com": "the Google Cloud console",
    r"portal\.azure\.(?:com|us|cn)": "the Azure portal",
    r"(?:auth|console(?:-intl)?)\.huaweicloud\.(?:com|eu)": "the Huawei Cloud console",
    r"console\.wasabisys\.com": "the Wasabi console",
    r"dash\.cloudflare\.com": "the Cloudflare dashboard",
    r"cloud\.digitalocean\.com": "the DigitalOcean control panel",
    r"secure\.backblaze\.com": "the Backblaze console",
    r"console\.scaleway\.com": "the Scaleway console",
}
"""Names of consoles by patterns of their hosts. No storage is at these hosts."""

_OBJECTS = (
    # the bucket is in the host, or is the first part of the path
    (r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.s3[.-](?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?", "an object of S3"),
    (r"s3[.-](?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?", "an object of S3"),
    (r"storage(?:\.cloud)?\.(?:google|googleapis)\.com", "an object of Cloud Storage"),
    (r"[a-z0-9]{3,24}\.(?:blob|dfs)\.core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)", "a blob of Azure"),
    (r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.obs\.[a-z0-9-]+\.myhuaweicloud\.(?:com|eu)", "an object of OBS"),
)

_MAX_HOST_LENGTH = 253
"""The longest host name (RFC 1035). Longer text is no host name, and would make the patterns slow."""

_UNSUPPORTED_ARNS = {
    "s3-outposts": "S3 on Outposts",
    "s3-object-lambda": "an access point of S3 Object Lambda",
    "s3express": "a directory bucket of S3 Express One Zone",
    "s3tables": "a table bucket",
    "s3vectors": "a vector bucket",
}
"""What a `fullPath` cannot name, by the service in its ARN."""

_arn = re.compile(
    r"(?:s3://)?arn:aws[a-z-]{0,20}:(?P<service>s3[a-z-]{0,20}):(?P<region>[^:]*):[^:]*:(?P<resource>.+)", re.DOTALL
).fullmatch

_AZURE_SCHEMES = frozenset({"az", "azure", "abfs", "abfss", "wasb", "wasbs"})


class PastedAddress(NamedTuple):
    """A recognized address.

    Attributes:
        what: a description of the address.
        path: the `bucket/path` that it shows; None if it shows none.
        account: the storage account that it shows; None if it shows none.
    """

    what: str
    path: str | None
    account: StorageAccount | None = None


def pasted_address(text: str) -> PastedAddress | None:
    """Return what address `text` is; None if it is not the address of a page of a console or of an object.

    Args:
        text: an address with or without `https://`, or a path.
    """
    if (arn := _arn(text)) is not None:
        return _pasted_arn(arn["service"], arn["region"], arn["resource"])
    scheme, mark, rest = text.partition("://")
    if scheme.lower() in _AZURE_SCHEMES:
        # abfss://container@account.dfs.core.windows.net/path, az://container/path
        container, _, path = rest.partition("/")
        container, _, host = container.partition("@")
        account = parse_account(host) if "." in host else None
        return PastedAddress(f"an address with {scheme}://", f"{container}/{path}", account)
    if mark and scheme.lower() not in ("http", "https"):
        return None
    try:
        parts = urlsplit(f"https://{rest if mark else text}")
        host = parts.hostname or ""
    except ValueError:
        return None
    if len(host) > _MAX_HOST_LENGTH:
        return None
    for pattern, console in _CONSOLES.items():
        if re.fullmatch(pattern, host):
            return PastedAddress(f"the address of a page of {console}", _shown_bucket(parts.path, parts.query))
    for pattern, kind_of_object in _OBJECTS if mark else ():
        if (found := re.fullmatch(pattern, host)) is not None:
            path = unquote(parts.path.lstrip("/"))
            bucket = found.groupdict().get("bucket")
            shown = f"{bucket}/{path}" if bucket else path or None
            return PastedAddress(f"the address of {kind_of_object}", shown, parse_account(host))
    return None


def _pasted_arn(service: str, region: str, resource: str) -> PastedAddress | None:
    unsupported = _UNSUPPORTED_ARNS.get(service)
    if service == "s3" and re.match("accesspoint[/:]", resource):
        if region:
            return None  # an access point takes the place of a bucket
        unsupported = "a multi-region access point"
    if unsupported is not None:
        return PastedAddress(f"the ARN of {unsupported}, which Headwater does not support", None)
    return PastedAddress("the ARN of a bucket or object", resource.rstrip("*"))


def advice_on(text: str) -> str | None:
    """Return a sentence that says what a pasted address is and most likely means; None if it is none."""
    found = pasted_address(text)
    if found is None:
        return None
    account = f" of the account {found.account.authority!r}" if found.account else ""
    return f"this is {found.what}" + (f", and most likely means {found.path!r}{account}" if found.path else "")


def _shown_bucket(path: str, query: str) -> str | None:
    """Return the bucket and prefix that a page of a console shows; None if it shows none."""
    found = re.match(r"/(?:s3/(?:buckets|object|home)|storage/browser(?:/_details)?)/([^/?;]+)(/[^;]*)?", path)
    if found is None:
        return None
    prefix = parse_qs(query).get("prefix", [unquote((found[2] or "").strip("/"))])[0]
    return f"{unquote(found[1])}/{prefix}" if prefix else unquote(found[1])
