"""The table with which success responses are checked equals the models of the newest published client."""

from __future__ import annotations

import json

from tests.checked import MEMBERS
from tests.published.environments import Environment


def test_table_equals_the_models_of_the_newest_client(newest: Environment) -> None:
    """If this fails, write what `tests/published/members.py` prints in that environment to `members.json`."""
    printed = newest.run("members.py", environ={"LIGHTLY_DID_VERSION_CHECK": "True"})
    assert json.loads(MEMBERS.read_text()) == printed
