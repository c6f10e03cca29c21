"""Hostile names and folders: nothing is written outside the folder, and no foreign file is replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import swagger_client
from headwater_client import DownloadError, PathBlockedError, UnusableNameError, download, iter_samples
from headwater_client.file_names import temporary_name
from headwater_client.target_folder import SUPPORTS_DIR_FD, TargetFolder
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.server import Answer, Scripted
from tests.headwater_client.conftest import put
from tests.headwater_client.stores import CONTENT, ETAG, raw_store, reason, row, serve, tree
from tests.headwater_client.test_file_names import HOSTILE, hostile_text

needs_links = pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A target folder next to a file that must not change; parametrized by the two ways to write."""
    use_dir_fd = getattr(request, "param", True)
    if use_dir_fd and not SUPPORTS_DIR_FD:
        pytest.skip("this system cannot open files relative to a folder")
    monkeypatch.setattr(
        "headwater_client.downloads.TargetFolder", lambda path: TargetFolder(path, use_dir_fd=use_dir_fd)
    )
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept.png").write_bytes(b"kept")
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


both_ways = pytest.mark.parametrize(
    "target", [True, False], ids=["relative to open folders", "by whole paths"], indirect=True
)


def untouched(target: Path) -> None:
    assert tree(target.parent / "outside") == ["kept.png"]
    assert (target.parent / "outside" / "kept.png").read_bytes() == b"kept"
    assert sorted(path.name for path in target.parent.iterdir()) == ["outside", "target"]


@both_ways
def test_hostile_names_cause_errors(store: Scripted, target: Path) -> None:
    store.answer = serve(b"x")
    names = [*HOSTILE, "../outside/kept.png", str(target.parent / "outside" / "kept.png")]
    rows = [row(store, name) for name in names]
    with pytest.raises(DownloadError) as caught:
        download([*rows, row(store, "good.png")], target)
    assert sorted(caught.value.errors) == sorted(set(names))
    assert all(isinstance(error, UnusableNameError) for error in caught.value.errors.values())
    assert str(caught.value).replace("\n", "").isprintable()
    assert len(store.requests) == 1, "only one request"
    assert tree(target) == ["good.png"]
    untouched(target)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile_text)
def test_nothing_is_written_outside_the_folder(store: Scripted, tmp_path: Path, name: str) -> None:
    store.answer = serve(b"x")
    target = tmp_path / "a" / "b" / "target"
    before = {path for path in tmp_path.rglob("*") if target not in (path, *path.parents)}
    try:
        download([row(store, name)], target, workers=1)
        assert target.joinpath(*name.split("/")).read_bytes() == b"x"
    except DownloadError:
        pass
    after = {path for path in tmp_path.rglob("*") if target not in (path, *path.parents)}
    assert after - before <= {tmp_path / "a", tmp_path / "a" / "b"}


@both_ways
@needs_links
@pytest.mark.parametrize("link", ["../outside", "/", ".", "nowhere"])
def test_a_link_to_a_folder_is_not_followed(store: Scripted, target: Path, link: str) -> None:
    """Not even a link to a folder inside: a link must not change the meaning of a name."""
    store.answer = serve(b"x")
    (target / "link").symlink_to(link)
    with pytest.raises(DownloadError, match="but it is a symbolic link") as caught:
        download([row(store, "link/kept.png")], target)
    assert isinstance(reason(caught), PathBlockedError)
    assert (target / "link").is_symlink()
    untouched(target)


@both_ways
@needs_links
@pytest.mark.parametrize("link", ["../outside/kept.png", "../outside/new.png", "."])
def test_a_link_in_place_of_a_file_is_not_followed(store: Scripted, target: Path, link: str) -> None:
    store.answer = serve(b"x")
    (target / "a.png").symlink_to(link)
    with pytest.raises(DownloadError, match="but it is a symbolic link"):
        download([row(store)], target)
    assert (target / "a.png").is_symlink()
    untouched(target)


@both_ways
@needs_links
@pytest.mark.parametrize("etag", [None, ETAG])
def test_a_link_in_place_of_the_temporary_file_is_not_followed(store: Scripted, target: Path, etag: str | None) -> None:
    store.answer = serve(b"x", etag)
    made = temporary_name("a.png", *((etag, 1) if etag else ("", 0)))
    (target / made).symlink_to("../outside/kept.png")
    with pytest.raises(DownloadError, match="but it is a symbolic link"):
        download([row(store)], target)
    untouched(target)


@needs_links
def test_the_target_folder_can_be_a_link(store: Scripted, tmp_path: Path) -> None:
    store.answer = serve(b"x")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    download([row(store, "a/b.png")], tmp_path / "link")
    assert tree(tmp_path / "real") == ["a/b.png"]


@both_ways
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("a/b", "a/b/c/d")])
def test_a_file_and_a_folder_with_the_same_name(store: Scripted, target: Path, names: tuple[str, str]) -> None:
    store.answer = serve(b"x")
    with pytest.raises(DownloadError) as caught:
        download([row(store, name) for name in names], target, workers=1)
    assert list(caught.value.errors) == [names[1]]
    assert isinstance(reason(caught), PathBlockedError)
    assert "rename one of the two in the store or download it into another folder" in str(caught.value)
    assert tree(target) == [names[0]]


def test_a_file_and_a_folder_with_the_same_name_concurrently(store: Scripted, tmp_path: Path) -> None:
    store.answer = lambda request: Answer(body=b"x", delay=0.1 if request.path == "/slow" else 0)
    rows = [row(store, "a", "/slow"), row(store, "a/b", "/fast")]
    with pytest.raises(DownloadError) as caught:
        download(rows, tmp_path, workers=2)
    assert isinstance(reason(caught), PathBlockedError)
    assert len(tree(tmp_path)) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@both_ways
