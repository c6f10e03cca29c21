"""Listings by a relevant-filenames file, and shards.

Source: contract.md#relevant-filenames, contract.md#shards.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.live import Live

NOW = int(time.time())
FILE = ".lightly/relevant.txt"
NAMES = [f"sub/image_{index}.png" for index in range(30, 50)] + ["a b.png", "c.mp4", "other/1.jpg", "other/2.jpg"]


@pytest.fixture
def dataset(live: Live, bucket: Path) -> str:
    for index, name in enumerate([*NAMES, "other/labels.json", ".lightly/metadata/m.json", ".lightly/metadata/n.json"]):
        path = bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
        os.utime(path, (NOW - 1000 + index, NOW - 1000 + index))
    return live.configured({"type": "LOCAL", "fullPath": bucket.name})


def write_selection(bucket: Path, *lines: str, end: str = "\n") -> None:
    (bucket / FILE).write_bytes("".join(line + end for line in lines).encode())


def test_only_named_files_are_listed(live: Live, bucket: Path, dataset: str) -> None:
    write_selection(bucket, "c.mp4", "absent.png", "a b.png", "a b.png", "other/labels.json", "other/1.jpg")
    assert live.names(dataset, relevantFilenamesFileName=FILE) == ["a b.png", "c.mp4", "other/1.jpg"]
    write_selection(bucket, "a b.png", end="\r\n")
    assert live.names(dataset, relevantFilenamesFileName=FILE) == ["a b.png"]
    write_selection(bucket)
    assert live.names(dataset, relevantFilenamesFileName=FILE) == []


def test_prefixes_and_patterns_select_files(live: Live, bucket: Path, dataset: str) -> None:
    write_selection(bucket, "sub/* sub/image_4* !sub/image_41.png", "sub/image_49.png", "other/2.jpg")
    expected = [f"sub/image_{index}.png" for index in (*range(30, 40), 41, 49)]
    assert live.names(dataset, relevantFilenamesFileName=FILE) == ["other/2.jpg", *expected]
    assert len(list(live.pages(dataset, relevantFilenamesFileName=FILE))) > 1
    write_selection(bucket, "*")
    assert live.names(dataset, relevantFilenamesFileName=FILE) == sorted(NAMES, key=str.encode)


def test_window_applies(live: Live, bucket: Path, dataset: str) -> None:
    write_selection(bucket, "sub/*", "c.mp4")
    found = live.names(dataset, relevantFilenamesFileName=FILE, from_=NOW - 1000 + 18, to=NOW - 1000 + 21)
    assert found == ["c.mp4", "sub/image_48.png", "sub/image_49.png"]
    assert live.names(dataset, relevantFilenamesFileName=FILE, from_=9, to=8) == []


def test_names_are_relative_to_the_root_in_the_lightly_folder_too(live: Live, bucket: Path, dataset: str) -> None:
    write_selection(bucket, ".lightly/metadata/n.json", "a b.png", "m.json")
    found = live.names(dataset, "metadata/list", relevantFilenamesFileName=FILE)
    assert found == [".lightly/metadata/n.json"]
    write_selection(bucket, ".lightly/*")
    found = live.names(dataset, "metadata/list", relevantFilenamesFileName=FILE)
    assert found == [".lightly/metadata/m.json", ".lightly/metadata/n.json"]
    assert live.names(dataset, relevantFilenamesFileName=FILE) == []


def test_file_is_read_from_the_lightly_datasource(live: Live, bucket: Path) -> None:
    for name in ("in/a.png", "in/b.png", "own/.lightly/x"):
        (bucket / name).parent.mkdir(parents=True, exist_ok=True)
        (bucket / name).write_bytes(b"a.png")
    dataset = live.configured({"type": "LOCAL", "fullPath": f"{bucket.name}/in", "purpose": "INPUT"})
    query = {"relevantFilenamesFileName": ".lightly/x"}
    answer = live.call("GET", live.datasource(dataset, "list"), query=query)
    assert (answer.status, answer.code) == (404, "DATASET_DATASOURCE_UNKNOWN")
    own = {"type": "LOCAL", "fullPath": f"{bucket.name}/own", "purpose": "LIGHTLY"}
    assert live.call("PUT", live.datasource(dataset), own).status == 200
    assert live.names(dataset, relevantFilenamesFileName=".lightly/x") == ["a.png"]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("a.png", "/etc/passwd"), "line 2"),
        (("./a.png",), "line 1"),
        (("a.png", "", "a/../b.png"), "line 3"),
        (("sub/*.png",), "line 1"),
    ],
)
def test_invalid_line_is_reported_with_its_number(
    live: Live, bucket: Path, dataset: str, lines: tuple[str, ...], text: str
) -> None:
    write_selection(bucket, *lines)
    for operation in ("list", "list/dnc"):
        answer = live.call(
            "GET",
            live.datasource(dataset, operation),
            query={"relevantFilenamesFileName": FILE, "dncShards": 2},
        )
        assert (answer.status, answer.code) == (400, "DATASET_DATASOURCE_RELEVANT_FILENAMES_INVALID")
        assert text in answer.text


def test_absent_or_too_large_file_is_refused(live: Live, bucket: Path, dataset: str) -> None:
    query = {"relevantFilenamesFileName": ".lightly/absent.txt"}
    answer = live.call("GET", live.datasource(dataset, "list"), query=query)
    assert (answer.status, answer.code) == (400, "DATASET_DATASOURCE_RELEVANT_FILENAMES_INVALID")
    assert "there is no file .lightly/absent.txt" in answer.text
    with (bucket / FILE).open("wb") as file:
        file.truncate(16 * 2**20 + 1)
    answer = live.call("GET", live.datasource(dataset, "list"), query={"relevantFilenamesFileName": FILE})
    assert (answer.status, answer.code) == (400, "DATASET_DATASOURCE_RELEVANT_FILENAMES_INVALID")
    assert "16 MiB" in answer.text


@pytest.mark.parametrize("name", ["", "x", "relevant.txt", "/.lightly/x", ".lightly/../x", ".lightly/", "a/.lightly/x"])
def test_file_name_must_be_in_the_lightly_folder(live: Live, dataset: str, name: str) -> None:
    answer = live.call("GET", live.datasource(dataset, "list"), query={"relevantFilenamesFileName": name})
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert answer.text.startswith("relevantFilenamesFileName: expected")


def test_cursor_keeps_the_selection(live: Live, bucket: Path, dataset: str) -> None:
    write_selection(bucket, "sub/*")
    first = live.call("GET", live.datasource(dataset, "list"), query={"relevantFilenamesFileName": FILE}).json
    rest = live.names(dataset, cursor=first["cursor"])
    assert [row["fileName"] for row in first["data"]] + rest == [f"sub/image_{index}.png" for index in range(30, 50)]
    others = live.names(dataset, cursor=first["cursor"], relevantFilenamesFileName=".lightly/absent.txt")
    assert others == rest, "it is ignored next to a cursor, like from and to"


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 1000, 10**6])
def test_shards_are_disjoint_and_complete(live: Live, bucket: Path, dataset: str, shards: int) -> None:
    whole = sorted(NAMES, key=str.encode)
    parts = live.shards(dataset, shards)
    assert 1 <= len(parts) <= min(shards, len(whole) + 1), "labels.json is no sample, but may be a shard"
    assert sorted((name for part in parts for name in part), key=str.encode) == whole
    write_selection(bucket, *NAMES[::2], "other/*")
    parts = live.shards(dataset, shards, relevantFilenamesFileName=FILE)
    expected = sorted({*NAMES[::2], "other/1.jpg", "other/2.jpg"}, key=str.encode)
    assert len(parts) <= shards
    assert sorted((name for part in parts for name in part), key=str.encode) == expected
    parts = live.shards(dataset, shards, "metadata/list/dnc")
    assert sorted(name for part in parts for name in part) == [".lightly/metadata/m.json", ".lightly/metadata/n.json"]


def test_empty_listing_has_one_shard(live: Live, dataset: str) -> None:
    assert live.shards(dataset, 5, from_=9, to=8) == [[]]
    assert live.shards(dataset, 5, "predictions/list/dnc", taskName="absent") == [[]]


def test_shards_keep_the_window(live: Live, dataset: str) -> None:
    parts = live.shards(dataset, 4, from_=NOW - 1000, to=NOW - 1000 + 9)
    assert sorted(name for part in parts for name in part) == [f"sub/image_{index}.png" for index in range(30, 40)]


@pytest.mark.parametrize("shards", [None, "", "0", "-1", "1.5", "many"])
def test_number_of_shards_is_checked(live: Live, dataset: str, shards: str | None) -> None:
    query = {} if shards is None else {"dncShards": shards}
    answer = live.call("GET", live.datasource(dataset, "list/dnc"), query=query)
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert answer.text.startswith("dncShards: ")
