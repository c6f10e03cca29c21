"""Which objects of a bucket are raw samples (contract.md#lists-and-time-windows)."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.domain.objects import Key, StoredObject
from headwater.domain.window import Window

LIGHTLY_FOLDER = ".lightly/"
"""The folder for predictions, metadata and relevant-filenames files, at the root of a datasource. Never raw samples."""

AFTER_LIGHTLY_FOLDER = LIGHTLY_FOLDER + "\U0010ffff"
"""A key after every real key under `LIGHTLY_FOLDER`: a listing that leaves the folder out continues after it."""

IMAGE_SUFFIXES = frozenset("png jpg jpeg bmp gif tif tiff webp ppm pgm".split())
VIDEO_SUFFIXES = frozenset("mp4 mov avi mpg mpeg m4v mkv webm hevc wmv".split())
MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES


def is_sample(key: Key, include_all_files: bool) -> bool:
    """Whether an object is a raw sample.

    Args:
        key: relative to the datasource's root.
        every_file: the dataset lists every file, not media alone.
    """
    if key.endswith("/") or key.startswith(LIGHTLY_FOLDER):
        return False
    if include_all_files:
        return True
    _, dot, suffix = key.rpartition(".")
    return bool(dot) and suffix.lower() in MEDIA_SUFFIXES


def select_listed(
    objects: Iterable[StoredObject], folder: str, window: Window, *, include_all_files: bool
) -> list[StoredObject]:
    """Return those of `objects` that a listing contains, in the same order.

    Args:
        objects: what the store has.
        folder: empty for raw samples; else the folder under `.lightly/` that is listed, in which only folder markers
            are left out.
        window: an object's time must be in it.
        include_all_files: as in `is_sample`.
    """
    first, last = window
    if folder:
        return [found for found in objects if first <= found.modified <= last and not found.key.endswith("/")]
    return [found for found in objects if first <= found.modified <= last and is_sample(found.key, include_all_files)]
