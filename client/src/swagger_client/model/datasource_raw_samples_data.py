"""One page of a listing."""

from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model_utils import ModelNormal, member


class DatasourceRawSamplesData(ModelNormal):
    """One page of a listing.

    Attributes:
        has_more: whether to ask again, with `cursor`. A page may be short or empty while this is true.
        cursor: where the next page begins. Opaque; it survives restarts of the server and can be used again.
        data: the files, in the order of their names.
    """

    has_more: bool = member("hasMore", bool)
    cursor: str = member("cursor", str)
    data: list[DatasourceRawSamplesDataRow] = member("data", list[DatasourceRawSamplesDataRow])
