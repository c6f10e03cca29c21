"""The models' tables against the contract file: one of them cannot change without the other."""

from __future__ import annotations

from typing import Any

import pytest

from headwater import contract
from swagger_client import models
from swagger_client.model_utils import ModelSimple, OpenApiModel

WHOLE = contract.document()["components"]["schemas"]
SEED = contract.seed()["components"]["schemas"]

NAMES = [name for name in models.__all__ if name not in ("DatasourceConfig", "DatasourceConfigBase")]
RULES = ("pattern", "minLength", "maxLength", "minimum", "enum")
TYPES = {"string": str, "integer": int, "boolean": bool}


def _kind(schema: dict[str, Any]) -> Any:
    """The Python type of a schema."""
    if "$ref" in schema:
        return getattr(models, schema["$ref"].rsplit("/", 1)[1])
    if schema["type"] == "array":
        return list[_kind(schema["items"])]  # type: ignore[misc]  # a type made at run time
    return TYPES[schema["type"]]


def _flat(name: str, schemas: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The properties and required names of a schema, with those of the schemas that it is composed of."""
    schema = schemas[name]
    properties: dict[str, Any] = {}
    required: set[str] = set()
    for part in schema.get("allOf", [schema]):
        if "$ref" in part:
            inherited, needed = _flat(part["$ref"].rsplit("/", 1)[1], schemas)
            properties |= inherited
            required |= needed
        else:
            properties |= part.get("properties", {})
            required |= set(part.get("required", []))
    return properties, required


def _rules(schema: dict[str, Any]) -> dict[str, Any]:
    return {rule: schema[rule] for rule in RULES if rule in schema}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_says_what_the_contract_says(name: str) -> None:
    model: type[OpenApiModel] = getattr(models, name)
    if issubclass(model, ModelSimple):
        line = model._members["value"]
        assert line.kind is TYPES[WHOLE[name]["type"]]
        # What came after the seed is left to the server, except where the seed has nothing of it.
        expected = _rules(SEED.get(name, WHOLE[name]))
        if name == "ApiErrorCode":
            expected["enum"] = WHOLE[name]["enum"]
        assert {**line.rules, **({"enum": list(line.rules["enum"])} if "enum" in line.rules else {})} == expected
        return
    properties, _ = _flat(name, WHOLE)
    constrained, required = _flat(name, SEED if name in SEED else WHOLE)
    assert set(model._by_wire) == set(properties)
    assert model._required_wires == required
    for wire, line in model._by_wire.items():
        assert line.kind == _kind(properties[wire]), wire
        assert line.nullable == properties[wire].get("nullable", False), wire
        rules = {**line.rules, **({"enum": list(line.rules["enum"])} if "enum" in line.rules else {})}
        assert rules == _rules(constrained.get(wire, properties[wire])), wire


def test_no_model_of_the_seed_is_missing() -> None:
    assert set(SEED) <= set(models.__all__)


def test_every_kind_of_storage_is_found_by_the_contracts_values() -> None:
    for value, reference in WHOLE["DatasourceConfig"]["discriminator"]["mapping"].items():
        kind = getattr(models, reference.rsplit("/", 1)[1])
        assert kind._members["type"].rules["enum"][0] == value


def test_what_is_masked_in_answers_is_hidden_in_texts() -> None:
    masked = {
        wire
        for name in NAMES
        for wire, schema in _flat(name, WHOLE)[0].items()
        if "Masked in responses" in schema.get("description", "")
    }
    hidden = {line.wire for name in NAMES for line in getattr(models, name)._members.values() if line.secret}
    assert hidden == masked
