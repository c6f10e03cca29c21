"""LOCAL: a folder below this server's mount root."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from headwater.domain.errors import LocationInvalidError, ObjectNotFoundError
from headwater.domain.objects import Key, StorePage
from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.base import Method, Store
from headwater.stores.local.changes import delete_file, make_folders, write_file
from headwater.stores.local.disk_threads import FILE_THREADS, LISTING_THREADS
from headwater.stores.local.listing import LISTINGS, TIME_SLICE, ListingCache, Walk
from headwater.stores.local.root import (
    ABSENT,
    PASS,
    TO_READ,
    TO_WRITE,
    LocalRoot,
    OutsideRootError,
    Parts,
    explain,
    explain_folder,
    is_name,
    parts_of,
    shown,
)

_ATTEMPTS = 3
"""A write tries again where its folder vanished: a delete at the same time found it empty for a moment."""


class LocalStore(Store):
    """One datasource on disk.

    Keys are paths relative to its folder. Symbolic links are followed as far as they stay below the mount root. Files
    and folders whose names are not UTF-8 are passed over and counted; everything but regular files is passed over.

    A disk that does not answer in time (`threads`) is StoreUnavailableError. It holds up no other datasource; what a
    write or a delete had begun may still happen.

    Args:
        mount_root: the folder that nothing leads out of.
        folder: the datasource's folder, relative to `mount_root`; slashes at its end, or doubled, mean nothing.
        signer: signs read URLs that this server answers, with paths relative to `mount_root`.
        web_server_location: the user's own web server. Read URLs are then this, without slashes at its end, a `/`
            and the percent-encoded key: its root is the datasource's folder. They are not signed and do not expire.
        hidden: folders that are as if they were not there: the server's own data.
        create: make the folder where it is missing, rather than say that it is not there.
        cache: what keeps the names in large folders between pages.
        time_slice: seconds after which a page of a listing ends short.
    """

    def __init__(
        self,
        mount_root: Path,
        folder: str,
        signer: ReadUrlSigner,
        web_server_location: str | None = None,
        *,
        hidden: Iterable[Path] = (),
        create: bool = False,
        cache: ListingCache = LISTINGS,
        time_slice: float = TIME_SLICE,
    ) -> None:
        self._root = LocalRoot(mount_root, hidden)
        self._folder: Parts = tuple(part for part in folder.split("/") if part)
        self._signer = signer
        self._create = create
        self._web_server = web_server_location.rstrip("/") + "/" if web_server_location else None
        self._cache = cache
        self._time_slice = time_slice
        self._listings = LISTING_THREADS.share(self._root, self._folder)
        self._files = FILE_THREADS.share(self._root, self._folder)

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """List files in key order; see the protocol.

        A page also ends after a time slice; `resume_after` may then be a folder (ending in `/`) or another name that
        is no object.

        Raises:
            LocationInvalidError: the datasource's folder is not there.
            CredentialsRefusedError: a folder may not be read; the listing stops there rather than leave it out.
            StoreUnavailableError: the disk has a fault, or does not answer.
        """
        self._check_folder()
        return await self._listings.call(self._list, prefix, after, max(1, min(limit, self.list_limit)))

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Make URLs; see the protocol."""
        if self._web_server is not None and method != "PUT":
            return [self._web_server + quote(key, "/", errors="surrogatepass") for key in keys]
        start = "".join(f"{part}/" for part in self._folder)
        return self._signer.sign([start + key for key in keys], int(time.time()) + ttl, write=method == "PUT")

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Read a part of a file; see the protocol."""
        return await self._files.call(self._read, key, limit, start)

    async def write(self, key: Key, data: bytes) -> None:
        """Write a file, replacing one that is there at once or not at all, and make it last; see the protocol.

        Folders that are missing are made. Where the name is a symbolic link, the link is replaced.

        Raises:
            CredentialsRefusedError: it may not be written, or the file system is read-only.
            LocationInvalidError: no file can be of this name here, or a link leads out.
            StoreUnavailableError: no space is left, or the disk has a fault, or does not answer.
        """
        await self._files.call(self._write, key, data)

    async def delete(self, key: Key) -> None:
        """Remove a file, and what folders this left empty, of those that `write` has made; see the protocol."""
        await self._files.call(self._delete, key)

    def _list(self, prefix: str, after: Key | None, limit: int) -> StorePage:
        self._make()
        return Walk(self._root, self._folder, self._cache, self._time_slice).page(prefix, after, limit)

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
                raise explain(error, f"read {shown(path)}", TO_READ) from None
        with self._opened():  # is it the file that is not there, or the whole datasource?
            raise ObjectNotFoundError(f"there is no file {shown(path)}", "ENOENT")

    def _write(self, key: Key, data: bytes) -> None:
        parts = self._parts(key, LocationInvalidError)
        for attempt in range(1, _ATTEMPTS + 1):
            with self._opened() as (folder, real):
                try:
                    write_file(self._root, folder, real, parts, data)
                    return
                except OSError as error:
                    if error.errno == errno.ENOENT and not isinstance(error, OutsideRootError) and attempt < _ATTEMPTS:
                        continue
                    raise explain(error, f"write {shown(self._folder + parts)}", TO_WRITE) from None

    def _delete(self, key: Key) -> None:
        parts = parts_of(key)
        if parts is None:
            return
        with self._opened() as (folder, real):
            try:
                delete_file(self._root, folder, real, parts)
            except OSError as error:
                if error.errno not in ABSENT:
                    raise explain(error, f"delete {shown(self._folder + parts)}", TO_WRITE) from None

    def _parts(self, key: Key, error: type[ObjectNotFoundError | LocationInvalidError]) -> Parts:
        parts = parts_of(key)
        if parts is None:
            raise error(f"no file on a disk can be called {key!r}")
        return parts

    def _make(self) -> None:
        """Make the datasource's folder, where that is this store's to do."""
        if not self._create:
            return
        try:
            top = self._root.walk((), PASS)
            try:
                make_folders(self._root, top, self._folder)
            finally:
                os.close(top)
        except OSError as error:
            if error.errno in ABSENT:
                raise LocationInvalidError(
                    "the folder for what this server provides is not there: its operator must make or mount it "
                    "(HEADWATER_MANAGED_STORE)",
                    "ENOENT",
                ) from None
            raise explain(error, f"make the folder {shown(self._folder)}", TO_WRITE) from None

    def _check_folder(self) -> None:
        if not all(map(is_name, self._folder)):
            raise LocationInvalidError(f"{shown(self._folder)} is not a folder below the mount root")

    @contextmanager
    def _opened(self) -> Iterator[tuple[int, Parts]]:
        """Open the datasource's folder."""
        self._check_folder()
        self._make()
        try:
            folder, real = self._root.open_folder(self._folder, PASS)
        except OSError as error:
            raise explain_folder(error, self._folder) from None
        try:
            yield folder, real
        finally:
            os.close(folder)
