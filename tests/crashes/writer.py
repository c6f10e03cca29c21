"""A user who writes without pause, and who knows what was acknowledged and what may have been done."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from tests.feed.client import Answer, Client

MAX_DATASETS = 12
"""How many datasets a writer keeps. It deletes older ones."""


@dataclass(frozen=True)
class State:
    """What is stored of a dataset. A request changes all of it at once. Instead of a state, None means deleted."""

    name: str
    folder: str | None = None
    watermark: int = 0


@dataclass
class Kept:
    """A dataset: what was acknowledged, and what a request without an answer may have made of it."""

    id: str
    acknowledged: State | None
    in_flight: State | None
    is_in_flight: bool = False

    @property
    def possible(self) -> set[State | None]:
        """The states that it may have."""
        return {self.acknowledged, self.in_flight} if self.is_in_flight else {self.acknowledged}


class Writer:
    """Changes datasets in random order until it is told to stop; after each crash, it checks all of them.

    Args:
        client: sends the requests.
        number: of the writer, as part of names.
        rng: the source of all choices.
        may_go_on: returns whether to send another request.

    Attributes:
        writes: the number of acknowledged writes.
        faults: a line for each dataset that is not as it must be.
    """

    def __init__(self, client: Client, number: int, rng: random.Random, may_go_on: Callable[[], bool]) -> None:
        self._client = client
        self._number = number
        self._rng = rng
        self._may_go_on = may_go_on
        self._datasets: dict[str, Kept] = {}
        self._made = 0
        self.writes = 0
        self.faults: list[str] = []

    async def run(self) -> None:
        """Write until the end; then check everything once more."""
        while self._may_go_on():
            try:
                await self._write()
                self.writes += 1
            except (OSError, EOFError):  # the server was killed, or its database
                await self.check()
        await self.check()

    async def _write(self) -> None:
        if len(self._datasets) < 2 or self._rng.random() < 0.15:
            await self._create()
            return
        kept = self._rng.choice(list(self._datasets.values()))
        assert kept.acknowledged is not None
        choice = self._rng.random()
        self._made += 1
        if len(self._datasets) > MAX_DATASETS:
            await self._change(kept, None, "DELETE", "", None)
        elif choice < 0.2:
            name = self._new_name()
            await self._change(kept, replace(kept.acknowledged, name=name), "PUT", "", {"name": name})
        elif choice < 0.6 or kept.acknowledged.folder is None:
            state = replace(kept.acknowledged, folder=f"folder/{self._made}", watermark=0)
            await self._change(kept, state, "PUT", "/datasource", {"type": "LOCAL", "fullPath": state.folder})
        else:
            state = replace(kept.acknowledged, watermark=self._made)
            body = {"processedUntilTimestamp": self._made}
            await self._change(kept, state, "PUT", "/datasource/processedUntilTimestamp", body)

    def _new_name(self) -> str:
        self._made += 1
        return f"writer {self._number} {self._made}"

    async def _create(self) -> None:
        state = State(self._new_name())
        pending = self._datasets[""] = Kept("", None, state, is_in_flight=True)
        answer = await self._send("POST", "/v1/datasets", {"name": state.name})
        assert answer.status == 201, answer
        del self._datasets[""]
        pending.id, pending.acknowledged, pending.is_in_flight = answer.json["id"], state, False
        self._datasets[pending.id] = pending

    async def _change(self, kept: Kept, state: State | None, method: str, path: str, body: Any) -> None:
        kept.in_flight, kept.is_in_flight = state, True
        answer = await self._send(method, f"/v1/datasets/{kept.id}{path}", body)
        assert answer.status == 200, (method, path, answer)
        kept.acknowledged, kept.is_in_flight = state, False
        if state is None:
            del self._datasets[kept.id]

    async def _send(self, method: str, path: str, body: Any) -> Answer:
        """Send a request once. A 503 does not say whether the change was made, like no answer at all."""
        answer = await self._client.send(method, path, {}, body, server=self._server())
        if answer.status == 503:
            raise EOFError
        return answer

    def _server(self) -> int:
        return self._rng.randrange(self._client.servers)

    async def check(self) -> None:
        """Compare all datasets with what was acknowledged, and take over what turned out to have been done."""
        if (new := self._datasets.pop("", None)) is not None:
            await self._find(new)
        for kept in list(self._datasets.values()):
            found = await self._stored(kept.id)
            if found not in kept.possible:
                self.faults.append(f"dataset {kept.id} is {found}, expected one of {kept.possible}")
            kept.acknowledged, kept.is_in_flight = found, False
            if found is None:
                del self._datasets[kept.id]

    async def _find(self, kept: Kept) -> None:
        """Look for a dataset whose creation was not acknowledged."""
        assert kept.in_flight is not None
        path = f"/v1/datasets/query/name/{quote(kept.in_flight.name)}"
        answer = await self._client.call("GET", path, {"exact": "true"}, server=self._server())
        if len(answer.json) > 1:
            self.faults.append(f"{len(answer.json)} datasets have the name {kept.in_flight.name}")
        for each in answer.json:
            self._datasets[each["id"]] = replace(kept, id=each["id"])

    async def _stored(self, dataset: str) -> State | None:
        path = f"/v1/datasets/{dataset}"
        found = await self._client.call("GET", path, {}, server=self._server())
        if found.status == 404:
            return None
        source = await self._client.call("GET", f"{path}/datasource", {}, server=self._server())
        mark = await self._client.call("GET", f"{path}/datasource/processedUntilTimestamp", {}, server=self._server())
        folder = source.json["fullPath"] if source.status == 200 else None
        return State(found.json["name"], folder, mark.json["processedUntilTimestamp"])
