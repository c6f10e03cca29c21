"""`headwater token`, run as a user runs it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from tests.cli.commands import make_dataset, run_command
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
    assert table.splitlines()[0].split() == [
        "ID",
        "USER",
        "SCOPE",
        "LABEL",
        "DATASET",
        "CREATED",
        "USED",
        "EXPIRES",
        "REVOKED",
    ]
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


@pytest.mark.slow
def test_limits_of_a_token(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    limits = ("--scope", "read", "--dataset", dataset, "--expires", "90d", "--label", "nightly")
    made = json.loads(run_command(environ, "token", "create", "--user", "ada", *limits, "--json"))
    assert (made["scope"], made["datasetId"], made["label"]) == ("read", dataset, "nightly")
    assert abs(made["expiresAt"] / 1000 - time.time() - 90 * 86_400) < 60
    dated = json.loads(run_command(environ, "token", "create", "--user", "ada", "--expires", "2199-01-31", "--json"))
    assert dated["expiresAt"] == datetime(2199, 1, 31, tzinfo=UTC).timestamp() * 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--expires", "soon"), "--expires: expected"),
        (("--expires", "2020-01-01"), "--expires: expected milliseconds"),
        (("--admin", "--scope", "read"), "--admin: contradicts"),
        (("--label", ""), "--label: expected"),
        (("--scope", "writ"), "did you mean write?"),
    ],
)
def test_limits_that_cannot_be_are_refused(environ: dict[str, str], options: tuple[str, ...], expected: str) -> None:
    assert expected in run_command(environ, "token", "create", "--user", "ada", *options, code=2)


@pytest.mark.slow
def test_a_token_for_the_dataset_of_another_user_is_refused(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    error = run_command(environ, "token", "create", "--user", "mallory", "--dataset", dataset, code=2)
    assert "--dataset: mallory may not use the dataset" in error
