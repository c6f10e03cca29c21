"""Requests that are generated from the contract, sent to the fuzzed server, and what each response must be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import requests
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.server import SELECTION, TASK, FuzzedServer

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def many(count: int) -> settings:
    """Return the settings of Hypothesis for this many cases, each of which may take long."""
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


MAX_SECONDS = 10.0
"""How long a response may take. Those of stores that refuse connections take a moment, too."""

REMOTE = frozenset({"S3", "S3DelegatedAccess", "OBS", "GCS", "AZURE"})
"""Datasets whose store cannot be reached: a 503 is right for them, and for no others."""

UNKNOWN_ID = "0123456789abcdef01234567"
CHANGED = frozenset(
    {
        *("updateDatasourceByDatasetId", "updateDatasourceProcessedUntilTimestampByDatasetId"),
        *("updateDatasetById", "deleteDatasetById", "registerDatasetUploadById"),
    }
)
"""Operations that change a dataset. They get one of their own, so that the others stay as they are."""

_HOW_TO_REFINE = st.sampled_from(["keep", "keep", "known", "drop"])
_ACCESS = st.sampled_from(["bearer"] * 6 + ["query"] * 3 + ["other", "wrong", "generated", "none"])


class Sent(NamedTuple):
    """A request.

    Attributes:
        case: as generated, with values that the server knows.
        access: with which credential it is sent.
        target: the name of the dataset in the path, as in `FuzzedServer.datasets`.
    """

    case: Case[Any]
    access: str
    target: str


@dataclass
class Fuzzer:
    """Generates requests for a server, sends them and checks the responses.

    Attributes:
        server: the server.
        schema: the document that the server serves.
        known: values of query parameters that mean something to the server.
        counts: how often each status was answered.
        slowest: the longest time of a response in seconds.
    """

    server: FuzzedServer
    schema: BaseSchema
    known: Mapping[str, Sequence[Any]] = field(init=False)
    counts: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    _scratch: str | None = None

    def __post_init__(self) -> None:
        self.known = _known_values(self.server)
        self._session = requests.Session()
        operations = [found.ok() for found in self.schema.get_all_operations() if isinstance(found, Ok)]
        self._operations = {_id_of(operation): operation for operation in operations}

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def requests(self, name: str) -> st.SearchStrategy[Sent]:
        """Return requests of an operation, by its id in the contract: valid ones, and ones that break the contract."""
        operation = self._operations[name]
        modes = [GenerationMode.POSITIVE]
        if operation.body or operation.query or operation.path_parameters:
            modes.append(GenerationMode.NEGATIVE)
        generated = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))
        return _refined(self, generated, name)

    def refine(self, draw: st.DrawFn, generated: st.SearchStrategy[Case[Any]], name: str) -> Sent:
        """Replace some values by such as the server knows, because random ones lead no further than a 400."""
        case = draw(generated)
        query = {parameter: value for parameter, value in (case.query or {}).items() if parameter != "token"}
        for parameter in list(query):
            known = self.known.get(parameter)
            match draw(_HOW_TO_REFINE):
                case "known" if known:
                    query[parameter] = draw(st.sampled_from(known))
                case "drop":
                    del query[parameter]
        case.query = query
        access = draw(_ACCESS)
        if access != "generated":
            case.headers.pop("Authorization", None)
        return Sent(case, access, self._choose_dataset(draw, case, name))

    def _choose_dataset(self, draw: st.DrawFn, case: Case[Any], name: str) -> str:
        if "datasetId" not in (case.path_parameters or {}):
            return ""
        own = dict(self.server.datasets) if name not in CHANGED else {"scratch": self.scratch()}
        ids = {**own, "foreign": self.server.foreign, "unknown": UNKNOWN_ID}
        target: str = draw(st.sampled_from([*own, *own, *own, "LOCAL" if "LOCAL" in own else "scratch", *ids, "as is"]))
        if target != "as is":
            case.path_parameters = {**case.path_parameters, "datasetId": ids[target]}
        return target

    def scratch(self) -> str:
        """Return the id of a dataset that may be changed and deleted."""
        if self._scratch is None:
            self._scratch = self.server.live.dataset()
        return self._scratch

    def send(self, sent: Sent) -> Response:
        """Send a request and check that the response is one of the contract."""
        live = self.server.live
        credentials: dict[str, dict[str, Any]] = {
            "bearer": {"headers": {"Authorization": f"Bearer {live.token}"}},
            "query": {"params": {"token": live.token}},
            "other": {"params": {"token": self.server.other_token}},
            "wrong": {"params": {"token": "wrong"}},
            "generated": {},
            "none": {},
        }
        began = time.monotonic()
        response = sent.case.call(
            live.url, self._session, timeout=60.0, allow_redirects=False, **credentials[sent.access]
        )
        seconds = time.monotonic() - began
        self.slowest = max(self.slowest, seconds)
        self.counts[response.status_code] += 1
        sent.case.validate_response(response, checks=CHECKS)
        self._check(sent, response.status_code, seconds)
        return response

    def _check(self, sent: Sent, status: int, seconds: float) -> None:
        operation = sent.case.operation
        where = (operation.label, sent.target, sent.access, status)
        assert seconds < MAX_SECONDS, (*where, seconds)
        assert status < 500 or (status == 503 and sent.target in REMOTE), where
        if operation.definition.raw.get("security") is not None:
            return  # needs no account
        if sent.access in ("none", "wrong", "generated"):
            assert status == 401, where
        elif sent.access == "other" and sent.target in (*self.server.datasets, "scratch"):
            assert status == 403, where
        if _id_of(operation) == "deleteDatasetById" and status == 200:
            self._scratch = None


@st.composite
def _refined(draw: st.DrawFn, fuzzer: Fuzzer, generated: st.SearchStrategy[Case[Any]], name: str) -> Sent:
    return fuzzer.refine(draw, generated, name)


def _id_of(operation: APIOperation[Any, Any, Any, Any]) -> str:
    return str(operation.definition.raw["operationId"])


def _known_values(server: FuzzedServer) -> dict[str, list[Any]]:
    live, datasets = server.live, server.datasets
    own = datasets["LOCAL"]
    listings = [("list", {}), ("predictions/list", {"taskName": TASK}), ("metadata/list", {})]
    pages = [page for operation, query in listings for page in live.pages(own, operation, **query)]
    pages += live.pages(datasets["pair"])
    redirected = urlsplit(next(live.pages(own, useRedirectedReadUrl=True))["data"][0]["readUrl"])
    token = parse_qs(redirected.query)
    return {
        "cursor": [page["cursor"] for page in pages],
        "relevantFilenamesFileName": [SELECTION, ".lightly/absent.txt", ".lightly/metadata/0.json"],
        "taskName": [TASK, "absent"],
        "fileName": ["0.json", "a/1.png", ".lightly/metadata/0.json", "schema.json"],
        "path": token["path"],
        "publicToken": token["publicToken"],
        "from": [0, 1_700_000_000, 1_700_000_001],
        "to": [0, 1_699_999_999, 1_700_000_000],
        "dncShards": [1, 3, 64],
        "datasetIds": [list(datasets.values())],
        "purpose": ["INPUT_OUTPUT", "INPUT", "LIGHTLY"],
    }
