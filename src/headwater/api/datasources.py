"""The routes of one dataset's datasource (contract, sections 1 and 4 to 7)."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from headwater.api.answers import as_json
from headwater.api.parameters import Asked, Service, Who, boolean, member, one, read_json, read_object, whole
from headwater.domain.datasource import check_purpose
from headwater.domain.errors import MalformedRequest, RunUnknown
from headwater.domain.folders import EMBEDDINGS, METADATA, PREDICTIONS, RAW, predictions_of
from headwater.domain.ids import check_id
from headwater.domain.users import Principal
from headwater.domain.window import parse_seconds
from headwater.service import configure, files, listing, verify, watermark
from headwater.service.datasets import Opened
from headwater.service.headwater import Headwater
from headwater.stores.base import Method

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
async def get_datasource(request: Request, hw: Service, dataset: Asked) -> Response:
    """Answer the configured datasource, its secrets masked."""
    wanted = one(request, "purpose")
    purpose = None if wanted is None else check_purpose("purpose", wanted)
    return as_json((await configure.get_datasource(hw, dataset, purpose)).answer())


@router.get("/all")
async def get_datasources(hw: Service, dataset: Asked) -> Response:
    """Answer all configured datasources, their secrets masked."""
    return as_json([each.answer() for each in await configure.get_datasources(hw, dataset)])


@router.put("")
async def put_datasource(request: Request, hw: Service, dataset: Asked) -> Response:
    """Configure the datasource."""
    await configure.put_datasource(hw, dataset, await read_json(request))
    return Response()


@router.get("/verify")
async def verify_datasource(hw: Service, who: Who, dataset: Asked) -> Response:
    """Try the datasource."""
    return as_json((await verify.verify_datasource(hw, who, dataset)).answer())


@router.get("/processedUntilTimestamp")
async def get_watermark(dataset: Asked) -> Response:
    """Answer the watermark: 0 until it is set."""
    return as_json({"processedUntilTimestamp": dataset.watermark})


@router.put("/processedUntilTimestamp")
async def put_watermark(request: Request, hw: Service, dataset: Asked) -> Response:
    """Set the watermark."""
    seconds = member(await read_object(request), "processedUntilTimestamp")
    await watermark.set_watermark(hw, dataset, seconds)
    return Response()


@router.get("/list")
async def list_samples(request: Request, hw: Service, who: Who, dataset: Asked) -> Response:
    """List a page of raw samples."""
    return await _list(request, hw, who, dataset, RAW)


@router.get("/list/dnc")
async def divide_samples(request: Request, hw: Service, who: Who, dataset: Asked) -> Response:
    """Cut the listing of raw samples into shards."""
    return await _divide(request, hw, who, dataset, RAW)


@router.get("/predictions/list")
async def list_predictions(request: Request, hw: Service, who: Who, dataset: Asked) -> Response:
    """List a page of a task's predictions."""
    return await _list(request, hw, who, dataset, predictions_of(_required(request, "taskName")))


@router.get("/predictions/list/dnc")
async def divide_predictions(request: Request, hw: Service, who: Who, dataset: Asked) -> Response:
    """Cut the listing of a task's predictions into shards."""
    return await _divide(request, hw, who, dataset, predictions_of(_required(request, "taskName")))


@router.get("/metadata/list")
async def list_metadata(request: Request, hw: Service, who: Who, dataset: Asked) -> Response:
    """List a page of metadata files."""
    return await _list(request, hw, who, dataset, METADATA)


@router.get("/metadata/list/dnc")
async def divide_metadata(request: Request, hw: Service, who: Who, dataset: Asked) -> Response:
    """Cut the listing of metadata files into shards."""
    return await _divide(request, hw, who, dataset, METADATA)


@router.get("/predictions/file")
async def read_prediction(request: Request, hw: Service, dataset: Asked) -> Response:
    """Answer a read URL of a file of predictions."""
    return as_json(await files.file_url(hw, dataset, PREDICTIONS, _required(request, "fileName")))


