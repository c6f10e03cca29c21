"""Which catalog a command uses, and which commands create or upgrade one."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import make_dataset, run_command
from tests.live import environ_for
from tests.servers import postgres_database, postgres_server

pytestmark = pytest.mark.slow  # each test starts several processes

PREVIOUS = Path(__file__).parents[1] / "catalog" / "previous"


def run_in(folder: Path, environ: dict[str, str], *arguments: str) -> str:
    """Run a command that fails with exit code 6 in a working directory, and return its stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "headwater", *arguments],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (6, ""), (done.stdout, done.stderr)
    return done.stderr


def without_settings(home: Path) -> dict[str, str]:
    environ = environ_for(home)
    kept = {name: value for name, value in environ.items() if not name.startswith(("HEADWATER_", "XDG_"))}
    return {**kept, "HOME": str(home)}


@pytest.mark.parametrize("arguments", [("token", "list"), ("list", "foo"), ("dataset", "create", "foo")])
def test_command_without_its_environment_makes_no_second_catalog(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Even `token list` set up a new catalog in the home folder and then reported that there are no tokens."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    text = run_in(work, without_settings(home), *arguments)
    assert str(home / ".local/share/headwater/headwater.db") in text
    assert "HEADWATER_DATA_DIR" in text
    assert "HEADWATER_DATABASE_URL" in text
    assert "headwater init" in text
    assert [*home.iterdir(), *work.iterdir()] == []


def test_error_names_the_catalog_that_was_probably_meant(tmp_path: Path) -> None:
    """Nothing told that the catalog of the server was in the folder `data` next to the command."""
    environ = environ_for(tmp_path / "data")
    run_command(environ, "init")
    wrong = without_settings(tmp_path / "home")
    assert "There is one in data: set HEADWATER_DATA_DIR=data" in run_in(tmp_path, wrong, "token", "list")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_error_suggests_no_folder_where_a_setting_has_chosen(tmp_path: Path) -> None:
    """With HEADWATER_DATABASE_URL, the suggested folder had no effect."""
    run_command(environ_for(tmp_path / "data"), "init")
    chosen = environ_for(tmp_path / "dta")
    for wrong in (chosen, {**chosen, "HEADWATER_DATABASE_URL": f"sqlite:///{tmp_path}/absent.db"}):
        text = run_in(tmp_path, wrong, "token", "list")
        assert "There is one in" not in text
        assert "headwater init" in text


def test_file_of_another_program_is_no_reason_for_init(tmp_path: Path) -> None:
    """The error advised `headwater init`, which refuses a file with the tables of another program."""
    connection = sqlite3.connect(tmp_path / "headwater.db")
    connection.execute("CREATE TABLE songs (title)")
    connection.close()
    text = run_in(tmp_path, environ_for(tmp_path), "token", "list")
    assert "the file holds something else" in text
    assert "headwater init" not in text


def test_init_and_token_create_make_a_catalog_for_this_user_alone(tmp_path: Path) -> None:
    """Every command made one, so that a mistyped folder went unnoticed."""
    for number, arguments in enumerate((("init",), ("init",), ("token", "create", "--user", "ada"))):
        folder = tmp_path / str(number // 2) / "new"
        run_command(environ_for(folder), *arguments)
        assert {path.name for path in folder.iterdir()} == {"headwater.db", "secret.key"}
        assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}
        assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_only_init_and_the_server_upgrade_a_catalog(tmp_path: Path) -> None:
    """A reading command of a new version migrated the catalog under the running servers of the earlier version."""
    environ = environ_for(tmp_path)
    connection = sqlite3.connect(tmp_path / "headwater.db")
    connection.executescript((PREVIOUS / "catalog.sql").read_text())
    connection.execute("DELETE FROM datasources")
    connection.commit()
    connection.close()
    before = (tmp_path / "headwater.db").read_bytes()
    for arguments in (("token", "list"), ("token", "create", "--user", "ada")):
        text = run_command(environ, *arguments, code=6)
        assert "version 0002" in text
        assert "headwater init" in text
    assert {path.name for path in tmp_path.iterdir()} == {"headwater.db"}
    assert (tmp_path / "headwater.db").read_bytes() == before
    run_command(environ, "init")
    assert json.loads(run_command(environ, "token", "list", "--json"))


def test_no_command_replaces_a_missing_key(tmp_path: Path) -> None:
    """A command that lacked the server's HEADWATER_SECRET_KEY made a key file next to a catalog without secrets."""
    environ = environ_for(tmp_path, secret_key="k:" + "A" * 43 + "=")
    run_command(environ, "init")
    del environ["HEADWATER_SECRET_KEY"]
    for arguments in (("dataset", "list"), ("token", "create", "--user", "ada")):
        assert "HEADWATER_SECRET_KEY" in run_command(environ, *arguments, code=6)
    assert {path.name for path in tmp_path.iterdir()} == {"headwater.db"}


def test_command_tells_once_which_user_it_chose(tmp_path: Path) -> None:
    """`dataset create` without --user silently made the dataset one of the user `operator`."""
    environ = environ_for(tmp_path)
    run_command(environ, "init")
    done = subprocess.run(
        [sys.executable, "-m", "headwater", "dataset", "create", "streets"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.count("'operator'") == 1
    assert len(done.stdout.split()) == 1
    make_dataset(environ)


def test_missing_postgresql_catalog_is_named_without_its_password(tmp_path: Path) -> None:
    """`token list` with the URL of a wrong database created the tables in it."""
    with postgres_server() as uri_of, postgres_database(uri_of) as url:
        separator = "&" if "?" in url else "?"
        environ = environ_for(tmp_path / "data", database_url=f"{url}{separator}password=hidden")
        text = run_command(environ, "token", "list", code=6)
        assert "PostgreSQL at" in text
        assert "HEADWATER_DATABASE_URL chooses it" in text
        assert "hidden" not in text
        assert list(tmp_path.iterdir()) == []
        run_command(environ, "init")
        run_command(environ, "token", "list")
