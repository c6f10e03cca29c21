"""How tests open LOCAL stores. All of them share the threads of one runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.local.runtime import LocalFileRoot, LocalRuntime
from headwater.stores.local.store import LocalStore

SIGNER = ReadUrlSigner([b"k" * 32], "http://hw.example", "tests")
RUNTIME = LocalRuntime()


def file_root(
    folder: Path, signer: ReadUrlSigner = SIGNER, *, hidden: Sequence[Path] = (), **runtime: Any
) -> LocalFileRoot:
    """Return a mount root; `runtime` replaces members of the shared runtime."""
    return LocalFileRoot(folder, signer, hidden, replace(RUNTIME, **runtime))


def open_store(
    mount_root: Path,
    folder: str,
    signer: ReadUrlSigner = SIGNER,
    web_server_location: str | None = None,
    *,
    create: bool = False,
    **runtime: Any,
) -> LocalStore:
    """Open the store of a folder; `runtime` replaces members of the shared runtime."""
    return LocalStore(file_root(mount_root, signer, **runtime), folder, web_server_location, create=create)
