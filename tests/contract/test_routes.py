"""The application has the operations of the contract, no more and no less."""

from __future__ import annotations

import re

from fastapi.routing import APIRoute

from headwater import contract
from headwater.web.app import ROUTERS


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
