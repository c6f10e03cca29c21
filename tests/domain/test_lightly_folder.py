"""Names of files below `.lightly/` stay in their folder (contract.md#lightly-folder)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.errors import MalformedRequestError
from headwater.domain.lightly_folder import EMBEDDINGS, METADATA, PREDICTIONS, RAW, key_in_folder, predictions_folder


@pytest.mark.parametrize(
    ("folder", "name", "key"),
    [
        (PREDICTIONS, "tasks.json", ".lightly/predictions/tasks.json"),
        (PREDICTIONS, ".lightly/predictions/tasks.json", ".lightly/predictions/tasks.json"),
        (PREDICTIONS, "a task/ü b+c%20.json", ".lightly/predictions/a task/ü b+c%20.json"),
        (METADATA, "schema.json", ".lightly/metadata/schema.json"),
        (METADATA, ".lightly/predictions/x", ".lightly/metadata/.lightly/predictions/x"),
        (EMBEDDINGS, "e.csv", ".lightly/embeddings/e.csv"),
        (RAW, "a", "a"),
        (RAW, ".lightly/x", ".lightly/x"),
        (RAW, "a//b", "a//b"),
    ],
)
def test_a_name_is_relative_to_its_folder_or_a_full_key(folder: str, name: str, key: str) -> None:
    assert key_in_folder(folder, name) == key


@pytest.mark.parametrize("folder", [RAW, PREDICTIONS, METADATA, EMBEDDINGS])
@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv",
        "a/../../b.csv",
        "./a.csv",
        "a/./b.csv",
        "/etc/passwd",
        "folder/",
        "a\0b.csv",
        "\ud800.csv",
        "..",
    ],
)
def test_names_that_lead_out_of_the_folder_are_refused(folder: str, name: str) -> None:
    with pytest.raises(MalformedRequestError, match="fileName: expected"):
        key_in_folder(folder, name)


def test_folders_and_short_names_are_refused() -> None:
    for folder, short in ((PREDICTIONS, "a.b"), (METADATA, "a.js"), (EMBEDDINGS, "abc"), (RAW, "")):
        with pytest.raises(MalformedRequestError, match=f"at least {len(short) + 1} characters"):
            key_in_folder(folder, short)
    with pytest.raises(MalformedRequestError, match="name of a file in"):
        key_in_folder(METADATA, METADATA)


@given(st.sampled_from([PREDICTIONS, METADATA, EMBEDDINGS]), st.text(st.sampled_from("./a"), min_size=5, max_size=30))
def test_no_accepted_name_leads_out_of_its_folder(folder: str, name: str) -> None:
    try:
        key = key_in_folder(folder, name)
    except MalformedRequestError:
        return
    assert key.startswith(folder)
    assert not {".", ".."} & set(key.removeprefix(".lightly/").split("/"))


@pytest.mark.parametrize("task", ["", "a/b", ".", "..", "a\0", "\ud800", "../metadata"])
def test_a_task_must_be_the_name_of_a_folder(task: str) -> None:
    assert predictions_folder("my task") == ".lightly/predictions/my task/"
    with pytest.raises(MalformedRequestError, match="taskName: expected"):
        predictions_folder(task)
