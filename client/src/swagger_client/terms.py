"""How models take values: what the keywords of constructors say, and the rules of members."""

from __future__ import annotations

import operator
import re
from typing import Any, Callable, Mapping, NamedTuple, Tuple

from swagger_client.exceptions import ApiValueError

Path = Tuple[Any, ...]
"""The names and indices that lead to a value, for the texts of errors."""


class Terms(NamedTuple):
    """How a model takes values that a program gives it: what the keywords of constructors that begin with `_` say.

    Attributes:
        check_type: False to take values of any type.
        spec_property_naming: True where members are given by their names in JSON.
        path_to_item: the names and indices that lead to the model, for the texts of errors.
        configuration: what to convert values by; None not to convert them.
        convert: whether a value that a model can be made of is made into one: a number, a text, a dict.
    """

    check_type: bool = True
    spec_property_naming: bool = False
    path_to_item: Path = ()
    configuration: Any = None
    convert: bool = False

    @classmethod
    def taken_from(cls, keywords: dict[str, Any]) -> Terms:
        """The terms among the keywords of a constructor, out of which they are taken."""
        keywords.pop("_visited_composed_classes", None)  # nothing is visited twice here
        configuration = keywords.pop("_configuration", None)
        return cls(
            keywords.pop("_check_type", True),
            keywords.pop("_spec_property_naming", False),
            tuple(keywords.pop("_path_to_item", ())),
            configuration,
            configuration is not None,
        )


TERMS = frozenset(
    ("_check_type", "_spec_property_naming", "_path_to_item", "_configuration", "_visited_composed_classes")
)
"""The keywords of constructors that are no members."""

USUAL = Terms()
RECEIVED = Terms(spec_property_naming=True, convert=True)
"""Those of a model that a server sent: a program may set a number where a `Timestamp` is."""

UNCHECKED = Terms(check_type=False, spec_property_naming=True)
"""Those of a model that a server sent to a call with `_check_return_type=False`."""

_RULES: Mapping[str, tuple[Callable[[Any, Any], Any], str]] = {
    "minLength": (lambda value, least: len(value) >= least, "length must be greater than or equal to"),
    "maxLength": (lambda value, most: len(value) <= most, "length must be less than or equal to"),
    "minimum": (operator.ge, "must be a value greater than or equal to"),
    "pattern": (lambda value, pattern: re.search(pattern, value), "must match regular expression"),
}


def check_rules(name: str, value: Any, rules: Mapping[str, Any], configuration: Any) -> None:
    """See to it that a value meets the rules of its member, but for those that the configuration disables.

    Texts name the rule, not the value, which may be a secret; one that must be of a list is none.

    Raises:
        ApiValueError: it does not.
    """
    if "enum" in rules and value not in rules["enum"]:
        raise ApiValueError(f"Invalid value for `{name}` ({value}), must be one of {list(rules['enum'])}")
    disabled = getattr(configuration, "_disabled_client_side_validations", ())
    for rule, (holds, text) in _RULES.items():
        if rule in rules and rule not in disabled and not holds(value, rules[rule]):
            raise ApiValueError(f"Invalid value for `{name}`, {text} `{rules[rule]}`")
