"""`headwater dataset`, run as a user runs it."""

from __future__ import annotations

import json
import os

import pytest

from tests.cli.commands import run_command


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
