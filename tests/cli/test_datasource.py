"""`headwater datasource`, run as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.commands import LOCAL, make_dataset, run_command
from tests.cli.terminal import at_terminal
from tests.domain.configs import SECRETS, VALID
from tests.live import command

pytestmark = pytest.mark.slow  # each test starts several processes


@pytest.mark.slow
def test_input_and_lightly_datasources_are_set_and_shown_separately(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    show = ("datasource", "show", dataset)
    run_command(environ, "datasource", "set", dataset, *LOCAL, "--purpose", "INPUT")
    done = command(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", "absent", "--purpose", "LIGHTLY")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^configured LOCAL datasource \w+ for LIGHTLY$", done.stderr, re.MULTILINE)
    assert re.search(r"^the dataset also has LOCAL datasource \w+ for INPUT$", done.stderr, re.MULTILINE)
    source, lightly = (
        json.loads(run_command(environ, *show, "--purpose", each, "--json")) for each in ("INPUT", "LIGHTLY")
    )
    assert (source["fullPath"], lightly["fullPath"]) == ("", "absent")
    assert run_command(environ, *show, "--json") == "\n".join(
        json.dumps(each, indent=2, ensure_ascii=False) for each in (source, lightly)
    )
    tables = run_command(environ, *show).split("\n\n")
    assert [("INPUT" in table, "absent" in table) for table in tables] == [(True, False), (False, True)]
    assert "INPUT_OUTPUT" in run_command(environ, *show, "--purpose", "INPUT_OUTPUT", code=3)
    assert "--purpose" in run_command(environ, *show, "--purpose", "OUTPUT", code=2)
    failed = command(environ, "datasource", "verify", dataset)
    assert failed.returncode == 1
    assert "LIGHTLY: " in failed.stdout
    assert "INPUT: " not in failed.stdout
    assert len(run_command(environ, "list", dataset).splitlines()) == 12, "the files come from the input"


@pytest.mark.slow
def test_datasource_is_set_shown_verified_and_listed(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    assert "no datasource" in run_command(environ, "datasource", "show", dataset, code=3)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    shown = json.loads(run_command(environ, "datasource", "show", dataset, "--json"))
    assert shown == {"id": shown["id"], "type": "LOCAL", "fullPath": "", "purpose": "INPUT_OUTPUT"}
    assert "LOCAL" in run_command(environ, "datasource", "show", dataset)
    verified = run_command(environ, "datasource", "verify", dataset)
    assert verified.splitlines()[0].split() == ["canRead", "yes"]
    assert json.loads(run_command(environ, "datasource", "verify", dataset, "--json"))["canOverwrite"] is True
    names = [f"{index:02}.png" for index in range(12)]
    assert run_command(environ, "list", dataset).splitlines() == names
    assert (
        run_command(environ, "list", dataset, "--from", "1003", "--to", "1970-01-01T00:16:44Z").splitlines()
        == names[3:5]
    )
    rows = [json.loads(line) for line in run_command(environ, "list", dataset, "--json").splitlines()]
    assert [row["fileName"] for row in rows] == names
    assert all(row["readUrl"].startswith("http://127.0.0.1:") for row in rows)
    assert run_command(environ, "list", dataset, "--urls").splitlines()[0].split("\t")[0] == "00.png"
    every = make_dataset(environ, "--every-file")
    run_command(environ, "datasource", "set", every, *LOCAL)
    assert run_command(environ, "list", every).splitlines() == [*names, "labels.json"]


@pytest.mark.parametrize("type_name", VALID)
def test_set_takes_every_type_from_a_json_file(environ: dict[str, str], tmp_path: Path, type_name: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(VALID[type_name]))
    dataset = make_dataset(environ)
    shown = json.loads(run_command(environ, "datasource", "set", dataset, "--config", str(config), "--json"))
    assert shown["type"] == type_name
    run_command(environ, "datasource", "set", dataset, "--config", "-", stdin=config.read_text())


OPTIONS = {
    "S3": ("--path", "s3://b/p", "--region", "eu-west-1", "--access-key-id", "test-key-id"),
    "S3DelegatedAccess": (
        *("--path", "b/p", "--region", "eu-west-1", "--external-id", "an-external-id"),
        *("--role-arn", "arn:aws:iam::123456789012:role/reader"),
    ),
    "OBS": ("--path", "b/p", "--endpoint", "https://obs.example.com", "--access-key-id", "test-key-id"),
    "GCS": ("--path", "gs://b/p", "--project-id", "project"),
    "AZURE": ("--path", "c/p", "--account-name", "account"),
    "LOCAL": ("--path", "below"),
    "LIGHTLY": (),
}


@pytest.mark.parametrize("type_name", VALID)
def test_set_takes_every_type_from_options(environ: dict[str, str], type_name: str) -> None:
    secret = SECRETS.get(type_name)
    source = ("--secret-file", "-") if secret else ()
    entered = '{"private_key": "hush"}' if type_name == "GCS" else "hush"
    dataset = make_dataset(environ)
    out = run_command(
        environ,
        "datasource",
        "set",
        dataset,
        "--type",
        type_name,
        *OPTIONS[type_name],
        *source,
        "--json",
        stdin=entered,
    )
    shown = json.loads(out)
    assert shown["type"] == type_name
    assert "hush" not in out
    assert secret is None or shown[secret] == "********"


def test_set_reads_the_project_from_a_google_key_file(environ: dict[str, str], tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    key_file.write_text(json.dumps({"type": "service_account", "project_id": "the-project"}))
    options = ("--type", "GCS", "--path", "gs://bucket", "--secret-file", str(key_file), "--json")
    assert (
        json.loads(run_command(environ, "datasource", "set", make_dataset(environ), *options))["gcsProjectId"]
        == "the-project"
    )
    key_file.write_text(json.dumps({"type": "service_account"}))
    assert "--project-id: required" in run_command(
        environ, "datasource", "set", make_dataset(environ), *options, code=2
    )


@pytest.mark.slow
def test_set_never_shows_a_secret_from_stdin_or_a_file(environ: dict[str, str], tmp_path: Path) -> None:
    secret = "never-to-be-shown"
    file = tmp_path / "secret"
    file.write_text(secret + "\n")
    options = ("--type", "S3", "--path", "bucket", "--region", "eu-west-1", "--access-key-id", "test-key-id")
    dataset = make_dataset(environ)
    for source, stdin in ((str(file), None), ("-", secret)):
        out = run_command(
            environ, "datasource", "set", dataset, *options, "--secret-file", source, "--json", stdin=stdin
        )
        assert json.loads(out)["s3SecretAccessKey"] == "********"
    assert secret not in run_command(environ, "datasource", "show", dataset)
    assert "--secret-file" in run_command(environ, "datasource", "set", dataset, *options, code=2)
    assert "cannot read" in run_command(
        environ, "datasource", "set", dataset, *options, "--secret-file", "/absent", code=2
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--type", "LOCAL"), "--path"),
        (("--path", "x"), "--type"),
        (("--type", "AZURE", "--path", "https://portal.azure.com/#x", "--account-name", "a"), "--secret-file"),
        (("--type", "S9", "--path", "x"), "type: expected one of"),
        ((*LOCAL, "--config", "-"), "--config"),
        ((*LOCAL, "--secret-file", "-"), "has no secret"),
        (("--type", "LOCAL", "--path", "/etc"), "--path: "),
        ((*LOCAL, "--region", "eu-west-1", "--endpoint", "http://x"), "--endpoint, --region: not for"),
    ],
)
def test_set_refuses_wrong_options_by_name(environ: dict[str, str], arguments: tuple[str, ...], expected: str) -> None:
    assert expected in run_command(environ, "datasource", "set", make_dataset(environ), *arguments, code=2)


def test_set_reports_that_the_watermark_starts_again(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    run_command(environ, "watermark", "set", dataset, "5")
    done = command(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", "elsewhere")
    assert "starts again at 0 (it was 5; " in done.stderr


def test_set_without_purpose_leaves_the_lightly_datasource(environ: dict[str, str], tmp_path: Path) -> None:
    """`set` without --purpose configured INPUT_OUTPUT, and deleted the LIGHTLY datasource with its secret silently."""
    dataset = make_dataset(environ)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"type": "LOCAL", "fullPath": "other"}))
    run_command(environ, "datasource", "set", dataset, *LOCAL, "--purpose", "INPUT")
    run_command(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", "out", "--purpose", "LIGHTLY")
    for options in (("--type", "LOCAL", "--path", "new"), ("--config", str(config))):
        done = command(environ, "datasource", "set", dataset, *options)
        assert re.search(r"^configured LOCAL datasource \w+ for INPUT$", done.stderr, re.MULTILINE)
        assert re.search(r"^the dataset also has LOCAL datasource \w+ for LIGHTLY$", done.stderr, re.MULTILINE)
    done = command(environ, "datasource", "set", dataset, *LOCAL, "--purpose", "INPUT_OUTPUT")
    assert re.search(r"^the LIGHTLY datasource \w{24} \(LOCAL out\) was removed", done.stderr, re.MULTILINE)
    assert re.search(r"^configured .* for INPUT_OUTPUT$", done.stderr, re.MULTILINE)


def test_lightly_datasource_that_survived_is_removed(environ: dict[str, str]) -> None:
    """INPUT after INPUT_OUTPUT left the old one as LIGHTLY: verify went on writing there, and nothing removed it."""
    dataset = make_dataset(environ)
    remove = ("datasource", "remove", dataset, "--purpose")
    run_command(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", "absent")
    run_command(environ, "datasource", "set", dataset, *LOCAL, "--purpose", "INPUT")
    assert command(environ, "datasource", "verify", dataset).returncode == 1
    done = command(environ, *remove, "lightly")
    assert re.search(r"^the LIGHTLY datasource \w{24} \(LOCAL absent\) was removed", done.stderr, re.MULTILINE)
    assert "the purpose is INPUT" in run_command(environ, "datasource", "verify", dataset)
    text = run_command(environ, *remove, "LIGHTLY", code=3)
    assert "this dataset has no LIGHTLY datasource" in text
    assert "datasource set" not in text
    assert "--purpose: expected one of INPUT, LIGHTLY" in run_command(environ, *remove, "OUTPUT", code=2)
    run_command(environ, "list", dataset)
    run_command(environ, "watermark", "set", dataset, "5")
    done = command(environ, *remove, "INPUT")
    assert "the watermark is 0 (it was 5)" in done.stderr
    assert run_command(environ, "watermark", "get", dataset) == "0"
    assert json.loads(run_command(environ, "feed", "show", dataset, "--json"))["index"] is None
    assert "no datasource yet" in run_command(environ, "datasource", "show", dataset, code=3)


def test_remove_asks_at_a_terminal(environ: dict[str, str]) -> None:
    """A secret that is stored nowhere else must not be lost by a slip of the hand."""
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    remove = ("datasource", "remove", dataset, "--purpose", "INPUT")
    asked = at_terminal(environ, *remove, answers=[("Remove the INPUT datasource", "n")])
    assert (asked.code, "aborted" in asked.text) == (1, True)
    assert "INPUT_OUTPUT" in run_command(environ, "datasource", "show", dataset)
    done = at_terminal(environ, *remove, "--yes", answers=[])
    assert "the dataset still has LOCAL datasource" in done.text
    assert json.loads(run_command(environ, "datasource", "show", dataset, "--json"))["purpose"] == "LIGHTLY"


@pytest.mark.parametrize(("path", "code"), [("", 0), ("absent", 1)])
def test_set_and_verify_print_one_json_document(environ: dict[str, str], path: str, code: int) -> None:
    """The outcome of --verify came as text after the JSON, so that no program could read stdout."""
    options = ("--type", "LOCAL", "--path", path, "--verify", "--json")
    done = command(environ, "datasource", "set", make_dataset(environ), *options)
    assert (done.returncode, json.loads(done.stdout)["type"]) == (code, "LOCAL")
    assert "canRead" in done.stderr


def test_command_without_aws_variables_does_not_speak_for_the_server(environ: dict[str, str], tmp_path: Path) -> None:
    """The error said that the server has no AWS credentials; only the shell of the command had none."""
    dataset = make_dataset(environ)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(VALID["S3DelegatedAccess"]))
    run_command(environ, "datasource", "set", dataset, "--config", str(config))
    bare = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    bare |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    for arguments in (("datasource", "verify", dataset), ("list", dataset)):
        done = command(bare, *arguments)
        assert "This command has no AWS credentials in its environment" in done.stdout + done.stderr
        assert "This server has no" not in done.stdout + done.stderr


def test_role_in_another_form_is_told_the_form(environ: dict[str, str]) -> None:
    """The error about `role/x` was only that it has fewer than 12 characters."""
    options = ("--type", "S3DelegatedAccess", "--path", "b", "--region", "eu-west-1", "--external-id", "0123456789")
    text = run_command(environ, "datasource", "set", make_dataset(environ), *options, "--role-arn", "role/x", code=2)
    assert "--role-arn: expected the ARN of a role, arn:aws:iam::<account>:role/<name>" in text


def test_unknown_dataset_is_answered_with_a_similar_name(environ: dict[str, str]) -> None:
    """Only commands, options and users got a suggestion, and a question came before the look."""
    run_command(environ, "dataset", "create", "junction-north", "--user", "ada")
    text = run_command(environ, "list", "juntcion-north", code=3)
    assert "'juntcion-north' (did you mean junction-north?); `headwater dataset list`" in text
    for ask in (("feed", "reset"), ("dataset", "delete"), ("datasource", "remove", "--purpose", "INPUT")):
        shown = at_terminal(environ, *ask, "juntcion-north", answers=[])
        assert (shown.code, "[y/N]" in shown.text) == (3, False)
