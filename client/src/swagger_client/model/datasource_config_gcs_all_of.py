"""What a DatasourceConfigGCS has beside the members of every kind of storage."""

from swagger_client.model.all_of import own_part
from swagger_client.model.datasource_config_gcs import DatasourceConfigGCS

DatasourceConfigGCSAllOf = own_part(DatasourceConfigGCS, __name__)
