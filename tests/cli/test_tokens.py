"""`headwater token`, run as a user runs it."""

from __future__ import annotations

import json

import pytest

from tests.cli.commands import run_command
from tests.cli.terminal import at_terminal


@pytest.mark.slow
def test_token_commands_create_list_and_revoke(environ: dict[str, str]) -> None:
    token = run_command(environ, "token", "create", "--user", "ada")
    assert token.startswith("hw_")
    assert len(token.split()) == 1
    admin = json.loads(run_command(environ, "token", "create", "--user", "root", "--admin", "--json"))
    assert admin["admin"] is True
    listed = json.loads(run_command(environ, "token", "list", "--json"))
    assert {(found["user"], found["admin"]) for found in listed} >= {("ada", False), ("root", True)}
    table = run_command(environ, "token", "list")
    assert table.splitlines()[0].split() == ["ID", "USER", "ADMIN", "CREATED", "REVOKED"]
    assert token not in table + json.dumps(listed)
    run_command(environ, "token", "revoke", admin["id"])
    revoked = {
        found["id"] for found in json.loads(run_command(environ, "token", "list", "--json")) if "revokedAt" in found
    }
    assert revoked == {admin["id"]}


@pytest.mark.parametrize("user", ["", " ada", "a|b", "a\nb"])
def test_user_name_of_invalid_form_is_refused(environ: dict[str, str], user: str) -> None:
    assert "user: " in run_command(environ, "token", "create", "--user", user, code=2)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_fits_a_terminal(environ: dict[str, str], columns: int) -> None:
    """Ids were folded into two lines as soon as a token was revoked."""
    user = "a.rather.long.name.of.a.user@subdomain.example.com"
    created = json.loads(run_command(environ, "token", "create", "--user", user, "--json"))["id"]
    run_command(environ, "token", "revoke", created)
    shown = at_terminal(environ, "token", "list", columns=columns)
    assert all(len(line) <= columns for line in shown.lines[:-1])
    assert created in shown.text