def test_special_files_are_not_opened(store: Scripted, target: Path) -> None:
    store.answer = serve(b"x")
    os.mkfifo(target / "a.png")
    os.mkfifo(target / temporary_name("b.png", ETAG, 1))
    with pytest.raises(DownloadError, match="but it is a special file") as caught:
        download([row(store), row(store, "b.png")], target)
    assert len(caught.value.errors) == 2


@both_ways
def test_a_path_that_exceeds_the_limit_of_the_system(
    store: Scripted, target: Path, request: pytest.FixtureRequest
) -> None:
    """With open parent folders, the depth has no limit; without, it is an error that leaves nothing partial."""
    store.answer = serve(b"x")
    name = "deep/" * 1500 + "b.png"
    if request.node.callspec.params["target"]:
        assert download([row(store, name)], target).files == 1
        subprocess.run(["rm", "-r", str(target / "deep")], check=True)  # shutil cannot remove folders this deep
    else:
        with pytest.raises(DownloadError) as caught:
            download([row(store, name)], target)
        assert isinstance(reason(caught), OSError)
    untouched(target)


@pytest.mark.skipif(not SUPPORTS_DIR_FD, reason="the system must open files relative to a folder")
def test_a_folder_that_is_replaced_by_a_link(store: Scripted, target: Path) -> None:
    """The folder is checked and open; it does not matter what its name leads to afterwards."""
    (target / "a").mkdir()
    moved = target / "moved"

    def answer(_: object) -> Answer:
        (target / "a").rename(moved)
        (target / "a").symlink_to("../outside")
        return Answer(body=b"x")

    store.answer = answer
    download([row(store, "a/kept.png")], target)
    assert tree(moved) == ["kept.png"]
    untouched(target)


def test_names_that_the_file_system_treats_as_equal(
    store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater_client.downloads.TargetFolder", lambda path: TargetFolder(path, folds_names=True))
    store.answer = serve(b"x")
    with pytest.raises(DownloadError) as caught:
        download([row(store, "a.png"), row(store, "A.png"), row(store, "b/c.png")], tmp_path, workers=1)
    assert list(caught.value.errors) == ["A.png"]
    assert tree(tmp_path) == ["a.png", "b/c.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of files here")
def test_two_processes_do_not_write_the_same_file(store: Scripted, tmp_path: Path) -> None:
    """The second process resumes after the first, or reports that the first is writing."""
    other = tmp_path / "other.py"
    other.write_text(
        "import sys\n"
        "from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow as Row\n"
        "from headwater_client import download\n"
        "download([Row('a.png', sys.argv[1])], sys.argv[2], timeout=30)\n"
    )
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\nETag: {ETAG}\r\n\r\n".encode()
    target = tmp_path / "target"
    target.mkdir()
    with raw_store(head, CONTENT) as url:
        environ = {**os.environ, "PYTHONPATH": str(Path(swagger_client.__file__).parents[1])}
        with subprocess.Popen([sys.executable, str(other), url, str(target)], env=environ) as process:
            try:
                part = target / temporary_name("a.png", ETAG, len(CONTENT))
                while not (part.exists() and part.stat().st_size):
                    assert process.poll() is None
                    time.sleep(0.005)
                store.answer = serve()
                with pytest.raises(DownloadError, match="another process is writing"):
                    download([row(store)], target)
            finally:
                process.kill()
    assert download([row(store)], target).files == 1
    assert (target / "a.png").read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_unusual_names_of_a_real_bucket(live_api: DatasourcesApi, dataset: str, bucket: Path, tmp_path: Path) -> None:
    names = [
        "a\nb.png",
        "con.png",
        "a:b.png",
        "a\\b.png",
        "..\\x.png",
        " .png",
        "*.png",
        "ü\u0301.png",
        "-rf.png",
        "~.png",
    ]
    for name in names:
        put(bucket, name, name.encode())
    assert download(iter_samples(live_api, dataset), tmp_path).files == len(names)
    assert tree(tmp_path) == sorted(names)
    assert all((tmp_path / name).read_bytes() == name.encode() for name in names)


def test_an_empty_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty environment variable filled the working directory."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(swagger_client.ApiValueError, match="folder is empty"):
        download([], "")
    download([], ".")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """The error was only "No space left on device", in a program with several disks."""
    folder = TargetFolder(tmp_path / "target")
    with pytest.raises(OSError, match=r"No space left on device: '.*target'"), folder.parent(("a.png",)):
        Path("/dev/full").write_bytes(b"x")
    folder.close()


@pytest.mark.skipif(os.name != "posix", reason="other systems encode all names")
def test_a_name_that_the_locale_lacks(tmp_path: Path) -> None:
    """The error was that of a codec, and did not say which setting helps."""
    program = (
        "from headwater_client.file_names import path_parts\n"
        "from headwater_client.target_folder import TargetFolder\n"
        "for work, name in ((path_parts, '\\u65e5.png'), (TargetFolder, '\\u65e5')):\n"
        "    try:\n        work(name)\n"
        "    except Exception as error:\n        print(type(error).__name__, error)\n"
    )
    environ = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("UnusableNameError the name '\\u65e5.png' cannot be used")
    assert second.startswith("ApiValueError the folder '\\u65e5' cannot be used")
    assert "PYTHONUTF8=1" in first
    assert "PYTHONUTF8=1" in second
