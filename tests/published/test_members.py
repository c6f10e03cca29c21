"""The table that every success answer is checked against is what the newest published client says."""

from __future__ import annotations

import json

from tests.checked import MEMBERS
from tests.published.environments import Environment


def test_the_table_is_what_the_newest_client_says(newest: Environment) -> None:
    """If not: write what `tests/published/members.py` prints in its environment to `members.json`."""
    said = newest.run("members.py", environ={"LIGHTLY_DID_VERSION_CHECK": "True"})
    assert json.loads(MEMBERS.read_text()) == said
