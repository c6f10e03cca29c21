"""One file of a listing."""

from swagger_client.model_utils import ModelNormal, member


class DatasourceRawSamplesDataRow(ModelNormal):
    """One file of a listing.

    Attributes:
        file_name: its name relative to the datasource's root, exactly as the store has it. Names are chosen by
            whoever writes to the store: never join one to a local path unchecked.
        read_url: answers a plain GET with its bytes, for anyone who has it, until it expires.
    """

    file_name: str = member("fileName", str)
    read_url: str = member("readUrl", str)
