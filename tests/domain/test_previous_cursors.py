"""Cursors that the previous release signed still open (tests/catalog/previous/README.md).

What they have counted is not needed any more: the index counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.catalog.keyring import Keyring
from headwater.domain.cursor import CursorSigner, ListingSpec, Progress
from headwater.domain.key_range import Resume
from headwater.domain.window import Window

PREVIOUS = json.loads((Path(__file__).parents[1] / "catalog" / "previous" / "cursors.json").read_text())
SIGNER = CursorSigner(Keyring([("test", bytes.fromhex(PREVIOUS["key"]))]).derive("cursors"))


@pytest.mark.parametrize("expected", PREVIOUS["cursors"], ids=lambda each: each["name"])
def test_previous_cursor_opens_with_its_contents(expected: dict[str, Any]) -> None:
    fields = expected["fields"]
    spec, progress = SIGNER.open(expected["text"], fields["dataset"], fields["location"], fields["folder"])
    assert spec == ListingSpec(
        dataset=fields["dataset"],
        location=fields["location"],
        window=Window(fields["start"], fields["end"]),
        folder=fields["folder"],
        selection_file=fields["relevant"],
        last_key=fields["until"],
        order=fields["order"],
    )
    prefix_done = fields["marker"] == "\0"
    assert progress == Progress(
        resume=Resume(fields["after"], None if prefix_done else fields["marker"], prefix_done),
        done=fields["done"],
        unreadable=fields["unreadable"],
    )
