"""URLs of PostgreSQL, as libpq reads them: `postgresql://user:password@host:port,host:port/database?name=value`.

An error text never repeats a part of a URL: if the password holds a character that ends it, any part may be one of the
password. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from headwater.domain.choices import suggest
from headwater.domain.errors import StartupError

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")

_EXPECTED = "HEADWATER_DATABASE_URL: expected postgresql://user:password@host/database"
_ENCODE = "encode these characters in the user and the password: %25 for %, %2F for /, %23 for #, %3F for ?, %40 for @"

_HOST = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")

_MAY_HOLD_AT = ("user", "password", "application_name", "options", "passfile")
"""Parameters whose values may hold an `@`."""


class PostgresUrl(NamedTuple):
    """What a URL says.

    Attributes:
        parameters: parameters of libpq by their keywords, such as `host` and `password`.
        name: the servers and the database, without user and password.
    """

    parameters: dict[str, str]
    name: str


def parse_postgres_url(rest: str) -> PostgresUrl:
    """Return what a URL says, without its scheme.

    Args:
        rest: the URL after `://`.

    Raises:
        StartupError: it does not have the form of a URL. The text says which character may have to be encoded.
    """
    _check_characters(rest)
    location, _, query = rest.partition("?")
    authority, _, database = location.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    given = {"user": user, "password": password, "dbname": database}
    parameters = {name: unquote(value) for name, value in given.items() if value}
    _add_hosts(parameters, hosts.split(","))
    _add_query(parameters, query)
    servers = parameters.get("host") or parameters.get("hostaddr") or "its local socket"
    return PostgresUrl(parameters, f"PostgreSQL at {servers}, database {parameters.get('dbname', 'default')}")


def check_keywords(parameters: dict[str, str]) -> None:
    """Check that libpq knows all parameters.

    Raises:
        StartupError: it does not know one.
        ImportError: PostgreSQL's driver is not installed.
    """
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name in parameters.keys() - known:
        what = "a parameter after the `?` is none of libpq"
        if name == "prepare_threshold":
            what = "leave out prepare_threshold, because behind a pooler no statements are prepared anyway"
        elif question := suggest(name, known):
            what = f"{what}: {question}"
        raise StartupError(f"{_EXPECTED}; {what}")


def _check_characters(rest: str) -> None:
    """Check that no character ends the password that belongs to it.

    Raises:
        StartupError: one may do.
    """
    if "#" in rest:
        raise _must_be_encoded("#")
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", rest):
        raise _must_be_encoded("%")
    location, _, query = rest.partition("?")
    authority, _, database = location.partition("/")
    if authority.count("@") > 1:
        raise _must_be_encoded("@")
    if "@" in database:
        raise _must_be_encoded("/")
    if any("@" in pair and pair.partition("=")[0] not in _MAY_HOLD_AT for pair in query.split("&")):
        raise _must_be_encoded("?")


def _must_be_encoded(character: str) -> StartupError:
    return StartupError(f"{_EXPECTED}; there is a `{character}` where it has another meaning: {_ENCODE}")


def _add_hosts(parameters: dict[str, str], hosts: list[str]) -> None:
    """Add hosts, each with a port or none.

    Raises:
        StartupError: one is not a host.
    """
    found = [_HOST.fullmatch(host) for host in hosts]
    if not all(found):
        raise StartupError(f"{_EXPECTED}; after a host and a colon comes a port, and an IPv6 address is in brackets")
    named = [(unquote(each["host"].strip("[]")), each["port"] or "") for each in found if each]
    if any(host for host, _ in named):
        parameters["host"] = ",".join(host for host, _ in named)
    if any(port for _, port in named):
        parameters["port"] = ",".join(port for _, port in named)


def _add_query(parameters: dict[str, str], query: str) -> None:
    """Add what follows the question mark. Several hosts can be separate parameters, as SQLAlchemy has them.

    Raises:
        StartupError: it does not consist of names and values.
    """
    hosts = []
    for pair in query.split("&") if query else []:
        name, equals, value = pair.partition("=")
        if not equals or not re.fullmatch("[a-z_]+", name):
            raise StartupError(f"{_EXPECTED}; after a `?` come parameters, as in ?sslmode=require&connect_timeout=5")
        if name == "host" and not unquote(value).startswith("/"):
            hosts += value.split(",")
        else:
            parameters[name] = unquote(value)
    if hosts:
        _add_hosts(parameters, hosts)
