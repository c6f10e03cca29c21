"""The options of `headwater datasource set`, generated from the members of the datasource types."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.domain.datasource_members import (
    COMMON_MEMBERS,
    DATASOURCE_TYPES,
    GCS,
    TYPE_NAMES,
    DatasourceType,
    Member,
    find_datasource_type,
)
from headwater.domain.errors import MalformedRequestError


def _members_by_option() -> dict[str, list[tuple[DatasourceType, Member]]]:
    found: dict[str, list[tuple[DatasourceType, Member]]] = {}
    for datasource_type in DATASOURCE_TYPES:
        for member in datasource_type.members:
            if member.option is not None:
                found.setdefault(member.option, []).append((datasource_type, member))
    return found


_MEMBERS_BY_OPTION = _members_by_option()


def member_options() -> list[inspect.Parameter]:
    """Return one parameter for each member that has an option. Types can share an option."""
    return [_option(option, members) for option, members in _MEMBERS_BY_OPTION.items()]


def secret_file_help() -> str:
    """Return the help of `--secret-file`, which lists the secrets of all types."""
    secrets = dict.fromkeys(declared.secret.help for declared in DATASOURCE_TYPES if declared.secret is not None)
    return (
        f"File that holds the secret ({'; '.join(secrets)}); '-' for stdin. Without this option, you are prompted "
        f"for the secret."
    )


def config_from_file(source: str) -> Any:
    """Return the decoded JSON of a config file; `-` reads stdin.

    Raises:
        MalformedRequestError: the file cannot be read, or is not JSON.
    """
    import msgspec

    try:
        return msgspec.json.decode(_read(source, "--config"))
    except msgspec.DecodeError as error:
        raise MalformedRequestError(f"--config: not JSON: {error}") from None


def config_from_options(type_name: str, options: Mapping[str, str], secret_file: str | None) -> dict[str, str]:
    """Return the config that the options describe, with the members by their names in the API.

    Args:
        type_name: the name of the type, in any letter case.
        options: the values of the options that were given, by the names of their parameters.
        secret_file: where the secret is read from: a file, `-` for stdin, None to prompt for it.

    Raises:
        MalformedRequestError: there is no such type, an option does not apply to it, the path is missing, or the
            secret cannot be read.
    """
    datasource_type = find_datasource_type(_correct_case(type_name))
    config = {"type": datasource_type.name}
    foreign = []
    for option, members in _MEMBERS_BY_OPTION.items():
        value = options.get(_parameter_name(option))
        member = next((member for owner, member in members if owner is datasource_type), None)
        if member is None:
            if value is not None:
                foreign.append(members[0][1].wire_name)
            continue
        value = member.option_default if value is None else value
        if value is not None:
            config[member.wire_name] = value
    if foreign:
        raise MalformedRequestError(f"{', '.join(sorted(foreign))}: not for datasources of type {datasource_type.name}")
    if "fullPath" not in config:
        raise MalformedRequestError("--path: required, unless --config gives the whole config")
    return _with_project({**config, **_secret(datasource_type, secret_file)}, datasource_type)


def _option(option: str, members: list[tuple[DatasourceType, Member]]) -> inspect.Parameter:
    member = members[0][1]
    common = member.attribute in {each.attribute for each in COMMON_MEMBERS}
    types = "" if common else f"{' and '.join(owner.name for owner, _ in members)}: "
    annotation = typer.Option(
        f"--{option}", help=types + member.help, metavar=member.metavar or member.wire_name, show_default=False
    )
    return inspect.Parameter(
        _parameter_name(option),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, annotation],
    )


def _parameter_name(option: str) -> str:
    return option.replace("-", "_")


def _correct_case(type_name: str) -> str:
    return next((name for name in TYPE_NAMES if name.lower() == type_name.lower()), type_name)


def _secret(datasource_type: DatasourceType, source: str | None) -> dict[str, str]:
    """Return the member that holds the secret, read from `source` or prompted for; nothing if the type has none."""
    member = datasource_type.secret
    if member is None:
        if source is not None:
            raise MalformedRequestError(f"--secret-file: the type {datasource_type.name} has no secret")
        return {}
    name = member.wire_name
    if source is not None:
        return {name: _read(source, "--secret-file").rstrip("\r\n")}
    if not sys.stdin.isatty():
        raise MalformedRequestError(f"{name}: give it with --secret-file FILE, or '-' to read it from stdin")
    return {name: typer.prompt(name, hide_input=True, err=True)}


def _with_project(config: dict[str, str], datasource_type: DatasourceType) -> dict[str, str]:
    """Return the config with the project that a key file of Google names, if none was given."""
    if datasource_type is not GCS or "gcsProjectId" in config:
        return config
    from headwater.domain.key_file import find_key_file

    project = (find_key_file(config["gcsCredentials"]) or {}).get("project_id")
    return {**config, "gcsProjectId": project} if isinstance(project, str) else config


def _read(source: str, option: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise MalformedRequestError(f"{option}: cannot read {source}: {reason}") from None
