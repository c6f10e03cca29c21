"""`swagger_client.samples` re-exports `headwater_client` under every path and name that it has had."""

from __future__ import annotations

from importlib import import_module

import pytest

import headwater_client
from swagger_client import samples

NAMES = {
    "downloading": "ATTEMPTS PAUSE TIMEOUT WORKERS DownloadError Downloaded download",
    "folder": "CAN_OPEN_BELOW Folder InTheWay Parent",
    "listing": "ATTEMPTS PAUSE TIMEOUT Listing fetch iter_samples rows_of",
    "names": "LONGEST_PART Parts UnusableName parts_of shown temporary",
    "patience": "LONGEST_PAUSE PASSING_STATUSES Patience is_passing",
    "progress": "INTERVAL RATE_OVER Progress",
    "read_urls": "PAGES_KEPT PAGES_SEARCHED ReadUrls",
    "sample": "DatasetId Place Sample place_of sample_of",
    "times": "Time server_seconds unix_seconds",
    "transfer": "CHUNK CONNECT_TIMEOUT MOST_REDIRECTS MOST_RENEWALS Options Renew Stopped TransferError is_full "
    "transfer",
    "twins": "SameToTheFileSystem Twins",
    "watermark": "SETTLE NewSamples new_samples",
}
"""The public names of each submodule before `headwater_client` existed."""

RENAMED = {
    "InTheWay": "PathBlockedError",
    "SameToTheFileSystem": "CaseCollisionError",
    "UnusableName": "UnusableNameError",
}


def test_the_package_has_the_same_objects() -> None:
    assert sorted(samples.__all__) == samples.__all__
    assert set(samples.__all__) == {*headwater_client.__all__, *RENAMED}
    for name in samples.__all__:
        assert getattr(samples, name) is getattr(headwater_client, RENAMED.get(name, name))


@pytest.mark.parametrize("module", NAMES)
def test_a_submodule_has_its_names(module: str) -> None:
    imported = import_module(f"swagger_client.samples.{module}")
    assert sorted(imported.__all__) == sorted(NAMES[module].split())
    origin = import_module(str(imported.__doc__).split("`")[1])
    for name in imported.__all__:
        assert any(getattr(imported, name) is value for value in vars(origin).values()), name
