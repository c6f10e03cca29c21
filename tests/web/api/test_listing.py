"""Listings of raw samples in a folder (contract.md#lists-and-time-windows)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from headwater.catalog.keyring import Keyring
from headwater.domain.read_url import ReadUrlSigner
from tests.live import Live, fetch, request, running

NOW = int(time.time())


def _file(bucket: Path, name: str, modified: float = NOW - 1000, data: bytes = b"pixels") -> None:
    path = bucket / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (modified, modified))


def _connect(live: Live, bucket: Path) -> str:
    return live.configured({"type": "LOCAL", "fullPath": bucket.name})


ODD = ["a b", "a+b", "a%41", "a%2Fb", "a#b", "a?b", "a&b", "a=b", "a;b", "a'b", 'a"b', "<&>", "a\\b", "\u00e9",
       "e\u0301", "\U0001f600", "\u05e9\u05dc", "a\nb", "\x01", "\u2026", "~a", ".a"]  # fmt: skip


def test_odd_names_are_listed_and_read(live: Live, bucket: Path) -> None:
    names = [f"{odd}/{odd}.jpg" for odd in ODD] + [f"{odd}.PNG" for odd in ODD]
    for name in names:
        _file(bucket, name, data=name.encode())
    for name in ("labels.json", ".lightly/x.png", "dir.png/inner.txt", ".lightly.png/in.png"):
        _file(bucket, name)
    dataset = _connect(live, bucket)
    pages = list(live.pages(dataset))
    assert all(len(page["data"]) <= 7 for page in pages)
    assert len(pages) > 5
    rows = [row for page in pages for row in page["data"]]
    assert all(set(row) == {"fileName", "readUrl"} for row in rows)
    expected = sorted([*names, ".lightly.png/in.png"], key=str.encode)
    assert [row["fileName"] for row in rows] == expected
    for row in rows:
        answer = fetch(row["readUrl"])
        assert (answer.status, answer.body) == (
            200,
            row["fileName"].encode() if row["fileName"] in names else b"pixels",
        )


def test_window_includes_both_ends_in_whole_seconds(live: Live, bucket: Path) -> None:
    for index, modified in enumerate((100.0, 100.999, 101.0, 102.5, 103.0)):
        _file(bucket, f"{index}.png", modified)
    dataset = _connect(live, bucket)
    assert live.names(dataset, from_=100, to=100) == ["0.png", "1.png"]
    assert live.names(dataset, from_=101, to=102) == ["2.png", "3.png"]
    assert live.names(dataset, from_=103) == ["4.png"]
    assert live.names(dataset, to=101) == ["0.png", "1.png", "2.png"]
    assert live.names(dataset, from_=104) == []
    assert live.names(dataset, from_=103, to=102) == []


def test_file_from_the_future_is_not_listed_by_date_by_default(live: Live, bucket: Path) -> None:
    _file(bucket, "now.png", time.time() - 1)
    _file(bucket, "later.png", time.time() + 1000)
    dataset = _connect(live, bucket)
    live.headwater("dataset", "update", dataset, "--feed", "dates")
    assert live.names(dataset) == ["now.png"]


def test_file_from_the_future_is_listed_in_the_second_in_which_an_exact_feed_finds_it(live: Live, bucket: Path) -> None:
    """By date it was listed only once its time had come, or never: on purpose, it is new when it is found."""
    _file(bucket, "now.png", time.time() - 1)
    _file(bucket, "later.png", time.time() + 1000)
    dataset = live.headwater("dataset", "create", "--user", "ada", "--feed", "exact", f"future {time.time_ns()}")
    answer = live.call("PUT", live.datasource(dataset), {"type": "LOCAL", "fullPath": bucket.name})
    assert answer.status == 200, answer.body
    before = int(time.time())
    assert live.names(dataset) == ["later.png", "now.png"]
    after = int(time.time())
    assert live.names(dataset, from_=before, to=after) == ["later.png"]
    assert live.names(dataset, from_=after + 1, to=after + 2000) == []


def test_cursor_keeps_its_window(live: Live, bucket: Path) -> None:
    for index in range(20):
        _file(bucket, f"{index:02}.png", 100 + index)
    dataset = _connect(live, bucket)
    first = live.call("GET", live.datasource(dataset, "list"), query={"from": 105, "to": 118}).json
    assert [row["fileName"] for row in first["data"]] == [f"{index:02}.png" for index in range(5, 12)]
    for extra in ({}, {"from": 0, "to": 1}, {"from": "nonsense", "to": -5}):
        second = live.call("GET", live.datasource(dataset, "list"), query={"cursor": first["cursor"], **extra}).json
        assert [row["fileName"] for row in second["data"]] == [f"{index:02}.png" for index in range(12, 19)]


def test_last_cursor_returns_an_empty_page(live: Live, bucket: Path) -> None:
    _file(bucket, "a.png")
    dataset = _connect(live, bucket)
    last = list(live.pages(dataset))[-1]["cursor"]
    _file(bucket, "b.png")
    again = live.call("GET", live.datasource(dataset, "list"), query={"cursor": last}).json
    assert (again["data"], again["hasMore"]) == ([], False)
    assert again["cursor"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"from": "x"}, "from: expected a whole number"),
        ({"from": ""}, "from: expected"),
        ({"from": "-1"}, "from: expected"),
        ({"to": "1.5"}, "to: expected"),
        ({"to": "1700000000000"}, "milliseconds"),
        ({"cursor": ""}, "cursor: "),
        ({"cursor": "AAAA"}, "cursor: not a cursor"),
        ([("from", "1"), ("from", "2")], "from: given more than once"),
    ],
)
def test_malformed_query_is_refused(live: Live, bucket: Path, query: object, text: str) -> None:
    answer = live.call("GET", live.datasource(_connect(live, bucket), "list"), query=query)
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert text in answer.text


def test_cursor_is_bound_to_its_dataset_and_location(live: Live, bucket: Path) -> None:
    for index in range(10):
        _file(bucket, f"{index}.png")
    (bucket / "below").mkdir()
    dataset, other = _connect(live, bucket), _connect(live, bucket)
    cursor = live.call("GET", live.datasource(dataset, "list")).json["cursor"]
    answer = live.call("GET", live.datasource(other, "list"), query={"cursor": cursor})
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert "another dataset" in answer.text
    live.call("PUT", live.datasource(dataset), {"type": "LOCAL", "fullPath": f"{bucket.name}/"})
    assert live.call("GET", live.datasource(dataset, "list"), query={"cursor": cursor}).status == 200
    live.call("PUT", live.datasource(dataset), {"type": "LOCAL", "fullPath": f"{bucket.name}/below"})
    answer = live.call("GET", live.datasource(dataset, "list"), query={"cursor": cursor})
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert "moved" in answer.text


def test_file_that_exists_throughout_is_listed_exactly_once(live: Live, bucket: Path) -> None:
    stay = [f"s{index:03}.png" for index in range(60)]
    go = [f"s{index:03}g.png" for index in range(60)]
    for name in [*stay, *go]:
        _file(bucket, name)
    dataset, seen = _connect(live, bucket), []
    for number, page in enumerate(live.pages(dataset)):
        seen += [row["fileName"] for row in page["data"]]
        for name in go[number * 5 : number * 5 + 5]:
            (bucket / name).unlink()
        _file(bucket, f"s{number * 3:03}new.png")
    assert [name for name in seen if name in stay] == stay
    assert len(seen) == len(set(seen))


def test_dataset_of_every_file_lists_every_file(live: Live, bucket: Path) -> None:
    for name in ("a.png", "b.json", "c", ".lightly/d.json"):
        _file(bucket, name)
    dataset = live.headwater("dataset", "create", f"every {bucket.name[-20:]}", "--user", "ada", "--every-file")
    live.call("PUT", live.datasource(dataset), {"type": "LOCAL", "fullPath": bucket.name})
    assert live.names(dataset) == ["a.png", "b.json", "c"]


def test_names_that_are_not_utf8_are_skipped_and_logged_once(live: Live, bucket: Path) -> None:
    for index in range(20):
        _file(bucket, f"{index:02}.png")
        Path(os.fsdecode(bytes(bucket) + b"/%02d\xff.png" % index)).write_bytes(b"x")
    dataset = _connect(live, bucket)
    assert live.names(dataset) == [f"{index:02}.png" for index in range(20)]
    logged = _not_utf8(live, dataset)
    assert [(line["names"], line["folder"]) for line in logged] == [(20, "")]


def _not_utf8(live: Live, dataset: str) -> list[dict[str, Any]]:
    lines = map(json.loads, live.log.read_text().splitlines())
    return [line for line in lines if line["event"] == "names_not_utf8" and line["dataset"] == dataset]


def test_names_that_are_not_utf8_are_logged_with_their_folder_once_for_each_change(live: Live, bucket: Path) -> None:
    """Each poll logged a warning that named no folder: nobody could find the names, and the log was full of it."""
    folder = bucket / "a" / "b\nc"
    for index in range(8):
        _file(bucket, f"a/b\nc/{index}.png")
    dataset = _connect(live, bucket)
    live.names(dataset)
    for name in (b"1\xff.png", b"2\xff.png"):
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"x")
        for _ in range(2):
            live.names(dataset)
    assert [(line["names"], line["folder"]) for line in _not_utf8(live, dataset)] == [
        (1, "a/b\\nc/"),
        (2, "a/b\\nc/"),
    ]


def test_doubled_slash_and_capitalized_boolean_are_accepted(live: Live, bucket: Path) -> None:
    _file(bucket, "a.png")
    dataset = _connect(live, bucket)
    path = f"//v1/datasets/{dataset}/datasource/list?useRedirectedReadUrl=False&token={quote(live.token)}"
    answer = request(live.url, path=path)
    assert answer.status == 200
    assert [row["fileName"] for row in answer.json["data"]] == ["a.png"]


def test_absent_folder_is_refused_and_outside_links_are_skipped(live: Live, bucket: Path) -> None:
    answer = live.call("GET", live.datasource(live.configured({"type": "LOCAL", "fullPath": "no/such"}), "list"))
    assert (answer.status, answer.code) == (400, "DATASET_DATASOURCE_INVALID")
    outside = bucket.parent.parent / "outside"
    outside.mkdir(exist_ok=True)
    _file(outside, "secret.png")
    (bucket / "link.png").symlink_to(outside / "secret.png")
    (bucket / "folder").symlink_to(outside)
    _file(bucket, "own.png")
    assert live.names(_connect(live, bucket)) == ["own.png"]


@pytest.mark.slow
def test_cursor_survives_a_restart(tmp_path: Path) -> None:
    files = tmp_path / "files"
    for index in range(10):
        _file(files, f"{index}.png")
    settings = {"local_root": str(files), "page_size": "4"}
    with running(tmp_path, **settings) as live:
        dataset = live.configured({"type": "LOCAL", "fullPath": ""})
        first = live.call("GET", live.datasource(dataset, "list")).json
    with running(tmp_path, **settings) as live:
        second = live.call("GET", live.datasource(dataset, "list"), query={"cursor": first["cursor"]}).json
        assert [row["fileName"] for row in second["data"]] == [f"{index}.png" for index in range(4, 8)]
        answer = fetch(first["data"][0]["readUrl"].replace(first["data"][0]["readUrl"].split("/")[2], live.url[7:]))
        assert (answer.status, answer.body) == (200, b"pixels")


@pytest.mark.slow
def test_local_datasource_without_a_mount_root_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        dataset = live.configured({"type": "LOCAL", "fullPath": ""})
        listed = live.call("GET", live.datasource(dataset, "list"))
        assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_INVALID")
        assert "HEADWATER_LOCAL_ROOT" in listed.text
        verified = live.call("GET", live.datasource(dataset, "verify")).json
        assert not any(verified[flag] for flag in ("canRead", "canWrite", "canList", "canOverwrite"))
        assert all("HEADWATER_LOCAL_ROOT" in text for text in verified["errors"].values())
        assert len(verified["errors"]) == 4


@pytest.mark.slow
def test_data_folder_is_hidden_from_datasources(tmp_path: Path) -> None:
    """A dataset that lists every file, on a mount root above the data folder, listed the key file with a read URL."""
    _file(tmp_path, "own.txt")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "key.txt").symlink_to(tmp_path / "data" / "secret.key")
    with running(tmp_path, local_root=str(tmp_path)) as live:
        dataset = live.headwater("dataset", "create", "every file", "--user", "ada", "--every-file")
        live.call("PUT", live.datasource(dataset), {"type": "LOCAL", "fullPath": ""})
        names = live.names(dataset)
        assert "own.txt" in names
        assert [name for name in names if "data/" in name or "link" in name or "key" in name] == []
        for folder in ("data", "link", "data/../data"):
            config = {"type": "LOCAL", "fullPath": folder}
            answer = live.call("PUT", live.datasource(dataset), config)
            if answer.status == 200:
                listed = live.call("GET", live.datasource(dataset, "list"))
                assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_INVALID")
                verified = live.call("GET", live.datasource(dataset, "verify")).json
                assert not any(verified[flag] for flag in ("canRead", "canWrite", "canList", "canOverwrite"))
        assert {path.name for path in (tmp_path / "data").iterdir()} <= {
            "secret.key", "server.json", "headwater.db", "headwater.db-wal", "headwater.db-shm"
        }  # fmt: skip
        signer = ReadUrlSigner(
            Keyring.load_or_create(tmp_path / "data" / "secret.key").derive("read urls"), live.url, str(tmp_path)
        )
        paths = ["own.txt", "data/secret.key", "link/secret.key", "key.txt"]
        urls = signer.sign(paths, int(time.time()) + 60)
        assert [fetch(url).status for url in urls] == [200, 404, 404, 404]
