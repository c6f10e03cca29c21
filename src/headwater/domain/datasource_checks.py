"""The types of the members of datasource configs, each with the checks of its form.

The rules are those of contract.md#datasource-config. The texts of the errors never repeat the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationInfo

from headwater.domain.choices import suggest
from headwater.domain.location import split_scheme
from headwater.domain.pasted import advice_on
from headwater.domain.s3_region import split_region
from headwater.domain.text import is_storable, strip_pasted

S3_REGIONS = tuple(
    "us-east-1 us-east-2 us-west-1 us-west-2 us-gov-west-1 us-gov-east-1 us-gov-east us-gov-west af-south-1 "
    "ap-east-1 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 "
    "ap-northeast-1 ap-northeast-2 ap-northeast-3 ca-central-1 cn-north-1 cn-northwest-1 eu-central-1 "
    "eu-central-2 eu-west-1 eu-west-2 eu-west-3 eu-south-1 eu-south-2 eu-north-1 me-south-1 me-central-1 "
    "sa-east-1".split()
)
"""The union of the region lists of both published generations of clients."""


NEW = "new"
"""The validation context for configs in a PUT request. Others are stored already, and must stay valid."""

T = TypeVar("T")


def _check_storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("must be Unicode text without NUL characters")
    return text


def _check_region(text: str) -> str:
    if text not in S3_REGIONS:
        suggestion = suggest(text, S3_REGIONS)
        # The list is long: a suggestion would not be seen after it.
        raise ValueError(
            f"expected a region of AWS ({suggestion})"
            if suggestion
            else f"expected one of the regions {', '.join(S3_REGIONS)}"
        )
    return text


def _check_local_path(text: str) -> str:
    if text.startswith("/"):
        raise ValueError("expected a path relative to the server's mount root, without a leading '/'")
    if "://" in text:
        raise ValueError("expected a path relative to the server's mount root, not a URL")
    if any(part in (".", "..") for part in text.split("/")):
        raise ValueError("expected a path without '.' and '..' parts")
    return text


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        host = None
    if not host or re.search(r"[\s\x00-\x20\x7f]", text):
        raise ValueError("expected a URL such as https://storage.example.com")
    if "@" in parts.netloc:
        raise ValueError("expected a URL without user and password, which would be stored in clear")
    return text


def _check_region_of_endpoint(text: str) -> None:
    if "?region=" in text:
        split_region(text)


def _strip_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    return SecretStr(strip_pasted(text) or text)


def _check_not_blank(secret: SecretStr) -> None:
    if not strip_pasted(secret.get_secret_value()):
        raise ValueError("must not be empty")


def _check_url_of_folder(url: str) -> None:
    # Names of files are appended to it. They must not become a part of something else than its path.
    if "?" in url or "#" in url:
        raise ValueError("expected a URL without '?' and '#': the names of files are appended to it")
    if "\\" in url:
        raise ValueError("expected a URL with '/' instead of '\\', which browsers change")
    if any(unquote(part) in (".", "..") for part in urlsplit(url).path.split("/")):
        raise ValueError("expected a URL without '.' and '..' parts, which clients remove")


def _for_new_configs(check: Callable[[T], None]) -> AfterValidator:
    """Return a rule that was added when configs that break it may have been stored: it only holds for new ones."""

    def check_if_new(value: T, info: ValidationInfo) -> T:
        if info.context == NEW:
            check(value)
        return value

    return AfterValidator(check_if_new)


def _matches(pattern: str, expected: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


def _bucket_path(*schemes: str) -> AfterValidator:
    def check(text: str) -> str:
        scheme, rest = split_scheme(text)
        if scheme and scheme not in schemes:
            allowed = " or ".join(f"{name}://" for name in schemes)
            expected = f"expected bucket/path{', with or without ' + allowed if allowed else ' without a scheme'}"
            raise ValueError("; ".join(filter(None, (expected, advice_on(text)))))
        if not rest.split("/", 1)[0]:
            raise ValueError("expected bucket/path with a bucket or container name first")
        return text

    return AfterValidator(check)


Text = Annotated[str, AfterValidator(_check_storable)]
NonEmptyText = Annotated[Text, StringConstraints(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1), AfterValidator(_strip_secret), _for_new_configs(_check_not_blank)]
"""A secret, without what copying adds at its ends: `echo` writes a line break after it, for example."""
Url = Annotated[
    Text, _matches(r"https?://.+", "a URL that begins with http:// or https://"), AfterValidator(_check_url)
]
FolderUrl = Annotated[Url, _for_new_configs(_check_url_of_folder)]
ObsEndpoint = Annotated[Url, _for_new_configs(_check_region_of_endpoint)]

S3Path = Annotated[Text, _bucket_path("s3")]
GcsPath = Annotated[Text, _bucket_path("gs")]
AzurePath = Annotated[Text, _bucket_path()]
ObsPath = Annotated[Text, _bucket_path("obs", "s3")]
LocalPath = Annotated[Text, AfterValidator(_check_local_path)]

Region = Annotated[Text, AfterValidator(_check_region)]
KmsKey = Annotated[
    Text,
    _matches(
        r"arn:aws:kms:[a-zA-Z0-9-]*:[0-9]{12}:key.+",
        "the ARN of a KMS key, arn:aws:kms:<region>:<account>:key/<id>",
    ),
]
ExternalId = Annotated[
    Text,
    StringConstraints(min_length=10),
    _matches(r"[a-zA-Z0-9_+=,.@:\/-]+", "letters, digits and _+=,.@:/- only"),
]
RoleArn = Annotated[
    Text,
    _matches(r"arn:aws:iam::[0-9]{12}:role.+", "the ARN of a role, arn:aws:iam::<account>:role/<name>"),
]
