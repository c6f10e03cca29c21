"""Datasets: their names, owners and properties (contract.md#datasets)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from headwater.domain.errors import MalformedRequestError
from headwater.domain.feed import FeedMode

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9 _-]+")
_NAME_PREFIX = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9 _-]{0,254}")
_MAX_NAME_LENGTH = 255


class DatasetType(StrEnum):
    """What a dataset is made of. It has no effect on listings."""

    IMAGES = "Images"
    VIDEOS = "Videos"
    CROPS = "Crops"


class ImageType(StrEnum):
    """The form of its images that a dataset was made for."""

    FULL = "full"
    THUMBNAIL = "thumbnail"
    META = "meta"


class DatasetCreator(StrEnum):
    """The kind of client that made a dataset."""

    UNKNOWN = "UNKNOWN"
    USER_WEBAPP = "USER_WEBAPP"
    USER_PIP = "USER_PIP"
    USER_PIP_LIGHTLY_MAGIC = "USER_PIP_LIGHTLY_MAGIC"
    USER_WORKER = "USER_WORKER"


class UploadMethod(StrEnum):
    """How a client says that it uploads."""

    USER_WEBAPP = "USER_WEBAPP"
    USER_PIP = "USER_PIP"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDataset:
    """The properties that a user gives a new dataset."""

    name: str
    type: DatasetType = DatasetType.IMAGES
    img_type: ImageType | None = None
    creator: DatasetCreator = DatasetCreator.UNKNOWN
    parent_id: str | None = None
    include_all_files: bool = False
    feed: FeedMode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset in the catalog.

    `created_at` and `modified_at` are in milliseconds since 1970, `watermark` is in seconds. `n_samples` and
    `size_in_bytes` are what the index of its feed counts (contract.md#datasets), and `counted` is false until it has
    counted. `feed` is None if the dataset follows the setting of the server.
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
    feed: FeedMode | None = None
    counted: bool = False


def check_name(name: str) -> str:
    """Return the name of a dataset if it has a valid form (contract.md#datasets).

    Raises:
        MalformedRequestError: it has fewer than 3 or more than 255 characters, or characters that are not allowed.
    """
    if len(name) < 3:
        raise MalformedRequestError("name: expected at least 3 characters")
    if len(name) > _MAX_NAME_LENGTH:
        raise MalformedRequestError(f"name: expected at most {_MAX_NAME_LENGTH} characters")
    if not _NAME.fullmatch(name):
        raise MalformedRequestError(
            "name: expected letters, digits, blanks, '_' and '-' only, with a letter or digit first"
        )
    return name


def may_begin_name(text: str) -> bool:
    """Return whether the name of a dataset can begin with this text, or be this text."""
    return _NAME_PREFIX.fullmatch(text) is not None
