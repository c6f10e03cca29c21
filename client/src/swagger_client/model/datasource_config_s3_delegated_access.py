"""Amazon S3 with a role."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model.datasource_config_s3 import KMS_KEY, S3_REGIONS
from swagger_client.model_utils import UNSET, member


class DatasourceConfigS3DelegatedAccess(DatasourceConfigBase, kw_only=True):
    """Amazon S3 with a role that the server assumes.

    Attributes:
        full_path: bucket and path, with or without `s3://`.
        s3_region: the region of the bucket, such as `eu-central-1`.
        s3_external_id: the external id that the role's trust policy requires.
        s3_arn: the ARN of the role.
        s3_server_side_encryption_kms_key: the ARN of the KMS key that the store encrypts with.
    """

    type: str = member("type", str, enum=("S3DelegatedAccess", "DatasourceConfigS3DelegatedAccess"))
    full_path: str = member("fullPath", str, pattern=r"^([sS]3:\/\/|(?![a-zA-Z][a-zA-Z0-9+.-]*:\/\/))[^\/]+(\/|$)")
    s3_region: str = member("s3Region", str, enum=S3_REGIONS)
    s3_external_id: str = member("s3ExternalId", str, minLength=10, pattern=r"^[a-zA-Z0-9_+=,.@:\/-]+$")
    s3_arn: str = member("s3ARN", str, minLength=12, pattern=r"^arn:aws:iam::[0-9]{12}:role.+$")
    s3_server_side_encryption_kms_key: str = member(
        "s3ServerSideEncryptionKMSKey", str, default=UNSET, minLength=1, pattern=KMS_KEY
    )
