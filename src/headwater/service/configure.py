"""Configure the datasources of a dataset. Only the form is checked; no store is contacted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from headwater.auth.permissions import DatasetContext
from headwater.domain.audit import AuditAction, AuditEntry
from headwater.domain.datasource import SECRET_MASK, Datasource, DatasourceConfig, Purpose, parse_new_config
from headwater.domain.errors import DatasourceUnknownError, ForbiddenError
from headwater.domain.location import shown_path
from headwater.domain.permissions import Permission
from headwater.domain.purposes import (
    Reconfigured,
    find_datasource,
    input_datasource,
    lightly_datasource,
    reconfigure,
    remove,
    sort_datasources,
)
from headwater.service.audit import dataset_entry
from headwater.service.context import ServiceContext
from headwater.service.datasets import dataset_unknown

NO_DATASOURCE = "this dataset has no datasource yet; configure one first"
"""The error text for a dataset without any datasource."""


def get_datasource(dataset: DatasetContext, purpose: Purpose | None = None) -> Datasource:
    """Return the datasource with this purpose; without a purpose, the first of INPUT_OUTPUT, INPUT, LIGHTLY.

    Raises:
        DatasourceUnknownError: none is configured.
    """
    found = find_datasource(dataset.datasources, purpose)
    if found is None:
        raise DatasourceUnknownError(
            NO_DATASOURCE if purpose is None else f"this dataset has no datasource with the purpose {purpose}"
        )
    return found


def get_datasources(dataset: DatasetContext) -> list[Datasource]:
    """Return all datasources of a dataset, in the order in which `get_datasource` searches them."""
    return sort_datasources(dataset.datasources)


def require_input_datasource(dataset: DatasetContext) -> Datasource:
    """Return the datasource from which raw samples are listed.

    Raises:
        DatasourceUnknownError: there is none; the text says what to configure.
    """
    found = input_datasource(dataset.datasources)
    if found is None:
        raise DatasourceUnknownError(
            "this dataset has only a datasource with the purpose LIGHTLY, and raw samples are listed from one with "
            "the purpose INPUT; configure that too"
            if dataset.datasources
            else NO_DATASOURCE
        )
    return found


def require_lightly_datasource(dataset: DatasetContext) -> Datasource:
    """Return the datasource that holds everything under `.lightly/`.

    Raises:
        DatasourceUnknownError: there is none; the text says what to configure.
    """
    found = lightly_datasource(dataset.datasources)
    if found is None:
        raise DatasourceUnknownError(
            "this dataset has only a datasource with the purpose INPUT, and files under .lightly/ are in one with "
            "the purpose LIGHTLY; configure that too, or one with the purpose INPUT_OUTPUT, which is both"
            if dataset.datasources
            else NO_DATASOURCE
        )
    return found


async def put_datasource(ctx: ServiceContext, dataset: DatasetContext, raw: object) -> Reconfigured:
    """Configure a datasource and return the datasources that the dataset has afterwards, the configured one first.

    The change is durable when this returns; a call that fails changes nothing. The watermark is reset to 0 if the input
    moves to other data (contract.md#watermark).

    Args:
        ctx: the service.
        dataset: the dataset.
        raw: the config as decoded from JSON.

    Raises:
        MalformedRequestError: the config does not have the documented form, or it contains a mask instead of a secret
            that is needed.
        ForbiddenError: the principal may not manage the dataset, and the stored secret would be used for other data.
        DatasetUnknownError: the dataset was deleted in the meantime.
    """
    config = parse_new_config(raw)
    path = shown_path(config.full_path)
    entry = dataset_entry(dataset, AuditAction.DATASOURCE_SET, config.purpose, type=config.type, path=path)

    def decide(stored: Sequence[Datasource]) -> Reconfigured:
        if Permission.MANAGE not in dataset.permissions:
            _check_use_of_secret(config, stored)
        return reconfigure(dataset.id, stored, config)

    after = await ctx.catalog.datasources.change(dataset.id, decide, partial(_with_effect, entry))
    if after is None:
        raise dataset_unknown(dataset.id)
    return after


async def remove_datasource(ctx: ServiceContext, dataset: DatasetContext, purpose: Purpose) -> Reconfigured:
    """Let no datasource serve a purpose any more; return the datasources that the dataset has afterwards.

    A datasource for INPUT_OUTPUT stays for the other purpose; any other is deleted together with its secret. No store
    is contacted, and no file is touched. Without an INPUT datasource the watermark is 0, and there is no feed.

    Args:
        ctx: the service.
        dataset: the dataset.
        purpose: INPUT or LIGHTLY.

    Raises:
        NotFoundError: no datasource serves the purpose, or the dataset was deleted in the meantime.
    """
    entry = dataset_entry(dataset, AuditAction.DATASOURCE_REMOVE, purpose)
    after = await ctx.catalog.datasources.change(
        dataset.id, lambda stored: remove(stored, purpose), partial(_with_effect, entry)
    )
    if after is None:
        raise dataset_unknown(dataset.id)
    return after


def _check_use_of_secret(config: DatasourceConfig, stored: Sequence[Datasource]) -> None:
    """Check that a masked secret is used for data that it is used for already.

    Editors do not know the secret. Otherwise they could read whatever else the owner's credentials reach.
    """
    if config.secret == SECRET_MASK and config.location not in {each.config.location for each in stored}:
        raise ForbiddenError(
            "the stored credentials may be used for another location only by an owner of the dataset, and not with a "
            "token that is limited to it; send the secret again"
        )


def _with_effect(entry: AuditEntry, decided: Reconfigured) -> AuditEntry:
    """Return an entry of the audit log with what a change means for raw samples."""
    if not decided.lost_watermark:
        return entry
    return replace(entry, details={**entry.details, "lost_watermark": decided.lost_watermark})
