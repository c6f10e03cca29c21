"""A row of a listing that knows the request for its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model_utils import OpenApiModel

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi

DatasetId = Union[MongoObjectID, str]


class PageRequest(NamedTuple):
    """The request for one page of a listing. All rows of a page share one.

    Attributes:
        api: the API of the server.
        dataset_id: the dataset.
        cursor: the cursor of the page; None for the first page of a listing.
        begin: first second of the window, in Unix seconds; used for the first page only.
        end: last second of the window, in Unix seconds; used for the first page only.
    """

    api: DatasourcesApi
    dataset_id: DatasetId
    cursor: Optional[str]
    begin: Optional[int]
    end: Optional[int]


class Sample(DatasourceRawSamplesDataRow):
    """One file of a listing, as `iter_samples` yields it: a row that can be listed again when its URL has expired.

    Equal to a plain row with the same members. Copies and unpickled samples do not know their listing.

    Attributes:
        file_name: its name relative to the datasource's root, exactly as the store has it. Anyone who can write to
            the store chooses names: never join one to a local path without a check.
        read_url: returns the file's bytes for a plain GET, to anyone who has it, until it expires.
    """

    __slots__ = ("_page_request",)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatasourceRawSamplesDataRow) and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]  # models are mutable


_write_name = DatasourceRawSamplesDataRow.__dict__["file_name"].__set__
_write_url = DatasourceRawSamplesDataRow.__dict__["read_url"].__set__
_write_additional = OpenApiModel.__dict__["_additional"].__set__
_read_additional = OpenApiModel.__dict__["_additional"].__get__
_write_page_request = Sample.__dict__["_page_request"].__set__
_read_page_request = Sample.__dict__["_page_request"].__get__


def sample_of(row: DatasourceRawSamplesDataRow, request: PageRequest) -> Sample:
    """Return a row of a response as a sample."""
    sample: Sample = object.__new__(Sample)
    _write_name(sample, row.file_name)
    _write_url(sample, row.read_url)
    _write_additional(sample, _read_additional(row))
    _write_page_request(sample, request)
    return sample


def page_request_of(row: DatasourceRawSamplesDataRow) -> Optional[PageRequest]:
    """Return the request for the page of a row; None if the row does not know it."""
    if not isinstance(row, Sample):
        return None
    try:
        request: PageRequest = _read_page_request(row)
    except AttributeError:  # a copy
        return None
    return request
