"""The options of `headwater datasource set`, generated from the members of the datasource types."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli.choices import completion, purposes, regions
from headwater.cli.dialogue import Dialogue
from headwater.cli.on_dataset import SECRET_OPTION
from headwater.domain.choices import with_suggestion
from headwater.domain.datasource_members import (
    COMMON_MEMBERS,
    DATASOURCE_TYPES,
    GCS,
    LOCAL,
    TYPE_NAMES,
    DatasourceType,
    Member,
    find_datasource_type,
)
from headwater.domain.errors import MalformedRequestError
from headwater.domain.text import visible


def _members_by_option() -> dict[str, list[tuple[DatasourceType, Member]]]:
    found: dict[str, list[tuple[DatasourceType, Member]]] = {}
    for datasource_type in DATASOURCE_TYPES:
        for member in datasource_type.members:
            if member.option is not None:
                found.setdefault(member.option, []).append((datasource_type, member))
    return found


_MEMBERS_BY_OPTION = _members_by_option()


_COMPLETIONS = {"purpose": completion(purposes), "region": completion(regions)}
"""How shells complete the values of options."""


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
        MalformedRequestError: the file cannot be read, is not JSON, or has members that its type does not have. The
            API drops these; a person has most likely misspelled them.
    """
    import msgspec

    try:
        config = msgspec.json.decode(_read(source, "--config"))
    except msgspec.DecodeError as error:
        raise MalformedRequestError(f"--config: not JSON: {error}") from None
    if isinstance(config, dict):
        _check_members(config)
    return config


def config_from_options(
    type_name: str | None, options: Mapping[str, str], secret_file: str | None, dialogue: Dialogue | None = None
) -> dict[str, str]:
    """Return the config that the options describe, with the members by their names in the API.

    Everything that can be checked without the secret is checked before it is read.

    Args:
        type_name: the name of the type, in any letter case; None if it was not given.
        options: the values of the options that were given, by the names of their parameters.
        secret_file: where the secret is read from: a file, or `-` for stdin; None if it was not given.
        dialogue: asks for what is missing, the secret last; None if that is an error.

    Raises:
        MalformedRequestError: there is no such type, an option does not apply to it, is malformed or missing, or the
            secret cannot be read. The text names members.
    """
    if type_name is None:
        type_name = _ask_for_type(dialogue)
    datasource_type = find_datasource_type(_correct_case(type_name))
    config = {"type": datasource_type.name, **_members_of(datasource_type, options)}
    if secret_file is not None and datasource_type.secret is None:
        raise MalformedRequestError(f"{SECRET_OPTION}: the type {datasource_type.name} has no secret")
    missing = _missing(config, datasource_type)
    secret = datasource_type.secret
    asked = [*missing, *([secret] if secret is not None and secret_file is None else [])]
    _check(config, datasource_type, required=[] if dialogue is not None else asked)
    if secret is not None and secret_file is not None:
        config[secret.wire_name] = _read(secret_file, SECRET_OPTION).rstrip("\r\n")
    if dialogue is not None:
        for member in asked:
            config[member.wire_name] = _ask_for(member, config, datasource_type, dialogue)
    return _with_project(config, datasource_type)


def _members_of(datasource_type: DatasourceType, options: Mapping[str, str]) -> dict[str, str]:
    """Return the members that the options set."""
    config = {}
    foreign = []
    for option, members in _MEMBERS_BY_OPTION.items():
        value = options.get(_parameter_name(option))
        member = next((member for owner, member in members if owner is datasource_type), None)
        if member is None:
            if value is not None:
                foreign.append(f"--{option}")
            continue
        value = member.option_default if value is None else value
        if value is not None:
            config[member.wire_name] = value
    if foreign:
        raise MalformedRequestError(f"{', '.join(sorted(foreign))}: not for datasources of type {datasource_type.name}")
    return config


