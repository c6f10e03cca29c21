"""The members of this type of datasource that other types do not have."""

from swagger_client.model.all_of import own_part
from swagger_client.model.datasource_config_s3 import DatasourceConfigS3

DatasourceConfigS3AllOf = own_part(DatasourceConfigS3, __name__)
