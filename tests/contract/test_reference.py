"""The reference page names what the contract offers, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from headwater import contract

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http-api.md"


def test_every_operation_is_on_the_page() -> None:
    named = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", PAGE.read_text(), re.MULTILINE)
    offered = [
        (method.upper(), path)
        for path, item in contract.document()["paths"].items()
        for method in item
        if method != "parameters"
    ]
    assert sorted(named) == sorted(offered)
