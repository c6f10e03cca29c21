"""The reference page of the HTTP API agrees with the contract."""

from __future__ import annotations

import re
from pathlib import Path

from headwater import contract

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http-api.md"


def test_page_lists_exactly_the_operations_of_the_contract() -> None:
    named = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", PAGE.read_text(), re.MULTILINE)
    offered = [
        (method.upper(), path)
        for path, item in contract.document()["paths"].items()
        for method in item
        if method != "parameters"
    ]
    assert sorted(named) == sorted(offered)
