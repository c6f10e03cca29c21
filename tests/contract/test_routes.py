"""The application has the operations of the contract, no more and no less."""

from __future__ import annotations

import re

from fastapi.routing import APIRoute

from headwater import contract
from headwater.web.app import ROUTERS
from headwater.web.requests import QUERY_PARAMETERS


def _without_names(path: str) -> str:
    return re.sub(r"{\w+(:\w+)?}", "{}", path)


def test_the_routes_are_the_operations_of_the_contract() -> None:
    """HEAD is left out: the contract describes it in words, as OpenAPI documents usually do."""
    routes = {
        (method.lower(), _without_names(route.path))
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in (route.methods or set()) - {"HEAD"}
    }
    operations = {
        (method, _without_names(path))
        for path, item in contract.document()["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert routes == operations


def test_the_query_parameters_are_those_of_the_contract() -> None:
    """A parameter that is not in this list is refused, so none that a published client sends may be missing."""
    document = contract.document()
    found = {"token", "publicToken"}
    for item in document["paths"].values():
        for operation in (item, *(each for each in item.values() if isinstance(each, dict))):
            for parameter in operation.get("parameters", ()):
                name = parameter.get("$ref", "").rpartition("/")[2]
                declared = document["components"]["parameters"][name] if name else parameter
                if declared["in"] == "query":
                    found.add(declared["name"])
    assert found == QUERY_PARAMETERS
