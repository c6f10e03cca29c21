"""Make the six operations with a Python client of the newest generator. Prints what it found, as JSON."""

import json
import sys

from openapi_client import ApiClient, Configuration, DatasourcesApi
from openapi_client.models import DatasourceConfig, DatasourceConfigLOCAL, DatasourceProcessedUntilTimestampRequest

url, token, dataset = sys.argv[1:]
with ApiClient(Configuration(host=url, api_key={"ApiKeyAuth": token})) as client:
    api = DatasourcesApi(client)
    api.update_datasource_by_dataset_id(
        dataset, DatasourceConfig(DatasourceConfigLOCAL(type="LOCAL", fullPath="camera", purpose="INPUT_OUTPUT"))
    )
    config = api.get_datasource_by_dataset_id(dataset).actual_instance
    verified = api.verify_datasource_by_dataset_id(dataset)
    names: list[str] = []
    page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, to=2_000_000_000)
    while True:
        names += [row.file_name for row in page.data]
        if not page.has_more:
            break
        page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, cursor=page.cursor)
    api.update_datasource_processed_until_timestamp_by_dataset_id(
        dataset, DatasourceProcessedUntilTimestampRequest(processedUntilTimestamp=1_700_000_000)
    )
    watermark = api.get_datasource_processed_until_timestamp_by_dataset_id(dataset)
print(
    json.dumps(
        {
            "type": config.type,
            "path": config.full_path,
            "verified": [verified.can_read, verified.can_write, verified.can_list, verified.can_overwrite],
            "names": names,
            "watermark": watermark.processed_until_timestamp,
        }
    )
)
