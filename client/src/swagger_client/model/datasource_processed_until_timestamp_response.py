"""The watermark."""

from swagger_client.model.timestamp import Timestamp
from swagger_client.model_utils import ModelNormal, member


class DatasourceProcessedUntilTimestampResponse(ModelNormal):
    """The watermark.

    Attributes:
        processed_until_timestamp: all files up to and including this second are processed; 0 before it is set.
    """

    processed_until_timestamp: Timestamp = member("processedUntilTimestamp", Timestamp)
