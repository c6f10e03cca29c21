"""`headwater token`: create, list and revoke API tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.choices import choice_option
from headwater.cli.format import Column, print_table, time_cell
from headwater.cli.on_dataset import get_dataset, naming
from headwater.cli.output import Json, note, print_json
from headwater.cli.running import run
from headwater.cli.when import parse_future
from headwater.domain.errors import MalformedRequestError
from headwater.domain.users import ApiToken, NewToken, Scope

app = typer.Typer(help="Create, list and revoke API tokens.", no_args_is_help=True, rich_markup_mode=None)

_OPTIONS = {"user": "--user", "label": "--label", "expiresAt": "--expires", "datasetId": "--dataset"}


@app.command("create")
def create(
    user: Annotated[
        str,
        typer.Option(
            metavar="USER", help="The user of the token; a new name creates the user. ISSUER|SUBJECT is that of a JWT."
        ),
    ],
    scope: Annotated[
        Scope | None,
        choice_option(
            "--scope", Scope, "read: see and list; write (default): all that the user may do; admin: as --admin."
        ),
    ] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help="The token gives access to the datasets of all users.")
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="DATASET", help="The only dataset that the token may be used for, by id or name."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="When it expires: 12h, 90d, 4w, or a date such as 2030-01-31 (UTC)."),
    ] = None,
    label: Annotated[str | None, typer.Option(metavar="TEXT", help="What the token is for.")] = None,
    json: Json = False,
) -> None:
    """Create a token and print it.

    Only the token is printed on stdout. It is never shown again.
    """
    from headwater.service.admin import create_token
    from headwater.service.context import Setup

    if admin and scope not in (None, Scope.ADMIN):
        raise MalformedRequestError(f"--admin: contradicts --scope {scope}; give one of the two")
    new = NewToken(
        scope=Scope.ADMIN if admin else scope or Scope.WRITE,
        dataset_id=get_dataset(dataset).id if dataset is not None else None,
        label=label,
        expires_at=parse_future("--expires", expires) if expires is not None else None,
    )
    with naming(_OPTIONS):
        token, known = run(lambda ctx: create_token(ctx, user, new), Setup.CREATE)
    if json:
        print_json({**_data(known), "token": token})
    else:
        print(token)


@app.command("list")
def list_tokens(json: Json = False) -> None:
    """List all tokens by id.

    The tokens themselves are never shown. USED is up to an hour old.
    """
    from headwater.service.admin import list_tokens as load_tokens

    tokens = run(load_tokens)
    if json:
        print_json([_data(token) for token in tokens])
        return
    print_table(
        (
            Column("ID"),
            Column("USER", cut=True),
            Column("SCOPE"),
            Column("LABEL", optional=True),
            Column("DATASET", optional=True),
            Column("CREATED", optional=True),
            Column("USED", optional=True),
            Column("EXPIRES", optional=True),
            Column("REVOKED"),
        ),
        (
            (
                token.id,
                token.user,
                token.limits.scope,
                token.limits.label or "",
                token.limits.dataset_id or "",
                _time_cell(token.created_at),
                _time_cell(token.last_used_at),
                _time_cell(token.limits.expires_at),
                _time_cell(token.revoked_at),
            )
            for token in tokens
        ),
        "there are no tokens; `headwater token create --user NAME` creates one",
    )


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the token, as `token list` shows it.")],
) -> None:
    """Revoke a token, effective immediately."""
    from headwater.service.admin import revoke_token

    run(lambda ctx: revoke_token(ctx, token_id))
    note(f"revoked {token_id}")


def _time_cell(ms: int | None) -> str:
    return time_cell(ms / 1000) if ms is not None else ""


def _data(token: ApiToken) -> dict[str, object]:
    from headwater.web.api.bodies import token_body

    return {**token_body(token), "admin": token.limits.scope is Scope.ADMIN}
