"""Earlier import path of `headwater_client.retries`."""

from headwater_client.retries import MAX_DELAY_SECONDS as LONGEST_PAUSE
from headwater_client.retries import TRANSIENT_STATUSES as PASSING_STATUSES
from headwater_client.retries import RetryPolicy as Patience
from headwater_client.retries import is_transient as is_passing

__all__ = ["LONGEST_PAUSE", "PASSING_STATUSES", "Patience", "is_passing"]
