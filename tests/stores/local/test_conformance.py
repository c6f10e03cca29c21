"""LOCAL, and LIGHTLY in a folder, do what every store must do; a Headwater server serves their URLs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import uvicorn
from fastapi import FastAPI

from headwater.domain.objects import Key
from headwater.domain.read_url import FILES, MANAGED, ReadUrlSigner
from headwater.stores.base import Store
from headwater.testing import Prepared, StoreConformance
from headwater.web.files import routes as files
from headwater.web.middleware import RequestMiddleware
from tests.stores.local.opening import file_root, open_store


@contextmanager
def serving(root: Path, start: str) -> Iterator[ReadUrlSigner]:
    """Serve a folder's files for the duration of the block; yield the signer of their URLs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        signer = ReadUrlSigner([b"k" * 32], f"http://127.0.0.1:{listening.getsockname()[1]}", str(root), start)
        app = FastAPI(openapi_url=None, redirect_slashes=False)
        app.router.routes.append(files.route(file_root(root, signer)))
        app.add_middleware(RequestMiddleware)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield signer
        finally:
            server.should_exit = True
            thread.join()


class Folder(Prepared):
    """A folder, prepared through the file system."""

    skipped_tests: ClassVar[Mapping[str, str]] = {}

    def __init__(self, root: Path, signer: ReadUrlSigner) -> None:
        self.root = root
        self.signer = signer
        self.folder = root / "set"
        self.folder.mkdir()

    def open(self, root: str = "") -> Store:
        return open_store(self.root, f"set/{root}", self.signer)

    def put(self, objects: Mapping[Key, bytes]) -> None:
        for key, body in objects.items():
            path = self.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

    def get(self, key: Key) -> bytes | None:
        path = self.folder / key
        return path.read_bytes() if path.is_file() else None

    def remove(self, key: Key) -> None:
        (self.folder / key).unlink()

    def modified(self, key: Key) -> float:
        return (self.folder / key).stat().st_mtime

    def why_not_storable(self, key: Key) -> str | None:
        if any(part in ("", ".", "..") for part in key.split("/")):
            return "no file on a disk has an empty or dotted name"
        if any(len(os.fsencode(part)) > 255 for part in key.split("/")):
            return "a file's name on disk has at most 255 bytes"
        return None

    def open_missing_bucket(self) -> Store | None:
        return open_store(self.root, "absent", self.signer)


class Area(Folder):
    """The area of a dataset, created on first use."""

    def open(self, root: str = "") -> Store:
        return open_store(self.root, f"set/{root}", self.signer, create=True)

    def open_missing_bucket(self) -> None:
        return None


class TestLocal(StoreConformance):
    """A folder under the mount root."""

    @pytest.fixture
    def prepared(self, tmp_path: Path) -> Iterator[Prepared]:
        with serving(tmp_path, FILES) as signer:
            yield Folder(tmp_path, signer)


@pytest.mark.slow  # as for LOCAL, in another folder
class TestLightlyInAFolder(StoreConformance):
    """An area in a folder that the operator provides."""

    @pytest.fixture
    def prepared(self, tmp_path: Path) -> Iterator[Prepared]:
        with serving(tmp_path, MANAGED) as signer:
            yield Area(tmp_path, signer)
