"""URLs of PostgreSQL are read as libpq reads them, and errors never repeat a part of a password."""

from __future__ import annotations

import socket
import time
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.engine import parse_database_url
from headwater.catalog.keyring import Keyring
from headwater.catalog.postgres_url import parse_postgres_url
from headwater.cli.output import EXIT_CANNOT_START, EXIT_UNAVAILABLE, exit_code_of
from headwater.domain.errors import CatalogUnavailableError, StartupError
from tests.cli.commands import run_command
from tests.live import environ_for
from tests.postgresql import PASSWORD, PostgresServer, own_postgres
from tests.servers import free_port


@pytest.mark.parametrize(
    ("rest", "parameters"),
    [
        ("", {}),
        ("host", {"host": "host"}),
        ("host:5433/name", {"host": "host", "port": "5433", "dbname": "name"}),
        ("ann:@host/name", {"user": "ann", "host": "host", "dbname": "name"}),
        ("ann:a:b@host/name", {"user": "ann", "password": "a:b", "host": "host", "dbname": "name"}),
        (f"ann:{quote(PASSWORD, safe='')}@host/name", {"user": "ann", "password": PASSWORD, "host": "host"}),
        ("one:1,two,three:3/name", {"host": "one,two,three", "port": "1,,3", "dbname": "name"}),
        ("one,two/name", {"host": "one,two", "dbname": "name"}),
        ("[::1]:5433,[fe80::1%25eth0]/name", {"host": "::1,fe80::1%eth0", "port": "5433,", "dbname": "name"}),
        ("%2Ftmp%2Fsocket/name", {"host": "/tmp/socket", "dbname": "name"}),
        ("ann@/name?host=/tmp/socket", {"user": "ann", "host": "/tmp/socket", "dbname": "name"}),
        ("ann@/name?host=one:1&host=two:2", {"user": "ann", "host": "one,two", "port": "1,2", "dbname": "name"}),
        ("host/name?user=ann@tenant&sslmode=require", {"host": "host", "user": "ann@tenant", "sslmode": "require"}),
        ("host/name?options=-csearch_path=headwater", {"host": "host", "options": "-csearch_path=headwater"}),
    ],
)
def test_url_is_read_as_by_libpq(rest: str, parameters: dict[str, str]) -> None:
    found = parse_postgres_url(rest).parameters
    assert found == {**({"dbname": "name"} if "/name" in rest else {}), **parameters}


def test_name_has_the_servers_and_no_password() -> None:
    assert parse_postgres_url("ann:secret@one:1,two/name").name == "PostgreSQL at one,two, database name"
    assert parse_postgres_url("ann:secret@/name?host=/run").name == "PostgreSQL at /run, database name"
    assert parse_postgres_url("ann:secret@").name == "PostgreSQL at its local socket, database default"


@pytest.mark.parametrize("character", "%/#?@")
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_character_that_must_be_encoded_is_named(scheme: str, character: str) -> None:
    """The text was that of any URL without a database, or the error of a host that is a part of the password."""
    for password in (f"first{character}second", f"1{character}second=2", f"{character}second"):
        with pytest.raises(StartupError) as caught:
            parse_database_url(f"{scheme}://ann:{password}@host/name")
        text = caught.value.message
        assert text.startswith("HEADWATER_DATABASE_URL: expected postgresql://user:password@host/database; ")
        assert "first" not in text
        assert "second" not in text
        assert f"`{character}`" in text
        assert "%23 for #" in text


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("ann@host:hidden/name", "after a host and a colon comes a port"),
        ("ann@::1/name", "an IPv6 address is in brackets"),
        ("host/name?hidden", "after a `?` come parameters"),
        ("host/name?sslmod=hidden", "did you mean sslmode"),
        ("host/name?hidden=1", "a parameter after the `?` is none of libpq"),
        ("host/name?prepare_threshold=0", "leave out prepare_threshold, because behind a pooler no statements are"),
        ("host/name?autocommit=hidden", "none of libpq"),
        ("ann:hid%00den@host/name", "there is a `%`"),
    ],
)
def test_url_that_cannot_be_used_is_refused(rest: str, text: str) -> None:
    """`prepare_threshold` was a traceback."""
    with pytest.raises(StartupError) as caught:
        parse_database_url(f"postgresql://{rest}")
    assert text in caught.value.message
    assert "hid" not in caught.value.message


