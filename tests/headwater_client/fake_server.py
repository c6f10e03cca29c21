"""A scripted server that keeps a watermark."""

from __future__ import annotations

from tests.client.server import PATH, Answer, Request, Scripted


class FakeServer:
    """The responses for a dataset with two samples.

    Attributes:
        mark: the watermark.
        headers: sent when the watermark is read.
        trouble: the next responses to a request such as `GET /list`, instead of its own.
    """

    def __init__(self, scripted: Scripted) -> None:
        self.mark = 0
        self.headers: dict[str, str] = {}
        self.trouble: dict[str, list[Answer]] = {}
        scripted.answer = self.answer

    def answer(self, request: Request) -> Answer:
        key = f"{request.method} {request.path.removeprefix(PATH)}"
        if self.trouble.get(key):
            return self.trouble[key].pop(0)
        if key == "PUT /processedUntilTimestamp":
            self.mark = request.json["processedUntilTimestamp"]
            return Answer()
        if key == "GET /processedUntilTimestamp":
            return Answer(json={"processedUntilTimestamp": self.mark}, headers=self.headers)
        rows = [{"fileName": name, "readUrl": f"http://x/{name}"} for name in ("a", "b")]
        ended = dict(request.query).get("cursor") == "end"
        return Answer(json={"hasMore": False, "cursor": "end", "data": [] if ended else rows})
