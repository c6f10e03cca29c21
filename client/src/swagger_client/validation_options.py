"""How models validate values: the options that constructors take as keywords, and the rules of members."""

from __future__ import annotations

import operator
import re
from typing import Any, Callable, Mapping, NamedTuple, Tuple

from swagger_client.exceptions import ApiValueError

Path = Tuple[Any, ...]
"""The names and indices that lead to a value, for error texts."""


class ValidationOptions(NamedTuple):
    """How a model validates values from a program: the constructor keywords that begin with `_`.

    Attributes:
        check_type: False to accept values of any type.
        spec_property_naming: True if members are given by their JSON names.
        path_to_item: the names and indices that lead to the model, for error texts.
        configuration: the configuration that says which rules are disabled; None for none.
        convert: whether to convert plain values (a number, a text, a dict) to the model that the type needs.
    """

    check_type: bool = True
    spec_property_naming: bool = False
    path_to_item: Path = ()
    configuration: Any = None
    convert: bool = False

    @classmethod
    def pop_from(cls, keywords: dict[str, Any]) -> ValidationOptions:
        """Return the options among the keywords of a constructor, and remove them from the keywords."""
        keywords.pop("_visited_composed_classes", None)  # the generated client's; it has no effect here
        configuration = keywords.pop("_configuration", None)
        return cls(
            keywords.pop("_check_type", True),
            keywords.pop("_spec_property_naming", False),
            tuple(keywords.pop("_path_to_item", ())),
            configuration,
            configuration is not None,
        )


OPTION_KEYWORDS = frozenset(
    ("_check_type", "_spec_property_naming", "_path_to_item", "_configuration", "_visited_composed_classes")
)
"""The constructor keywords that are not members."""

DEFAULT_OPTIONS = ValidationOptions()
RESPONSE_OPTIONS = ValidationOptions(spec_property_naming=True, convert=True)
"""The options of a model from a response: a program may set a number where a `Timestamp` is expected."""

UNCHECKED_OPTIONS = ValidationOptions(check_type=False, spec_property_naming=True)
"""The options of a model from a response to a call with `_check_return_type=False`."""

_RULES: Mapping[str, tuple[Callable[[Any, Any], Any], str]] = {
    "minLength": (lambda value, minimum: len(value) >= minimum, "length must be greater than or equal to"),
    "maxLength": (lambda value, maximum: len(value) <= maximum, "length must be less than or equal to"),
    "minimum": (operator.ge, "must be a value greater than or equal to"),
    "pattern": (lambda value, pattern: re.search(pattern, value), "must match regular expression"),
}


def check_rules(name: str, value: Any, rules: Mapping[str, Any], configuration: Any) -> None:
    """Check that a value meets the rules of its member, except those that the configuration disables.

    Error texts name the rule and not the value, which can be a secret. An `enum` member is never a secret.

    Raises:
        ApiValueError: the value breaks a rule.
    """
    if "enum" in rules and value not in rules["enum"]:
        raise ApiValueError(f"Invalid value for `{name}` ({value}), must be one of {list(rules['enum'])}")
    disabled = getattr(configuration, "_disabled_client_side_validations", ())
    for rule, (holds, text) in _RULES.items():
        if rule in rules and rule not in disabled and not holds(value, rules[rule]):
            raise ApiValueError(f"Invalid value for `{name}`, {text} `{rules[rule]}`")
