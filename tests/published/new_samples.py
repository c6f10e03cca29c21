"""A consumer of new files: calls `download_new_raw_samples` in a loop, as a user of each published client does.

Runs in the environment of a client, with only LIGHTLY_SERVER_LOCATION and LIGHTLY_TOKEN set. The argument is JSON
(`ConsumerInput` in `test_new_samples.py`). Creates the file `ready`, waits for the file `go`, polls until there is a
file `stop`, and then in a few later seconds. Prints the polls as JSON, each with the times of its begin and end and
with the names that it returned.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from lightly import __version__
from lightly.api import ApiWorkflowClient

INPUT: dict[str, Any] = json.loads(sys.argv[1])
PAUSES = (0, 0.05, 0.2, 0.4)
"""The seconds between two polls: some begin in the same second."""
QUIET_POLLS = 3


def poll(client: Any, number: int) -> tuple[float, float, list[str]]:
    """Poll once. The newest version also lists in shards, which are read in parallel."""
    shards = {"divide_and_conquer_shards": 4} if __version__ == "1.5.26" and number % 2 else {}
    began = time.time()
    rows = client.download_new_raw_samples(**shards)
    return began, time.time(), [name for name, _ in rows]


def consume(client: Any) -> list[tuple[float, float, list[str]]]:
    """Poll until the writer has stopped, and a few times afterwards."""
    polls: list[tuple[float, float, list[str]]] = []
    while not Path(INPUT["stop"]).exists():
        polls.append(poll(client, len(polls)))
        time.sleep(PAUSES[len(polls) % len(PAUSES)])
    for _ in range(QUIET_POLLS):
        # Windows are whole seconds: in the same second there is nothing new.
        time.sleep(1.05 - time.time() % 1)
        polls.append(poll(client, len(polls)))
    return polls


if __name__ == "__main__":
    used = ApiWorkflowClient(token=os.environ["LIGHTLY_TOKEN"], dataset_id=INPUT["dataset"])
    Path(INPUT["ready"]).touch()
    while not Path(INPUT["go"]).exists():
        time.sleep(0.01)
    print(json.dumps(consume(used)))
