"""Earlier import path of `headwater_client`: the same objects. New programs import `headwater_client`.

`InTheWay`, `SameToTheFileSystem` and `UnusableName` are earlier names of `PathBlockedError`, `CaseCollisionError` and
`UnusableNameError`.
"""

from headwater_client import (
    CaseCollisionError,
    Downloaded,
    DownloadError,
    NewSamples,
    PathBlockedError,
    ReadUrls,
    RefusedError,
    Sample,
    TransferError,
    UnusableNameError,
    WatermarkResetWarning,
    download,
    iter_samples,
    new_samples,
    set_datasource,
)

InTheWay = PathBlockedError
SameToTheFileSystem = CaseCollisionError
UnusableName = UnusableNameError

__all__ = [
    "CaseCollisionError",
    "DownloadError",
    "Downloaded",
    "InTheWay",
    "NewSamples",
    "PathBlockedError",
    "ReadUrls",
    "RefusedError",
    "SameToTheFileSystem",
    "Sample",
    "TransferError",
    "UnusableName",
    "UnusableNameError",
    "WatermarkResetWarning",
    "download",
    "iter_samples",
    "new_samples",
    "set_datasource",
]
