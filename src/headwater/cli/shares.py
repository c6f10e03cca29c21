"""`headwater share`: share datasets with users and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli.choices import choice_option
from headwater.cli.format import Column, print_table, time_cell
from headwater.cli.on_dataset import naming, run_on_dataset
from headwater.cli.output import Json, note, print_json
from headwater.cli.running import DatasetRef
from headwater.domain.errors import MalformedRequestError
from headwater.domain.sharing import Grantee, Role, grantee_of

if TYPE_CHECKING:
    from headwater.auth.permissions import DatasetContext
    from headwater.service.context import ServiceContext

app = typer.Typer(help="Share datasets with users and groups.", no_args_is_help=True, rich_markup_mode=None)

_OPTIONS = {"user": "--user", "group": "--group"}

User = Annotated[
    str | None,
    typer.Option("--user", metavar="USER", help="A user who has a token or a dataset, or ISSUER|SUBJECT of a JWT."),
]
Group = Annotated[
    str | None,
    typer.Option(metavar="GROUP", help="A group, as JWTs name it (HEADWATER_JWT_GROUPS_CLAIM)."),
]


@app.command("add")
def add(
    ref: DatasetRef,
    role: Annotated[
        Role,
        choice_option(
            "--role",
            Role,
            "reader: see and list; editor: also change datasources and watermark; owner: also delete and share.",
        ),
    ],
    user: User = None,
    group: Group = None,
) -> None:
    """Share a dataset, or change a role.

    With a user or a group. It takes effect with the next request.
    """
    from headwater.service.sharing import share_dataset

    grantee = _grantee(user, group)

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> None:
        await share_dataset(ctx, dataset, grantee, role)

    with naming(_OPTIONS):
        run_on_dataset(ref, work)
    note(f"the {grantee.kind} {grantee.name} is {role} of {ref}")


@app.command("list")
def list_shares(ref: DatasetRef, json: Json = False) -> None:
    """List whom a dataset is shared with."""
    from headwater.service.sharing import list_shares as load_shares
    from headwater.web.api.bodies import share_body

    shares = run_on_dataset(ref, load_shares)
    if json:
        print_json([share_body(share) for share in shares])
        return
    print_table(
        (Column("KIND"), Column("NAME", cut=True), Column("ROLE"), Column("SINCE", optional=True)),
        ((share.grantee.kind, share.grantee.name, share.role, time_cell(share.created_at / 1000)) for share in shares),
        "it is shared with nobody; `headwater share add` shares it",
    )


@app.command("remove")
def remove(ref: DatasetRef, user: User = None, group: Group = None) -> None:
    """Stop sharing a dataset."""
    from headwater.service.sharing import unshare_dataset

    grantee = _grantee(user, group)

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> None:
        await unshare_dataset(ctx, dataset, grantee)

    run_on_dataset(ref, work)
    note(f"{ref} is no longer shared with the {grantee.kind} {grantee.name}")


def _grantee(user: str | None, group: str | None) -> Grantee:
    grantee = grantee_of(user, group)
    if grantee is None:
        raise MalformedRequestError("--user, --group: give exactly one of the two")
    return grantee
