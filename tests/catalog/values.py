"""Short forms of the domain values that these tests store."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from typing import Any

from headwater.catalog.catalog import Catalog
from headwater.domain.datasource import Datasource, DatasourceConfig, parse_config
from headwater.domain.purposes import Reconfigured, reconfigure
from headwater.domain.users import NewToken
from tests.domain.configs import VALID

KEY = bytes(range(32))
KEY_TEXT = f"test:{base64.b64encode(KEY).decode()}"


def config(type_name: str = "S3", **members: str) -> DatasourceConfig:
    """A valid config of a type, with some members set."""
    return parse_config({**VALID[type_name], **members})


def put(dataset_id: str, new: DatasourceConfig) -> Callable[[Sequence[Datasource]], Reconfigured]:
    """Return the decision that a PUT of this config makes."""
    return lambda stored: reconfigure(dataset_id, stored, new)


async def add_user(catalog: Catalog, name: str) -> None:
    """Make a user by the smallest write that makes one: adding a token."""
    await catalog.tokens.add(name, NewToken(), os.urandom(32))


async def dataset_with_datasources(catalog: Catalog, dataset_id: str) -> Any:
    """Return a dataset and its datasources as (Dataset, [Datasource, …]); None if there is no such dataset."""
    dataset = await catalog.datasets.get(dataset_id)
    return None if dataset is None else (dataset, await catalog.datasources.list(dataset_id))
