"""What all stores on this server's disks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.local.created_folders import CreatedFolders
from headwater.stores.local.disk_threads import DiskThreads
from headwater.stores.local.listing_cache import ListingCache

PAGE_SECONDS = 1.5
"""Seconds after which a page of a listing ends short, with the position to resume from."""


def _listing_threads() -> DiskThreads:
    # Few per datasource, because each may hold the names in one huge folder.
    return DiskThreads("local-listing", max_threads=32, max_per_top_folder=8, max_per_folder=2)


def _file_threads() -> DiskThreads:
    return DiskThreads("local-files", max_threads=128, max_per_top_folder=32, max_per_folder=8)


@dataclass(frozen=True, kw_only=True)
class LocalRuntime:
    """The threads and caches for disks; a process has one.

    Attributes:
        listing_threads: read folders.
        file_threads: read and write files.
        listing_cache: keeps the names in large folders between pages.
        created_folders: the folders that a delete may remove.
        page_seconds: seconds after which a page of a listing ends short.
        one_machine: whether all processes that share the catalog run on this machine. If not, each may mount the same
            network file system in its own way, and inode numbers may differ.
    """

    listing_threads: DiskThreads = field(default_factory=_listing_threads)
    file_threads: DiskThreads = field(default_factory=_file_threads)
    listing_cache: ListingCache = field(default_factory=ListingCache)
    created_folders: CreatedFolders = field(default_factory=CreatedFolders)
    page_seconds: float = PAGE_SECONDS
    one_machine: bool = False

    def close(self) -> None:
        """End the threads when they are idle. Waits for none."""
        self.listing_threads.shutdown()
        self.file_threads.shutdown()


class LocalFileRoot(NamedTuple):
    """A folder whose files this server serves itself.

    Attributes:
        folder: no link leads out of it.
        signer: signs the URLs of files, with paths relative to `folder`.
        hidden: folders that are treated as absent: the server's own data.
        runtime: the threads and caches of this process.
        min_age: `Store.min_age` of the stores there.
    """

    folder: Path
    signer: ReadUrlSigner
    hidden: Sequence[Path]
    runtime: LocalRuntime
    min_age: int = 0
