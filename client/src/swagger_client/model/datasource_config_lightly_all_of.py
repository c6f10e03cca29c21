"""What a DatasourceConfigLIGHTLY has beside the members of every kind of storage."""

from swagger_client.model.all_of import own_part
from swagger_client.model.datasource_config_lightly import DatasourceConfigLIGHTLY

DatasourceConfigLIGHTLYAllOf = own_part(DatasourceConfigLIGHTLY, __name__)
