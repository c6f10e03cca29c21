"""Signed URLs of single files. The files need not exist (contract.md#lightly-folder)."""

from __future__ import annotations

from headwater.auth.permissions import DatasetContext
from headwater.domain.errors import ForbiddenError, MalformedRequestError, UnauthorizedError
from headwater.domain.ids import check_id
from headwater.domain.lightly_folder import RAW, key_in_folder
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.net.users import working_for
from headwater.service.configure import require_input_datasource, require_lightly_datasource
from headwater.service.context import ServiceContext
from headwater.stores.base import Method

REDIRECT_TARGET_TTL_SECONDS = 3600
"""How long the read URL behind a redirected URL is valid: long enough to download a large file."""


async def sign_file_url(
    ctx: ServiceContext, dataset: DatasetContext, folder: str, name: str, method: Method = "GET"
) -> str:
    """Return a signed URL of one file.

    Args:
        ctx: the service.
        dataset: the dataset.
        folder: `RAW` or one of the folders in `domain.lightly_folder`. With `RAW`, the name may also lead into
            `.lightly/`.
        name: the file name, relative to the folder or to the root of the datasource.
        method: the only method that the URL can be used with.

    Raises:
        MalformedRequestError: the name leads out of the folder.
        DatasourceUnknownError: no datasource holds such files.
        StoreError: the store cannot sign URLs with its configuration.
    """
    key = key_in_folder(folder, name)
    in_lightly_folder = folder != RAW or key.startswith(LIGHTLY_FOLDER)
    source = (require_lightly_datasource if in_lightly_folder else require_input_datasource)(dataset)
    with working_for(dataset.principal.user):
        return (await ctx.stores.open(source).sign([key], ctx.settings.read_url_ttl, method))[0]


async def resolve_redirected_url(
    ctx: ServiceContext, *, dataset_id: str, key: str | None, token: str | None, method: Method
) -> str:
    """Return the read URL, signed now, that a redirected URL leads to.

    A redirected URL gives access to one object of one datasource, until the datasource moves or is deleted. An error
    does not reveal what exists.

    Args:
        ctx: the service.
        dataset_id: from the path of the redirected URL.
        key: `path` from its query.
        token: `publicToken` from its query.
        method: the only method that the read URL can be used with.

    Raises:
        MalformedRequestError: the redirected URL does not have the expected form.
        UnauthorizedError: the token is missing.
        ForbiddenError: the token does not belong to this object, or the datasource has moved.
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
            "this redirected read URL is invalid, or no longer valid: use it exactly as it was listed, and list again "
            "if the datasource has moved since"
        )
    ttl = min(REDIRECT_TARGET_TTL_SECONDS, ctx.settings.read_url_ttl)
    with working_for(f"dataset {dataset_id}"):  # whoever has the URL
        return (await ctx.stores.open(source).sign([key], ttl, method))[0]
