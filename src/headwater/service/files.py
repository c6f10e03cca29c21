"""URLs of single files, named by whoever asks; the files need not be there yet (contract, section 8)."""

from __future__ import annotations

from headwater.domain.errors import Forbidden, MalformedRequest, Unauthorized
from headwater.domain.folders import RAW, file_in
from headwater.domain.ids import check_id
from headwater.domain.samples import OWN_FOLDER
from headwater.service.configure import input_datasource, lightly_datasource
from headwater.service.datasets import Opened
from headwater.service.headwater import Headwater
from headwater.stores.base import Method

REDIRECTED_TTL = 3600
"""Seconds that a URL lives to which a redirected one leads: time to fetch a large file, and no more."""


async def file_url(hw: Headwater, dataset: Opened, folder: str, name: str, method: Method = "GET") -> str:
    """Make a URL for one file.

    Args:
        hw: the service.
        dataset: the dataset.
        folder: one of `domain.folders`, in which the file lies. Raw names may lead below `.lightly/` too.
        name: of the file, relative to the folder, or from the root on.
        method: what the URL is good for.

    Raises:
        MalformedRequest: a name that leads out of the folder.
        DatasourceUnknown: no datasource holds such files.
        StoreError: no URL can be made with what is configured.
    """
    key = file_in(folder, name)
    lightly = folder != RAW or key.startswith(OWN_FOLDER)
    source = await (lightly_datasource if lightly else input_datasource)(hw, dataset)
    return (await hw.stores.open(source).sign([key], hw.settings.read_url_ttl, method))[0]


async def redirect(hw: Headwater, dataset_id: str, key: str | None, token: str | None, method: Method) -> str:
    """Answer where a redirected read URL leads: to a read URL that is signed now.

    Whoever holds such a URL may read one object of one datasource, until the datasource moves or is deleted, and
    learns nothing of anything else.

    Args:
        hw: the service.
        dataset_id: of the path.
        key: `path` of the query.
        token: `publicToken` of the query.
        method: GET or HEAD; what it leads to is good for that.

    Raises:
        MalformedRequest: not the form of such a URL.
        Unauthorized: there is no token.
        Forbidden: the token is not for this object, or not any more.
        StoreError: the store refused, or could not be reached after retries.
    """
    check_id("datasetId", dataset_id)
    if not key:
        raise MalformedRequest("path: required; use a redirected read URL as it was listed")
    if not token:
        raise Unauthorized("publicToken: required; use a redirected read URL as it was listed")
    source = hw.redirected_urls.find(await hw.catalog.datasources(dataset_id), key, token)
    if source is None:
        raise Forbidden(
            "this redirected read URL is not good, or not any more: use it exactly as it was listed, and list again "
            "where the datasource has moved since"
        )
    return (await hw.stores.open(source).sign([key], min(REDIRECTED_TTL, hw.settings.read_url_ttl), method))[0]
