"""The contract file, `openapi/datasources.yaml`: the whole document, and its seed.

The seed is the part of the contract that the first published document had. Marks in the file tell what is not part of
it; the first lines of the file explain them. This module imports nothing else of the project but its version.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from headwater import __version__

_FILE = Path("openapi") / "datasources.yaml"
_SINCE = "x-since"
_SEED_URL = "x-seed-url"
_NEVER_IN_SEED = frozenset({_SINCE, _SEED_URL, "examples"})
_LITERAL = frozenset({"default", "example", "value"})
"""Members that hold data of users: nothing in them is a mark, a text or a reference."""

Document = dict[str, Any]


def source() -> Path:
    """Return the path of the contract file, in the installed package or in the source tree.

    Raises:
        FileNotFoundError: the file is in neither.
    """
    here = Path(__file__).resolve().parent
    for folder in (here, here.parents[1]):
        if (folder / _FILE).is_file():
            return folder / _FILE
    raise FileNotFoundError(f"{_FILE} is missing in {here}: the installation is incomplete, install it again")


def document() -> Document:
    """Return the whole contract as an OpenAPI 3.0 document, without the marks. The caller may change it.

    Its version is that of the server; the file has the version of the published API, which the seed keeps.

    Schemas are not made of others by `allOf`, as they are in the file and in the seed: TypeScript and Java clients
    would inherit `type` as any string, and could not narrow it to those of one kind of storage.
    """
    return copy.deepcopy(_document())


def seed() -> Document:
    """Return the seed: the six datasource operations that the older generation of clients knows, with their schemas.

    The caller may change it.
    """
    return copy.deepcopy(_seed())


@cache
def _source() -> Document:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parsed: Document = yaml.load(source().read_bytes(), Loader=loader)  # noqa: S506  both loaders are safe ones
    return parsed


@cache
def _document() -> Document:
    found: Document = _without_marks(_source())
    found["info"]["version"] = __version__
    schemas: dict[str, Document] = found["components"]["schemas"]
    bases = {
        _name_of(part["$ref"]) for schema in schemas.values() for part in schema.get("allOf", []) if "$ref" in part
    }
    whole = {name: _merged(schema, schemas) for name, schema in schemas.items() if name not in bases}
    found["components"]["schemas"] = whole
    return found


def _merged(schema: Document, schemas: Mapping[str, Document]) -> Document:
    """Return a schema with the members of all its parts, instead of an `allOf`."""
    if "allOf" not in schema:
        return schema
    merged: Document = {"type": "object", **schema, "required": [], "properties": {}}
    for part in merged.pop("allOf"):
        found = schemas[_name_of(part["$ref"])] if "$ref" in part else part
        merged["required"] += found.get("required", [])
        for name, member in found["properties"].items():
            merged["properties"][name] = {**merged["properties"].get(name, {}), **member}
    return merged


@cache
def _seed() -> Document:
    restricted: Document = _restrict(_source(), _source()["components"])
    _prune(restricted)
    return restricted


def _without_marks(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: child if name in _LITERAL else _without_marks(child)
            for name, child in node.items()
            if name not in (_SINCE, _SEED_URL)
        }
    return [_without_marks(child) for child in node] if isinstance(node, list) else node


def _restrict(node: Any, components: Mapping[str, Any]) -> Any:
    """Return a copy of `node` without what came after the seed; None if nothing is left."""
    if isinstance(node, list):
        kept = (_restrict(child, components) for child in node)
        return [child for child in kept if child is not None] or (None if node else [])
    if not isinstance(node, dict):
        return None if isinstance(node, str) and _came_later(node, components) else node
    mark = node.get(_SINCE, {})
    if mark == "new":
        return None
    result: Document = {}
    for name, child in node.items():
        if name in mark or name in _NEVER_IN_SEED:
            continue
        if name in _LITERAL:
            result[name] = child
        elif name == "description" and isinstance(child, str):
            result[name] = _first_paragraph(child)
        elif name == "enum" and isinstance(child, list):
            result[name] = [value for value in child if value not in mark]
        elif (restricted := _restrict(child, components)) is not None:
            result[name] = restricted
    if "$ref" in node and "$ref" not in result:
        return None
    if isinstance(result.get("required"), list):
        result["required"] = [name for name in result["required"] if name in result.get("properties", {})]
    if _SEED_URL in node:
        result["url"] = node[_SEED_URL]
    return result or (None if node else {})


def _first_paragraph(text: str) -> str:
    """Return the first paragraph. If it has several lines, it ends in a line break, as in the published seed."""
    paragraph = text.split("\n\n", 1)[0].rstrip("\n")
    return paragraph + "\n" if "\n" in paragraph else paragraph


def _came_later(reference: str, components: Mapping[str, Any]) -> bool:
    if not reference.startswith("#/components/"):
        return False
    kind, name = reference.split("/")[2:]
    return bool(components[kind][name].get(_SINCE) == "new")


def _prune(document: Document) -> None:
    """Remove the components that nothing refers to, in place."""
    components: dict[str, dict[str, Any]] = document["components"]
    reached: set[str] = set()
    open_references = list(_references(document["paths"]))
    while open_references:
        reference = open_references.pop()
        if reference not in reached:
            reached.add(reference)
            kind, name = reference.split("/")[2:]
            open_references.extend(_references(components[kind][name]))
    for kind in [kind for kind in components if kind != "securitySchemes"]:
        components[kind] = {
            name: component for name, component in components[kind].items() if f"#/components/{kind}/{name}" in reached
        }
        if not components[kind]:
            del components[kind]


def _name_of(reference: str) -> str:
    """Return the name of the component that a reference leads to."""
    return reference.split("/")[3]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, child in node.items():
            if name not in _LITERAL:
                yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)
    elif isinstance(node, str) and node.startswith("#/components/"):
        yield node
