"""The tables and private attributes of generated models, for programs that read them. Made from the members.

Each function is an attribute of that name of every model: `Timestamp.validations`, `config.attribute_map`.
"""

from __future__ import annotations

import inspect
from typing import Any, Mapping, Optional, Union

from swagger_client.exceptions import ApiAttributeError
from swagger_client.model_utils import (
    FURTHER_TYPES,
    UNSET,
    Member,
    ModelComposed,
    ModelSimple,
    OpenApiModel,
    none_type,
    terms_of,
)

_LIST: Any = type(list[Any])
_RULES = {"minLength": "min_length", "maxLength": "max_length", "minimum": "inclusive_minimum"}
_PRIVATE = {
    "_check_type": "check_type",
    "_spec_property_naming": "spec_property_naming",
    "_path_to_item": "path_to_item",
    "_configuration": "configuration",
}


def attribute_map(cls: type[OpenApiModel]) -> dict[str, str]:
    """The names in JSON, by the names in Python."""
    return {} if issubclass(cls, ModelSimple) else {name: line.wire for name, line in _lines(cls).items()}


def openapi_types(cls: type[OpenApiModel]) -> dict[str, tuple[Any, ...]]:
    """The types that each member may have, as a tuple; `[type]` is a list of them."""
    types: dict[str, tuple[Any, ...]] = {}
    for name, line in _lines(cls).items():
        kind: Any = [line.kind.__args__[0]] if type(line.kind) is _LIST else line.kind
        types[name] = (kind, none_type) if line.nullable else (kind,)
    return types


def allowed_values(cls: type[OpenApiModel]) -> dict[tuple[str], dict[str, Any]]:
    """The values that a member may have, where they are of a list, by themselves in capitals."""
    return {
        (name,): {str(value).upper(): value for value in line.rules["enum"]}
        for name, line in _lines(cls).items()
        if "enum" in line.rules
    }


def validations(cls: type[OpenApiModel]) -> dict[tuple[str], dict[str, Any]]:
    """What else a member must meet, where there is something."""
    found: dict[tuple[str], dict[str, Any]] = {}
    for name, line in _lines(cls).items():
        rules: dict[str, Any] = {_RULES[rule]: limit for rule, limit in line.rules.items() if rule in _RULES}
        if "pattern" in line.rules:
            rules["regex"] = {"pattern": line.rules["pattern"]}
        if rules:
            found[(name,)] = rules
    return found


def discriminator(cls: type[OpenApiModel]) -> Optional[dict[str, Mapping[str, type[OpenApiModel]]]]:
    """By which member, and by which values of it, the class of a model is found; None where it is the class itself."""
    kinds = _kinds(cls)
    return {"type": kinds} if kinds else None


def additional_properties_type(cls: type[OpenApiModel]) -> Optional[tuple[type, ...]]:
    """The types of members that the table does not name; None where there can be none."""
    return None if issubclass(cls, ModelSimple) else FURTHER_TYPES


def required_properties(_: type[OpenApiModel]) -> set[str]:
    """The names of the attributes that `private` has; they are no members."""
    return {"_data_store", "_visited_composed_classes", *_PRIVATE}


def read_only_vars(cls: type[OpenApiModel]) -> Union[set[str], dict[str, Any]]:
    """The members that a program cannot set: none."""
    return set() if issubclass(cls, ModelSimple) else {}


def signature(cls: type[OpenApiModel]) -> inspect.Signature:
    """What the constructor takes, for `help()` and editors."""
    parameters = []
    for name, line in cls._members.items():
        by_name = line.kw_only or issubclass(cls, ModelComposed)
        kind = inspect.Parameter.KEYWORD_ONLY if by_name else inspect.Parameter.POSITIONAL_OR_KEYWORD
        default = inspect.Parameter.empty if line.required else UNSET
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=line.kind))
    if not issubclass(cls, ModelSimple):
        parameters.append(inspect.Parameter("further_members", inspect.Parameter.VAR_KEYWORD))
    return inspect.Signature(parameters)


def private(model: OpenApiModel, name: str) -> Any:
    """An attribute that generated models keep for themselves.

    Raises:
        ApiAttributeError: they have none of this name.
    """
    if name == "_data_store":
        return {member: value for _, member, value in model._items()}
    if name == "_visited_composed_classes":
        return (type(model),)
    if name in _PRIVATE:
        return getattr(terms_of(model), _PRIVATE[name])
    raise ApiAttributeError(f"{type(model).__name__} has no attribute '{name}'", [name])


def _lines(cls: type[OpenApiModel]) -> Mapping[str, Member]:
    """The members of a class, and of the classes that it becomes."""
    lines: dict[str, Member] = {}
    for kind in (cls, *_kinds(cls).values()):
        lines = {**kind._members, **lines}
    return lines


def _kinds(cls: type[OpenApiModel]) -> Mapping[str, type[OpenApiModel]]:
    """By the value of `type`, the classes that a class without a kind becomes."""
    from swagger_client.model.datasource_config import DatasourceConfig, kinds_by_type

    return kinds_by_type() if issubclass(cls, DatasourceConfig) and cls._class_for({"type": "S3"}) is not cls else {}
