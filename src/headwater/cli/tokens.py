"""`headwater token`: create, list and revoke API tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.format import Column, print_table, time_cell
from headwater.cli.on_dataset import naming
from headwater.cli.output import Json, note, print_json
from headwater.cli.running import run
from headwater.domain.users import ApiToken

app = typer.Typer(help="Create, list and revoke API tokens.", no_args_is_help=True, rich_markup_mode=None)


@app.command("create")
def create(
    user: Annotated[str, typer.Option(metavar="USER", help="The user of the token; a new name creates the user.")],
    admin: Annotated[
        bool, typer.Option("--admin", help="The token gives access to the datasets of all users.")
    ] = False,
    json: Json = False,
) -> None:
    """Create a token and print it.

    Only the token is printed on stdout. It is never shown again.
    """
    from headwater.service.admin import create_token
    from headwater.service.context import Setup

    with naming({"user": "--user"}):
        token, known = run(lambda ctx: create_token(ctx, user, admin), Setup.CREATE)
    if json:
        print_json({**_data(known), "token": token})
    else:
        print(token)


@app.command("list")
def list_tokens(json: Json = False) -> None:
    """List all tokens by id.

    The tokens themselves are never shown.
    """
    from headwater.service.admin import list_tokens as load_tokens

    tokens = run(load_tokens)
    if json:
        print_json([_data(token) for token in tokens])
        return
    print_table(
        (Column("ID"), Column("USER", cut=True), Column("ADMIN"), Column("CREATED", optional=True), Column("REVOKED")),
        (
            (
                token.id,
                token.user,
                "yes" if token.admin else "no",
                time_cell(token.created_at / 1000),
                time_cell(token.revoked_at / 1000) if token.revoked_at is not None else "",
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


def _data(token: ApiToken) -> dict[str, object]:
    data: dict[str, object] = {
        "id": token.id,
        "user": token.user,
        "admin": token.admin,
        "createdAt": token.created_at,
    }
    if token.revoked_at is not None:
        data["revokedAt"] = token.revoked_at
    return data
