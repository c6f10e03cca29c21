"""What a DatasourceConfigS3 has beside the members of every kind of storage."""

from swagger_client.model.all_of import own_part
from swagger_client.model.datasource_config_s3 import DatasourceConfigS3

DatasourceConfigS3AllOf = own_part(DatasourceConfigS3, __name__)
