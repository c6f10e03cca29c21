"""`headwater datasource`: where a dataset's files lie, and whether the access works."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.output import NO, Json, note, print_json, print_table
from headwater.cli.running import DatasetRef, run
from headwater.domain.errors import MalformedRequestError
from headwater.domain.text import visible

if TYPE_CHECKING:
    from headwater.domain.datasource import Datasource
    from headwater.service.context import ServiceContext
    from headwater.service.verify import Verification

app = typer.Typer(
    help="Where a dataset's files lie, and whether the access works.", no_args_is_help=True, rich_markup_mode=None
)


def _member(wire_name: str, text: str) -> Any:
    return typer.Option(help=text, metavar=wire_name, show_default=False)


@app.command("set")
def set_(
    ref: DatasetRef,
    kind: Annotated[
        str | None, typer.Option("--type", help="S3, S3DelegatedAccess, GCS, AZURE, OBS, LOCAL or LIGHTLY.")
    ] = None,
    path: Annotated[
        str | None, _member("fullPath", "bucket/path; for LOCAL a folder below the mount root; LIGHTLY needs none.")
    ] = None,
    purpose: Annotated[
        str | None,
        _member(
            "purpose",
            "What it is for: INPUT, the files; LIGHTLY, what lies below .lightly/; INPUT_OUTPUT (default), both.",
        ),
    ] = None,
    region: Annotated[str | None, _member("s3Region", "S3 and S3DelegatedAccess: the bucket's region.")] = None,
    access_key_id: Annotated[str | None, _member("KEY_ID", "S3 and OBS: the access key's id.")] = None,
    kms_key: Annotated[str | None, _member("ARN", "S3 and S3DelegatedAccess: KMS key for what is written.")] = None,
    role_arn: Annotated[str | None, _member("s3ARN", "S3DelegatedAccess: the role to assume.")] = None,
    external_id: Annotated[str | None, _member("s3ExternalId", "S3DelegatedAccess: the external id.")] = None,
    project_id: Annotated[
        str | None, _member("gcsProjectId", "GCS: the project; the key file's own by default.")
    ] = None,
    account_name: Annotated[str | None, _member("accountName", "AZURE: the storage account.")] = None,
    endpoint: Annotated[str | None, _member("obsEndpoint", "OBS: the endpoint's URL.")] = None,
    web_server: Annotated[
        str | None, _member("webServerLocation", "LOCAL: a web server of yours that read URLs shall point to.")
    ] = None,
    secret_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File with the secret (secret access key, GCS key file, Azure account key or SAS token); '-' is "
            "stdin. Without it you are asked.",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File with the whole config as JSON, as the API takes it; '-' is stdin."),
    ] = None,
    verify: Annotated[
        bool | None,
        typer.Option("--verify/--no-verify", help="Try the access afterwards. On a terminal you are asked."),
    ] = None,
    json: Json = False,
) -> None:
    """Configure a dataset's datasource, from options or from a JSON file.

    A dataset has one for both, or one for INPUT and one for LIGHTLY: set them one after the other, with --purpose. One
    for INPUT_OUTPUT replaces whatever there was. One for INPUT or LIGHTLY leaves the other side as it was.

    Secrets come from a prompt, a file or stdin, never from an argument: the list of processes would show it.
    """
    members = {
        "type": kind,
        "fullPath": path,
        "purpose": purpose,
        "s3Region": region,
        "s3ServerSideEncryptionKMSKey": kms_key,
        "s3ARN": role_arn,
        "s3ExternalId": external_id,
        "gcsProjectId": project_id,
        "accountName": account_name,
        "obsEndpoint": endpoint,
        "webServerLocation": web_server,
        **_access_key(kind and _as_spelled(kind), access_key_id),
    }
    given = {name: value for name, value in members.items() if value is not None}
    if config is not None:
        if given or secret_file is not None:
            raise MalformedRequestError("--config: holds the whole config; leave out the other options")
        raw = _decode(_read(config, "--config"))
    else:
        if kind is None:
            raise MalformedRequestError("--type: required, unless --config gives the whole config")
        kind = _as_spelled(kind)
        _refuse_foreign(kind, given)
        given = _with_path(kind, given)
        raw = _with_project({**given, **_secret(kind, secret_file)})

    async def put(ctx: ServiceContext) -> tuple[Datasource, list[Datasource], int, int]:
        from headwater.service.admin import find_dataset
        from headwater.service.configure import put_datasource

        dataset = await find_dataset(ctx, ref)
        configured, *beside = (await put_datasource(ctx, dataset, raw)).datasources
        return configured, beside, dataset.dataset.watermark, (await find_dataset(ctx, dataset.id)).dataset.watermark

    configured, beside, mark_before, mark = run(put)
    if json:
        print_json(configured.answer())
    else:
        note(f"configured {configured.config.type} datasource {configured.id} for {configured.config.purpose}")
    for other in beside:
        note(f"beside it there is {other.config.type} datasource {other.id} for {other.config.purpose}")
    if mark < mark_before:
        note(
            f"it points to other data than before, so the watermark starts again at 0 (it was {mark_before}; "
            f"`headwater watermark set` brings one back)"
        )
    if verify is None:
        verify = sys.stdin.isatty() and sys.stderr.isatty() and typer.confirm("Verify it now?", default=True, err=True)
    if verify:
        _verify(ref, json=False)


@app.command("show")
def show(
    ref: DatasetRef,
    purpose: Annotated[
        str | None,
        typer.Option(metavar="purpose", help="Only the one of exactly this purpose: INPUT_OUTPUT, INPUT or LIGHTLY."),
    ] = None,
    json: Json = False,
) -> None:
    """Show a dataset's datasource, or both: first that for INPUT, then that for LIGHTLY. Secrets are masked.

    With --json one object is printed for each.
    """

    async def get(ctx: ServiceContext) -> list[Datasource]:
        from headwater.domain.datasource import check_purpose
        from headwater.service.admin import find_dataset
        from headwater.service.configure import get_datasource, get_datasources

        dataset = await find_dataset(ctx, ref)
        if purpose is not None:
            return [get_datasource(dataset, check_purpose("--purpose", purpose))]
        return get_datasources(dataset) or [get_datasource(dataset)]

    for number, found in enumerate(run(get)):
        if json:
            print_json(found.answer())
            continue
        if number:
            print()
        print_table(("MEMBER", "VALUE"), found.answer().items(), "")


@app.command("verify")
def verify_command(ref: DatasetRef, json: Json = False) -> None:
    """Try the access: list, read, write, replace. Ends with 1 where something that is needed does not work.

    Where there are two datasources both are tried, and what fails is said with the purpose of the one that fails: both
    must be listed and read, and the one for LIGHTLY is written to.
    """
    _verify(ref, json)


def _verify(ref: str, json: bool) -> None:
    async def work(ctx: ServiceContext) -> Verification:
        from headwater.service.admin import find_dataset
        from headwater.service.verify import verify_datasource

        return await verify_datasource(ctx, await find_dataset(ctx, ref))

    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("trying the access …"):
            found = run(work)
    else:
        found = run(work)
    from headwater.web.api.bodies import verification_body

    answer = verification_body(found)
    if json:
        print_json(answer)
    else:
        errors = answer.pop("errors", {})
        told: set[str] = set()
        for name, holds in answer.items():
            state = "yes" if holds else "no" if name in errors else "not tried (the purpose is INPUT)"
            reason = errors.get(name)
            print(f"{name:<13}{state}{', as above' if reason in told else ''}")
            if reason is not None and reason not in told:
                print(f"{'':<13}{visible(reason)}")
                told.add(reason)
    if found.errors:
        raise typer.Exit(NO)


def _access_key(kind: str | None, key_id: str | None) -> dict[str, str | None]:
    if key_id is None or kind is None:
        return {}
    from headwater.domain.datasource import ObsConfig, kind_of

    return {"obsAccessKeyId" if kind_of(kind) is ObsConfig else "s3AccessKeyId": key_id}


def _as_spelled(kind: str) -> str:
    """A type in the letter case that it has."""
    from headwater.domain.datasource import TYPES

    return next((name for name in TYPES if name.lower() == kind.lower()), kind)


def _with_path(kind: str, given: dict[str, str]) -> dict[str, str]:
    """The members with a path; LIGHTLY, which has none to name, does without the option."""
    if "fullPath" in given:
        return given
    from headwater.domain.datasource import LightlyConfig, kind_of

    if kind_of(kind) is not LightlyConfig:
        raise MalformedRequestError("--path: required, unless --config gives the whole config")
    return {**given, "fullPath": ""}


def _with_project(members: dict[str, str]) -> dict[str, str]:
    """The members with the project that a key file of Google's names, where none was given."""
    if "gcsCredentials" not in members or "gcsProjectId" in members:
        return members
    import msgspec

    try:
        project = msgspec.json.decode(members["gcsCredentials"])["project_id"]
    except (msgspec.DecodeError, TypeError, KeyError):
        return members
    return {**members, "gcsProjectId": project} if isinstance(project, str) else members


