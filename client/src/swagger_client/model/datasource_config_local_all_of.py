"""What a DatasourceConfigLOCAL has beside the members of every kind of storage."""

from swagger_client.model.all_of import own_part
from swagger_client.model.datasource_config_local import DatasourceConfigLOCAL

DatasourceConfigLOCALAllOf = own_part(DatasourceConfigLOCAL, __name__)
