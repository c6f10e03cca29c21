"""The routes of one dataset's datasource (contract.md#operations)."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from headwater.auth.permissions import DatasetContext
from headwater.domain.datasource import check_purpose
from headwater.domain.errors import MalformedRequestError, RunUnknownError
from headwater.domain.ids import check_id
from headwater.domain.lightly_folder import EMBEDDINGS, METADATA, PREDICTIONS, RAW, predictions_folder
from headwater.domain.window import parse_seconds
from headwater.service import configure, files, verify, watermark
from headwater.service.context import ServiceContext
from headwater.service.listing.pages import ListingRequest, split_listing
from headwater.service.listing.pages import list_samples as list_samples_page
from headwater.stores.base import Method
from headwater.web.requests import (
    AuthorizedDataset,
    Context,
    WritableDataset,
    query_bool,
    query_int,
    query_value,
    read_json,
    read_object,
    required_field,
)
from headwater.web.responses import json_response

router = APIRouter(prefix="/v1/datasets/{dataset_id}/datasource")


class SampleRow(msgspec.Struct, gc=False):
    """One raw sample on the wire."""

    fileName: str  # noqa: N815  the wire's name
    readUrl: str  # noqa: N815  the wire's name


class SamplesData(msgspec.Struct):
    """A page of raw samples on the wire."""

    hasMore: bool  # noqa: N815  the wire's name
    cursor: str
    data: list[SampleRow]


@router.get("")
async def get_datasource(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Answer the configured datasource, its secrets masked."""
    wanted = query_value(request, "purpose")
    purpose = None if wanted is None else check_purpose("purpose", wanted)
    return json_response(configure.get_datasource(dataset, purpose).to_wire())


@router.get("/all")
async def get_datasources(ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Answer all configured datasources, their secrets masked."""
    return json_response([each.to_wire() for each in configure.get_datasources(dataset)])


@router.put("")
async def put_datasource(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Configure the datasource."""
    await configure.put_datasource(ctx, dataset, await read_json(request))
    return Response()


@router.get("/verify")
async def verify_datasource(ctx: Context, dataset: WritableDataset) -> Response:
    """Try the datasource."""
    return json_response((await verify.verify_datasource(ctx, dataset)).answer())


@router.get("/processedUntilTimestamp")
async def get_watermark(dataset: AuthorizedDataset) -> Response:
    """Answer the watermark: 0 until it is set."""
    return json_response({"processedUntilTimestamp": dataset.dataset.watermark})


@router.put("/processedUntilTimestamp")
async def put_watermark(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Set the watermark."""
    seconds = required_field(await read_object(request), "processedUntilTimestamp")
    await watermark.set_watermark(ctx, dataset, seconds)
    return Response()


@router.get("/list")
async def list_samples(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """List a page of raw samples."""
    return await _list(request, ctx, dataset, RAW)


@router.get("/list/dnc")
async def divide_samples(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Cut the listing of raw samples into shards."""
    return await _divide(request, ctx, dataset, RAW)


@router.get("/predictions/list")
async def list_predictions(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """List a page of a task's predictions."""
    return await _list(request, ctx, dataset, predictions_folder(_required(request, "taskName")))


@router.get("/predictions/list/dnc")
async def divide_predictions(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Cut the listing of a task's predictions into shards."""
    return await _divide(request, ctx, dataset, predictions_folder(_required(request, "taskName")))


@router.get("/metadata/list")
async def list_metadata(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """List a page of metadata files."""
    return await _list(request, ctx, dataset, METADATA)


@router.get("/metadata/list/dnc")
async def divide_metadata(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Cut the listing of metadata files into shards."""
    return await _divide(request, ctx, dataset, METADATA)


@router.get("/predictions/file")
async def read_prediction(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Answer a read URL of a file of predictions."""
    return json_response(await files.file_url(ctx, dataset, PREDICTIONS, _required(request, "fileName")))


@router.get("/predictions/writeUrl")
async def write_prediction(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Answer a URL to put a file of predictions to."""
    return json_response(await files.file_url(ctx, dataset, PREDICTIONS, _required(request, "fileName"), "PUT"))


@router.get("/metadata/file")
async def read_metadata(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Answer a read URL of a metadata file."""
    return json_response(await files.file_url(ctx, dataset, METADATA, _required(request, "fileName")))


@router.get("/embeddings/file")
async def read_embedding(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Answer a read URL of a file of embeddings."""
    return json_response(await files.file_url(ctx, dataset, EMBEDDINGS, _required(request, "fileName")))


@router.get("/fileHEAD")
async def head_file(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Answer a URL for HEAD of any file."""
    return json_response(await files.file_url(ctx, dataset, RAW, _required(request, "fileName"), "HEAD"))


@router.api_route("/readurlRedirect", methods=["GET", "HEAD"])
async def redirect(request: Request, ctx: Context) -> Response:
    """Redirect whoever has a redirected read URL to a read URL signed now."""
    dataset_id = request.path_params["dataset_id"]
    method: Method = "HEAD" if request.method == "HEAD" else "GET"
    target = await files.redirect(
        ctx, dataset_id, query_value(request, "path"), query_value(request, "publicToken"), method
    )
    return Response(status_code=307, headers={"Location": target, "Cache-Control": "no-store"})


async def _list(request: Request, ctx: ServiceContext, dataset: DatasetContext, folder: str) -> Response:
    page = await list_samples_page(ctx, dataset, _asked(request, folder))
    rows = [SampleRow(name, url) for name, url in page.samples]
    return json_response(SamplesData(page.has_more, page.cursor, rows))


async def _divide(request: Request, ctx: ServiceContext, dataset: DatasetContext, folder: str) -> Response:
    shards = query_int(request, "dncShards", 1)
    if shards is None:
        raise MalformedRequestError("dncShards: required; a whole number, 1 or more")
    return json_response({"cursors": await split_listing(ctx, dataset, _asked(request, folder, new=True), shards)})


def _asked(request: Request, folder: str, *, new: bool = False) -> ListingRequest:
    """What a listing is asked for. Beside a cursor, what it holds itself is not looked at."""
    if folder != RAW:
        _refuse_runs(request)
    redirected = query_bool(request, "useRedirectedReadUrl")
    cursor = None if new else query_value(request, "cursor")
    if cursor is not None:
        return ListingRequest(folder, cursor=cursor, redirected=redirected)
    relevant = query_value(request, "relevantFilenamesFileName")
    return ListingRequest(folder, _seconds(request, "from"), _seconds(request, "to"), None, relevant, redirected)


def _refuse_runs(request: Request) -> None:
    """Refuse filenames that a run made known: this server holds no runs."""
    run, artifact = query_value(request, "relevantFilenamesRunId"), query_value(request, "relevantFilenamesArtifactId")
    if run is None and artifact is None:
        return
    if run is None or artifact is None:
        missing = "relevantFilenamesRunId" if run is None else "relevantFilenamesArtifactId"
        raise MalformedRequestError(f"{missing}: required beside the other of the two")
    check_id("relevantFilenamesRunId", run)
    check_id("relevantFilenamesArtifactId", artifact)
    raise RunUnknownError(
        f"relevantFilenamesRunId: there is no run {run}; this server holds no runs. Put the names into a file below "
        f".lightly/ and name it as relevantFilenamesFileName"
    )


def _required(request: Request, name: str) -> str:
    value = query_value(request, name)
    if value is None:
        raise MalformedRequestError(f"{name}: required")
    return value


def _seconds(request: Request, name: str) -> int | None:
    value = query_value(request, name)
    return None if value is None else parse_seconds(name, value)
