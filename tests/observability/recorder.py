"""An observer that keeps what it is told."""

from __future__ import annotations

from typing import Any

from headwater.observability.work import Work


class Recorder:
    """Keeps the beginnings and ends of work, and what was counted, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self, work: Work) -> object:
        self.told.append(("begin", work))
        return len(self.told)

    def end(self, work: Work, state: object) -> None:
        self.told.append(("end", work, state))

    def count(self, event: str, amount: int, *labels: str) -> None:
        self.told.append((event, amount, *labels))

    def counted(self, event: str) -> list[list[str]]:
        """Return the labels of each count of an event."""
        return [labels for name, _, *labels in self.told if name == event]
