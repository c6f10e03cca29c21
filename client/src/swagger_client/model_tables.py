"""The tables and private attributes of generated models, for programs that read them. Computed from the members.

Each function is an attribute of that name of every model: `Timestamp.validations`, `config.attribute_map`. A model is
typed `Any` here, because the base class of the models imports this module.
"""

from __future__ import annotations

import inspect
from typing import Any, Mapping, Optional, Union

from swagger_client.exceptions import ApiAttributeError
from swagger_client.model_members import ADDITIONAL_TYPES, UNSET, Member, none_type

_LIST: Any = type(list[Any])
_RULES = {"minLength": "min_length", "maxLength": "max_length", "minimum": "inclusive_minimum"}
_PRIVATE = {
    "_check_type": "check_type",
    "_spec_property_naming": "spec_property_naming",
    "_path_to_item": "path_to_item",
    "_configuration": "configuration",
}


def attribute_map(model: Any) -> dict[str, str]:
    """Return the JSON names by the Python names."""
    return {} if model._is_simple else {name: member.json_name for name, member in _members(model).items()}


def openapi_types(model: Any) -> dict[str, tuple[Any, ...]]:
    """Return the types of each member as a tuple; `[type]` is a list of them."""
    types: dict[str, tuple[Any, ...]] = {}
    for name, member in _members(model).items():
        is_list = type(member.value_type) is _LIST
        value_type: Any = [member.value_type.__args__[0]] if is_list else member.value_type
        types[name] = (value_type, none_type) if member.nullable else (value_type,)
    return types


def allowed_values(model: Any) -> dict[tuple[str], dict[str, Any]]:
    """Return the values of each `enum` member, by the values in capitals."""
    return {
        (name,): {str(value).upper(): value for value in member.rules["enum"]}
        for name, member in _members(model).items()
        if "enum" in member.rules
    }


def validations(model: Any) -> dict[tuple[str], dict[str, Any]]:
    """Return the other rules of each member that has some."""
    found: dict[tuple[str], dict[str, Any]] = {}
    for name, member in _members(model).items():
        rules: dict[str, Any] = {_RULES[rule]: limit for rule, limit in member.rules.items() if rule in _RULES}
        if "pattern" in member.rules:
            rules["regex"] = {"pattern": member.rules["pattern"]}
        if rules:
            found[(name,)] = rules
    return found


def discriminator(model: Any) -> Optional[dict[str, Mapping[str, Any]]]:
    """Return the member that selects the class of a model, with the classes by its values; None if nothing does."""
    classes = model._classes_by_type()
    return {"type": classes} if classes else None


def additional_properties_type(model: Any) -> Optional[tuple[type, ...]]:
    """Return the types of members without a declaration; None if there can be none."""
    return None if model._is_simple else ADDITIONAL_TYPES


def required_properties(_: Any) -> set[str]:
    """Return the names of the attributes that `private` has; they are not members."""
    return {"_data_store", "_visited_composed_classes", *_PRIVATE}


def read_only_vars(model: Any) -> Union[set[str], dict[str, Any]]:
    """Return the members that a program cannot set: none."""
    return set() if model._is_simple else {}


def signature(model: Any) -> inspect.Signature:
    """Return the parameters of the constructor, for `help()` and editors."""
    parameters = []
    for name, member in model._members.items():
        by_name = member.kw_only or model._takes_names_only
        kind = inspect.Parameter.KEYWORD_ONLY if by_name else inspect.Parameter.POSITIONAL_OR_KEYWORD
        default = inspect.Parameter.empty if member.required else UNSET
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=member.value_type))
    if not model._is_simple:
        parameters.append(inspect.Parameter("further_members", inspect.Parameter.VAR_KEYWORD))
    return inspect.Signature(parameters)


def private(instance: Any, name: str) -> Any:
    """Return a private attribute of the generated models.

    Raises:
        ApiAttributeError: they have none of this name.
    """
    if name == "_data_store":
        return {member: value for _, member, value in instance._items()}
    if name == "_visited_composed_classes":
        return (type(instance),)
    if name in _PRIVATE:
        return getattr(instance._options(), _PRIVATE[name])
    raise ApiAttributeError(f"{type(instance).__name__} has no attribute '{name}'", [name])


def _members(model: Any) -> Mapping[str, Member]:
    """Return the members of a class, and of the classes that it can become."""
    members: dict[str, Member] = {}
    for cls in (model, *model._classes_by_type().values()):
        members = {**cls._members, **members}
    return members
