"""Check that every run-time dependency has a license that this project allows, from the metadata that is installed.

`make licenses` runs it, and so does a test. A dependency whose license is not in the lists below is refused, and so is
one that does not name its license: read its license, and then add it here, or use another package.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from packaging.requirements import Requirement

PINS = ("run.txt", "postgresql.txt")

ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MIT-0",
        "MPL-2.0",  # its conditions concern changes of its own files
        "PSF-2.0",
    }
)
"""SPDX identifiers."""

ALLOWED_FOR = {"psycopg": "LGPL-3.0-only", "psycopg-binary": "LGPL-3.0-only"}
"""Licenses that are allowed for one package: an optional extra, used unchanged and as a library."""

OLDER_NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What packages without an SPDX expression write, with what it means."""


def pinned(folder: Path = Path(__file__).parent) -> Iterator[str]:
    """Yield the names of the run-time dependencies of this platform."""
    for file in PINS:
        for line in re.findall(r"^[\w.-]+==[^\\\n]+", (folder / file).read_text(), re.MULTILINE):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement.name


def licenses_of(found: PackageMetadata) -> list[str]:
    """Return the licenses that a package offers; each may consist of several joined by AND. Empty: it names none.

    Whether several classifiers are a choice is not said anywhere, so that all of them count.
    """
    for expression in found.get_all("License-Expression") or []:
        return [part.strip("() ") for part in re.split(r"\bOR\b", expression)]
    classifiers = [each.split(" :: ")[-1] for each in found.get_all("Classifier") or [] if each.startswith("License")]
    names = classifiers or found.get_all("License") or []
    return [" AND ".join(OLDER_NAMES.get(name, name) for name in names)] if any(names) else []


def is_allowed(name: str, license_: str) -> bool:
    """Return whether a package may have this license, which may consist of several joined by AND."""
    return all(part in ALLOWED or ALLOWED_FOR.get(name) == part for part in re.split(r"\s+AND\s+", license_))


def refused() -> list[str]:
    """Return a line for each dependency that may not be used."""
    lines = []
    for name in sorted(set(pinned())):
        try:
            licenses = licenses_of(metadata(name))
        except PackageNotFoundError:
            lines.append(f"{name}: not installed; run `make test-fast` once, or install it")
            continue
        if not any(is_allowed(name, each) for each in licenses):
            lines.append(f"{name}: {' OR '.join(licenses) or 'it names no license'}")
    return lines


if __name__ == "__main__":
    found = refused()
    print("\n".join(found) if found else f"{len(set(pinned()))} run-time dependencies have allowed licenses")
    sys.exit(1 if found else 0)