@pytest.fixture(scope="module")
def server():
    with own_postgres() as running:
        with running.session() as operator:
            operator.execute("CREATE DATABASE strict")
            operator.execute("CREATE DATABASE spare")
        yield running


@pytest.mark.slow
async def test_texts_of_a_database_that_cannot_be_opened(server: PostgresServer, keyring: Keyring) -> None:
    """Each says what to do and does not repeat the password, and the setting is at fault."""
    here, password = server.address, quote(PASSWORD, safe="")
    cases = {
        f"secured:{password}@{here}/absent": 'database "absent" does not exist. Create it, or correct',
        f"secured:{password}1@{here}/strict": 'password authentication failed for user "secured". Check the user and',
        f"nobody@{here}/strict": 'role "nobody" does not exist. Check the user in HEADWATER_DATABASE_URL',
        f"secured@{here}/strict": "Put the password into HEADWATER_DATABASE_URL",
        f"secured:{password}@{here}/strict": "permission denied for schema public. Its owner must allow this user to",
        f"secured:{password}@no-such-host.invalid/strict": "Check the host in HEADWATER_DATABASE_URL",
        f"secured:{password}@{here}/strict?sslmode=require": "server does not support SSL",
        f"secured:{password}@{here}/strict?sslmode=wrong": "invalid sslmode value",
        f"secured:{password}@{here}/strict?connect_timeout=wrong": "connect_timeout",
        f"secured:{PASSWORD}@{here}/strict": "encode these characters",
    }
    for rest, expected in cases.items():
        with pytest.raises(StartupError) as caught:
            await Catalog.open(f"postgres://{rest}", keyring)
        assert expected in caught.value.message
        assert exit_code_of(caught.value) == EXIT_CANNOT_START
        check_no_password(caught.value)
    with server.session("strict") as operator:
        operator.execute("GRANT CREATE, USAGE ON SCHEMA public TO secured")
    await (await Catalog.open(f"postgres://secured:{password}@{here}/strict", keyring)).close()
    hosts = f"127.0.0.1:{free_port()},{here}"
    await (await Catalog.open(f"postgres://secured:{password}@{hosts}/strict", keyring)).close()
    with pytest.raises(CatalogUnavailableError) as down:
        await Catalog.open(f"postgres://secured:{password}@{hosts}/strict?target_session_attrs=standby", keyring)
    assert exit_code_of(down.value) == EXIT_UNAVAILABLE
    for host in hosts.split(","):
        assert f"port {host.partition(':')[2]}" in down.value.message.replace("port: '", "port ")
    check_no_password(down.value)


def check_no_password(error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    assert PASSWORD not in text
    assert quote(PASSWORD, safe="") not in text


@pytest.mark.slow
async def test_silent_host_leaves_time_for_the_others(server: PostgresServer) -> None:
    """A host that does not respond took all the time of each request."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = f"127.0.0.1:{silent.getsockname()[1]},{server.address}"
        database = parse_database_url(f"postgres://postgres@{hosts}/spare")
        began = time.monotonic()
        assert await database.version() is None
        assert time.monotonic() - began < 8
        await database.close()


@pytest.mark.slow
def test_commands_name_the_setting_that_is_at_fault(server: PostgresServer, tmp_path: Path) -> None:
    """`prepare_threshold` was a traceback."""
    for rest in (f"secured:{PASSWORD}@{server.address}/strict", f"postgres@{server.address}/spare?prepare_threshold=0"):
        environ = environ_for(tmp_path, database_url=f"postgresql://{rest}")
        text = run_command(environ, "token", "list", code=EXIT_CANNOT_START)
        assert text.startswith("headwater: HEADWATER_DATABASE_URL: expected postgresql://")
        assert PASSWORD not in text