def _refuse_foreign(kind: str, given: Mapping[str, str]) -> None:
    """Refuse members that the type does not have; the API drops them, a person at a terminal should know."""
    from headwater.domain.datasource import kind_of

    own = {field.alias or name for name, field in kind_of(kind).model_fields.items()}
    foreign = sorted(given.keys() - own)
    if foreign:
        raise MalformedRequestError(f"{', '.join(foreign)}: not for datasources of type {kind}")


def _secret(kind: str, source: str | None) -> dict[str, str]:
    """The member that holds the secret of this type, asked for or read; nothing where the type has none."""
    from headwater.domain.datasource import kind_of

    name = kind_of(kind).SECRET
    if name is None:
        if source is not None:
            raise MalformedRequestError(f"--secret-file: the type {kind} has no secret")
        return {}
    if source is not None:
        return {name: _read(source, "--secret-file").rstrip("\r\n")}
    if not sys.stdin.isatty():
        raise MalformedRequestError(f"{name}: give it with --secret-file FILE, or '-' to read it from stdin")
    return {name: typer.prompt(name, hide_input=True, err=True)}


def _read(source: str, option: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise MalformedRequestError(f"{option}: cannot read {source}: {reason}") from None


def _decode(text: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise MalformedRequestError(f"--config: not JSON: {error}") from None
