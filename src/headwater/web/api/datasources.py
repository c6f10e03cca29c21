"""The routes of one dataset's datasources (contract.md#operations)."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request, Response

from headwater.auth.permissions import DatasetContext
from headwater.domain.datasource import check_purpose
from headwater.domain.errors import MalformedRequestError, RunUnknownError
from headwater.domain.feed import FeedMode
from headwater.domain.ids import check_id
from headwater.domain.lightly_folder import EMBEDDINGS, METADATA, PREDICTIONS, RAW, predictions_folder
from headwater.domain.text import shorten
from headwater.domain.window import parse_seconds
from headwater.service import configure, files, verify, watermark
from headwater.service.context import ServiceContext
from headwater.service.feed import feed_mode
from headwater.service.listing.pages import ListingRequest, list_samples, split_listing
from headwater.stores.base import Method
from headwater.web.api.bodies import SampleRow, SamplesPageBody, verification_body
from headwater.web.requests import (
    AuthorizedDataset,
    Context,
    WritableDataset,
    query_bool,
    query_int,
    query_value,
    read_json,
    read_json_object,
    required_field,
    required_query_value,
)
from headwater.web.responses import json_response

router = APIRouter(prefix="/v1/datasets/{dataset_id}/datasource")

FEED_HEADER = "Headwater-Feed"
"""The header that tells a client how raw samples are listed: `exact` or `dates` (contract.md#exact-feed)."""

NOTE_HEADER = "Headwater-Note"
"""The header with what is no error and may be a mistake. Characters that are not ASCII are escaped."""

MAX_NOTE_BYTES = 1000
"""Bytes of a note: nginx answers with a 502 if the headers of a response have more than 4 KB."""

WATERMARK_RESET_HEADER = "Headwater-Watermark-Reset"
"""The header that tells a client that its PUT has reset the watermark, and from which value (contract.md#watermark)."""

log = structlog.get_logger(__name__)


@router.get("")
async def get_datasource(request: Request, dataset: AuthorizedDataset) -> Response:
    """Return a datasource. Secrets are masked."""
    value = query_value(request, "purpose")
    purpose = None if value is None else check_purpose("purpose", value)
    return json_response(configure.get_datasource(dataset, purpose).to_wire())


@router.get("/all")
async def list_datasources(dataset: AuthorizedDataset) -> Response:
    """Return all datasources of a dataset. Secrets are masked."""
    return json_response([each.to_wire() for each in configure.get_datasources(dataset)])


@router.put("")
async def put_datasource(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Configure a datasource. If it moves, which resets the watermark, a header says so."""
    after = await configure.put_datasource(ctx, dataset, await read_json(request))
    if not after.lost_watermark:
        return Response()
    log.warning("watermark_reset", dataset=dataset.id, before=after.lost_watermark)
    return Response(headers={WATERMARK_RESET_HEADER: str(after.lost_watermark)})


@router.get("/verify")
async def verify_datasource(ctx: Context, dataset: WritableDataset) -> Response:
    """Verify the access to the datasources."""
    verification = await verify.verify_datasource(ctx, dataset)
    note = "; ".join(verification.notes).encode("ascii", "backslashreplace").decode()
    shown = shorten(note, MAX_NOTE_BYTES, "...")
    return json_response(verification_body(verification), headers={NOTE_HEADER: shown} if shown else {})


@router.get("/processedUntilTimestamp")
async def get_watermark(ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Return the watermark, which is 0 until it is set."""
    body = {"processedUntilTimestamp": dataset.dataset.watermark}
    return json_response(body, headers={FEED_HEADER: feed_mode(ctx, dataset.dataset)})


@router.put("/processedUntilTimestamp")
async def put_watermark(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Set the watermark."""
    seconds = required_field(await read_json_object(request), "processedUntilTimestamp")
    await watermark.set_watermark(ctx, dataset, seconds)
    return Response(headers={FEED_HEADER: feed_mode(ctx, dataset.dataset)})


@router.get("/list")
async def list_raw_samples(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """List one page of raw samples."""
    return await _list_page(request, ctx, dataset, RAW)


@router.get("/list/dnc")
async def split_raw_samples(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Split the listing of raw samples into shards."""
    return await _split_listing(request, ctx, dataset, RAW)


@router.get("/predictions/list")
async def list_predictions(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """List one page of the predictions of a task."""
    return await _list_page(request, ctx, dataset, _predictions_folder(request))


@router.get("/predictions/list/dnc")
async def split_predictions(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Split the listing of the predictions of a task into shards."""
    return await _split_listing(request, ctx, dataset, _predictions_folder(request))


@router.get("/metadata/list")
async def list_metadata(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """List one page of metadata files."""
    return await _list_page(request, ctx, dataset, METADATA)


@router.get("/metadata/list/dnc")
async def split_metadata(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Split the listing of metadata files into shards."""
    return await _split_listing(request, ctx, dataset, METADATA)


@router.get("/predictions/file")
async def get_prediction_read_url(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Return a read URL of a predictions file."""
    return await _file_url(request, ctx, dataset, PREDICTIONS)


@router.get("/predictions/writeUrl")
async def get_prediction_write_url(request: Request, ctx: Context, dataset: WritableDataset) -> Response:
    """Return a write URL of a predictions file."""
    return await _file_url(request, ctx, dataset, PREDICTIONS, "PUT")


@router.get("/metadata/file")
async def get_metadata_read_url(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Return a read URL of a metadata file."""
    return await _file_url(request, ctx, dataset, METADATA)


@router.get("/embeddings/file")
async def get_embedding_read_url(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Return a read URL of an embeddings file."""
    return await _file_url(request, ctx, dataset, EMBEDDINGS)


@router.get("/fileHEAD")
async def get_head_url(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Return a URL for a HEAD request to any file."""
    return await _file_url(request, ctx, dataset, RAW, "HEAD")


@router.api_route("/readurlRedirect", methods=["GET", "HEAD"])
async def redirect_to_read_url(request: Request, ctx: Context) -> Response:
    """Redirect from a redirected read URL to a read URL that is signed now."""
    method: Method = "HEAD" if request.method == "HEAD" else "GET"
    target = await files.resolve_redirected_url(
        ctx,
        dataset_id=request.path_params["dataset_id"],
        key=query_value(request, "path"),
        token=query_value(request, "publicToken"),
        method=method,
    )
    return Response(status_code=307, headers={"Location": target, "Cache-Control": "no-store"})


async def _list_page(request: Request, ctx: ServiceContext, dataset: DatasetContext, folder: str) -> Response:
    page = await list_samples(ctx, dataset, _listing_request(request, folder))
    rows = [SampleRow(name, url) for name, url in page.samples]
    body = SamplesPageBody(page.has_more, page.cursor, rows)
    return json_response(body, headers=_feed_header(page.feed, folder))


async def _split_listing(request: Request, ctx: ServiceContext, dataset: DatasetContext, folder: str) -> Response:
    shards = query_int(request, "dncShards", 1)
    if shards is None:
        raise MalformedRequestError("dncShards: required; a whole number, 1 or more")
    split = await split_listing(ctx, dataset, _listing_request(request, folder, use_cursor=False), shards)
    return json_response({"cursors": split.cursors}, headers=_feed_header(split.feed, folder))


async def _file_url(
    request: Request, ctx: ServiceContext, dataset: DatasetContext, folder: str, method: Method = "GET"
) -> Response:
    name = required_query_value(request, "fileName")
    return json_response(await files.sign_file_url(ctx, dataset, folder, name, method))


def _feed_header(feed: FeedMode, folder: str) -> dict[str, str]:
    return {FEED_HEADER: feed} if folder == RAW else {}


def _predictions_folder(request: Request) -> str:
    return predictions_folder(required_query_value(request, "taskName"))


def _listing_request(request: Request, folder: str, *, use_cursor: bool = True) -> ListingRequest:
    """Return what to list. If there is a cursor, the query parameters that it already holds are ignored."""
    if folder != RAW:
        _refuse_runs(request)
    redirected = query_bool(request, "useRedirectedReadUrl")
    cursor = query_value(request, "cursor") if use_cursor else None
    if cursor is not None:
        return ListingRequest(folder=folder, cursor=cursor, redirected=redirected)
    return ListingRequest(
        folder=folder,
        selection_file=query_value(request, "relevantFilenamesFileName"),
        start=_query_seconds(request, "from"),
        end=_query_seconds(request, "to"),
        redirected=redirected,
    )


def _refuse_runs(request: Request) -> None:
    """Refuse relevant filenames that come from a run of a worker: this server has no runs."""
    run, artifact = query_value(request, "relevantFilenamesRunId"), query_value(request, "relevantFilenamesArtifactId")
    if run is None and artifact is None:
        return
    if run is None or artifact is None:
        missing = "relevantFilenamesRunId" if run is None else "relevantFilenamesArtifactId"
        raise MalformedRequestError(f"{missing}: required together with the other of the two")
    check_id("relevantFilenamesRunId", run)
    check_id("relevantFilenamesArtifactId", artifact)
    raise RunUnknownError(
        f"relevantFilenamesRunId: there is no run {run}; this server has no runs. Write the names to a file under "
        f".lightly/ and pass its name as relevantFilenamesFileName"
    )


def _query_seconds(request: Request, name: str) -> int | None:
    value = query_value(request, name)
    return None if value is None else parse_seconds(name, value)
