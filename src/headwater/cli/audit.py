"""`headwater audit`: who changed what, and from where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from headwater.cli.choices import completion
from headwater.cli.format import Column, format_time, print_table
from headwater.cli.on_dataset import get_dataset
from headwater.cli.output import Json, print_json
from headwater.cli.running import run
from headwater.cli.when import parse_past
from headwater.domain.audit import AuditAction, AuditEntry, AuditFilter, Detail
from headwater.domain.choices import with_suggestion
from headwater.domain.errors import MalformedRequestError
from headwater.domain.ids import is_id
from headwater.domain.users import is_printable_name

_KINDS = sorted({action.partition(".")[0] for action in AuditAction})
_ACTIONS = [*_KINDS, *AuditAction]


def audit(
    dataset: Annotated[
        str | None,
        typer.Option(metavar="DATASET", help="Only this dataset, by id or name; one that was deleted, by id."),
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only what this user did.")] = None,
    action: Annotated[
        str | None,
        typer.Option(
            metavar="ACTION",
            help=f"Only one action, such as token.create, or one kind: {', '.join(_KINDS)}.",
            autocompletion=completion(lambda: _ACTIONS),
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only since then: 12h, 7d, 4w ago, or a date (UTC).")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="COUNT", min=1, max=1_000_000, help="At most this many of the newest.")
    ] = 100,
    json: Json = False,
) -> None:
    """Print the audit log, oldest entry first.

    Every change of datasets, datasources, shares and tokens is recorded, with the user, the address or the user of the
    command line, and the request id that the log of the server has. Setting the watermark forward is not recorded,
    because every poll does it, unless it is set into the future; setting it back is.
    """
    from headwater.service.audit import list_audit

    if user is not None and not is_printable_name(user):
        raise MalformedRequestError("--user: no user can have this name")
    if action is not None and action not in _ACTIONS:
        raise MalformedRequestError(with_suggestion("--action: there is no such action", action, _ACTIONS))
    wanted = AuditFilter(
        user=user,
        dataset_id=None if dataset is None else dataset if is_id(dataset) else get_dataset(dataset).id,
        action=f"{action}." if action in _KINDS else action,
        since=parse_past("--since", since) if since is not None else None,
        limit=limit,
    )
    entries = run(lambda ctx: list_audit(ctx, wanted))
    if json:
        print_json([_data(entry) for entry in entries])
    else:
        _print(entries)


def _print(entries: Sequence[AuditEntry]) -> None:
    columns = (
        Column("TIME"),
        Column("USER", cut=True),
        Column("ACTION"),
        Column("DATASET", optional=True),
        Column("WHAT", cut=True),
        Column("FROM", optional=True),
    )
    rows = (
        (format_time(each.at / 1000), each.user, each.action, each.dataset_id or "", _what(each), each.address or "")
        for each in entries
    )
    print_table(columns, rows, "there are no such entries")


def _what(entry: AuditEntry) -> str:
    details = (f"{name}={_shown(name, value)}" for name, value in entry.details.items())
    return " ".join([*([entry.target] if entry.target else []), *details])


def _shown(name: str, value: Detail) -> str:
    return format_time(value / 1000) if name == "expires_at" and isinstance(value, int) else str(value)


def _data(entry: AuditEntry) -> dict[str, Any]:
    data = {
        "at": entry.at,
        "user": entry.user,
        "tokenId": entry.token_id,
        "action": entry.action,
        "datasetId": entry.dataset_id,
        "target": entry.target,
        "details": dict(entry.details) or None,
        "from": entry.address,
        "requestId": entry.request_id,
    }
    return {name: value for name, value in data.items() if value is not None}
