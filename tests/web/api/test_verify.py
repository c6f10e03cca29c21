"""Verify datasources on real storage (contract.md#verify)."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, command, environ_for, fetch, running, start
from tests.need import need
from tests.servers import KEY_ID, SECRET, free_port, rclone_s3

FLAGS = ("canRead", "canWrite", "canList", "canOverwrite")


def _local(bucket: Path, **more: str) -> dict[str, Any]:
    return {"type": "LOCAL", "fullPath": bucket.name} | more


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    directory = tmp_path_factory.mktemp("rclone")
    (directory / "bucket").mkdir()
    with rclone_s3(directory) as url:
        yield url, directory / "bucket"


def _obs(endpoint: str, **more: str) -> dict[str, Any]:
    return {
        "type": "OBS",
        "fullPath": "bucket/data",
        "obsEndpoint": endpoint,
        "obsAccessKeyId": KEY_ID,
        "obsSecretAccessKey": SECRET,
        **more,
    }


@pytest.mark.parametrize("empty", [True, False])
def test_folder_with_full_access_is_left_unchanged(live: Live, bucket: Path, empty: bool) -> None:
    if not empty:
        (bucket / "a.png").write_bytes(b"")
    assert live.verify(_local(bucket)) == (dict.fromkeys(FLAGS, True), {})
    assert [path.name for path in bucket.rglob("*")] == ([] if empty else ["a.png"])


@pytest.mark.parametrize("empty", [True, False])
def test_input_datasource_is_never_written_to(live: Live, bucket: Path, empty: bool) -> None:
    if not empty:
        (bucket / "a.png").write_bytes(b"x")
    before = bucket.stat().st_mtime_ns
    found, errors = live.verify(_local(bucket, purpose="INPUT"))
    assert (found, errors) == ({**dict.fromkeys(FLAGS, False), "canRead": True, "canList": True}, {})
    assert bucket.stat().st_mtime_ns == before


def test_absent_folder_fails_all_checks(live: Live) -> None:
    found, errors = live.verify({"type": "LOCAL", "fullPath": "no/such/folder"})
    assert not any(found.values())
    assert set(errors) == set(FLAGS)
    assert all("no/such/folder" in text for text in errors.values())


WRITES = {"canWrite", "canOverwrite"}
READS = {"canRead", "canList"}


def _both(live: Live, source: dict[str, Any], lightly: dict[str, Any]) -> tuple[set[str], dict[str, str]]:
    """Verify a dataset with two datasources; return the flags that are true, and the errors."""
    dataset = live.configured({**source, "purpose": "INPUT"})
    assert live.call("PUT", live.datasource(dataset), {**lightly, "purpose": "LIGHTLY"}).status == 200
    answer = live.call("GET", live.datasource(dataset, "verify"))
    assert answer.status == 200, answer.body
    found = answer.json
    errors = found.pop("errors", {})
    assert set(found) == set(FLAGS)
    return {flag for flag in FLAGS if found[flag]}, errors


def _folders(bucket: Path) -> list[dict[str, Any]]:
    folders = [bucket / "input", bucket / "lightly"]
    for folder in folders:
        folder.mkdir()
    return [_local(bucket, fullPath=f"{bucket.name}/{folder.name}") for folder in folders]


@pytest.mark.parametrize("empty", [True, False])
def test_two_datasources_pass_together(live: Live, bucket: Path, empty: bool) -> None:
    """The INPUT datasource is never written to. The LIGHTLY datasource is left unchanged, and may be empty."""
    source, lightly = _folders(bucket)
    if not empty:
        (bucket / "input" / "a.png").write_bytes(b"x")
        (bucket / "lightly" / ".lightly").mkdir()
        (bucket / "lightly" / ".lightly" / "tasks.json").write_bytes(b"[]")
    before = (bucket / "input").stat().st_mtime_ns, sorted(bucket.rglob("*"))
    assert _both(live, source, lightly) == (set(FLAGS), {})
    assert ((bucket / "input").stat().st_mtime_ns, sorted(bucket.rglob("*"))) == before


@pytest.mark.parametrize(
    ("absent", "passed", "reported"),
    [
        (["INPUT"], WRITES, dict.fromkeys(READS, ("INPUT",))),
        (["LIGHTLY"], set(), dict.fromkeys(READS | WRITES, ("LIGHTLY",))),
        (
            ["INPUT", "LIGHTLY"],
            set(),
            {**dict.fromkeys(READS, ("INPUT", "LIGHTLY")), **dict.fromkeys(WRITES, ("LIGHTLY",))},
        ),
    ],
)
def test_error_names_the_purpose_that_fails(
    live: Live, bucket: Path, absent: list[str], passed: set[str], reported: dict[str, tuple[str, ...]]
) -> None:
    """Both must be listed and read, LIGHTLY is written to, and each error names its purpose."""
    source, lightly = _folders(bucket)
    for purpose in absent:
        (bucket / purpose.lower()).rmdir()
    found, errors = _both(live, source, lightly)
    assert found == passed
    assert {flag: tuple(re.findall(r"(?:^|; )(INPUT|LIGHTLY): ", text)) for flag, text in errors.items()} == reported
    for flag, purposes in reported.items():
        assert all(f"{bucket.name}/{purpose.lower()}" in errors[flag] for purpose in purposes)


@pytest.mark.parametrize("there", [True, False])
def test_single_lightly_datasource_is_checked_completely(live: Live, bucket: Path, there: bool) -> None:
    path = bucket.name if there else f"{bucket.name}/absent"
    found, errors = live.verify({"type": "LOCAL", "fullPath": path, "purpose": "LIGHTLY"})
    assert found == dict.fromkeys(FLAGS, there)
    assert set(errors) == (set() if there else set(FLAGS))
    assert not any("LIGHTLY: " in text for text in errors.values()), "a single datasource is not named"


@pytest.mark.slow
def test_read_only_folder_fails_the_write_checks(tmp_path: Path) -> None:
    """File modes do not restrict root, and tests may run as root: the server runs without that capability."""
    drop = [
        need("setpriv"),
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search",
    ]
    if subprocess.run([*drop, "true"], check=False, capture_output=True).returncode:
        drop = []  # not root: file modes apply
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.png").write_bytes(b"x")
    files.chmod(0o555)
    environ = environ_for(tmp_path / "data", local_root=str(files))
    live = start(environ, tmp_path, prefix=drop)
    try:
        live.token = live.headwater("token", "create", "--user", "ada")
        found, errors = live.verify({"type": "LOCAL", "fullPath": ""})
        assert found == {"canRead": True, "canList": True, "canWrite": False, "canOverwrite": False}
        assert set(errors) == {"canWrite", "canOverwrite"}
        assert "permission" in errors["canWrite"]
    finally:
        files.chmod(0o755)
        assert live.stop() == 0


def test_bucket_with_full_access_is_left_unchanged(live: Live, rclone: tuple[str, Path]) -> None:
    url, folder = rclone
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "a.png").write_bytes(b"pixels")
    assert live.verify(_obs(url)) == (dict.fromkeys(FLAGS, True), {})
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["a.png"]
    dataset = live.configured(_obs(url))
    (page,) = live.pages(dataset)
    (row,) = page["data"]
    assert row["fileName"] == "a.png"
    assert fetch(row["readUrl"]).body == b"pixels"


def test_wrong_secret_fails_all_checks(live: Live, rclone: tuple[str, Path]) -> None:
    config = _obs(rclone[0], obsSecretAccessKey="another-secret-access-key")
    found, errors = live.verify(config)
    assert not any(found.values())
    assert set(errors) == set(FLAGS)
    assert "obsSecretAccessKey" in errors["canList"]
    assert "another-secret" not in str(errors)
    listed = live.call("GET", live.datasource(live.configured(config), "list"))
    assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_CREDENTIALS_ERROR")


def test_absent_bucket_fails_all_checks(live: Live, rclone: tuple[str, Path]) -> None:
    config = _obs(rclone[0], fullPath="absent/data")
    found, errors = live.verify(config)
    assert not any(found.values())
    assert set(errors) == set(FLAGS)
    listed = live.call("GET", live.datasource(live.configured(config), "list"))
    assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_INVALID")


def test_unreachable_endpoint_is_reported_within_the_time_limit(live: Live) -> None:
    config = _obs(f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    found, errors = live.verify(config)
    assert time.monotonic() - began < 15
    assert not any(found.values())
    assert set(errors) == set(FLAGS)
    listed = live.call("GET", live.datasource(live.configured(config), "list"))
    assert (listed.status, listed.code) == (503, "MALFORMED_RESPONSE")
    assert int(listed.headers["Retry-After"]) > 0


@pytest.mark.parametrize("endpoint", ["http://169.254.169.254", "http://10.1.2.3:9000", "http://[::1]:9000"])
def test_forbidden_endpoint_is_reported(live: Live, endpoint: str) -> None:
    """PUT accepts it, because only the form is checked. This server allows only IPv4 loopback addresses."""
    found, errors = live.verify(_obs(endpoint))
    assert not any(found.values())
    assert "HEADWATER_ALLOWED_ENDPOINTS" in errors["canList"] or "never" in errors["canList"]
    listed = live.call("GET", live.datasource(live.configured(_obs(endpoint)), "list"))
    assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_INVALID")


def test_endpoint_of_the_operator_needs_no_egress_rule(tmp_path: Path, rclone: tuple[str, Path]) -> None:
    url, folder = rclone
    (folder / "own").mkdir()
    (folder / "own" / "a b+c%41.png").write_bytes(b"pixels")
    config = {
        "type": "S3",
        "fullPath": "s3://bucket/own/",
        "s3Region": "eu-central-1",
        "s3AccessKeyId": KEY_ID,
        "s3SecretAccessKey": SECRET,
    }
    with running(tmp_path, s3_endpoint=url, read_url_ttl="60") as live:
        assert live.verify(config) == (dict.fromkeys(FLAGS, True), {})
        (page,) = live.pages(live.configured(config))
        (row,) = page["data"]
        assert row["fileName"] == "a b+c%41.png"
        assert "X-Amz-Expires=60&" in row["readUrl"]
        assert fetch(row["readUrl"]).body == b"pixels"
        found, errors = live.verify(_obs(url))
        assert not any(found.values()), "the same address is refused as a user's endpoint"
        assert "HEADWATER_ALLOWED_ENDPOINTS" in errors["canList"]


def test_an_absent_folder_is_reported_with_its_neighbours(live: Live, bucket: Path) -> None:
    (bucket / "street").mkdir()
    (bucket / "file").write_bytes(b"x")
    _, errors = live.verify(_local(bucket, fullPath=f"{bucket.name}/stret"))
    expected = f"'{bucket.name}/stret' is not a folder below the mount root; nearby: '{bucket.name}/street/'"
    assert set(errors.values()) == {expected} | {text for text in errors.values() if text.endswith(expected)}
    assert errors["canList"] == expected


@pytest.mark.parametrize("purpose", ["INPUT", "INPUT_OUTPUT"])
def test_an_empty_folder_is_noted_and_no_error(live: Live, bucket: Path, purpose: str) -> None:
    """Nothing said that a datasource has no files. A new one may be empty, so that it is no error."""
    dataset = live.configured(_local(bucket, purpose=purpose))
    answer = live.call("GET", live.datasource(dataset, "verify"))
    assert answer.json["canList"]
    assert "errors" not in answer.json
    assert str(answer.headers["Headwater-Note"]).startswith(f"there are no files under '{bucket.name}/'")
    assert "note: there are no files under" in command(live.environ, "datasource", "verify", dataset).stderr
    (bucket / "a.png").write_bytes(b"x")
    assert live.call("GET", live.datasource(dataset, "verify")).headers["Headwater-Note"] is None


def test_the_servers_own_folders_are_no_neighbours(tmp_path: Path) -> None:
    """What datasources cannot read must not be named to their users."""
    (tmp_path / "dat-2").mkdir()
    with running(tmp_path, local_root=str(tmp_path)) as live:
        assert live.environ["HEADWATER_DATA_DIR"] == str(tmp_path / "data")
        _, errors = live.verify({"type": "LOCAL", "fullPath": "dat"})
        assert errors["canList"].endswith("nearby: 'dat-2/'")


def test_a_note_fits_into_the_header_buffer_of_a_proxy(tmp_path: Path) -> None:
    """Paths were cut at 100 characters, and each became up to 10 bytes: behind nginx, verify was a 502."""
    with running(tmp_path, local_root=str(tmp_path / "files")) as live:
        for name in "abcd":
            (tmp_path / "files" / ("🦊" * 60) / (name + "🦊" * 60)).mkdir(parents=True)
        dataset = live.configured({"type": "LOCAL", "fullPath": "🦊" * 60 + "/a" + "🦊" * 60, "purpose": "INPUT"})
        note = str(live.call("GET", live.datasource(dataset, "verify")).headers["Headwater-Note"])
        assert note.startswith(r"there are no files under '\U0001f98a")
        assert note.endswith(r"\U0001f98a...")
        assert 980 < len(note) <= 1000
