"""Why a datasource cannot be used."""

from swagger_client.model_utils import UNSET, ModelNormal, member


class DatasourceConfigVerifyDataErrors(ModelNormal):
    """For each flag that is false, the store's error and the missing permission.

    Attributes:
        can_read: why no byte could be read.
        can_write: why no test file could be created.
        can_list: why nothing could be listed.
        can_overwrite: why the test file could not be replaced.
    """

    can_read: str = member("canRead", str, default=UNSET, kw_only=True)
    can_write: str = member("canWrite", str, default=UNSET, kw_only=True)
    can_list: str = member("canList", str, default=UNSET, kw_only=True)
    can_overwrite: str = member("canOverwrite", str, default=UNSET, kw_only=True)
