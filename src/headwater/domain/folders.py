"""The folders below `.lightly/`, and which names in them may be asked for (contract, section 8)."""

from __future__ import annotations

from headwater.domain.errors import MalformedRequest
from headwater.domain.objects import Key
from headwater.domain.samples import OWN_FOLDER
from headwater.domain.text import is_storable

RAW = ""
"""Stands for raw samples, which lie in no folder of ours."""

PREDICTIONS = f"{OWN_FOLDER}predictions/"
METADATA = f"{OWN_FOLDER}metadata/"
EMBEDDINGS = f"{OWN_FOLDER}embeddings/"

LEAST_LENGTH = {PREDICTIONS: 4, METADATA: 5, EMBEDDINGS: 4, RAW: 1}
"""Characters that a file's name has at least, as published."""

LEAST_RELEVANT = 4
"""The same of a file of relevant filenames, from the root on."""


def predictions_of(task: str) -> str:
    """The folder of a prediction task.

    Raises:
        MalformedRequest: no name that a folder may have.
    """
    if not task or "/" in task or task in (".", ".."):
        raise MalformedRequest("taskName: expected the name of a folder below .lightly/predictions/, without '/'")
    return PREDICTIONS + _storable("taskName", task) + "/"


def file_in(folder: str, name: str) -> Key:
    """The key of a file in a folder.

    Args:
        folder: one of those above.
        name: relative to the folder (`schema.json`), or from the root on (`.lightly/metadata/schema.json`).

    Raises:
        MalformedRequest: shorter than published, or a name that leads elsewhere.
    """
    if len(name) < LEAST_LENGTH[folder]:
        raise MalformedRequest(f"fileName: expected at least {LEAST_LENGTH[folder]} characters")
    inner = name.removeprefix(folder)
    if _leads_elsewhere(inner):
        where = f"in {folder}" if folder else "relative to the datasource's root"
        raise MalformedRequest(f"fileName: expected the name of a file {where}, without '.' and '..' parts")
    return folder + _storable("fileName", inner)


def check_relevant_file(name: str) -> str:
    """Return the name of a file of relevant filenames if it may be one.

    Raises:
        MalformedRequest: shorter than published, not below `.lightly/`, or with parts that lead elsewhere.
    """
    if len(name) < LEAST_RELEVANT or not name.startswith(OWN_FOLDER) or _leads_elsewhere(name) or not is_storable(name):
        raise MalformedRequest(
            f"relevantFilenamesFileName: expected the name of a file below {OWN_FOLDER}, relative to the datasource's "
            f"root, such as {OWN_FOLDER}relevant.txt"
        )
    return name


def _leads_elsewhere(name: str) -> bool:
    """Whether this is no name of a file relative to a folder, or leads out of it."""
    parts = name.split("/")
    return not parts[0] or not parts[-1] or "." in parts or ".." in parts


def _storable(field: str, name: str) -> str:
    if not is_storable(name):
        raise MalformedRequest(f"{field}: expected Unicode text without NUL characters")
    return name
