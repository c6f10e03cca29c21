"""The options of `headwater datasource set`, which are generated from the members of the datasource types."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import typer.main

from headwater.cli.datasource import app
from headwater.cli.datasource_options import config_from_file, config_from_options, member_options, secret_file_help
from headwater.domain.datasource_members import DATASOURCE_TYPES
from headwater.domain.errors import MalformedRequestError
from tests.domain.configs import SECRETS, VALID


def test_options_are_pinned() -> None:
    """Scripts use these options: a change to the declared members must not change them unnoticed."""
    command: Any = typer.main.get_command(app)
    options = [option for parameter in command.commands["set"].params for option in parameter.opts]
    assert options == [
        "ref",
        "--type",
        "--path",
        "--purpose",
        "--region",
        "--access-key-id",
        "--kms-key",
        "--external-id",
        "--role-arn",
        "--project-id",
        "--account-name",
        "--endpoint",
        "--web-server",
        "--secret-file",
        "--config",
        "--verify",
        "--json",
    ]


def test_help_names_the_types_that_share_an_option() -> None:
    helps = {parameter.name: parameter.annotation.__metadata__[0].help for parameter in member_options()}
    assert helps["access_key_id"].startswith("S3 and OBS: ")
    assert helps["region"].startswith("S3 and S3DelegatedAccess: ")
    assert helps["endpoint"].startswith("OBS: ")
    assert helps["path"].startswith("bucket/path; ")
    assert "(secret access key; GCS key file; Azure account key or SAS token)" in secret_file_help()


@pytest.mark.parametrize("type_name", VALID)
def test_config_of_every_type_is_made_from_options(type_name: str, tmp_path: Path) -> None:
    (declared,) = (each for each in DATASOURCE_TYPES if each.name == type_name)
    options = {
        member.option.replace("-", "_"): VALID[type_name][member.wire_name]
        for member in declared.members
        if member.option is not None and member.wire_name in VALID[type_name]
    }
    secret_file = None
    if type_name in SECRETS:
        secret_file = str(tmp_path / "secret")
        Path(secret_file).write_text(VALID[type_name][SECRETS[type_name]] + "\n")
    assert config_from_options(type_name.swapcase(), options, secret_file) == VALID[type_name]


def test_path_is_required_except_for_lightly() -> None:
    assert config_from_options("LIGHTLY", {}, None) == VALID["LIGHTLY"]
    assert config_from_options("LOCAL", {"path": ""}, None) == {"type": "LOCAL", "fullPath": ""}
    with pytest.raises(MalformedRequestError, match="fullPath: required"):
        config_from_options("LOCAL", {}, None)


def test_options_of_other_types_are_refused_by_name() -> None:
    options = {"path": "x", "region": "eu-west-1", "endpoint": "http://x", "access_key_id": "test-key-id"}
    with pytest.raises(MalformedRequestError) as caught:
        config_from_options("LOCAL", options, None)
    assert caught.value.message == "--access-key-id, --endpoint, --region: not for datasources of type LOCAL"


def test_project_comes_from_the_key_file_unless_it_is_given(tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    key_file.write_text(json.dumps({"type": "service_account", "project_id": "the-project"}))
    options = {"path": "gs://bucket"}
    assert config_from_options("GCS", options, str(key_file))["gcsProjectId"] == "the-project"
    given = config_from_options("GCS", {**options, "project_id": "other"}, str(key_file))
    assert given["gcsProjectId"] == "other"


def test_files_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """A config or a key file that an editor of Windows has saved was "not JSON"."""
    file = tmp_path / "file.json"
    file.write_text(json.dumps({"type": "LOCAL", "fullPath": ""}), encoding="utf-8-sig")
    assert config_from_file(str(file)) == {"type": "LOCAL", "fullPath": ""}
    file.write_text(json.dumps({"project_id": "the-project"}), encoding="utf-8-sig")
    assert config_from_options("GCS", {"path": "gs://bucket"}, str(file))["gcsProjectId"] == "the-project"


def test_project_comes_from_a_key_file_in_base64(tmp_path: Path) -> None:
    """The key file was accepted, and then its project was missing."""
    file = tmp_path / "file"
    file.write_bytes(base64.b64encode(json.dumps({"type": "service_account", "project_id": "the-project"}).encode()))
    assert config_from_options("GCS", {"path": "gs://bucket"}, str(file))["gcsProjectId"] == "the-project"


@pytest.mark.parametrize("options", [{"path": "gs://bucket"}, {"path": "gs://bucket", "project_id": "p"}])
def test_broken_key_file_is_reported_as_such(options: dict[str, str], tmp_path: Path) -> None:
    """A key file that was cut short was reported as a missing --project-id."""
    file = tmp_path / "key.json"
    file.write_text('{"type": "service_account", "project_id": "p"')
    with pytest.raises(MalformedRequestError, match=r"--secret-file: expected the key file .* cut short or altered"):
        config_from_options("GCS", options, str(file))