def _missing(config: Mapping[str, str], datasource_type: DatasourceType) -> list[Member]:
    """Return the members that are required, and can be given as options, but are not in the config."""
    from headwater.domain.datasource import find_config_class

    fields = find_config_class(datasource_type.name).model_fields
    return [
        member
        for member in datasource_type.members
        if member.option is not None
        and fields[member.attribute].is_required()
        and member.wire_name not in config
        and not (datasource_type is GCS and member.attribute == "project_id")  # the key file names it
    ]


def _check(config: Mapping[str, str], datasource_type: DatasourceType, required: Iterable[Member] = ()) -> None:
    """Check the form of the members of a config that is not complete, and that the required ones are there."""
    from headwater.domain.datasource import faults_of

    checked = {*config, *(member.wire_name for member in required)}
    texts = [f"{name}: {text}" for name, text in faults_of(datasource_type.name, config) if name in checked]
    if texts:
        raise MalformedRequestError("; ".join(texts))


def _check_members(config: Mapping[str, Any]) -> None:
    datasource_type = find_datasource_type(config.get("type"))
    known = ["type", "id", *(member.wire_name for member in datasource_type.members)]
    unknown = [name for name, value in config.items() if name not in known and value is not None]
    if unknown:
        texts = (with_suggestion(visible(name), name, known) for name in unknown)
        raise MalformedRequestError(
            f"--config: the type {datasource_type.name} has no member {', '.join(texts)}; correct or remove it"
        )


def _ask_for_type(dialogue: Dialogue | None) -> str:
    if dialogue is None:
        raise MalformedRequestError("--type: required, unless --config gives the whole config")
    names = ", ".join(TYPE_NAMES)
    return dialogue.ask(f"Type ({names})", lambda text: find_datasource_type(_correct_case(text)).name)


def _ask_for(member: Member, config: Mapping[str, str], datasource_type: DatasourceType, dialogue: Dialogue) -> str:
    if member.secret and datasource_type is GCS:
        # Nobody can type a key file, and its path is no secret.
        def read(text: str) -> str:
            content = _read(str(Path(text).expanduser()), member.help)
            _key_file_of(content)
            return content

        return dialogue.ask("Path of the GCS key file", read)

    def check(text: str) -> str:
        _check({**config, member.wire_name: text}, datasource_type)
        return text

    # The path of a LOCAL datasource may be empty.
    default = "" if datasource_type is LOCAL else None
    return dialogue.ask(_label(member, datasource_type), check, default=default, hidden=member.secret)


def _label(member: Member, datasource_type: DatasourceType) -> str:
    if member.attribute == "full_path":
        return "Folder under the mount root, or nothing" if datasource_type is LOCAL else "Bucket/path"
    text = member.help.rstrip(".")
    return text[0].upper() + text[1:]


def _option(option: str, members: list[tuple[DatasourceType, Member]]) -> inspect.Parameter:
    member = members[0][1]
    common = member.attribute in {each.attribute for each in COMMON_MEMBERS}
    types = "" if common else f"{' and '.join(owner.name for owner, _ in members)}: "
    annotation = typer.Option(
        f"--{option}",
        help=types + member.help,
        metavar=member.metavar or option.upper(),
        show_default=False,
        autocompletion=_COMPLETIONS.get(option),
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


def _with_project(config: dict[str, str], datasource_type: DatasourceType) -> dict[str, str]:
    """Return the config with the project that a key file of Google names, if none was given."""
    if datasource_type is not GCS:
        return config
    project = _key_file_of(config["gcsCredentials"]).get("project_id")
    return {"gcsProjectId": project, **config} if isinstance(project, str) else config


def _key_file_of(text: str) -> dict[str, Any]:
    from headwater.domain.key_file import find_key_file, no_key_file

    found = find_key_file(text)
    if found is None:
        raise MalformedRequestError(f"{SECRET_OPTION}: {no_key_file(text)}")
    return found


def _read(source: str, option: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise MalformedRequestError(f"{option}: cannot read {source}: {reason}") from None
