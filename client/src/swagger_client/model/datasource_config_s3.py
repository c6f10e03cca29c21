"""Amazon S3 with an access key."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model_utils import UNSET, member

S3_REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    *("us-gov-west-1", "us-gov-east-1", "us-gov-east", "us-gov-west"),
    *("af-south-1", "ap-east-1", "ap-south-1", "ap-south-2"),
    *("ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ca-central-1", "cn-north-1", "cn-northwest-1"),
    *("eu-central-1", "eu-central-2", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("eu-south-1", "eu-south-2", "eu-north-1"),
    *("me-south-1", "me-central-1", "sa-east-1"),
)
"""The regions in the contract."""

KMS_KEY = "^arn:aws:kms:[a-zA-Z0-9-]*:[0-9]{12}:key.+$"
"""The pattern of the ARN of a KMS key."""


class DatasourceConfigS3(DatasourceConfigBase, kw_only=True):
    """Amazon S3 with an access key.

    Attributes:
        full_path: bucket and path, with or without `s3://`.
        s3_region: the region of the bucket, such as `eu-central-1`.
        s3_access_key_id: the id of the access key.
        s3_secret_access_key: its secret; masked in responses.
        s3_server_side_encryption_kms_key: the ARN of the KMS key that the store encrypts with.
    """

    type: str = member("type", str, enum=("S3", "DatasourceConfigS3"))
    full_path: str = member("fullPath", str, pattern=r"^([sS]3:\/\/|(?![a-zA-Z][a-zA-Z0-9+.-]*:\/\/))[^\/]+(\/|$)")
    s3_region: str = member("s3Region", str, enum=S3_REGIONS)
    s3_access_key_id: str = member("s3AccessKeyId", str, minLength=1)
    s3_secret_access_key: str = member("s3SecretAccessKey", str, minLength=1, secret=True)
    s3_server_side_encryption_kms_key: str = member(
        "s3ServerSideEncryptionKMSKey", str, default=UNSET, minLength=1, pattern=KMS_KEY
    )
