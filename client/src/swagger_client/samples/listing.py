"""Earlier import path of `headwater_client.listing`."""

from headwater_client.listing import DEFAULT_ATTEMPTS as ATTEMPTS
from headwater_client.listing import DEFAULT_PAUSE_SECONDS as PAUSE
from headwater_client.listing import DEFAULT_TIMEOUT_SECONDS as TIMEOUT
from headwater_client.listing import Listing, iter_samples
from headwater_client.listing import fetch_page as fetch
from headwater_client.listing import iter_rows as rows_of

__all__ = ["ATTEMPTS", "PAUSE", "TIMEOUT", "Listing", "fetch", "iter_samples", "rows_of"]
