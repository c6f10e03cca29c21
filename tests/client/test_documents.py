"""Every Python block of the client's documentation runs unchanged against a live server.

Only placeholders are replaced: the server's URL, the token, ids, and the folder.
"""

from __future__ import annotations

import os
import re
import runpy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import swagger_client
from swagger_client import apis, models
from swagger_client.api.datasources_api import DatasourcesApi
from tests import generated
from tests.live import Live

pytestmark = pytest.mark.slow  # each test starts a server or a process

CLIENT = Path(swagger_client.__file__).resolve().parents[2]
REFERENCE = CLIENT / "docs" / "reference"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = ["a.jpg", "below/b.png", "below/ü #%.mp4"]
LONG_AGO = 1577836800

LATER = {"purpose", "use_redirected_read_url", "relevant_filenames_file_name"}
"""Parameters that are newer than the seed, and that our methods do not have."""


class Reader:
    """A server, its own user with a token, and a folder with three old files."""

    def __init__(self, live: Live, folder: Path, user: str) -> None:
        self.live, self.folder = live, folder
        self.token = live.headwater("token", "create", "--user", user)
        for name in NAMES:
            file = folder / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(name.encode())
            os.utime(file, (LONG_AGO, LONG_AGO))
        self.configuration = swagger_client.Configuration(live.url, {"ApiKeyAuth": self.token})

    def connected(self) -> str:
        """Return the id of a dataset of the user with the folder as its datasource."""
        made = self.live.call("POST", "/v1/datasets", {"name": "another dataset"}, token=self.token)
        path = self.live.datasource(made.json["id"])
        config = {"type": "LOCAL", "fullPath": self.folder.name}
        assert self.live.call("PUT", path, config, token=self.token).status == 200
        return str(made.json["id"])

    def run(self, code: str, where: Path, names: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a block with its placeholders replaced."""
        own = {
            "http://localhost:8000": self.live.url,
            'os.environ["LIGHTLY_TOKEN"]': repr(self.token),
            "YOUR_API_KEY": self.token,
            '"cameras/front"': repr(self.folder.name),
        }
        for placeholder, value in own.items():
            code = code.replace(placeholder, value)
        names = {} if names is None else names
        exec(compile(code, str(where), "exec"), names)
        return names


@pytest.fixture
def reader(live: Live, bucket: Path, request: pytest.FixtureRequest) -> Reader:
    return Reader(live, bucket, f"reader of {request.node.name}")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples write to the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def api(reader: Reader) -> Iterator[DatasourcesApi]:
    with swagger_client.ApiClient(reader.configuration) as api_client:
        yield DatasourcesApi(api_client)


def _blocks(file: Path) -> list[str]:
    found = FENCE.findall(file.read_text())
    assert found, file
    return found


def _downloaded(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _watermark(live: Live, token: str, dataset: str) -> int:
    answer = live.call("GET", live.datasource(dataset, "processedUntilTimestamp"), token=token)
    return int(answer.json["processedUntilTimestamp"])


def _expected_watermark(live: Live, token: str, dataset: str) -> float:
    """Return where a window ends now: now with an exact feed, a minute ago without."""
    answer = live.call("GET", live.datasource(dataset, "processedUntilTimestamp"), token=token)
    return time.time() - (0 if answer.headers["Headwater-Feed"] == "exact" else 60)


EXPECTED = {name: name.encode() for name in NAMES}


def test_the_program_of_the_readme_runs(reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = _blocks(CLIENT / "README.md")
    names = reader.run(block, CLIENT / "README.md")
    assert capsys.readouterr().out == "3 files downloaded, 0 were there\n"
    assert _downloaded(tmp_path / "images") == EXPECTED
    of_dataset = reader.live, reader.token, names["dataset_id"].value
    assert abs(_watermark(*of_dataset) - _expected_watermark(*of_dataset)) < 30


def test_the_quickstart_runs_as_one_program(reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    outputs = {}
    for block in _blocks(CLIENT / "docs/quickstart.md"):
        if "int(time.time()) - 60" in block:
            # Reset the watermark: the block before this one left nothing to list.
            names["api"].update_datasource_processed_until_timestamp_by_dataset_id(
                names["dataset_id"], {"processed_until_timestamp": 0}
            )
        reader.run(block, CLIENT / "docs/quickstart.md", names)
        outputs[block] = capsys.readouterr().out

    def output(part: str) -> str:
        (found,) = (out for block, out in outputs.items() if part in block)
        return found

    assert [line.split(" http")[0] for line in output("for sample in iter_samples").splitlines()] == NAMES
    assert output("done = download") == "3 files downloaded, 0 were there\n"
    assert [line.split(" http")[0] for line in output("for row in page.data").splitlines()] == NAMES
    assert output("NotFoundException") == "DATASET_UNKNOWN\n"
    assert _downloaded(tmp_path / "images") == EXPECTED
    assert abs(_watermark(reader.live, reader.token, names["dataset_id"].value) - (time.time() - 60)) < 30


def test_coming_from_lightly_runs(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTLY_SERVER_LOCATION", reader.live.url)
    monkeypatch.setenv("LIGHTLY_TOKEN", reader.token)
    names: dict[str, Any] = {}
    for block in _blocks(CLIENT / "docs/coming-from-lightly.md"):
        reader.run(block, CLIENT / "docs/coming-from-lightly.md", names)
    assert _downloaded(tmp_path / "images") == EXPECTED


def test_everything_that_coming_from_lightly_names_exists() -> None:
    text = (CLIENT / "docs/coming-from-lightly.md").read_text()
    for api, name in re.findall(r"`(datasets|datasources)\.(\w+)\(", text):
        assert hasattr(getattr(apis, f"{api.capitalize()}Api"), name), name
    rows = re.findall(r"\[`(\w+)`\]\([^)]*\) `\(type=\"(\w+)\", ([^)]+)\)`", text)
    assert len(rows) == 6
    for name, value, members in rows:
        model = getattr(models, name)
        assert value in model._members["type"].rules["enum"]
        given = {"type", *members.split(", ")}
        assert set(model._required) <= given <= set(model._members)


def _examples_of_operations() -> list[Any]:
    found = []
    for name in apis.__all__:
        text = (REFERENCE / f"{name}.md").read_text()
        for operation, section in re.findall(r"^# \*\*(\w+)\*\*$(.*?)(?=^# \*\*|\Z)", text, re.MULTILINE | re.DOTALL):
            (block,) = FENCE.findall(section)
            found.append(pytest.param(REFERENCE / f"{name}.md", operation, block, id=operation))
    return found


def test_every_operation_has_an_example() -> None:
    expected = {name for api in apis.__all__ for name in vars(getattr(apis, api)) if not name.startswith("_")}
    assert {each.id for each in _examples_of_operations()} == expected


@pytest.mark.parametrize(("page", "operation", "block"), _examples_of_operations())
def test_the_example_of_an_operation_runs(
    reader: Reader, page: Path, operation: str, block: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = reader.connected()
    names = reader.run(block.replace("50000000abcdef1234566789", dataset), page)
    out = capsys.readouterr().out
    assert "Exception when calling" not in out
    shown = {
        "create_dataset": "'id'",
        "get_dataset_by_id": "another dataset",
        "get_datasets": "another dataset",
        "get_datasource_by_dataset_id": reader.folder.name,
        "get_datasource_processed_until_timestamp_by_dataset_id": "'processed_until_timestamp': 0",
        "get_list_of_raw_samples_from_datasource_by_dataset_id": "'has_more': False",
        "verify_datasource_by_dataset_id": "'can_read': True",
    }
    assert shown.get(operation, "") in out
    assert ("api_response" in names) == (operation in shown), "an operation without a response body assigns nothing"
    if operation == "update_datasource_processed_until_timestamp_by_dataset_id":
        assert _watermark(reader.live, reader.token, dataset) == LONG_AGO
    if operation == "delete_dataset_by_id":
        assert reader.live.call("GET", f"/v1/datasets/{dataset}", token=reader.token).code == "DATASET_UNKNOWN"
    if operation == "update_dataset_by_id":
        assert reader.live.call("GET", f"/v1/datasets/{dataset}", token=reader.token).json["name"] == "front camera 2"


@pytest.mark.parametrize("name", models.__all__)
def test_the_page_of_a_model_describes_every_member(name: str) -> None:
    """Its example creates one, and each member has a description."""
    page = REFERENCE / f"{name}.md"
    model, text = getattr(models, name), page.read_text()
    for block in FENCE.findall(text):
        names: dict[str, Any] = {}
        exec(re.sub(rf"^{name}\(", f"made = {name}(", block, flags=re.MULTILINE), names)
        assert isinstance(names["made"], model)
    table = text.split("## Properties")[1]
    rows = dict(re.findall(r"^\*\*(\w+)\*\* \| (.*)$", table, re.MULTILINE))
    assert set(rows) == set(model._members)
    undescribed = [member for member, row in rows.items() if member != "value" and not row.split(" | ")[1].strip()]
    assert undescribed == []


def test_the_example_of_headwater_client_runs(reader: Reader, api: DatasourcesApi, tmp_path: Path) -> None:
    (block,) = _blocks(REFERENCE / "headwater_client.md")
    reader.run(block, REFERENCE / "headwater_client.md", {"api": api, "dataset_id": reader.connected()})
    assert _downloaded(tmp_path / "images") == EXPECTED


def test_the_reference_has_no_stale_page() -> None:
    pages = runpy.run_path(str(CLIENT / "docs/client_pages.py"))["pages"]()
    assert set(REFERENCE.iterdir()) == set(pages)


def test_links_between_pages_have_targets() -> None:
    def anchors(page: Path) -> set[str]:
        headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}

    for page in [CLIENT / "README.md", *CLIENT.glob("docs/**/*.md")]:
        for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
            other = (page.parent / target).resolve() if target else page
            assert other.exists(), f"{page.name} links to {target}"
            if anchor:
                assert anchor in anchors(other), f"{page.name} links to {target}#{anchor}"


def _layout(text: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return the operations of a page: their headings, and the names in their parameter tables."""
    found = {}
    for operation, section in re.findall(r"^# \*\*(\w+)\*\*$(.*?)(?=^# \*\*|\Z)", text, re.MULTILINE | re.DOTALL):
        headings = re.findall(r"^### (.*)$", section, re.MULTILINE)
        parameters = section.split("### Parameters")[1].split("### Return type")[0]
        found[operation] = headings, re.findall(r"^ ?\*\*(\w+)\*\* \|", parameters, re.MULTILINE)
    return found


@pytest.mark.slow  # Java generates the reference pages
@pytest.mark.parametrize("api", apis.__all__)
def test_the_reference_has_the_layout_of_generated_pages(api: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Our operations have the same order, headings and parameters; only the exceptions are extra."""
    page = (generated.whole_client(tmp_path_factory) / "docs" / f"{api}.md").read_text()
    theirs, ours = _layout(page), _layout((REFERENCE / f"{api}.md").read_text())
    assert len(ours) >= 5
    assert list(ours) == [operation for operation in theirs if operation in ours]
    for operation in ours:
        headings, parameters = theirs[operation]
        assert [each for each in ours[operation][0] if each != "Exceptions"] == headings
        assert ours[operation][1] == [each for each in parameters if each not in LATER]
