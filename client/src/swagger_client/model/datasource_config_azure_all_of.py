"""The members of this type of datasource that other types do not have."""

from swagger_client.model.all_of import own_part
from swagger_client.model.datasource_config_azure import DatasourceConfigAzure

DatasourceConfigAzureAllOf = own_part(DatasourceConfigAzure, __name__)
