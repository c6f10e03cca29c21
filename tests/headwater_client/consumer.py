"""A consumer of what is new, run as a process of its own and killed in the middle.

    python consumer.py HOST TOKEN DATASET SETTLE NOTES

It notes each file that it has treated in NOTES, and says so on stdout.
"""

from __future__ import annotations

import os
import sys

import swagger_client
from headwater_client import new_samples
from swagger_client.api.datasources_api import DatasourcesApi


def run(host: str, token: str, dataset: str, settle: str, notes: str) -> None:
    """Treat what is new, once."""
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    configuration = swagger_client.Configuration(host=host, api_key={"ApiKeyAuth": token})
    with swagger_client.ApiClient(configuration) as api_client:
        os.write(1, b"ready\n")
        with new_samples(DatasourcesApi(api_client), dataset, settle=float(settle)) as samples:
            os.write(1, b"began\n")
            for sample in samples:
                os.write(file, f"{sample.file_name}\n".encode())  # what a kill does not take back
                os.write(1, b"treated\n")
            os.write(1, b"read\n")
        os.write(1, b"moved\n")


if __name__ == "__main__":
    run(*sys.argv[1:])
