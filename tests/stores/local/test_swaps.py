"""What becomes a link out of the mount root between a check and its use must not be gone through.

Instead of racing with a second thread, which rarely hits the moment, each test is run once for every system call that
the store makes, and something is swapped just before that call.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from headwater.domain.errors import StoreError
from headwater.stores.local.changes import delete_file, write_file
from headwater.stores.local.created_folders import CreatedFolders
from headwater.stores.local.listing import TreeWalk
from headwater.stores.local.listing_cache import ListingCache
from headwater.stores.local.root import TRAVERSE, LocalRoot

ORIGINALS = {name: getattr(os, name) for name in "open stat lstat readlink scandir mkdir rename unlink rmdir".split()}
SECRET = {"a.png": b"secret", "secret.png": b"secret"}


class Tree:
    """`root/real/a.png`, links to it, and next to the root a folder that must be unreachable."""

    def __init__(self, at: Path) -> None:
        self.root, self.outside = at / "root", at / "outside"
        for place in (self.root / "real", self.outside):
            place.mkdir(parents=True)
        (self.root / "real" / "a.png").write_bytes(b"inside")
        for name, data in SECRET.items():
            (self.outside / name).write_bytes(data)
        (self.root / "link").symlink_to("real")
        (self.root / "link.png").symlink_to("real/a.png")

    def swap_folder(self) -> None:
        (self.root / "real").rename(self.root / "away")
        (self.root / "real").symlink_to(self.outside)

    def swap_file(self) -> None:
        if (self.root / "real" / "a.png").exists():
            (self.root / "real" / "a.png").rename(self.root / "real" / "away")
        (self.root / "real" / "a.png").symlink_to(self.outside / "a.png")

    def swap_link(self) -> None:
        for name in ("link", "link.png"):
            (self.root / name).unlink()
            (self.root / name).symlink_to(self.outside if name == "link" else self.outside / "a.png")


class SwapBefore:
    """Replaces system calls of `os`: counts them, and swaps something before the call with a given number."""

    def __init__(self, swap: Callable[[], None], turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self._swap, self._turn, self._monkeypatch = swap, turn, monkeypatch
        for name, call in ORIGINALS.items():
            monkeypatch.setattr(os, name, partial(self._meddle, call))

    def _meddle(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == self._turn:
            with self._monkeypatch.context() as undisturbed:
                for name, original in ORIGINALS.items():
                    undisturbed.setattr(os, name, original)
                self._swap()
        return call(*args, **named)


@pytest.fixture(params=[Tree.swap_folder, Tree.swap_file, Tree.swap_link], ids=["folder", "file", "link"])
def trees(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
    """A new tree for each system call that a run makes, with something swapped before that call."""

    def each() -> Iterator[Tree]:
        for turn in count(1):
            tree = Tree(tmp_path / str(turn))
            with monkeypatch.context() as meddling:
                swapping = SwapBefore(partial(request.param, tree), turn, meddling)
                yield tree
            for name, data in SECRET.items():
                assert (tree.outside / name).read_bytes() == data
            assert sorted(path.name for path in tree.outside.iterdir()) == sorted(SECRET)
            if swapping.calls < turn:
                assert turn > 3
                return

    return each()


def parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


@pytest.mark.parametrize("path", ["real/a.png", "link/a.png", "link.png"])
def test_read(trees: Iterator[Tree], path: str) -> None:
    seen = set()
    for tree in trees:
        try:
            opened = LocalRoot(tree.root).open_file(parts(path))
            seen.add(opened.read_at(0, 10))
            opened.close()
        except OSError:
            continue
    assert seen == {b"inside"}


@pytest.mark.parametrize("prefix", ["", "real/", "link/"])
def test_list(trees: Iterator[Tree], prefix: str) -> None:
    seen = set()
    for tree in trees:
        walk = TreeWalk(LocalRoot(tree.root), (), ListingCache(), 10)
        try:
            objects = walk.page(prefix, None, 10).objects
        except StoreError:
            continue
        seen |= {item.key.rpartition("/")[2] for item in objects}
    assert "a.png" in seen
    assert "secret.png" not in seen


@pytest.mark.parametrize("path", ["real/a.png", "link/a.png", "link/new/b.png", "link.png"])
def test_write(trees: Iterator[Tree], path: str) -> None:
    done = 0
    for tree in trees:
        root = LocalRoot(tree.root)
        top, real = root.open_folder((), TRAVERSE)
        try:
            write_file(root, top, real, parts(path), b"new")
            done += 1
        except OSError:
            continue
        finally:
            os.close(top)
    assert done


@pytest.mark.parametrize("path", ["real/a.png", "link/a.png", "link/secret.png", "real/secret.png", "link.png"])
def test_delete(trees: Iterator[Tree], path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CreatedFolders, "find", lambda *_: object())  # so that it removes folders, too
    for tree in trees:
        root = LocalRoot(tree.root)
        top, real = root.open_folder((), TRAVERSE)
        try:
            delete_file(root, top, real, parts(path))
        except OSError:
            continue
        finally:
            os.close(top)
