"""`headwater datasource set` at a terminal: what is asked, in which order, and what is checked before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import make_dataset, run_command
from tests.cli.terminal import at_terminal
from tests.domain.configs import VALID
from tests.live import command

pytestmark = pytest.mark.slow  # each test starts several processes

SET = ("datasource", "set")


@pytest.fixture(scope="module")
def dataset(environ: dict[str, str]) -> str:
    """A dataset that no test configures."""
    return make_dataset(environ)


def test_the_secret_is_asked_last_and_never_shown(environ: dict[str, str]) -> None:
    """The secret was the first question; then the command failed because the region was missing."""
    dataset = make_dataset(environ)
    shown = at_terminal(
        environ, *SET, dataset,
        answers=[
            ("Type (", "s33"),
            ("did you mean S3", "s3"),
            ("Bucket/path", "gs://bucket"),
            ("expected bucket/path", "s3://bucket/path"),
            ("region", "eu-wst-1"),
            ("did you mean eu-west-1", "eu-west-1"),
            ("access key", "test-key-id"),
            ("Secret access key", "never-to-be-shown"),
            ("Verify", "n"),
        ],
        secret="never-to-be-shown",
    )  # fmt: skip
    assert shown.code == 0, shown.text
    assert "never-to-be-shown" not in shown.text
    config = json.loads(run_command(environ, "datasource", "show", dataset, "--json"))
    assert (config["fullPath"], config["s3Region"]) == ("s3://bucket/path", "eu-west-1")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--type", "S3", "--path", "b", "--region", "moon", "--access-key-id", "x"), "--region: expected one of the"),
        (("--type", "S3", "--path", "gs://b", "--region", "eu-west-1", "--access-key-id", "x"), "--path: expected"),
        (("--type", "S3DelegatedAccess", "--role-arn", "x"), "--role-arn: expected"),
        (("--type", "AZURE", "--account-name", "", "--path", "c"), "--account-name: must not be empty"),
        (("--type", "GCS", "--path", "b", "--purpose", "INPT"), "did you mean INPUT?"),
        (("--type", "OBS", "--region", "x"), "--region: not for datasources of type OBS"),
    ],
)
def test_nothing_is_asked_if_an_option_is_wrong(
    environ: dict[str, str], dataset: str, options: tuple[str, ...], expected: str
) -> None:
    """Whoever had pasted the secret was told afterwards that the region is misspelled."""
    shown = at_terminal(environ, *SET, dataset, *options)
    assert shown.code == 2, shown.text
    assert expected in shown.text
    assert "ecret" not in shown.text.replace("--secret-file", "")


def test_nothing_is_asked_if_there_is_no_such_dataset(environ: dict[str, str]) -> None:
    shown = at_terminal(environ, *SET, "not there", "--type", "S3")
    assert (shown.code, shown.lines[-1].startswith("headwater: there is no dataset")) == (3, True), shown.text


def test_nothing_is_asked_if_nothing_is_missing(environ: dict[str, str]) -> None:
    """Lines that were pasted together went wrong: `Verify it now?` took the next one for its answer."""
    shown = at_terminal(environ, *SET, make_dataset(environ), "--type", "LOCAL", "--path", "")
    assert shown.code == 0
    assert "?" not in shown.text
    assert "`headwater datasource verify " in shown.lines[-1]


def test_a_key_file_is_asked_for_by_its_path(environ: dict[str, str], tmp_path: Path) -> None:
    """A hidden prompt asked for the text of a key file, which has many lines."""
    key_file = tmp_path / "key.json"
    key_file.write_text(json.dumps({"project_id": "the-project"}))
    dataset = make_dataset(environ)
    shown = at_terminal(
        environ, *SET, dataset, "--type", "gcs", "--path", "bucket",
        answers=[("Path of the GCS key file", "/not/there"), ("cannot read", str(key_file)), ("Verify", "n")],
    )  # fmt: skip
    assert shown.code == 0, shown.text
    assert "the-project" in run_command(environ, "datasource", "show", dataset)


def test_a_script_is_told_everything_that_is_missing(environ: dict[str, str], dataset: str) -> None:
    """It got one fault at a time, by names that no option has."""
    message = run_command(environ, *SET, dataset, "--type", "S3", "--region", "eu-wst-1", code=2)
    for expected in ("--path: required", "--region: ", "--access-key-id: required", "--secret-file: required"):
        assert expected in message
    assert "s3" not in message


@pytest.mark.parametrize("name", ["s3Regoin", "s3ServerSideEncryptionKMSkey", "gcsProjectId", "a\x1b[2Jb"])
def test_a_config_file_with_a_member_that_is_unknown_is_refused(
    environ: dict[str, str], dataset: str, tmp_path: Path, name: str
) -> None:
    """It was dropped: a misspelled KMS key left objects unencrypted. The API drops it, for published clients."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**VALID["S3"], name: "x", "id": "0" * 24, "anotherOne": None}))
    done = command(environ, *SET, dataset, "--config", str(file))
    assert done.returncode == 2
    assert ("\\x1b" if "\x1b" in name else name) in done.stderr
    assert "anotherOne" not in done.stderr, "null means absent"
    assert ("did you mean" in done.stderr) == name.startswith("s3")
    assert "\x1b" not in done.stderr


def test_errors_of_a_config_file_name_its_members(environ: dict[str, str], dataset: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**VALID["S3"], "s3Region": "eu-wst-1"}))
    assert "s3Region: expected a region" in run_command(environ, *SET, dataset, "--config", str(file), code=2)


@pytest.mark.parametrize("arguments", [("list",), ("datasource", "show"), ("datasource", "verify")])
def test_a_missing_datasource_names_the_command_that_sets_it(
    environ: dict[str, str], dataset: str, arguments: tuple[str, ...]
) -> None:
    """It said: configure one first."""
    message = run_command(environ, *arguments, dataset, code=3)
    assert f"`headwater datasource set {dataset} --type " in message
