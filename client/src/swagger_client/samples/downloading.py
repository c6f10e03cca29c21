"""Earlier import path of `headwater_client.downloads`."""

from headwater_client.downloads import DEFAULT_ATTEMPTS as ATTEMPTS
from headwater_client.downloads import DEFAULT_PAUSE_SECONDS as PAUSE
from headwater_client.downloads import DEFAULT_TIMEOUT_SECONDS as TIMEOUT
from headwater_client.downloads import DEFAULT_WORKERS as WORKERS
from headwater_client.downloads import Downloaded, DownloadError, download

__all__ = ["ATTEMPTS", "PAUSE", "TIMEOUT", "WORKERS", "DownloadError", "Downloaded", "download"]