@router.get("/predictions/writeUrl")
async def write_prediction(request: Request, hw: Service, dataset: Asked) -> Response:
    """Answer a URL to put a file of predictions to."""
    return as_json(await files.file_url(hw, dataset, PREDICTIONS, _required(request, "fileName"), "PUT"))


@router.get("/metadata/file")
async def read_metadata(request: Request, hw: Service, dataset: Asked) -> Response:
    """Answer a read URL of a metadata file."""
    return as_json(await files.file_url(hw, dataset, METADATA, _required(request, "fileName")))


@router.get("/embeddings/file")
async def read_embedding(request: Request, hw: Service, dataset: Asked) -> Response:
    """Answer a read URL of a file of embeddings."""
    return as_json(await files.file_url(hw, dataset, EMBEDDINGS, _required(request, "fileName")))


@router.get("/fileHEAD")
async def head_file(request: Request, hw: Service, dataset: Asked) -> Response:
    """Answer a URL for HEAD of any file."""
    return as_json(await files.file_url(hw, dataset, RAW, _required(request, "fileName"), "HEAD"))


@router.api_route("/readurlRedirect", methods=["GET", "HEAD"])
async def redirect(request: Request, hw: Service) -> Response:
    """Redirect whoever has a redirected read URL to a read URL signed now."""
    dataset_id = request.path_params["dataset_id"]
    method: Method = "HEAD" if request.method == "HEAD" else "GET"
    target = await files.redirect(hw, dataset_id, one(request, "path"), one(request, "publicToken"), method)
    return Response(status_code=307, headers={"Location": target, "Cache-Control": "no-store"})


async def _list(request: Request, hw: Headwater, who: Principal, dataset: Opened, folder: str) -> Response:
    page = await listing.list_samples(hw, who, dataset, _asked(request, folder))
    rows = [SampleRow(name, url) for name, url in page.samples]
    return as_json(SamplesData(page.has_more, page.cursor, rows))


async def _divide(request: Request, hw: Headwater, who: Principal, dataset: Opened, folder: str) -> Response:
    shards = whole(request, "dncShards", 1)
    if shards is None:
        raise MalformedRequest("dncShards: required; a whole number, 1 or more")
    return as_json({"cursors": await listing.divide(hw, who, dataset, _asked(request, folder, new=True), shards)})


def _asked(request: Request, folder: str, *, new: bool = False) -> listing.Asked:
    """What a listing is asked for. Beside a cursor, what it holds itself is not looked at."""
    if folder != RAW:
        _refuse_runs(request)
    redirected = boolean(request, "useRedirectedReadUrl")
    cursor = None if new else one(request, "cursor")
    if cursor is not None:
        return listing.Asked(folder, cursor=cursor, redirected=redirected)
    relevant = one(request, "relevantFilenamesFileName")
    return listing.Asked(folder, _seconds(request, "from"), _seconds(request, "to"), None, relevant, redirected)


def _refuse_runs(request: Request) -> None:
    """Refuse filenames that a run made known: this server holds no runs."""
    run, artifact = one(request, "relevantFilenamesRunId"), one(request, "relevantFilenamesArtifactId")
    if run is None and artifact is None:
        return
    if run is None or artifact is None:
        missing = "relevantFilenamesRunId" if run is None else "relevantFilenamesArtifactId"
        raise MalformedRequest(f"{missing}: required beside the other of the two")
    check_id("relevantFilenamesRunId", run)
    check_id("relevantFilenamesArtifactId", artifact)
    raise RunUnknown(
        f"relevantFilenamesRunId: there is no run {run}; this server holds no runs. Put the names into a file below "
        f".lightly/ and name it as relevantFilenamesFileName"
    )


def _required(request: Request, name: str) -> str:
    value = one(request, name)
    if value is None:
        raise MalformedRequest(f"{name}: required")
    return value


def _seconds(request: Request, name: str) -> int | None:
    value = one(request, name)
    return None if value is None else parse_seconds(name, value)
