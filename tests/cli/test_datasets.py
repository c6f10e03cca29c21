"""`headwater dataset`, run as a user runs it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.cli.commands import LOCAL, make_dataset, run_command, run_with_key_in_pipe
from tests.cli.terminal import at_terminal
from tests.live import command


@pytest.mark.slow
def test_dataset_commands_create_list_and_delete(environ: dict[str, str]) -> None:
    name = f"set {os.urandom(6).hex()}"
    dataset = run_command(environ, "dataset", "create", name, "--user", "eve")
    assert len(dataset) == 24
    assert "already" in run_command(environ, "dataset", "create", name, "--user", "eve", code=2)
    other = json.loads(run_command(environ, "dataset", "create", name, "--user", "mallory", "--every-file", "--json"))
    assert other["everyFile"] is True
    listed = json.loads(run_command(environ, "dataset", "list", "--user", "eve", "--json"))
    assert [found["id"] for found in listed] == [dataset]
    assert dataset in run_command(environ, "dataset", "list")
    assert "give an id" in run_command(environ, "watermark", "get", name, code=2)
    assert "--user" in run_command(environ, "dataset", "create", "whose is it", code=2)
    run_command(environ, "dataset", "delete", other["id"])
    assert run_command(environ, "watermark", "get", name) == "0"
    run_command(environ, "dataset", "delete", name)
    assert "no dataset" in run_command(environ, "watermark", "get", name, code=3)


@pytest.mark.slow
def test_list_and_show_tell_where_the_files_are_and_how_many(environ: dict[str, str]) -> None:
    """There was no command that showed the location, the counts or the time of the watermark of a dataset."""
    user = f"user-{os.urandom(6).hex()}"
    name = f"set {os.urandom(6).hex()}"
    dataset = run_command(environ, "dataset", "create", name, "--user", user)
    uncounted = json.loads(run_command(environ, "dataset", "list", "--user", user, "--json"))
    assert [(found["datasources"], found["nSamples"], found["sizeInBytes"]) for found in uncounted] == [
        ([], None, None)
    ]
    assert "not counted yet" in run_command(environ, "dataset", "show", name)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    run_command(environ, "list", dataset)
    run_command(environ, "watermark", "set", dataset, "2020-01-02T03:04:05Z")
    head, row = run_command(environ, "dataset", "list", "--user", user).splitlines()
    assert head.split() == ["NAME", "USER", "LOCATION", "FILES", "SIZE", "WATERMARK", "ID"]
    assert re.split(r" {2,}", row) == [name, user, "LOCAL", "12", "12 B", "2020-01-02 03:04:05 UTC", dataset]
    (listed,) = json.loads(run_command(environ, "dataset", "list", "--user", user, "--json"))
    assert (listed["nSamples"], listed["sizeInBytes"], listed["processedUntilTimestamp"]) == (12, 12, 1577934245)
    assert [(each["type"], each["purpose"], each["fullPath"]) for each in listed["datasources"]] == [
        ("LOCAL", "INPUT_OUTPUT", "")
    ]
    shown = run_command(environ, "dataset", "show", name)
    for expected in (dataset, user, "Images", "INPUT_OUTPUT", "12 B (12 bytes)", "2020-01-02 03:04:05 UTC", "exact"):
        assert expected in shown
    assert json.loads(run_command(environ, "dataset", "show", name, "--json")) == listed


def test_list_of_an_unknown_user_is_no_empty_list(environ: dict[str, str]) -> None:
    """`dataset list --user nobody` said that there are no datasets; a name that is not Unicode was a traceback."""
    make_dataset(environ)
    assert "there is no user 'nobody'" in run_command(environ, "dataset", "list", "--user", "nobody", code=3)
    assert "(did you mean ada?)" in run_command(environ, "dataset", "list", "--user", "adah", code=3)
    assert "there is no user" in run_command(environ, "dataset", "list", "--user", os.fsdecode(b"\xff"), code=3)
    run_command(environ, "token", "create", "--user", "grace")
    assert command(environ, "dataset", "list", "--user", "grace").stderr == "the user grace has no datasets\n"


def test_rename_keeps_the_id(environ: dict[str, str]) -> None:
    """A dataset could be renamed over HTTP only."""
    dataset, other = make_dataset(environ), make_dataset(environ)
    name = f"renamed {os.urandom(6).hex()}"
    run_command(environ, "dataset", "rename", dataset, name)
    assert json.loads(run_command(environ, "dataset", "show", name, "--json"))["id"] == dataset
    assert "NEWNAME: expected at least" in run_command(environ, "dataset", "rename", name, "x", code=2)
    assert "NEWNAME: you already have" in run_command(environ, "dataset", "rename", other, name, code=2)
    assert "no dataset" in run_command(environ, "dataset", "rename", "not there", "new name", code=3)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_fits_a_real_terminal(environ: dict[str, str], columns: int) -> None:
    """At 80 columns every row was folded into four lines, with ids and dates cut in two."""
    name = f"{os.urandom(6).hex()} of a name that is much too long for a table on a terminal"
    run_command(environ, "dataset", "create", name, "--user", "somebody@example.com")
    shown = at_terminal(environ, "dataset", "list", columns=columns)
    assert shown.code == 0
    assert all(len(line) <= columns for line in shown.lines[:-1])
    assert shown.lines[0].split()[:6] == ["NAME", "USER", "LOCATION", "FILES", "SIZE", "WATERMARK"]
    assert "--json shows all of it" in shown.lines[-1]
    assert shown.text.count(name[:8]) == 1


def test_names_of_users_and_datasets_are_refused_by_argument(environ: dict[str, str]) -> None:
    assert "NAME: expected at least 3" in run_command(environ, "dataset", "create", "x", "--user", "ada", code=2)
    assert "--user: expected 1 to" in run_command(environ, "dataset", "create", "xyz", "--user", "a|b", code=2)
    assert "--user: expected 1 to" in run_command(environ, "token", "create", "--user", "a|b", code=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("dataset", "delete"), ("datasource", "remove", "--purpose", "INPUT"), ("feed", "reset")]
)
def test_commands_in_two_steps_read_settings_once(
    arguments: tuple[str, ...], environ: dict[str, str], tmp_path: Path
) -> None:
    """`dataset delete` failed with the secret key in a pipe, and printed its notes about settings twice."""
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    key = Path(environ["HEADWATER_DATA_DIR"], "secret.key").read_bytes()
    unknown = {"HEADWATER_LOKAL_ROOT": "hidden"}
    done = run_with_key_in_pipe(environ | unknown, key, *arguments, dataset)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("HEADWATER_LOKAL_ROOT is not a setting") == 1
