"""The routes of datasets and of client versions (contract.md#datasets)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from starlette.convertors import PathConvertor, StringConvertor, register_url_convertor

from headwater.domain.dataset import DatasetCreator, DatasetType, ImageType, NewDataset, UploadMethod
from headwater.domain.errors import MalformedRequestError
from headwater.service import datasets
from headwater.service.datasets import DatasetFilter, DatasetSummary
from headwater.web.api.bodies import dataset_body, enriched_dataset_body
from headwater.web.requests import (
    AuthorizedDataset,
    Context,
    CurrentPrincipal,
    ManagedDataset,
    WritableDataset,
    optional_choice,
    optional_string,
    query_bool,
    query_int,
    query_value,
    read_json_object,
    required_field,
)
from headwater.web.responses import json_response

router = APIRouter(prefix="/v1")


class _DatasetIdConvertor(StringConvertor):
    """One segment of a path, except where it is the path of another operation, which may have other methods."""

    regex = "(?!enriched$)[^/]+"


class _DatasetNameConvertor(PathConvertor):
    """The rest of a path, whatever it is. That of Starlette stops at a newline."""

    regex = r"[\s\S]*"


register_url_convertor("dataset_id", _DatasetIdConvertor())
register_url_convertor("dataset_name", _DatasetNameConvertor())

NEWEST_CLIENT_VERSION = "1.5.26"
"""The newest published `lightly` client that this server is tested with."""

OLDEST_CLIENT_VERSION = "1.2.2"
"""The oldest published `lightly` client that this server is tested with."""

_VERSION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}")


@router.post("/datasets")
async def create_dataset(request: Request, ctx: Context, principal: CurrentPrincipal) -> Response:
    """Create a dataset."""
    body = await read_json_object(request)
    required_field(body, "name")
    new = NewDataset(
        name=optional_string(body, "name") or "",
        type=optional_choice(body, "type", DatasetType) or DatasetType.IMAGES,
        img_type=optional_choice(body, "imgType", ImageType),
        creator=optional_choice(body, "creator", DatasetCreator) or DatasetCreator.UNKNOWN,
        parent_id=optional_string(body, "parentDatasetId"),
    )
    return json_response({"id": (await datasets.create_dataset(ctx, principal, new)).id}, 201)


@router.get("/datasets")
async def list_datasets(request: Request, ctx: Context, principal: CurrentPrincipal) -> Response:
    """List the user's own datasets, or those that are shared with the user."""
    return _datasets_response(await datasets.list_datasets(ctx, principal, _dataset_filter(request)))


@router.get("/datasets/enriched")
async def list_enriched_datasets(request: Request, ctx: Context, principal: CurrentPrincipal) -> Response:
    """List the same datasets in the enriched form."""
    return _enriched_response(await datasets.list_datasets(ctx, principal, _enriched_filter(request)))


@router.get("/datasets/enriched/query/ids")
async def find_enriched_datasets_by_ids(request: Request, ctx: Context, principal: CurrentPrincipal) -> Response:
    """List those of the given datasets that exist and that the user may see."""
    ids = request.query_params.getlist("datasetIds")
    return _enriched_response(await datasets.find_datasets_by_ids(ctx, principal, ids, _enriched_filter(request)))


@router.get("/datasets/enriched/query/name/{dataset_name:dataset_name}")
async def find_enriched_datasets_by_name(request: Request, ctx: Context, principal: CurrentPrincipal) -> Response:
    """List datasets with a name or name prefix, in the enriched form."""
    name, exact = request.path_params["dataset_name"], query_bool(request, "exact")
    dataset_filter = _enriched_filter(request)
    return _enriched_response(
        await datasets.find_datasets_by_name(ctx, principal, name, exact=exact, dataset_filter=dataset_filter)
    )


@router.get("/datasets/query/name/{dataset_name:dataset_name}")
async def find_datasets_by_name(request: Request, ctx: Context, principal: CurrentPrincipal) -> Response:
    """List datasets with a name or name prefix."""
    name, exact = request.path_params["dataset_name"], query_bool(request, "exact")
    dataset_filter = _dataset_filter(request)
    return _datasets_response(
        await datasets.find_datasets_by_name(ctx, principal, name, exact=exact, dataset_filter=dataset_filter)
    )


@router.get("/datasets/{dataset_id:dataset_id}")
async def get_dataset(ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Return a dataset."""
    return json_response(dataset_body(await datasets.summarize_dataset(ctx, dataset)))


@router.put("/datasets/{dataset_id:dataset_id}")
async def rename_dataset(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Rename a dataset."""
    body = await read_json_object(request)
    required_field(body, "name")
    await datasets.rename_dataset(ctx, dataset, optional_string(body, "name") or "")
    return Response()


@router.delete("/datasets/{dataset_id:dataset_id}")
async def delete_dataset(request: Request, ctx: Context, dataset: ManagedDataset) -> Response:
    """Delete a dataset with its datasources, secrets and watermark. `force` is accepted and has no effect."""
    query_bool(request, "force")
    await datasets.delete_dataset(ctx, dataset)
    return Response()


@router.get("/datasets/{dataset_id}/children")
async def list_child_datasets(ctx: Context, dataset: AuthorizedDataset) -> Response:
    """List the datasets that were created as children of a dataset."""
    return _datasets_response(await datasets.list_child_datasets(ctx, dataset))


@router.put("/datasets/{dataset_id}/registerDatasetUpload")
async def register_upload(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Register an upload. The body is checked, but not stored."""
    body = await read_json_object(request)
    for name in ("total", "processed"):
        if type(required_field(body, name)) is not int or body[name] < 0:
            raise MalformedRequestError(f"{name}: expected a whole number, 0 or more")
    optional_choice(body, "uploadMethod", UploadMethod)
    if not isinstance(body.get("isRegistered"), bool | None):
        raise MalformedRequestError("isRegistered: expected true or false")
    await datasets.register_upload(ctx, dataset)
    return Response()


@router.get("/versions/pip/latest")
async def get_latest_version(request: Request) -> Response:
    """Return the client's own version, so that a published client considers itself up to date."""
    current = query_value(request, "currentVersion")
    return json_response(current if current and _VERSION.fullmatch(current) else NEWEST_CLIENT_VERSION)


@router.get("/versions/pip/minimum")
async def get_minimum_version() -> Response:
    """Return the minimum version that a published client must have."""
    return json_response(OLDEST_CLIENT_VERSION)


def _datasets_response(summaries: Sequence[DatasetSummary]) -> Response:
    return json_response([dataset_body(summary) for summary in summaries])


def _enriched_response(summaries: Sequence[DatasetSummary]) -> Response:
    return json_response([enriched_dataset_body(summary) for summary in summaries])


def _enriched_filter(request: Request) -> DatasetFilter:
    return _dataset_filter(request, newest=query_int(request, "limit", 1))


def _dataset_filter(request: Request, newest: int | None = None) -> DatasetFilter:
    shared, team = query_bool(request, "shared"), query_bool(request, "getAssetsOfTeam")
    team_and_own = query_bool(request, "getAssetsOfTeamInclusiveSelf")
    query_bool(request, "excludePlayground")
    limit, offset = query_int(request, "pageSize", 1), query_int(request, "pageOffset", 0)
    return DatasetFilter(
        own=team_and_own or not (shared or team),
        shared=shared,
        team=team or team_and_own,
        limit=limit,
        offset=offset or 0,
        newest=newest,
    )
