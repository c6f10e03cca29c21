"""Backups of a catalog, its moves between databases, and its checks (docs/deployment.md#back-up)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, Engine

from headwater import __version__
from headwater.catalog.catalog import Catalog, explained
from headwater.catalog.checks import CheckedPart, check_parts
from headwater.catalog.database import Database
from headwater.catalog.engine import parse_database_url
from headwater.catalog.keyring import Keyring
from headwater.catalog.schema import HEAD, check_catalog, known_versions, newer_catalog, stored_version
from headwater.catalog.secret_key_file import KEY_SETTING, KeyFile, format_keys, parse_keys
from headwater.catalog.stored_secrets import check_keys
from headwater.catalog.transfer.catalog_file import FORMAT, VERSION, CatalogFile, CatalogWriter, Header
from headwater.catalog.transfer.exporting import export_tables, snapshot
from headwater.catalog.transfer.importing import import_catalog
from headwater.domain.errors import CatalogMissingError, KeyMissingError, MalformedRequestError, StartupError
from headwater.new_files import sync_folder, unfinished_file
from headwater.service.context import key_file
from headwater.settings import Settings

T = TypeVar("T")

_MAX_ROTATIONS = 3


class Written(NamedTuple):
    """What a file holds that was written or loaded.

    Attributes:
        rows: the number of rows of each table.
        keys: the ids of the keys in it.
    """

    rows: dict[str, int]
    keys: tuple[str, ...]


def back_up(settings: Settings, path: Path, *, with_keys: bool) -> Written:
    """Write the whole catalog to a file with mode 0600, as it is at one moment. It may be of an earlier version.

    Args:
        settings: say which catalog.
        path: the file. It is complete or not there.
        with_keys: write the keys of the key file, too. Keys in the setting are never written.

    Raises:
        MalformedRequestError: the file exists, or cannot be written.
        StartupError: there is no catalog, or it or its key cannot be used.
    """
    file = key_file(settings) if with_keys and settings.secret_key is None else None
    for attempt in range(_MAX_ROTATIONS + 1):
        try:
            return _with_engine(settings, "cannot be read", lambda engine, name: _write(engine, name, path, file))
        except KeyMissingError:
            if attempt == _MAX_ROTATIONS:  # otherwise the old keys were just forgotten
                raise
    raise AssertionError


def _write(engine: Engine, name: str, path: Path, key_path: Path | None) -> Written:
    with _new_file(path) as unfinished, unfinished.open("wb") as file, snapshot(engine) as connection:
        version = stored_version(connection)  # begins the snapshot
        if version is None:
            raise CatalogMissingError(f"there is no catalog at {name}")
        if version == HEAD:
            check_catalog(connection, name)
        elif version not in known_versions():
            raise newer_catalog(version)
        keys: dict[str, bytes] = {}
        if key_path is not None:
            # After the snapshot was begun: these keys decrypt what is in it, or it is tried again.
            keyring = _load_keyring(key_path)
            check_keys(connection, keyring)
            keys = keyring.keys
        header = Header(
            format=FORMAT,
            version=VERSION,
            tables=version,
            headwater=__version__,
            created_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            keys=format_keys(keys) if keys else None,
        )
        with CatalogWriter(file, header) as writer:
            export_tables(connection, writer)
        file.flush()
        os.fsync(file.fileno())
        return Written(writer.rows, tuple(keys))


def restore(settings: Settings, path: Path, *, overwrite: bool, with_keys: bool) -> Written:
    """Load a catalog from a file. Afterwards there is the new catalog; after an error, what was there before.

    Args:
        settings: say which catalog.
        path: the file. It is checked whole before anything is changed.
        overwrite: replace a catalog that holds data.
        with_keys: add the keys in the file to the key file. Those that are there stay first, and go on to encrypt.

    Raises:
        CatalogExistsError: there is a catalog with data.
        CatalogUnavailableError: the catalog that is there is in use.
        KeyMissingError: the secrets in the file need another key.
        MalformedRequestError: the file cannot be used.
        StartupError: a newer version wrote the file; or the database or the key file cannot be used.
    """
    file = CatalogFile(path)
    given = parse_keys(file.header.keys, str(path)) if file.header.keys is not None and with_keys else {}
    database = parse_database_url(settings.catalog_url)
    if settings.secret_key is not None:
        keyring = Keyring.parse(settings.secret_key)
        _import(database, file, overwrite, lambda connection: check_keys(connection, keyring))
        return Written(file.rows, ())
    keys = KeyFile(key_file(settings))
    keys.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with keys.locked():
        stored = keys.read()
        present = stored.keys if stored is not None else {}
        if any(given[key_id] != present[key_id] for key_id in given.keys() & present.keys()):
            raise StartupError(f"{path} holds another key with the id of a key in {keys.path}: move that file away")
        after = present | given

        def check(connection: Connection) -> None:
            check_keys(connection, Keyring(tuple(after.items())))
            # Before the catalog is there: these keys also fit the catalog that was there before.
            if stored is None and after:
                keys.create(after)
            elif after != present:
                keys.replace(after)

        _import(database, file, overwrite, check)
    return Written(file.rows, tuple(given))


def check(settings: Settings) -> list[CheckedPart]:
    """Check the whole catalog, as it is at one moment.

    Raises:
        StartupError: there is no catalog, or it cannot be read at all.
    """
    asyncio.run(Catalog.check_exists(settings.catalog_url))
    setting = settings.secret_key
    keyring = Keyring.parse(setting) if setting is not None else _load_keyring(key_file(settings))

    def work(engine: Engine, name: str) -> list[CheckedPart]:
        with snapshot(engine) as connection:
            return list(check_parts(connection, keyring, name))

    return _with_engine(settings, "cannot be read", work)


def _load_keyring(path: Path) -> Keyring:
    if not path.exists():
        raise KeyMissingError(
            f"the key file {path} that belongs to the catalog is missing: restore it, or set {KEY_SETTING}"
        )
    return Keyring.load_or_create(path)


def _import(database: Database, file: CatalogFile, replace: bool, check: Callable[[Connection], None]) -> None:
    with explained(database, "cannot be written"):
        import_catalog(database, file, replace=replace, check=check)


def _with_engine(settings: Settings, what: str, work: Callable[[Engine, str], T]) -> T:
    if settings.sqlite_file is not None and not settings.sqlite_file.exists():
        raise CatalogMissingError(f"there is no catalog at {settings.sqlite_file}")
    database = parse_database_url(settings.catalog_url)
    engine = database.unlimited()
    try:
        with explained(database, what):
            return work(engine, database.name)
    finally:
        engine.dispose()
        asyncio.run(database.close())


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Yield a file that gets its name at the end of the block.

    Raises:
        MalformedRequestError: there is a file with this name, or none can be made.
    """
    if path.exists():
        raise MalformedRequestError(f"{path} exists: choose another name, or delete it")
    try:
        with unfinished_file(path) as unfinished:
            yield unfinished
            os.link(unfinished, path)
        sync_folder(path.parent)
    except FileExistsError:
        raise MalformedRequestError(f"{path} exists: choose another name, or delete it") from None
    except OSError as error:
        raise MalformedRequestError(f"{path} cannot be written: {error.strerror or error}") from None
