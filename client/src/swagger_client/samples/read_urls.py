"""Earlier import path of `headwater_client.read_urls`."""

from headwater_client.read_urls import MAX_CACHED_PAGES as PAGES_KEPT
from headwater_client.read_urls import MAX_SEARCHED_PAGES as PAGES_SEARCHED
from headwater_client.read_urls import ReadUrls

__all__ = ["PAGES_KEPT", "PAGES_SEARCHED", "ReadUrls"]
