"""The example of the client's README, run as it stands."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import swagger_client
from tests.client.server import PATH, Answer, Request, Scripted

README = Path(swagger_client.__file__).resolve().parents[2] / "README.md"


def test_the_example_does_the_whole_job(server: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    pages = {
        None: {"hasMore": True, "cursor": "c1", "data": [{"fileName": "a.jpg", "readUrl": "http://x/a"}]},
        "c1": {"hasMore": False, "cursor": "c2", "data": [{"fileName": "b.jpg", "readUrl": "http://x/b"}]},
    }

    def answer(request: Request) -> Answer:
        if request.method == "PUT":
            return Answer()
        if request.path == f"{PATH}/verify":
            return Answer(json={"canRead": True, "canWrite": True, "canList": True, "canOverwrite": True})
        if request.path == f"{PATH}/list":
            return Answer(json=pages[dict(request.query).get("cursor")])
        return Answer(json={"processedUntilTimestamp": 1577836800})

    server.answer = answer
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    example = found.group(1).replace("http://localhost:8000", server.url)
    exec(compile(example, str(README), "exec"), {})
    assert capsys.readouterr().out == "a.jpg http://x/a\nb.jpg http://x/b\n"
    first, *_, last = server.requests
    assert (first.method, first.json) == ("PUT", {"type": "LOCAL", "fullPath": "cameras/front"})
    assert last.path == f"{PATH}/processedUntilTimestamp"
    assert abs(last.json["processedUntilTimestamp"] - (time.time() - 60)) < 30
    assert dict(server.requests[3].query)["from"] == "1577836801"
