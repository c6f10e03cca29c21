"""The environment of the process: values in files, an env file, and variables that mean something else.

What each variable sets is declared in settings.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

from headwater.domain.choices import similar
from headwater.domain.errors import StartupError

PREFIX = "HEADWATER_"

ENV_FILE = "HEADWATER_ENV_FILE"
"""The variable that names an env file, like the option `--env-file`."""

FILE_SUFFIX = "_FILE"

MAX_FILE_BYTES = 64 << 10
"""The largest file that is read for a value, or as an env file."""

_LINK = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]+")
_LINK_NAMES = re.compile(
    r"HEADWATER(_[A-Z0-9_]+)?_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_PLAIN = re.compile(r"[^\s'\"\\$`]*")
_QUOTED = re.compile(r"'([^']*)'|\"((?:[^\"\\$`]|\\[\"\\$`])*)\"")


def read_variable(environ: Mapping[str, str], name: str) -> str | None:
    """Return a value that may be in a file: of the variable, or of the file that `<name>_FILE` names; None if unset.

    Line ends at the end of the file are removed: editors and `echo` add one. An empty variable counts as unset.

    Raises:
        StartupError: both are set, or the file cannot be used. The text never repeats a value.
    """
    value, file_variable = environ.get(name) or None, name + FILE_SUFFIX
    file = environ.get(file_variable)
    if not file:
        return value
    if value is not None:
        raise StartupError(f"{name} and {file_variable} are both set: unset one of them")
    text = _read(expand_home(file_variable, Path(file)), file_variable).rstrip("\r\n")
    if not text:
        raise StartupError(f"{file_variable}: {file} is empty")
    return text


def expand_home(source: str, path: Path) -> Path:
    """Return a path with `~` or `~user` at its beginning replaced by the home folder.

    Args:
        source: the setting, for the error text.
        path: the path.

    Raises:
        StartupError: there is no such home folder, as for a user without an entry in the system's list of users.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise StartupError(
            f"{source}: {str(path)!r} begins with a home folder that does not exist here; give an absolute path"
        ) from None


def is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes made this variable, for a Service whose name begins with `headwater`.

    It sets `HEADWATER_PORT=tcp://10.0.0.1:8000` and others in every container that starts after the Service.
    """
    if name.startswith(PREFIX) and name.endswith("_PORT") and _LINK.fullmatch(value):
        return True
    return _LINK_NAMES.fullmatch(name) is not None


def unknown_variables(environ: Mapping[str, str], known: Mapping[str, bool]) -> Iterator[tuple[str, str | None]]:
    """Yield each variable that looks like a setting and is none, with the most similar setting or None.

    Args:
        environ: the variables.
        known: the variables of all settings, and whether a file can hold their value.
    """
    names = {*known, ENV_FILE, *(name + FILE_SUFFIX for name, in_file in known.items() if in_file)}
    own = {each.removeprefix(PREFIX): each for each in names}
    for name, value in sorted(environ.items()):
        if not name.upper().startswith(PREFIX) or name in names or is_service_link(name, value):
            continue
        meant = similar(name[len(PREFIX) :], own)
        yield name, own[meant[0]] if meant else None


def load_env_file(file: str, environ: MutableMapping[str, str]) -> None:
    """Add the variables of an env file to those of the process. A variable that is set and not empty is kept.

    The file is UTF-8 with one `NAME=VALUE` a line. Empty lines and lines that begin with `#` are ignored, and so is
    `export` before a name. A value without quotes has no spaces, quotes, backslashes, `$` or backquotes. A value in
    single quotes is taken literally. In double quotes, a backslash is needed before `"`, `\\`, `$` and a backquote.
    Nothing is expanded. A name occurs once.

    Raises:
        StartupError: the file cannot be read, or a line has another form. The text gives the number of the line,
            never its content.
    """
    values: dict[str, str] = {}
    text = _read(expand_home("--env-file", Path(file)), "--env-file")
    for number, line in enumerate(re.split(r"\r?\n", text), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            name, value = _parse_line(line)
            if name in (*values, ENV_FILE):
                raise ValueError(
                    f"{name} is set again" if name in values else f"{name} does not belong into an env file"
                )
        except ValueError as error:
            raise StartupError(f"--env-file: {file}, line {number}: {error}") from None
        values[name] = value
    for name, value in values.items():
        if not environ.get(name):
            environ[name] = value


def _parse_line(line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError("expected NAME=VALUE, without spaces before the '='")
    name, text = found[1], found[2].rstrip()
    if text[:1] in ("'", '"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise ValueError(
                f"the value of {name} must end with the quote it begins with; in double quotes, write a backslash "
                'before ", \\, $ and `'
            )
        return name, quoted[1] if quoted[1] is not None else re.sub(r"\\(.)", r"\1", quoted[2])
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"the value of {name} has spaces or one of ' \" \\ $ `: put it in single quotes")
    return name, text


def _read(path: Path, source: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise StartupError(f"{source}: {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise StartupError(f"{source}: {path} has more than {MAX_FILE_BYTES >> 10} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StartupError(f"{source}: {path} is not UTF-8") from None
    if "\0" in text:
        raise StartupError(f"{source}: {path} contains a NUL character")
    return text
