"""Whether a datasource can be used."""

from swagger_client.model.datasource_config_verify_data_errors import DatasourceConfigVerifyDataErrors
from swagger_client.model_utils import UNSET, ModelNormal, member


class DatasourceConfigVerifyData(ModelNormal):
    """Whether a datasource can be used, each flag found by doing it.

    Attributes:
        can_read: a byte could be read.
        can_write: a test file could be created.
        can_list: a page could be listed.
        can_overwrite: the test file could be replaced. Older servers do not say.
        errors: why, where a flag is false. Not set where there is nothing to say.
    """

    can_read: bool = member("canRead", bool)
    can_write: bool = member("canWrite", bool)
    can_list: bool = member("canList", bool)
    can_overwrite: bool = member("canOverwrite", bool, default=UNSET)
    errors: DatasourceConfigVerifyDataErrors = member(
        "errors", DatasourceConfigVerifyDataErrors, default=UNSET, kw_only=True
    )
