"""The reasons why a datasource verification failed."""

from swagger_client.model_utils import UNSET, ModelNormal, member


class DatasourceConfigVerifyDataErrors(ModelNormal):
    """The store's error and the missing permission for each flag that is false.

    Attributes:
        can_read: why no byte was read.
        can_write: why no test file was created.
        can_list: why no page was listed.
        can_overwrite: why the test file was not replaced.
    """

    can_read: str = member("canRead", str, default=UNSET, kw_only=True)
    can_write: str = member("canWrite", str, default=UNSET, kw_only=True)
    can_list: str = member("canList", str, default=UNSET, kw_only=True)
    can_overwrite: str = member("canOverwrite", str, default=UNSET, kw_only=True)
