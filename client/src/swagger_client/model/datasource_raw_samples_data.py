"""One page of a listing."""

from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model_utils import ModelNormal, member


class DatasourceRawSamplesData(ModelNormal):
    """One page of a listing.

    Attributes:
        has_more: whether there are more pages; request the next one with `cursor`. A page can be short or empty even
            if this is true.
        cursor: the start of the next page. Opaque, reusable, and valid after restarts of the server.
        data: the files, ordered by name.
    """

    has_more: bool = member("hasMore", bool)
    cursor: str = member("cursor", str)
    data: list[DatasourceRawSamplesDataRow] = member("data", list[DatasourceRawSamplesDataRow])
