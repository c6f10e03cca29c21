"""Variables whose values are in files, env files, and variables that only look like settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.domain.errors import StartupError
from headwater.environment import MAX_FILE_BYTES, is_service_link, load_env_file, read_variable
from headwater.setting_forms import check_token
from headwater.settings import SPECS, Settings, Spec, unknown_settings
from headwater.stores.azure.server_account import azure_account

SECRET = "not to be shown"


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.secret], ids=lambda spec: spec.name)
def test_every_secret_setting_can_be_in_a_file(spec: Spec, tmp_path: Path) -> None:
    """Secrets of Docker and Kubernetes are files; operators had to copy them into the environment."""
    value = "a-b-" * 8 if spec.form.check_text is check_token else "a b"
    for before, after in (("", ""), ("", "\n"), ("\ufeff", "\r\n")):
        (tmp_path / "value").write_bytes(f"{before}{value}{after}".encode())
        settings = Settings.load({f"{spec.env}_FILE": str(tmp_path / "value")})
        assert getattr(settings, spec.name) == value


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (SECRET.encode() + b"\xff", "is not UTF-8"),
        (SECRET.encode() + b"\0", "NUL"),
        (SECRET.encode() * (MAX_FILE_BYTES // 4), "more than"),
    ],
)
def test_unusable_file_of_a_secret_is_named(content: bytes | None, expected: str, tmp_path: Path) -> None:
    """A missing file must not count as an unset variable: the server would make a new key."""
    file = tmp_path / "value"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartupError, match="HEADWATER_SECRET_KEY_FILE: .*value.*" + expected) as caught:
        read_variable({"HEADWATER_SECRET_KEY_FILE": str(file)}, "HEADWATER_SECRET_KEY")
    assert SECRET not in caught.value.message


def test_secret_in_a_variable_and_a_file_is_refused(tmp_path: Path) -> None:
    """Which of the two is used must not be a guess."""
    (tmp_path / "value").write_text("other")
    environ = {"HEADWATER_SECRET_KEY": SECRET, "HEADWATER_SECRET_KEY_FILE": str(tmp_path / "value")}
    with pytest.raises(StartupError, match="both set") as caught:
        Settings.load(environ)
    assert SECRET not in caught.value.message
    assert Settings.load({**environ, "HEADWATER_SECRET_KEY": ""}).secret_key == "other"


def test_key_of_the_managed_storage_can_be_in_a_file(tmp_path: Path) -> None:
    """AWS and Google have variables for files; Azure's key could only be in the environment."""
    (tmp_path / "key").write_text("a2V5\n")
    account = azure_account({"AZURE_STORAGE_ACCOUNT": "name", "AZURE_STORAGE_KEY_FILE": str(tmp_path / "key")})
    assert account.key == "a2V5"
    (tmp_path / "whole").write_text("AccountName=name;AccountKey=a2V5\n")
    account = azure_account({"AZURE_STORAGE_CONNECTION_STRING_FILE": str(tmp_path / "whole")})
    assert (account.name, account.key) == ("name", "a2V5")


def load(tmp_path: Path, text: str, **environ: str) -> dict[str, str]:
    file = tmp_path / "headwater.env"
    file.write_bytes(text.encode())
    load_env_file(str(file), environ)
    return environ


def test_env_file_adds_variables_that_are_not_set(tmp_path: Path) -> None:
    text = "# a comment\n\nA=plain\nexport B='it is $HOME # literal'\r\n"
    text += '  C="a \\"b\\" \\$1 \\\\ c"  \nD=\nKEPT=file\nEMPTY=x=y\n'
    found = load(tmp_path, text, KEPT="environment", EMPTY="")
    assert found == {
        "A": "plain",
        "B": "it is $HOME # literal",
        "C": 'a "b" $1 \\ c',
        "D": "",
        "KEPT": "environment",
        "EMPTY": "x=y",
    }


@pytest.mark.parametrize(
    "line",
    [
        f"{SECRET}",
        f"A ={SECRET}",
        f"A-B={SECRET}",
        f"A={SECRET}",
        f"A='{SECRET}",
        f"A='{SECRET}' # comment",
        f'A="{SECRET} $HOME"',
        f'A="{SECRET} \\n"',
        "A=$HOME",
        "A=a\\b",
        f"FIRST={SECRET!r}",
        "HEADWATER_ENV_FILE=other",
    ],
)
def test_line_of_another_form_is_refused_by_its_number(line: str, tmp_path: Path) -> None:
    """Tools read quotes, `$` and ` #` in env files differently. What they do not agree about is an error."""
    with pytest.raises(StartupError, match=r"headwater.env, line 3: ") as caught:
        load(tmp_path, f"# first\nFIRST=1\n{line}\n")
    assert SECRET not in caught.value.message


def test_nothing_of_a_bad_env_file_is_used(tmp_path: Path) -> None:
    environ = {"B": "1"}
    (tmp_path / "e").write_text("A=1\nB\n")
    with pytest.raises(StartupError):
        load_env_file(str(tmp_path / "e"), environ)
    assert environ == {"B": "1"}


SERVICE = {
    "HEADWATER_PORT": "tcp://10.0.0.1:8000",
    "HEADWATER_SERVICE_HOST": "10.0.0.1",
    "HEADWATER_SERVICE_PORT": "8000",
    "HEADWATER_SERVICE_PORT_HTTP": "8000",
    "HEADWATER_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "HEADWATER_PORT_8000_TCP_PROTO": "tcp",
    "HEADWATER_PORT_8000_TCP_PORT": "8000",
    "HEADWATER_PORT_8000_TCP_ADDR": "10.0.0.1",
    "HEADWATER_POSTGRES_PORT": "tcp://[fd00::1]:5432",
    "HEADWATER_POSTGRES_PORT_5432_TCP_ADDR": "fd00::1",
    "HEADWATER_POSTGRES_SERVICE_HOST": "fd00::1",
}


def test_variables_of_a_kubernetes_service_are_no_settings() -> None:
    """With a Service named `headwater`, every command ended with `HEADWATER_PORT: expected a whole number`."""
    assert Settings.load(SERVICE) == Settings.load({})
    assert list(unknown_settings(SERVICE)) == []
    assert all(is_service_link(name, value) for name, value in SERVICE.items())
    assert not any(is_service_link(spec.env, "8000") for spec in SPECS)
    for value in ("tcp://", "http://10.0.0.1:8000"):
        with pytest.raises(StartupError, match="HEADWATER_PORT: expected a whole number"):
            Settings.load({"HEADWATER_PORT": value})


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("HEADWATER_LOCAL_FOLDER", "HEADWATER_LOCAL_ROOT"),
        ("HEADWATER_DATADIR", "HEADWATER_DATA_DIR"),
        ("HEADWATER_DATABASE", "HEADWATER_DATABASE_URL"),
        ("headwater_port", "HEADWATER_PORT"),
        ("HEADWATER_PORT_FILE", "HEADWATER_PORT"),
        ("HEADWATER_SECRETKEY_FILE", "HEADWATER_SECRET_KEY_FILE"),
        ("HEADWATER_LOG_LEVEL", None),
        ("HEADWATER_", None),
    ],
)
def test_unknown_setting_is_told_with_the_most_similar_one(name: str, similar: str | None) -> None:
    """A mistyped variable was ignored without a word."""
    known = {spec.env: "1" for spec in SPECS} | {
        "HEADWATER_SECRET_KEY_FILE": "x",
        "HEADWATER_ENV_FILE": "x",
        "HOME": "/",
    }
    assert list(unknown_settings({**known, name: SECRET})) == [(name, similar)]
