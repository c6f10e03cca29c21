"""Which of a bucket's objects are raw samples (contract.md#lists-and-time-windows)."""

from __future__ import annotations

from headwater.domain.objects import Key

LIGHTLY_FOLDER = ".lightly/"
"""At the root of a datasource: predictions, metadata, the test file of verify. Never raw samples."""

AFTER_LIGHTLY_FOLDER = LIGHTLY_FOLDER + "\U0010ffff"
"""A key after all that lies under `LIGHTLY_FOLDER` in practice: where a listing goes on that need not read it."""

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
