"""URLs of single files, named by whoever asks; the files need not be there yet (contract.md#lightly-folder)."""

from __future__ import annotations

from headwater.auth.permissions import DatasetContext
from headwater.domain.errors import ForbiddenError, MalformedRequestError, UnauthorizedError
from headwater.domain.ids import check_id
from headwater.domain.lightly_folder import RAW, key_in_folder
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.service.configure import require_input_datasource, require_lightly_datasource
from headwater.service.context import ServiceContext
from headwater.stores.base import Method

REDIRECTED_TTL = 3600
"""Seconds that a URL lives to which a redirected one leads: time to fetch a large file, and no more."""


async def file_url(ctx: ServiceContext, dataset: DatasetContext, folder: str, name: str, method: Method = "GET") -> str:
    """Make a URL for one file.

    Args:
        hw: the service.
        dataset: the dataset.
        folder: one of `domain.folders`, in which the file lies. Raw names may lead below `.lightly/` too.
        name: of the file, relative to the folder, or from the root on.
        method: what the URL is good for.

    Raises:
        MalformedRequestError: a name that leads out of the folder.
        DatasourceUnknownError: no datasource holds such files.
        StoreError: no URL can be made with what is configured.
    """
    key = key_in_folder(folder, name)
    lightly = folder != RAW or key.startswith(LIGHTLY_FOLDER)
    source = (require_lightly_datasource if lightly else require_input_datasource)(dataset)
    return (await ctx.stores.open(source).sign([key], ctx.settings.read_url_ttl, method))[0]


async def redirect(ctx: ServiceContext, dataset_id: str, key: str | None, token: str | None, method: Method) -> str:
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
        MalformedRequestError: not the form of such a URL.
        Unauthorized: there is no token.
        Forbidden: the token is not for this object, or not any more.
        StoreError: the store refused, or could not be reached after retries.
    """
    check_id("datasetId", dataset_id)
    if not key:
        raise MalformedRequestError("path: required; use a redirected read URL as it was listed")
    if not token:
        raise UnauthorizedError("publicToken: required; use a redirected read URL as it was listed")
    source = ctx.redirected_urls.find(await ctx.catalog.datasources.list(dataset_id), key, token)
    if source is None:
        raise ForbiddenError(
            "this redirected read URL is not good, or not any more: use it exactly as it was listed, and list again "
            "where the datasource has moved since"
        )
    return (await ctx.stores.open(source).sign([key], min(REDIRECTED_TTL, ctx.settings.read_url_ttl), method))[0]
