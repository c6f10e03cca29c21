"""Earlier import path of `headwater_client.progress`."""

from headwater_client.progress import RATE_WINDOW_SECONDS as RATE_OVER
from headwater_client.progress import REFRESH_SECONDS as INTERVAL
from headwater_client.progress import Progress

__all__ = ["INTERVAL", "RATE_OVER", "Progress"]
