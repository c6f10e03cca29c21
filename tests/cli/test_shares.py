"""`headwater share` and `headwater dataset transfer`, run as a user runs them."""

from __future__ import annotations

import json

import pytest

from tests.cli.commands import make_dataset, run_command

pytestmark = pytest.mark.slow  # each test starts several processes


def test_a_dataset_is_shared_listed_and_unshared(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    assert run_command(environ, "share", "list", dataset) == ""
    run_command(environ, "token", "create", "--user", "bob")
    run_command(environ, "share", "add", dataset, "--user", "bob", "--role", "Reader")
    run_command(environ, "share", "add", dataset, "--group", "vision team", "--role", "editor")
    run_command(environ, "share", "add", dataset, "--user", "bob", "--role", "owner")
    shares = json.loads(run_command(environ, "share", "list", dataset, "--json"))
    assert [{name: value for name, value in share.items() if name != "createdAt"} for share in shares] == [
        {"user": "bob", "role": "owner"},
        {"group": "vision team", "role": "editor"},
    ]
    table = run_command(environ, "share", "list", dataset).splitlines()
    assert table[0].split() == ["KIND", "NAME", "ROLE", "SINCE"]
    assert len(table) == 3
    run_command(environ, "share", "remove", dataset, "--group", "vision team")
    assert "not shared with the group" in run_command(
        environ, "share", "remove", dataset, "--group", "vision team", code=3
    )
    assert len(run_command(environ, "share", "list", dataset).splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--role", "reader"), "--user, --group: give exactly one"),
        (("--user", "bob", "--group", "x", "--role", "reader"), "--user, --group: give exactly one"),
        (("--user", "nobody-knows", "--role", "reader"), "--user: there is no such user"),
        (("--user", "ada", "--role", "reader"), "--user: ada owns the dataset"),
        (("--group", "x", "--role", "king"), "--role: expected one of reader, editor, owner"),
    ],
)
def test_shares_that_cannot_be_are_refused(environ: dict[str, str], options: tuple[str, ...], expected: str) -> None:
    dataset = make_dataset(environ)
    assert expected in run_command(environ, "share", "add", dataset, *options, code=2)


def test_a_dataset_gets_another_owner(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    assert "--to: there is no such user" in run_command(
        environ, "dataset", "transfer", dataset, "--to", "nobody-knows", code=2
    )
    run_command(environ, "token", "create", "--user", "bob")
    run_command(environ, "dataset", "transfer", dataset, "--to", "bob")
    assert json.loads(run_command(environ, "dataset", "show", dataset, "--json"))["user"] == "bob"
    (share,) = json.loads(run_command(environ, "share", "list", dataset, "--json"))
    assert (share["user"], share["role"]) == ("ada", "editor")
