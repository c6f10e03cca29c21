"""A consumer of new samples, run as its own process and killed.

    python consumer.py HOST TOKEN DATASET SETTLE NOTES

It writes the name of each processed file to NOTES, and reports it on stdout.
"""

from __future__ import annotations

import os
import sys

import swagger_client
from headwater_client import new_samples
from swagger_client.api.datasources_api import DatasourcesApi


def run(host: str, token: str, dataset: str, settle: str, notes: str) -> None:
    """Process the new samples once."""
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    configuration = swagger_client.Configuration(host=host, api_key={"ApiKeyAuth": token})
    with swagger_client.ApiClient(configuration) as api_client:
        os.write(1, b"ready\n")
        with new_samples(DatasourcesApi(api_client), dataset, settle=float(settle)) as samples:
            os.write(1, b"began\n")
            for sample in samples:
                os.write(file, f"{sample.file_name}\n".encode())  # a kill cannot undo it
                os.write(1, b"processed\n")
            os.write(1, b"read\n")
        os.write(1, b"moved\n")


if __name__ == "__main__":
    run(*sys.argv[1:])
