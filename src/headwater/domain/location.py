"""The location of a datasource: which data it points to."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple


class Location(NamedTuple):
    """Which data a datasource points to, independent of its credentials and of the spelling of its path.

    Attributes:
        type: the name of the datasource type.
        authority: what makes the name of a bucket unique: the endpoint for OBS, the account for Azure, else empty.
        bucket: the bucket or container; empty if the type has none.
        prefix: what the keys begin with: empty, or text that ends in `/`.
    """

    type: str
    authority: str
    bucket: str
    prefix: str

    @property
    def fingerprint(self) -> str:
        """A short id of the location, the same on every server, that reveals nothing about it."""
        return hashlib.sha256("\0".join(self).encode()).hexdigest()[:24]


def split_scheme(path: str) -> tuple[str, str]:
    """Split `scheme://rest` into the scheme in lower case and the rest. The scheme is empty if there is none."""
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", path, re.DOTALL)
    return (found[1].lower(), found[2]) if found else ("", path)


_access_point = re.compile(
    r"(arn:aws[a-z-]{0,20}:s3:[a-z0-9-]{1,40}:[0-9]{12}:accesspoint)[/:]([^/:]+)(?:/(.*))?", re.DOTALL
).fullmatch


def split_bucket(path: str) -> tuple[str, str]:
    """Split `bucket/path`, with or without a scheme, into the bucket and the prefix of its keys.

    The ARN of an S3 access point counts as a bucket, always in the form `arn:…:accesspoint/name`.
    """
    rest = split_scheme(path)[1]
    if (found := _access_point(rest)) is not None:
        bucket, prefix = f"{found[1]}/{found[2]}", found[3] or ""
    else:
        bucket, _, prefix = rest.partition("/")
    return bucket, prefix if not prefix or prefix.endswith("/") else prefix + "/"


def shown_path(path: str) -> str:
    """Return a path of a datasource without what may be secret in it: users and passwords, and what follows a `?`.

    Somebody may have pasted a whole URL with its signature.

    Examples:
        >>> shown_path("s3://key:secret@bucket/cameras?X-Amz-Signature=1")
        's3://bucket/cameras'
    """
    without_query = path.partition("?")[0]
    _, rest = split_scheme(without_query)
    scheme = without_query.removesuffix(rest)
    bucket, slash, prefix = rest.partition("/")
    return f"{scheme}{bucket.rpartition('@')[2]}{slash}{prefix}"
