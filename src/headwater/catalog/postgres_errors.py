"""What errors of PostgreSQL and of poolers in front of it mean. Without a SQLSTATE, only their texts tell."""

from __future__ import annotations

_READ_ONLY = "25006"

_TEMPORARY_STATES = ("08", "53", "55P03", "57", _READ_ONLY)
"""How SQLSTATEs begin that pass: no connection, no resources, a lock that is held, a server that stops or starts, or
one that another server replaces."""

_TEMPORARY_TEXTS = (
    "Connection refused",
    "No route to host",
    "Network is unreachable",
    "Temporary failure in name resolution",
    "closed the connection unexpectedly",
    "timeout expired",
    "starting up",
    "shutting down",
    "session is read-only",
    "too many c",  # lients, onnections for role, onnections for database
    "no more connections allowed",
    "server login has been failing",
    "server_login_retry",
    "query_wait_timeout",
)
"""Texts of errors without a SQLSTATE that pass: the connection could not be made. The last four are PgBouncer's."""

_STATEMENT_POOLING = "transaction blocks not allowed in statement pooling mode"

OPTIONS_BEHIND_POOLER = (
    "HEADWATER_DATABASE_URL: a pooler between this server and PostgreSQL does not keep `options`. Leave them out, and "
    "set the same for the role: ALTER ROLE … IN DATABASE … SET search_path = headwater"
)

_ADVICE = {
    "permission denied for schema": "Its owner must allow this user to make tables in it: GRANT CREATE, USAGE ON "
    "SCHEMA … TO …; or give Headwater a database or a schema of its own",
    "authentication failed": "Check the user and the password in HEADWATER_DATABASE_URL; special characters of a "
    "password are percent-encoded",
    "no password supplied": "Put the password into HEADWATER_DATABASE_URL, after the user and a colon",
    "failed to resolve host": "Check the host in HEADWATER_DATABASE_URL",
    'FATAL: database "': "Create it, or correct HEADWATER_DATABASE_URL",
    'FATAL: role "': "Check the user in HEADWATER_DATABASE_URL",
    "no such database": "Create it, or correct HEADWATER_DATABASE_URL",
    "read-only": "The server is a standby, or its operator has made it read-only",
    "unsupported startup parameter": OPTIONS_BEHIND_POOLER,
    _STATEMENT_POOLING: "Headwater needs transactions: set pool_mode = transaction (or session) in the pooler",
}
"""What to do about an error, by a part of its text."""


def is_read_only(error: BaseException | None) -> bool:
    """Return whether a statement was refused because its session may only read."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) == _READ_ONLY


def is_temporary_of_postgres(cause: BaseException | None) -> bool:
    """Return whether PostgreSQL may be usable a little later, after this error of its driver."""
    state, text = getattr(cause, "sqlstate", None), str(cause)
    if _STATEMENT_POOLING in text:
        return False
    if state is None:
        return type(cause).__name__ == "ConnectionTimeout" or any(each in text for each in _TEMPORARY_TEXTS)
    return bool(state.startswith(_TEMPORARY_STATES))


def summarize(text: str) -> str:
    """Return what an error of psycopg without a SQLSTATE says: of several hosts, what each of them has said."""
    attempts = [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- host: ")]
    return "; ".join(attempts) or text.partition("\n")[0]


def postgres_advice(text: str) -> str | None:
    """Return what to do about an error of PostgreSQL or of a pooler with this text; None if nothing is known."""
    return next((advice for part, advice in _ADVICE.items() if part in text), None)
