"""The tables of the models match the contract file."""

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
    """Return the Python type of a schema."""
    if "$ref" in schema:
        return getattr(models, schema["$ref"].rsplit("/", 1)[1])
    if schema["type"] == "array":
        return list[_kind(schema["items"])]  # type: ignore[misc]  # a type made at run time
    return TYPES[schema["type"]]


def _flat(name: str, schemas: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the properties and required names of a schema, including the schemas that it is composed of."""
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
def test_a_model_matches_the_contract(name: str) -> None:
    model: type[OpenApiModel] = getattr(models, name)
    if issubclass(model, ModelSimple):
        line = model._members["value"]
        assert line.value_type is TYPES[WHOLE[name]["type"]]
        # The client leaves newer rules of the contract to the server, except for schemas that the seed does not have.
        expected = _rules(SEED.get(name, WHOLE[name]))
        if name == "ApiErrorCode":
            expected["enum"] = WHOLE[name]["enum"]
        assert {**line.rules, **({"enum": list(line.rules["enum"])} if "enum" in line.rules else {})} == expected
        return
    properties, _ = _flat(name, WHOLE)
    constrained, required = _flat(name, SEED if name in SEED else WHOLE)
    assert set(model._members_by_json_name) == set(properties)
    assert model._required_json_names == required
    for wire, line in model._members_by_json_name.items():
        assert line.value_type == _kind(properties[wire]), wire
        assert line.nullable == properties[wire].get("nullable", False), wire
        rules = {**line.rules, **({"enum": list(line.rules["enum"])} if "enum" in line.rules else {})}
        assert rules == _rules(constrained.get(wire, properties[wire])), wire


def test_every_model_of_the_seed_exists() -> None:
    assert set(SEED) <= set(models.__all__)


def test_every_type_in_the_contract_has_its_class() -> None:
    for value, reference in WHOLE["DatasourceConfig"]["discriminator"]["mapping"].items():
        model = getattr(models, reference.rsplit("/", 1)[1])
        assert model._members["type"].rules["enum"][0] == value


def test_members_masked_in_responses_are_hidden_in_texts() -> None:
    masked = {
        wire
        for name in NAMES
        for wire, schema in _flat(name, WHOLE)[0].items()
        if "Masked in responses" in schema.get("description", "")
    }
    hidden = {line.json_name for name in NAMES for line in getattr(models, name)._members.values() if line.secret}
    assert hidden == masked
