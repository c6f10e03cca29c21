"""One file of a listing."""

from swagger_client.model_utils import ModelNormal, member


class DatasourceRawSamplesDataRow(ModelNormal):
    """One file of a listing.

    Attributes:
        file_name: its name relative to the datasource's root, exactly as the store has it. Anyone who can write to
            the store chooses names: never join one to a local path without a check.
        read_url: returns the file's bytes for a plain GET, to anyone who has it, until it expires.
    """

    file_name: str = member("fileName", str)
    read_url: str = member("readUrl", str)
