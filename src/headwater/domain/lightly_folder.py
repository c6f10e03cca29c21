"""The folders below `.lightly/`, and which names in them may be asked for (contract.md#lightly-folder)."""

from __future__ import annotations

from headwater.domain.errors import MalformedRequestError
from headwater.domain.objects import Key
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.domain.text import is_storable

RAW = ""
"""Stands for raw samples, which lie in no folder of ours."""

PREDICTIONS = f"{LIGHTLY_FOLDER}predictions/"
METADATA = f"{LIGHTLY_FOLDER}metadata/"
EMBEDDINGS = f"{LIGHTLY_FOLDER}embeddings/"

LEAST_LENGTH = {PREDICTIONS: 4, METADATA: 5, EMBEDDINGS: 4, RAW: 1}
"""Characters that a file's name has at least, as published."""

LEAST_RELEVANT = 4
"""The same of a file of relevant filenames, from the root on."""


def predictions_of(task: str) -> str:
    """The folder of a prediction task.

    Raises:
        MalformedRequestError: no name that a folder may have.
    """
    if not task or "/" in task or task in (".", ".."):
        raise MalformedRequestError("taskName: expected the name of a folder below .lightly/predictions/, without '/'")
    return PREDICTIONS + _storable("taskName", task) + "/"


def file_in(folder: str, name: str) -> Key:
    """The key of a file in a folder.

    Args:
        folder: one of those above.
        name: relative to the folder (`schema.json`), or from the root on (`.lightly/metadata/schema.json`).

    Raises:
        MalformedRequestError: shorter than published, or a name that leads elsewhere.
    """
    if len(name) < LEAST_LENGTH[folder]:
        raise MalformedRequestError(f"fileName: expected at least {LEAST_LENGTH[folder]} characters")
    inner = name.removeprefix(folder)
    if _leads_elsewhere(inner):
        where = f"in {folder}" if folder else "relative to the datasource's root"
        raise MalformedRequestError(f"fileName: expected the name of a file {where}, without '.' and '..' parts")
    return folder + _storable("fileName", inner)


def check_relevant_file(name: str) -> str:
    """Return the name of a file of relevant filenames if it may be one.

    Raises:
        MalformedRequestError: shorter than published, not below `.lightly/`, or with parts that lead elsewhere.
    """
    if (
        len(name) < LEAST_RELEVANT
        or not name.startswith(LIGHTLY_FOLDER)
        or _leads_elsewhere(name)
        or not is_storable(name)
    ):
        raise MalformedRequestError(
            f"relevantFilenamesFileName: expected the name of a file below {LIGHTLY_FOLDER}, relative to the "
            f"datasource's root, such as {LIGHTLY_FOLDER}relevant.txt"
        )
    return name


def _leads_elsewhere(name: str) -> bool:
    """Whether this is no name of a file relative to a folder, or leads out of it."""
    parts = name.split("/")
    return not parts[0] or not parts[-1] or "." in parts or ".." in parts


def _storable(field: str, name: str) -> str:
    if not is_storable(name):
        raise MalformedRequestError(f"{field}: expected Unicode text without NUL characters")
    return name
