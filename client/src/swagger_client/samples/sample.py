"""A row of a listing that knows where in which listing it stood."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model_utils import OpenApiModel

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi

DatasetId = Union[MongoObjectID, str]


class Place(NamedTuple):
    """What asks for the page of a listing that a row stood in. All rows of a page share one.

    Attributes:
        api: of the server.
        dataset_id: of the dataset.
        cursor: of the page; None for the first page of a listing.
        begin: Unix seconds, the window's first; for the first page.
        end: Unix seconds, the window's last; for the first page.
    """

    api: DatasourcesApi
    dataset_id: DatasetId
    cursor: Optional[str]
    begin: Optional[int]
    end: Optional[int]


class Sample(DatasourceRawSamplesDataRow):
    """One file of a listing, as `iter_samples` yields it: a row that can be listed again when its URL has expired.

    Equal to a plain row that holds the same. A copy, and one that was pickled, no longer knows its listing.

    Attributes:
        file_name: its name relative to the datasource's root, exactly as the store has it. Names are chosen by
            whoever writes to the store: never join one to a local path unchecked.
        read_url: answers a plain GET with its bytes, for anyone who has it, until it expires.
    """

    __slots__ = ("_place",)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatasourceRawSamplesDataRow) and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]  # as of every model: it can be changed


_put_name = DatasourceRawSamplesDataRow.__dict__["file_name"].__set__
_put_url = DatasourceRawSamplesDataRow.__dict__["read_url"].__set__
_put_further = OpenApiModel.__dict__["_further"].__set__
_read_further = OpenApiModel.__dict__["_further"].__get__
_put_place = Sample.__dict__["_place"].__set__
_read_place = Sample.__dict__["_place"].__get__


def sample_of(row: DatasourceRawSamplesDataRow, place: Place) -> Sample:
    """A row of an answer as a sample."""
    sample: Sample = object.__new__(Sample)
    _put_name(sample, row.file_name)
    _put_url(sample, row.read_url)
    _put_further(sample, _read_further(row))
    _put_place(sample, place)
    return sample


def place_of(row: DatasourceRawSamplesDataRow) -> Optional[Place]:
    """Where a row stood; None where it does not know."""
    if not isinstance(row, Sample):
        return None
    try:
        place: Place = _read_place(row)
    except AttributeError:  # a copy
        return None
    return place
