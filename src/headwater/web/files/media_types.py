"""Which media type a file is sent as: by its suffix, the same on every machine."""

from __future__ import annotations

import mimetypes

UNKNOWN = "application/octet-stream"

_OF_SAMPLES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "ppm": "image/x-portable-pixmap",
    "pgm": "image/x-portable-graymap",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "m4v": "video/x-m4v",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "hevc": "video/hevc",
    "wmv": "video/x-ms-wmv",
}
"""The suffixes of raw samples (contract.md#lists-and-time-windows)."""

# Python's own table: the module's functions would read the machine's files, which differ.
_OTHERS = mimetypes.MimeTypes(filenames=()).types_map[True]


def media_type_of(name: str) -> str:
    """Return the media type of a file's name, `UNKNOWN` where the suffix says nothing."""
    _, dot, suffix = name.rpartition(".")
    if not dot:
        return UNKNOWN
    return _OF_SAMPLES.get(suffix.lower()) or _OTHERS.get(f".{suffix.lower()}", UNKNOWN)
