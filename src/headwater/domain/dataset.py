"""Datasets: what they are called, who owns them, what they say of themselves (contract.md#datasets)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from headwater.domain.errors import MalformedRequestError

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9 _-]+")
_PREFIX = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9 _-]{0,254}")
_MAX_NAME = 255


class DatasetType(StrEnum):
    """What a dataset is made of. It changes no listing."""

    IMAGES = "Images"
    VIDEOS = "Videos"
    CROPS = "Crops"


class ImageType(StrEnum):
    """Which form of its images a dataset was made for."""

    FULL = "full"
    THUMBNAIL = "thumbnail"
    META = "meta"


class DatasetCreator(StrEnum):
    """Which kind of client made a dataset."""

    UNKNOWN = "UNKNOWN"
    USER_WEBAPP = "USER_WEBAPP"
    USER_PIP = "USER_PIP"
    USER_PIP_LIGHTLY_MAGIC = "USER_PIP_LIGHTLY_MAGIC"
    USER_WORKER = "USER_WORKER"


class UploadMethod(StrEnum):
    """Which way a client says that it uploads."""

    USER_WEBAPP = "USER_WEBAPP"
    USER_PIP = "USER_PIP"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDataset:
    """What a user says of a dataset when making it."""

    name: str
    type: DatasetType = DatasetType.IMAGES
    img_type: ImageType | None = None
    creator: DatasetCreator = DatasetCreator.UNKNOWN
    parent_id: str | None = None
    include_all_files: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset as the catalog holds it.

    `created_at` and `modified_at` are in milliseconds since 1970, `watermark` in seconds. `n_samples` and
    `size_in_bytes` are what listings of its raw samples have counted (contract.md#datasets).
    """

    id: str
    owner: str
    name: str
    type: DatasetType
    img_type: ImageType | None
    creator: DatasetCreator
    parent_id: str | None
    include_all_files: bool
    watermark: int
    created_at: int
    modified_at: int
    n_samples: int = 0
    size_in_bytes: int = 0


def check_name(name: str) -> str:
    """Return a dataset's name if it has the contract's form.

    Raises:
        MalformedRequestError: shorter than 3, longer than 255, or with other characters than allowed.
    """
    if len(name) < 3:
        raise MalformedRequestError("name: expected at least 3 characters")
    if len(name) > _MAX_NAME:
        raise MalformedRequestError(f"name: expected at most {_MAX_NAME} characters")
    if not _NAME.fullmatch(name):
        raise MalformedRequestError(
            "name: expected letters, digits, blanks, '_' and '-' only, with a letter or digit first"
        )
    return name


def may_begin_name(text: str) -> bool:
    """Whether a dataset's name may begin with this, or be this."""
    return _PREFIX.fullmatch(text) is not None
