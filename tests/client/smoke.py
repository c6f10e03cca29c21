"""Use every part of the client once, with any supported Python: `python smoke.py URL TOKEN FOLDER`.

It is self-contained, so that it runs without the dependencies of the tests.
"""

import copy
import importlib
import pickle
import pkgutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import headwater_client
import swagger_client
from headwater_client import download, new_samples
from swagger_client.api.datasets_api import DatasetsApi
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.models import DatasetCreateRequest, DatasourceConfig, DatasourceConfigLOCAL


def main(url: str, token: str, folder: str) -> None:
    """Print the results."""
    for package in (swagger_client, headwater_client):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    configuration = swagger_client.Configuration(url, {"ApiKeyAuth": token})
    with swagger_client.ApiClient(configuration) as client:
        datasets, api = DatasetsApi(client), DatasourcesApi(client)
        request = DatasetCreateRequest("smoke on {}.{}".format(*sys.version_info[:2]).replace(".", "-"))
        dataset = datasets.create_dataset(request).id
        api.update_datasource_by_dataset_id(dataset, DatasourceConfig(type="LOCAL", full_path=folder))
        config = api.get_datasource_by_dataset_id(dataset)
        for copied in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
            assert isinstance(copied, DatasourceConfigLOCAL)
            assert copied == config
        later: Any = api.verify_datasource_by_dataset_id(dataset, async_req=True)
        assert later.get().can_list
        with tempfile.TemporaryDirectory() as target:
            with new_samples(api, dataset) as samples:
                done = download(samples, target)
            names = sorted(file.name for file in Path(target).iterdir())
        datasets.delete_dataset_by_id(dataset)
        try:
            datasets.get_dataset_by_id(dataset)
        except swagger_client.NotFoundException as error:
            print(done.files, names, error.code, "{}.{}".format(*sys.version_info[:2]))


if __name__ == "__main__":
    main(*sys.argv[1:])
