"""The members of this type of datasource that other types do not have."""

from swagger_client.model.all_of import own_part
from swagger_client.model.datasource_config_lightly import DatasourceConfigLIGHTLY

DatasourceConfigLIGHTLYAllOf = own_part(DatasourceConfigLIGHTLY, __name__)
