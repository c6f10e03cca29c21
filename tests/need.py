"""External programs that a machine may lack: a test that needs one is skipped with the reason; in CI it fails."""

from __future__ import annotations

import os
import shutil

import pytest

NO_SKIP = "HEADWATER_TESTS_NO_SKIP"
"""Set to 1 in CI, which has every program: a missing one is then a failure."""


def missing(reason: str) -> None:
    """Skip the running test with this reason; fail it if skipping is not allowed."""
    if os.environ.get(NO_SKIP) == "1":
        pytest.fail(f"{reason} ({NO_SKIP}=1 forbids skipping)")
    pytest.skip(reason)


def need(tool: str) -> str:
    """Return the path of a program. Skip the running test if there is none; in CI, fail it."""
    path = shutil.which(tool)
    if path is None:
        missing(f"{tool} is not on this machine")
    assert path is not None
    return path


def unprivileged() -> list[str]:
    """Return the prefix of a command that file modes apply to; they do not apply to root otherwise."""
    if os.geteuid() != 0:
        return []
    rights = "-dac_override,-dac_read_search"
    return [need("setpriv"), f"--bounding-set={rights}", f"--inh-caps={rights}"]
