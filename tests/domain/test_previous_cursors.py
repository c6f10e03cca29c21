"""Cursors that the previous release signed still open (tests/catalog/previous/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.catalog.keyring import Keyring
from headwater.domain.cursor import CursorSigner

PREVIOUS = json.loads((Path(__file__).parents[1] / "catalog" / "previous" / "cursors.json").read_text())
SIGNER = CursorSigner(Keyring([("test", bytes.fromhex(PREVIOUS["key"]))]).derive("cursors"))


@pytest.mark.parametrize("expected", PREVIOUS["cursors"], ids=lambda each: each["name"])
def test_previous_cursor_opens_with_its_contents(expected: dict[str, Any]) -> None:
    fields = expected["fields"]
    cursor = SIGNER.open(expected["text"], fields["dataset"], fields["location"], fields["folder"])
    found = cursor._asdict()
    window = found.pop("window")
    assert {**found, "start": window.start, "end": window.end} == fields
