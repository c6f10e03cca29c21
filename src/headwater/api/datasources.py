"""The routes of one dataset's datasource (contract, sections 1 and 4 to 7)."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from headwater.api.answers import as_json
from headwater.api.parameters import Asked, Service, Who, member, one, read_json, read_object
from headwater.domain.datasource import Purpose
from headwater.domain.errors import MalformedRequest, NotOffered
from headwater.domain.window import parse_seconds
from headwater.service import configure, listing, verify, watermark

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
    if wanted is not None and wanted not in tuple(Purpose):
        raise MalformedRequest(f"purpose: expected one of {', '.join(Purpose)}")
    purpose = Purpose(wanted) if wanted is not None else None
    return as_json((await configure.get_datasource(hw, dataset, purpose)).answer())


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
    if one(request, "relevantFilenamesFileName") is not None:
        raise NotOffered("relevantFilenamesFileName: this version lists without a relevant-filenames file only")
    cursor = one(request, "cursor")
    page = await listing.list_samples(
        hw,
        who,
        dataset,
        start=_seconds(request, "from") if cursor is None else None,
        end=_seconds(request, "to") if cursor is None else None,
        cursor=cursor,
    )
    rows = [SampleRow(name, url) for name, url in page.samples]
    return as_json(SamplesData(page.has_more, page.cursor, rows))


def _seconds(request: Request, name: str) -> int | None:
    value = one(request, name)
    return None if value is None else parse_seconds(name, value)
