"""List a whole dataset with the `swagger_client` on the path, as a user's program does.

`python listing_script.py URL DATASET` prints the number of rows, the seconds, and the peak memory in bytes. It runs
with the generated client and with ours, so it imports nothing else of this project.
"""

import resource
import sys
import time

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi


def main(url: str, dataset: str) -> None:
    configuration = swagger_client.Configuration(host=url, api_key={"ApiKeyAuth": "test-token"})
    count, length, began = 0, 0, time.perf_counter()
    with swagger_client.ApiClient(configuration) as client:
        api = DatasourcesApi(client)
        page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset)
        while True:
            for row in page.data:
                count += 1
                length += len(row.file_name) + len(row.read_url)
            if not page.has_more:
                break
            page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, cursor=page.cursor)
    assert length > count
    seconds = time.perf_counter() - began
    print(count, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
