"""Print what the newest published client accepts in success responses: routes, and members of their bodies.

Runs in the environment of that client and prints JSON. `routes` maps a method and path to the type of the body, `null`
if there is no body. A type is the name of a JSON type or model, or a list with one type. `models` maps the name of a
model to its members with their types and to the required members, or to its variants by `type`.
"""

from __future__ import annotations

import enum
import inspect
import json
import re
from typing import Any, get_args

from lightly.openapi_generated.swagger_client import api, models
from pydantic.v1 import BaseModel
from pydantic.v1.fields import SHAPE_LIST, SHAPE_SINGLETON, ModelField

OFFERED = (api.DatasetsApi, api.DatasourcesApi, api.VersioningApi)
"""The parts of the API for which Headwater has routes."""

_CALL = re.compile(r"call_api\(\s*'(?P<path>/v1/[^']*)', '(?P<method>[A-Z]+)'")
_SUCCESS = re.compile(r"'20[01]': (?:\"(?P<type>[^\"]+)\"|None)")
_VARIANT = re.compile(r"_data_type == \"(\w+)\":\s+instance\.actual_instance = (\w+)\.from_json")
_LIST = re.compile(r"List\[(.+)\]")


def routes() -> dict[str, Any]:
    """Return the method and path of every operation with the type of its success response."""
    found: dict[str, Any] = {}
    for part in OFFERED:
        for name, operation in inspect.getmembers(part, inspect.isfunction):
            if not name.endswith("_with_http_info"):
                continue
            source = inspect.getsource(operation)
            called = _CALL.search(source)
            assert called is not None, name
            success = _SUCCESS.search(source)
            of = success["type"] if success is not None else None
            found[f"{called['method']} {called['path']}"] = None if of is None else _named(of)
    return found


def _named(name: str) -> Any:
    inner = _LIST.fullmatch(name)
    if inner is not None:
        return [_named(inner[1])]
    return {"str": "string", "object": "object"}.get(name, name)


def models_of(types: Any) -> dict[str, Any]:
    """Return all models that these types use, directly or indirectly."""
    found: dict[str, Any] = {}
    pending = list(types)
    while pending:
        name = pending.pop()
        if isinstance(name, list):
            pending += name
        elif name is not None and name not in found and hasattr(models, name):
            model = getattr(models, name)
            variants = dict(_VARIANT.findall(inspect.getsource(model)))
            if variants:
                found[name] = {"variants": variants}
                pending += variants.values()
            elif issubclass(model, BaseModel):
                members = {field.alias: _type(field) for field in model.__fields__.values()}
                required = sorted(field.alias for field in model.__fields__.values() if field.required)
                found[name] = {"members": members, "required": required}
                pending += members.values()
    return found


def _type(field: ModelField) -> Any:
    if field.shape == SHAPE_LIST:
        return [_kind(field.type_)]
    assert field.shape == SHAPE_SINGLETON, field
    return _kind(field.type_)


def _kind(of: Any) -> str:
    if not isinstance(of, type):  # such as Union[float, int]
        kinds = {_kind(each) for each in get_args(of)}
        assert kinds <= {"number", "integer"}, of
        return "number"
    if issubclass(of, BaseModel):
        return of.__name__
    if issubclass(of, (str, enum.Enum)):
        return "string"
    if issubclass(of, bool) or of.__name__ == "StrictBool":
        return "boolean"
    if issubclass(of, int):
        return "integer"
    assert issubclass(of, float), (of, "a type this program does not know")
    return "number"


def table() -> dict[str, Any]:
    """Return the whole table."""
    types = routes()
    return {"routes": types, "models": models_of(types.values())}


if __name__ == "__main__":
    print(json.dumps(table(), indent=1, sort_keys=True))
