"""Earlier import path of `headwater_client.watermark`."""

from headwater_client.watermark import DEFAULT_SETTLE_SECONDS as SETTLE
from headwater_client.watermark import NewSamples, new_samples

__all__ = ["SETTLE", "NewSamples", "new_samples"]
