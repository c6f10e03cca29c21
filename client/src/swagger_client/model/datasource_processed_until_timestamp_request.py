"""The watermark to set."""

from swagger_client.model.timestamp import Timestamp
from swagger_client.model_utils import ModelNormal, member


class DatasourceProcessedUntilTimestampRequest(ModelNormal):
    """The watermark to set.

    Attributes:
        processed_until_timestamp: all files up to and including this second are processed.
    """

    processed_until_timestamp: Timestamp = member("processedUntilTimestamp", Timestamp)
