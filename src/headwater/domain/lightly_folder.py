"""The folders under `.lightly/`, and the names of files in them (contract.md#lightly-folder)."""

from __future__ import annotations

from headwater.domain.errors import MalformedRequestError
from headwater.domain.objects import Key
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.domain.text import is_storable

RAW = ""
"""The folder of raw samples: the root of the INPUT datasource."""

PREDICTIONS = f"{LIGHTLY_FOLDER}predictions/"
METADATA = f"{LIGHTLY_FOLDER}metadata/"
EMBEDDINGS = f"{LIGHTLY_FOLDER}embeddings/"

MIN_NAME_LENGTHS = {PREDICTIONS: 4, METADATA: 5, EMBEDDINGS: 4, RAW: 1}
"""The fewest characters of a file name in each folder, as published."""

MIN_SELECTION_FILE_LENGTH = 4
"""The fewest characters of the key of a relevant-filenames file, as published."""


def predictions_folder(task: str) -> str:
    """Return the folder of a prediction task.

    Raises:
        MalformedRequestError: `task` cannot be the name of a folder.
    """
    if not task or "/" in task or task in (".", ".."):
        raise MalformedRequestError("taskName: expected the name of a folder under .lightly/predictions/, without '/'")
    return PREDICTIONS + _checked_storable("taskName", task) + "/"


def key_in_folder(folder: str, name: str) -> Key:
    """Return the key of a file in a folder.

    Args:
        folder: one of the folders above.
        name: relative to the folder (`schema.json`), or a full key (`.lightly/metadata/schema.json`).

    Raises:
        MalformedRequestError: the name is too short, or leads out of the folder.
    """
    if len(name) < MIN_NAME_LENGTHS[folder]:
        raise MalformedRequestError(f"fileName: expected at least {MIN_NAME_LENGTHS[folder]} characters")
    relative = name.removeprefix(folder)
    if not _is_relative_file(relative):
        where = f"in {folder}" if folder else "relative to the datasource's root"
        raise MalformedRequestError(f"fileName: expected the name of a file {where}, without '.' and '..' parts")
    return folder + _checked_storable("fileName", relative)


def check_selection_file(key: str) -> Key:
    """Return the key of a relevant-filenames file.

    Raises:
        MalformedRequestError: it is too short, not under `.lightly/`, or has '.' or '..' parts.
    """
    if (
        len(key) < MIN_SELECTION_FILE_LENGTH
        or not key.startswith(LIGHTLY_FOLDER)
        or not _is_relative_file(key)
        or not is_storable(key)
    ):
        raise MalformedRequestError(
            f"relevantFilenamesFileName: expected the name of a file under {LIGHTLY_FOLDER}, relative to the "
            f"datasource's root, such as {LIGHTLY_FOLDER}relevant.txt"
        )
    return key


def _is_relative_file(name: str) -> bool:
    """Return whether `name` is the name of a file relative to a folder, and stays in the folder."""
    parts = name.split("/")
    return bool(parts[0]) and bool(parts[-1]) and "." not in parts and ".." not in parts


def _checked_storable(field: str, name: str) -> str:
    if not is_storable(name):
        raise MalformedRequestError(f"{field}: expected Unicode text without NUL characters")
    return name
