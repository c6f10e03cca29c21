"""The members of this type of datasource that other types do not have."""

from swagger_client.model.all_of import own_part
from swagger_client.model.datasource_config_local import DatasourceConfigLOCAL

DatasourceConfigLOCALAllOf = own_part(DatasourceConfigLOCAL, __name__)
