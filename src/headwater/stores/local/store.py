"""LOCAL: a folder under this server's mount root."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

import structlog

from headwater.domain.errors import LocationInvalidError, ObjectNotFoundError
from headwater.domain.objects import Key, StorePage
from headwater.stores.base import Method, Store
from headwater.stores.local.changes import create_folders, delete_file, write_file
from headwater.stores.local.listing import TreeWalk
from headwater.stores.local.paths import check_new_path
from headwater.stores.local.root import (
    ABSENT,
    LIST_PERMISSION,
    READ_NAMES,
    READ_PERMISSION,
    TRAVERSE,
    WRITE_PERMISSION,
    LocalRoot,
    Name,
    OutsideRootError,
    Parts,
    entry_name,
    explain,
    explain_folder,
    is_name,
    is_utf8,
    parts_of,
    shown,
)
from headwater.stores.local.runtime import LocalFileRoot

log = structlog.get_logger(__name__)

MAX_FOLDERS = 1000
"""How many folders `list_folders` returns."""

FOLDERS_SECONDS = 1.0
"""How long `list_folders` looks for folders. Those that it has found by then are returned."""

_MAX_WRITE_ATTEMPTS = 3
"""A write is retried if its folder disappears, because a concurrent delete found it empty for a moment."""


class LocalStore(Store):
    """One datasource on a disk.

    Keys are paths relative to its folder. Symbolic links are followed if they stay under the mount root. Files and
    folders whose names are not UTF-8 are skipped and counted; everything except regular files is skipped.

    A disk that does not answer in time raises StoreUnavailableError and does not block other datasources. A write or
    delete that had started may still take effect.

    Args:
        file_root: the mount root.
        folder: the datasource's folder, relative to the mount root. Trailing and doubled slashes are ignored.
        web_server_location: the user's own web server. Read URLs are then this, without trailing slashes, a `/` and the
            percent-encoded key: its root is the datasource's folder. They are not signed and do not expire.
        create: create the folder if it does not exist; without this, its absence is an error.
    """

    def __init__(
        self, file_root: LocalFileRoot, folder: str, web_server_location: str | None = None, *, create: bool = False
    ) -> None:
        runtime = file_root.runtime
        self._root = LocalRoot(file_root.folder, file_root.hidden, runtime.created_folders)
        self._folder: Parts = tuple(part for part in folder.split("/") if part)
        self.min_age = file_root.min_age
        self._signer = file_root.signer
        self._create = create
        self._web_server = web_server_location.rstrip("/") + "/" if web_server_location else None
        self._cache = runtime.listing_cache
        self._page_seconds = runtime.page_seconds
        self._one_machine = runtime.one_machine
        self._listings = runtime.listing_threads.for_folder(self._root, self._folder)
        self._files = runtime.file_threads.for_folder(self._root, self._folder)

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """Return a page of files in key order; see `Store.list_page`.

        A page also ends after `LocalRuntime.page_seconds`. `resume_after` may then be a folder (ending in `/`) or
        another name that is no object.

        Raises:
            LocationInvalidError: the datasource's folder does not exist.
            CredentialsRefusedError: a folder may not be read. The listing stops there and does not skip it.
            StoreUnavailableError: the disk has a fault or does not answer.
        """
        self._check_folder()
        return await self._listings.call(self._list, prefix, after, max(1, min(limit, self.list_limit)))

    @property
    def root(self) -> str:
        """The path of the folder under the mount root; see `Store.root`."""
        return "".join(f"{part}/" for part in self._folder)

    async def list_folders(self, path: str) -> list[str]:
        """Return names of folders; see `Store.list_folders`. The mount root takes the place of a bucket."""
        return await self._listings.call(self._list_folders, tuple(part for part in path.split("/") if part))

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Return URLs; see `Store.sign`.

        Raises:
            LocationInvalidError: nothing may be written there, because the path is too long.
        """
        if method == "PUT":
            for key in keys:
                check_new_path(self._folder + tuple(key.split("/")))
        if self._web_server is not None and method != "PUT":
            return [self._web_server + quote(key, "/", errors="surrogatepass") for key in keys]
        start = self.root
        return self._signer.sign([start + key for key in keys], int(time.time()) + ttl, write=method == "PUT")

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Return a part of a file; see `Store.read`."""
        return await self._files.call(self._read, key, limit, start)

    async def write(self, key: Key, data: bytes) -> None:
        """Create or replace a file, completely or not at all, and durably; see `Store.write`.

        Missing folders are created. If the name is a symbolic link, the link is replaced.

        Raises:
            CredentialsRefusedError: the file may not be written, or the file system is read-only.
            LocationInvalidError: no file can have this name here, or a link leads out of the mount root.
            StoreUnavailableError: no space is left, or the disk has a fault or does not answer.
        """
        await self._files.call(self._write, key, data)

    async def delete(self, key: Key) -> None:
        """Delete a file, and the folders that became empty if `write` had created them; see `Store.delete`."""
        await self._files.call(self._delete, key)

    def _list(self, prefix: str, after: Key | None, limit: int) -> StorePage:
        self._create_folder()
        walk = TreeWalk(self._root, self._folder, self._cache, self._page_seconds, self._one_machine)
        page = walk.page(prefix, after, limit)
        if walk.left_out:
            log.warning("paths_too_long", folder=shown(self._folder), paths=walk.left_out)
        return page

    def _list_folders(self, parts: Parts) -> list[str]:
        try:
            folder, real = self._root.open_folder(parts, READ_NAMES)
        except OSError as error:
            raise explain_folder(error, parts) from None
        deadline = time.monotonic() + FOLDERS_SECONDS
        names: list[Name] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if len(names) >= MAX_FOLDERS or time.monotonic() >= deadline:
                        break
                    if not entry.is_dir(follow_symlinks=False) and not entry.is_symlink():
                        continue
                    if is_utf8(name := entry_name(entry)) and self._has_folder(folder, real, name):
                        names.append(name)
            return sorted(names)
        except OSError as error:
            raise explain(error, f"list {shown(parts)}", LIST_PERMISSION) from None
        finally:
            os.close(folder)

    def _has_folder(self, folder: int, real: Parts, name: Name) -> bool:
        """Return whether `name` in an open folder is a folder that datasources may read."""
        try:
            os.close(self._root.enter(folder, real, name, TRAVERSE)[0])
        except OSError:
            return False
        return True

    def _read(self, key: Key, limit: int, start: int) -> bytes:
        self._check_folder()
        path = self._folder + self._parts(key, ObjectNotFoundError)
        try:
            opened = self._root.open_file(path)
            try:
                return opened.read_at(start, limit)
            finally:
                opened.close()
        except OSError as error:
            if error.errno not in ABSENT:
                raise explain(error, f"read {shown(path)}", READ_PERMISSION) from None
        with self._open_folder():  # raises if the datasource's folder does not exist
            raise ObjectNotFoundError(f"there is no file {shown(path)}", "ENOENT")

    def _write(self, key: Key, data: bytes) -> None:
        parts = self._parts(key, LocationInvalidError)
        check_new_path(self._folder + parts)
        for attempt in range(1, _MAX_WRITE_ATTEMPTS + 1):
            with self._open_folder() as (folder, real):
                try:
                    write_file(self._root, folder, real, parts, data)
                    return
                except OSError as error:
                    if (
                        error.errno == errno.ENOENT
                        and not isinstance(error, OutsideRootError)
                        and attempt < _MAX_WRITE_ATTEMPTS
                    ):
                        continue
                    raise explain(error, f"write {shown(self._folder + parts)}", WRITE_PERMISSION) from None

    def _delete(self, key: Key) -> None:
        parts = parts_of(key)
        if parts is None:
            return
        with self._open_folder() as (folder, real):
            try:
                delete_file(self._root, folder, real, parts)
            except OSError as error:
                if error.errno not in ABSENT:
                    raise explain(error, f"delete {shown(self._folder + parts)}", WRITE_PERMISSION) from None

    def _parts(self, key: Key, error: type[ObjectNotFoundError | LocationInvalidError]) -> Parts:
        parts = parts_of(key)
        if parts is None:
            raise error(f"no file on a disk can have the name {key!r}")
        return parts

    def _create_folder(self) -> None:
        """Create the datasource's folder, if this store is to do so."""
        if not self._create:
            return
        try:
            top = self._root.walk((), TRAVERSE)
            try:
                create_folders(self._root, top, self._folder)
            finally:
                os.close(top)
        except OSError as error:
            if error.errno in ABSENT:
                raise LocationInvalidError(
                    "the folder for the storage that this server provides does not exist: its operator must create or "
                    "mount it (HEADWATER_MANAGED_STORE)",
                    "ENOENT",
                ) from None
            raise explain(error, f"create the folder {shown(self._folder)}", WRITE_PERMISSION) from None

    def _check_folder(self) -> None:
        if not all(map(is_name, self._folder)):
            raise LocationInvalidError(f"{shown(self._folder)} is not a folder below the mount root")

    @contextmanager
    def _open_folder(self) -> Iterator[tuple[int, Parts]]:
        """Open the datasource's folder."""
        self._check_folder()
        self._create_folder()
        try:
            folder, real = self._root.open_folder(self._folder, TRAVERSE)
        except OSError as error:
            raise explain_folder(error, self._folder) from None
        try:
            yield folder, real
        finally:
            os.close(folder)
