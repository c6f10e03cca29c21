"""The media type of a file, by its suffix; the same on every machine."""

from __future__ import annotations

import mimetypes

UNKNOWN_MEDIA_TYPE = "application/octet-stream"

_SAMPLE_TYPES = {
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

# Python's built-in table. The functions of the module would read system files, which differ between machines.
_OTHER_TYPES = mimetypes.MimeTypes(filenames=()).types_map[True]


def media_type_of(name: str) -> str:
    """Return the media type of a file name; `UNKNOWN_MEDIA_TYPE` if the suffix is missing or unknown."""
    _, dot, suffix = name.rpartition(".")
    if not dot:
        return UNKNOWN_MEDIA_TYPE
    return _SAMPLE_TYPES.get(suffix.lower()) or _OTHER_TYPES.get(f".{suffix.lower()}", UNKNOWN_MEDIA_TYPE)
