"""Rows of the catalog's tables as values of the domain, and back. Secrets are encrypted and decrypted here."""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import Row

from headwater.catalog.keyring import Keyring
from headwater.domain.dataset import Dataset, DatasetCreator, DatasetType, ImageType
from headwater.domain.datasource import MASK, Datasource, kind_of, parse_config
from headwater.domain.errors import HeadwaterError, MalformedRequestError
from headwater.domain.users import ApiToken


def now_ms() -> int:
    """The time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def dataset_of(row: Row[Any]) -> Dataset:
    """Read a dataset from a row that has the columns of `datasets`."""
    return Dataset(
        id=row.id,
        owner=row.owner,
        name=row.name,
        type=DatasetType(row.type),
        img_type=ImageType(row.img_type) if row.img_type is not None else None,
        creator=DatasetCreator(row.creator),
        parent_id=row.parent_id,
        include_all_files=row.every_file,
        watermark=row.watermark,
        created_at=row.created_at,
        modified_at=row.modified_at,
        n_samples=row.n_samples,
        size_in_bytes=row.size_in_bytes,
    )


def row_of_dataset(dataset: Dataset) -> dict[str, Any]:
    """Write a dataset as a row of `datasets`."""
    return {
        "id": dataset.id,
        "owner": dataset.owner,
        "name": dataset.name,
        "type": dataset.type.value,
        "img_type": dataset.img_type.value if dataset.img_type is not None else None,
        "creator": dataset.creator.value,
        "parent_id": dataset.parent_id,
        "every_file": dataset.include_all_files,
        "watermark": dataset.watermark,
        "created_at": dataset.created_at,
        "modified_at": dataset.modified_at,
        "n_samples": dataset.n_samples,
        "size_in_bytes": dataset.size_in_bytes,
    }


def token_of(row: Row[Any]) -> ApiToken:
    """Read a token from a row of `tokens`."""
    return ApiToken(id=row.id, user=row.user, admin=row.admin, created_at=row.created_at, revoked_at=row.revoked_at)


def datasource_of(keyring: Keyring, row: Row[Any], datasource_id: str, *, lost_as_mask: bool = False) -> Datasource:
    """Read a datasource from a row of `datasources`.

    Args:
        keyring: what its secret was encrypted with.
        row: all columns but its id, which may be another table's in a row of a join.
        datasource_id: its id.
        lost_as_mask: a secret that cannot be decrypted is read as the mask, so that the datasource can be
            replaced by one with a secret of its own.

    Raises:
        HeadwaterError: its secret cannot be decrypted, or it has not the form that this version knows.
    """
    members = json.loads(row.config)
    members["purpose"] = row.purpose
    try:
        kind = kind_of(members["type"])
        if kind.SECRET is not None and row.secret is not None:
            try:
                members[kind.SECRET] = keyring.decrypt(row.secret, row.dataset_id)
            except HeadwaterError:
                if not lost_as_mask:
                    raise
                members[kind.SECRET] = MASK
        return Datasource(datasource_id, row.dataset_id, parse_config(members))
    except MalformedRequestError as error:
        raise HeadwaterError(
            f"the stored datasource is not of a form that this server knows ({error.message}); configure it again"
        ) from None


def row_of_datasource(keyring: Keyring, dataset_id: str, datasource: Datasource) -> dict[str, Any]:
    """Write a datasource as a row of `datasources`, its secret encrypted."""
    config = datasource.config
    members = config.answer()
    purpose = members.pop("purpose")
    if config.SECRET is not None:
        del members[config.SECRET]
    return {
        "id": datasource.id,
        "dataset_id": dataset_id,
        "purpose": purpose,
        "config": json.dumps(members, separators=(",", ":")),
        "secret": keyring.encrypt(config.secret, dataset_id) if config.secret is not None else None,
    }
