"""Which of a bucket's objects are raw samples (contract, section 4)."""

from __future__ import annotations

from headwater.domain.objects import Key

OWN_FOLDER = ".lightly/"
"""At the root of a datasource: predictions, metadata, the test file of verify. Never raw samples."""

PAST_OWN_FOLDER = OWN_FOLDER + "\U0010ffff"
"""A key after all that lies under `OWN_FOLDER` in practice: where a listing goes on that need not read it."""

IMAGE_SUFFIXES = frozenset("png jpg jpeg bmp gif tif tiff webp ppm pgm".split())
VIDEO_SUFFIXES = frozenset("mp4 mov avi mpg mpeg m4v mkv webm hevc wmv".split())
MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES


def is_sample(key: Key, every_file: bool) -> bool:
    """Whether an object is a raw sample.

    Args:
        key: relative to the datasource's root.
        every_file: the dataset lists every file, not media alone.
    """
    if key.endswith("/") or key.startswith(OWN_FOLDER):
        return False
    if every_file:
        return True
    _, dot, suffix = key.rpartition(".")
    return bool(dot) and suffix.lower() in MEDIA_SUFFIXES
