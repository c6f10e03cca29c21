"""`headwater token`: who may use the API."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.output import Json, moment, note, print_json, print_table
from headwater.cli.running import run
from headwater.domain.users import ApiToken

app = typer.Typer(help="Who may use the API.", no_args_is_help=True, rich_markup_mode=None)


@app.command("create")
def create(
    user: Annotated[str, typer.Option(help="Whose token; a new name makes a new user.")],
    admin: Annotated[bool, typer.Option("--admin", help="The token may use everybody's datasets.")] = False,
    json: Json = False,
) -> None:
    """Make a token and print it, alone, on stdout. It is shown this once."""
    from headwater.service.admin import create_token

    token, known = run(lambda ctx: create_token(ctx, user, admin))
    if json:
        print_json({**_data(known), "token": token})
    else:
        print(token)


@app.command("list")
def list_tokens(json: Json = False) -> None:
    """Show all tokens by id; never the tokens themselves."""
    from headwater.service.admin import list_tokens as load_tokens

    tokens = run(load_tokens)
    if json:
        print_json([_data(token) for token in tokens])
        return
    print_table(
        ("ID", "USER", "ADMIN", "CREATED", "REVOKED"),
        (
            (
                token.id,
                token.user,
                "yes" if token.admin else "no",
                moment(token.created_at / 1000),
                moment(token.revoked_at / 1000) if token.revoked_at is not None else "",
            )
            for token in tokens
        ),
        "there are no tokens yet; `headwater token create --user NAME` makes one",
    )


@app.command("revoke")
def revoke(token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")]) -> None:
    """Make a token useless, at once."""
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
