"""The result of a datasource verification."""

from swagger_client.model.datasource_config_verify_data_errors import DatasourceConfigVerifyDataErrors
from swagger_client.model_utils import UNSET, ModelNormal, member


class DatasourceConfigVerifyData(ModelNormal):
    """Whether each kind of access to a datasource works; the server has tried it.

    Attributes:
        can_read: whether a byte was read.
        can_write: whether a test file was created.
        can_list: whether a page was listed.
        can_overwrite: whether the test file was replaced. Older servers do not send it.
        errors: the reason for each flag that is false. Not set if there is none.
    """

    can_read: bool = member("canRead", bool)
    can_write: bool = member("canWrite", bool)
    can_list: bool = member("canList", bool)
    can_overwrite: bool = member("canOverwrite", bool, default=UNSET)
    errors: DatasourceConfigVerifyDataErrors = member(
        "errors", DatasourceConfigVerifyDataErrors, default=UNSET, kw_only=True
    )
