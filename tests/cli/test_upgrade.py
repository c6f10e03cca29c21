"""A server starts on the data of the previous release, and its users notice nothing (tests/catalog/previous)."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from tests.catalog.values import KEY_TEXT
from tests.live import fetch, running

pytestmark = pytest.mark.slow  # each test starts several processes

PREVIOUS = Path(__file__).parents[1] / "catalog" / "previous"
ADMIN = "test-token-of-bob"


def test_server_continues_with_tokens_datasources_cursors_and_urls_of_the_previous_release(tmp_path: Path) -> None:
    data, files = tmp_path / "data", tmp_path / "files"
    data.mkdir()
    files.mkdir()
    for name in ("a.png", "b.png", "c.png", "d.png"):
        (files / name).write_bytes(b"x")
        os.utime(files / name, (1000, 1000))
    connection = sqlite3.connect(data / "headwater.db")
    connection.executescript((PREVIOUS / "catalog.sql").read_text())
    connection.close()
    expected = json.loads((PREVIOUS / "catalog.json").read_text())["datasets"]
    local = expected[-1]
    (cursor,) = (
        each["text"]
        for each in json.loads((PREVIOUS / "cursors.json").read_text())["cursors"]
        if each["fields"]["dataset"] == local["id"]
    )
    with running(tmp_path, secret_key=KEY_TEXT, local_root=str(files)) as live:
        for dataset in expected:
            answer = live.call("GET", live.datasource(dataset["id"], "all"), token=ADMIN)
            found = {each.pop("id"): each for each in answer.json}
            assert found == {each["id"]: each["wire"] for each in dataset["datasources"]}
        mark = live.call("GET", live.datasource(local["id"], "processedUntilTimestamp"), token=ADMIN).json
        assert mark == {"processedUntilTimestamp": local["watermark"]}
        page = live.call("GET", live.datasource(local["id"], "list"), token=ADMIN, query={"cursor": cursor}).json
        assert [row["fileName"] for row in page["data"]] == ["c.png", "d.png"]
        (source,) = local["datasources"]
        (files / "a folder").mkdir()
        (files / "a folder" / "b é.png").write_bytes(b"y")
        redirect = fetch(live.url + source["redirected_url"].removeprefix("https://data.example.com"))
        assert redirect.status in (302, 307), redirect.body
        assert fetch(redirect.headers["location"]).body == b"y"
