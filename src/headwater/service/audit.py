"""The audit log: what changes say about themselves, and how long that is kept (docs/deployment.md#audit-log)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address
from typing import NamedTuple

import structlog

from headwater.auth.permissions import DatasetContext
from headwater.domain.audit import AuditAction, AuditEntry, AuditFilter, Detail
from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.users import Principal
from headwater.service.context import ServiceContext

SWEEP_SECONDS = 3600.0
"""How often a server looks for entries that are too old."""

_DAY_MS = 86_400_000

log = structlog.get_logger(__name__)


class Origin(NamedTuple):
    """Where a change comes from, as `AuditEntry` has it."""

    address: str | None = None
    request_id: str | None = None


_origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039  immutable


@contextmanager
def coming_from(address: str | None, request_id: str | None = None) -> Iterator[None]:
    """Let the entries of the block say where the changes come from.

    Args:
        address: the client of a request, as the server was told; otherwise any text.
        request_id: the id of the request; None if it is none.
    """
    before = _origin.set(Origin(address, request_id))
    try:
        yield
    finally:
        _origin.reset(before)


def audit_entry(
    principal: Principal,
    action: AuditAction,
    dataset_id: str | None = None,
    target: str | None = None,
    **details: Detail,
) -> AuditEntry:
    """Return the entry for a change that is made now.

    Call it in the task of the request: what runs in a thread of the catalog does not know where the request comes from.

    Args:
        principal: who makes it.
        action: what is done.
        dataset_id: to which dataset.
        target: see `AuditEntry`.
        details: what is worth knowing; None is left out.
    """
    address, request_id = _origin.get()
    return AuditEntry(
        at=int(time.time() * 1000),
        user=principal.user,
        token_id=principal.token_id,
        action=action,
        dataset_id=dataset_id,
        target=target,
        details={name: value for name, value in details.items() if value is not None},
        address=address if request_id is None else _ip_address(address),
        request_id=request_id,
    )


def _ip_address(client: str | None) -> str:
    """Return the address of the client of a request. A trusted proxy may have passed on any text as that."""
    try:
        address = ip_address(client or "")
    except ValueError:
        return "unknown"
    return str(getattr(address, "ipv4_mapped", None) or address)


def dataset_entry(
    dataset: DatasetContext, action: AuditAction, target: str | None = None, **details: Detail
) -> AuditEntry:
    """Return the entry for a change of a dataset that is made now."""
    return audit_entry(dataset.principal, action, dataset.id, target, **details)


async def list_audit(ctx: ServiceContext, wanted: AuditFilter) -> Sequence[AuditEntry]:
    """Return the entries that a filter selects, oldest first."""
    return await ctx.catalog.audit.list(wanted)


async def sweep_audit(ctx: ServiceContext) -> None:
    """Delete entries that are older than the setting says, again and again until cancelled."""
    days = ctx.settings.audit_retention_days
    while days:
        try:
            deleted = await ctx.catalog.audit.delete_before(int(ctx.now() * 1000) - days * _DAY_MS)
            if deleted:
                log.info("audit_swept", entries=deleted)
        except CatalogUnavailableError as error:
            log.warning("audit_not_swept", reason=error.message)
        await asyncio.sleep(SWEEP_SECONDS)
