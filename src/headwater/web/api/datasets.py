"""The routes of datasets themselves, and of versions (contract.md#datasets)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response

from headwater.domain.dataset import DatasetCreator, DatasetType, ImageType, NewDataset, UploadMethod
from headwater.domain.errors import MalformedRequestError
from headwater.service import datasets
from headwater.service.datasets import DatasetFilter, DatasetSummary
from headwater.web.requests import (
    AuthorizedDataset,
    Context,
    CurrentPrincipal,
    WritableDataset,
    query_bool,
    query_int,
    query_value,
    read_object,
    required_field,
    text,
)
from headwater.web.responses import json_response

router = APIRouter(prefix="/v1")

NEWEST_CLIENT = "1.5.26"
"""The newest published `lightly` client that this server is held to."""

OLDEST_CLIENT = "1.2.2"
"""The oldest one."""

_VERSION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}")

Choice = TypeVar("Choice", bound=StrEnum)


@router.post("/datasets")
async def create_dataset(request: Request, ctx: Context, who: CurrentPrincipal) -> Response:
    """Make a dataset."""
    body = await read_object(request)
    required_field(body, "name")
    new = NewDataset(
        name=text(body, "name") or "",
        type=_choice(body, "type", DatasetType) or DatasetType.IMAGES,
        img_type=_choice(body, "imgType", ImageType),
        creator=_choice(body, "creator", DatasetCreator) or DatasetCreator.UNKNOWN,
        parent_id=text(body, "parentDatasetId"),
    )
    return json_response({"id": (await datasets.create(ctx, who, new)).id}, 201)


@router.get("/datasets")
async def list_datasets(request: Request, ctx: Context, who: CurrentPrincipal) -> Response:
    """Answer one's own datasets; other people's are none until sharing exists."""
    found = await datasets.describe_all(ctx, who, _wanted(request))
    return json_response([_dataset_data(described) for described in found])


@router.get("/datasets/enriched")
async def list_datasets_enriched(request: Request, ctx: Context, who: CurrentPrincipal) -> Response:
    """Answer one's own datasets in their other form."""
    found = await datasets.describe_all(ctx, who, _wanted(request, query_int(request, "limit", 1)))
    return json_response([_dataset_data_enriched(described) for described in found])


@router.get("/datasets/enriched/query/ids")
async def find_datasets_by_ids(request: Request, ctx: Context, who: CurrentPrincipal) -> Response:
    """Answer those datasets that there are and that are one's own."""
    ids = request.query_params.getlist("datasetIds")
    found = await datasets.describe_ids(ctx, who, ids, _wanted(request, query_int(request, "limit", 1)))
    return json_response([_dataset_data_enriched(described) for described in found])


@router.get("/datasets/enriched/query/name/{dataset_name:path}")
async def find_datasets_enriched_by_name(request: Request, ctx: Context, who: CurrentPrincipal) -> Response:
    """Answer one's own datasets of a name, or with this prefix, in their other form."""
    found = await datasets.describe_named(
        ctx,
        who,
        request.path_params["dataset_name"],
        exact=query_bool(request, "exact"),
        wanted=_wanted(request, query_int(request, "limit", 1)),
    )
    return json_response([_dataset_data_enriched(described) for described in found])


@router.get("/datasets/query/name/{dataset_name:path}")
async def find_datasets_by_name(request: Request, ctx: Context, who: CurrentPrincipal) -> Response:
    """Answer one's own datasets of a name, or with this prefix."""
    found = await datasets.describe_named(
        ctx, who, request.path_params["dataset_name"], exact=query_bool(request, "exact"), wanted=_wanted(request)
    )
    return json_response([_dataset_data(described) for described in found])


@router.get("/datasets/{dataset_id}")
async def get_dataset(ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Answer a dataset."""
    return json_response(_dataset_data(await datasets.describe(ctx, dataset)))


@router.put("/datasets/{dataset_id}")
async def rename_dataset(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Rename a dataset."""
    body = await read_object(request)
    required_field(body, "name")
    await datasets.rename(ctx, dataset, text(body, "name") or "")
    return Response()


@router.delete("/datasets/{dataset_id}")
async def delete_dataset(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Delete a dataset, its datasources, secrets and watermark. `force` is accepted and changes nothing."""
    query_bool(request, "force")
    await datasets.delete(ctx, dataset)
    return Response()


@router.get("/datasets/{dataset_id}/children")
async def list_children(ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Answer the datasets made as children of this one."""
    found = await datasets.describe_children(ctx, dataset)
    return json_response([_dataset_data(described) for described in found])


@router.put("/datasets/{dataset_id}/registerDatasetUpload")
async def register_upload(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Take note of an upload. Its form is checked; what it says is not kept."""
    body = await read_object(request)
    for name in ("total", "processed"):
        if type(required_field(body, name)) is not int or body[name] < 0:
            raise MalformedRequestError(f"{name}: expected a whole number, 0 or more")
    _choice(body, "uploadMethod", UploadMethod)
    if not isinstance(body.get("isRegistered"), bool | None):
        raise MalformedRequestError("isRegistered: expected true or false")
    await datasets.note_upload(ctx, dataset)
    return Response()


@router.get("/versions/pip/latest")
async def latest_version(request: Request) -> Response:
    """Tell a published client that it is up to date."""
    current = query_value(request, "currentVersion")
    return json_response(current if current and _VERSION.fullmatch(current) else NEWEST_CLIENT)


@router.get("/versions/pip/minimum")
async def minimum_version() -> Response:
    """Tell a published client which version it must have."""
    return json_response(OLDEST_CLIENT)


def _dataset_data(described: DatasetSummary) -> dict[str, Any]:
    dataset = described.dataset
    data: dict[str, Any] = {
        "id": dataset.id,
        "name": dataset.name,
        "userId": dataset.owner,
        "type": dataset.type,
        "nSamples": dataset.n_samples,
        "sizeInBytes": dataset.size_in_bytes,
        "createdAt": dataset.created_at,
        "lastModifiedAt": dataset.modified_at,
        "datasources": list(described.datasource_ids),
        "datasourceProcessedUntilTimestamp": dataset.watermark,
    }
    if dataset.img_type is not None:
        data["imgType"] = dataset.img_type
    if dataset.parent_id is not None:
        data["parentDatasetId"] = dataset.parent_id
    return data


def _dataset_data_enriched(described: DatasetSummary) -> dict[str, Any]:
    data = _dataset_data(described)
    del data["datasourceProcessedUntilTimestamp"]  # clients refuse what their model of this form does not have
    return {**data, "samples": [], "nTags": 0, "nEmbeddings": 0}


def _wanted(request: Request, newest: int | None = None) -> DatasetFilter:
    shared, of_team = query_bool(request, "shared"), query_bool(request, "getAssetsOfTeam")
    query_bool(request, "getAssetsOfTeamInclusiveSelf")
    query_bool(request, "excludePlayground")
    limit, offset = query_int(request, "pageSize", 1), query_int(request, "pageOffset", 0)
    return DatasetFilter(shared or of_team, limit, offset or 0, newest)


def _choice(body: dict[str, Any], name: str, choices: type[Choice]) -> Choice | None:
    value = text(body, name)
    if value is None:
        return None
    if value not in tuple(choices):
        raise MalformedRequestError(f"{name}: expected one of {', '.join(choices)}")
    return choices(value)
