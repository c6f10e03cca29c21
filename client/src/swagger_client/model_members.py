"""The members of models: how they are declared, and how their values are checked and converted.

A model is a class whose members are declared in its body. Everything else follows from these declarations:

    class DatasourceRawSamplesDataRow(ModelNormal):
        file_name: str = member("fileName", str)
        read_url: str = member("readUrl", str)

Values from a program are checked against the type and the rules of their member. Values from a server are checked
against the type only, so that responses of newer servers (an unknown region or error code) can be read. Members without
a declaration are kept under their own name.

Values are in slots, so a page of many rows is built quickly and needs little memory.
"""

from __future__ import annotations

import io
import operator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence, TypeVar, Union, cast

from swagger_client.exceptions import ApiTypeError, ApiValueError
from swagger_client.validation_options import Path, ValidationOptions, check_rules

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        """Do nothing at run time. Type checkers learn that constructors follow from the members."""
        return lambda decorated: decorated


T = TypeVar("T")
UNSET: Any = type("Unset", (), {"__slots__": (), "__repr__": lambda _: "UNSET"})()
"""The default of an optional member: not set, which differs from None."""

_REQUIRED: Any = object()
_LIST: Any = type(list[Any])
none_type = type(None)
file_type = io.IOBase
ADDITIONAL_TYPES = (bool, date, datetime, dict, float, int, list, str, none_type)
"""The types that members without a declaration can have."""


class Member:
    """The declaration of one member of a model.

    Attributes:
        name: the name in Python.
        json_name: the name in JSON.
        value_type: the type: `str`, `int`, `bool`, a model, or `list[…]` of one of these.
        plain_type: the type if it is `str`, `int` or `bool`, else None.
        required: whether the constructor needs it.
        rules: what else a value must meet, named as in OpenAPI: `pattern`, `minLength`, `maxLength`, `minimum`, `enum`.
        kw_only: whether constructors take it by name only.
        nullable: whether None is a valid value.
        secret: whether texts show `***` in place of the value.
        wraps: whether a `str` is accepted too and converted to the model that is the type.
    """

    name: str
    write: Callable[[Any, Any], None]
    read: Callable[[Any], Any]

    def __init__(self, json_name: str, value_type: Any, required: bool, rules: Mapping[str, Any]) -> None:
        self.json_name = json_name
        self.value_type = value_type
        self.plain_type = value_type if value_type in (str, int, bool) else None
        self.required = required
        self.rules = rules
        self.kw_only = self.nullable = self.secret = self.wraps = False

    def bind(self, name: str, slot: Any) -> None:
        """Set the name, and the slot of the class that has the values."""
        self.name = name
        self.write = slot.__set__
        self.read = slot.__get__

    def check(self, value: Any, options: ValidationOptions) -> Any:
        """Return a value from a program, converted if necessary.

        Raises:
            ApiTypeError: it has the wrong type.
            ApiValueError: it breaks a rule.
        """
        if type(value) is not self.plain_type and options.check_type and not (value is None and self.nullable):
            if self.wraps and isinstance(value, str):
                return self.value_type(value)
            value = from_program(self.value_type, value, (*options.path_to_item, self.name), options)
        if self.rules and value is not None:
            check_rules(self.name, value, self.rules, options.configuration)
        return value

    def receive(self, value: Any, path: Path) -> Any:
        """Return a value from a response in the type of this member.

        Raises:
            ApiTypeError: it has the wrong type.
        """
        return None if value is None and self.nullable else from_json(self.value_type, value, path)


def member(
    json_name: str,
    value_type: type[T],
    *,
    default: Any = _REQUIRED,
    kw_only: bool = False,
    nullable: bool = False,
    secret: bool = False,
    wraps: bool = False,
    **rules: Any,
) -> T:
    """Declare a member of a model; see `Member` for the arguments.

    Args:
        json_name: the name in JSON.
        value_type: the type.
        default: `UNSET` for an optional member.
        kw_only: whether constructors take it by name only.
        nullable: whether None is a valid value.
        secret: whether texts show `***` in place of the value.
        wraps: whether a `str` is accepted too and converted to the model that is the type.
        rules: `pattern`, `minLength`, `maxLength`, `minimum`, `enum`, as in the contract.
    """
    declared = Member(json_name, value_type, default is _REQUIRED, rules)
    declared.kw_only, declared.nullable, declared.secret, declared.wraps = kw_only, nullable, secret, wraps
    return cast(T, declared)


@dataclass_transform(field_specifiers=(member,))
class ModelType(type):
    """The metaclass of models: it converts the member declarations in a class body to slots and tables."""

    _members: Mapping[str, Member]
    _members_by_json_name: Mapping[str, Member]
    _required: Sequence[str]
    _required_json_names: frozenset[str]
    _positional: Sequence[str]
    _has_nested: bool
    _is_simple: bool
    _takes_names_only: bool

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> ModelType:
        """Create the class. Keywords such as `kw_only` are for type checkers."""
        own = {key: value for key, value in namespace.items() if isinstance(value, Member)}
        for key in own:
            del namespace[key]
        namespace.setdefault("__slots__", tuple(own))
        cls = super().__new__(mcs, name, bases, namespace)
        for key, declared in own.items():
            declared.bind(key, cls.__dict__[key])
        members = {**getattr(cls, "_members", {}), **own}
        cls._members = members
        cls._members_by_json_name = {each.json_name: each for each in members.values()}
        cls._required = tuple(key for key, each in members.items() if each.required)
        cls._required_json_names = frozenset(members[key].json_name for key in cls._required)
        cls._positional = tuple(key for key, each in members.items() if not each.kw_only)
        cls._has_nested = any(each.plain_type is None for each in members.values())
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)


def from_program(value_type: Any, value: Any, path: Path, options: ValidationOptions) -> Any:
    """Return a value from a program in this type.

    Raises:
        ApiTypeError: it has the wrong type.
        ApiValueError: it breaks a rule.
    """
    if type(value_type) is _LIST:
        if not isinstance(value, list):
            raise wrong_type(value, list, path)
        (item,) = value_type.__args__
        return [from_program(item, each, (*path, index), options) for index, each in enumerate(value)]
    is_model = isinstance(value_type, ModelType)
    if not is_model:
        if value_type is int:
            value = _as_int(value)
        if _is_plain(value, value_type):
            return value
    elif isinstance(value, value_type):
        return value
    elif options.convert:
        if value_type._is_simple:
            if _is_plain(_as_int(value), value_type._members["value"].value_type):
                return _build(value_type, {"value": value}, path, options)
        elif isinstance(value, dict):
            return _build(value_type, value, path, options)
    raise wrong_type(value, value_type, path)


def _build(model: Any, members: Mapping[str, Any], path: Path, options: ValidationOptions) -> Any:
    """Return a model with these members."""
    built = object.__new__(model._class_for(members))
    built._set_members((), members, options._replace(path_to_item=path))
    return built


def from_json(value_type: Any, value: Any, path: Path, check: bool = True) -> Any:
    """Return a value from a response in this type.

    Args:
        value_type: the type, or a tuple of possible types; `[type, …]` or `list[type]` for a list of them,
            `{str: (type, …)}` for a dict.
        value: the JSON.
        path: the names and indices that lead to the value.
        check: False to leave the members of models as they are in JSON.

    Raises:
        ApiTypeError: it has the wrong type.
        ApiValueError: it contains a datasource of an unknown type.
    """
    if isinstance(value_type, tuple):
        for each in value_type[:-1]:
            try:
                return from_json(each, value, path, check)
            except (ApiTypeError, ApiValueError):
                continue
        return from_json(value_type[-1], value, path, check)
    if type(value_type) is _LIST or isinstance(value_type, list):
        if not isinstance(value, list):
            raise wrong_type(value, list, path)
        item: Any = tuple(value_type) if isinstance(value_type, list) else value_type.__args__[0]
        if isinstance(item, ModelType):  # the fast path for the many rows of a page
            read = item._from_server  # type: ignore[attr-defined]  # of OpenApiModel, which imports this module
            return [read(each, (*path, index), check) for index, each in enumerate(value)]
        return [from_json(item, each, (*path, index), check) for index, each in enumerate(value)]
    if isinstance(value_type, dict):
        if not isinstance(value, dict):
            raise wrong_type(value, dict, path)
        return {key: from_json(value_type[str], each, (*path, key), check) for key, each in value.items()}
    if isinstance(value_type, ModelType):
        return value_type._from_server(value, path, check)  # type: ignore[attr-defined]
    if value_type is float and type(value) is int:
        return float(value)
    if not _is_plain(value, value_type):
        raise wrong_type(value, value_type, path)
    return value


def wrong_type(value: Any, valid: Union[type, tuple[type, ...]], path: Path, key_type: bool = False) -> ApiTypeError:
    """Return the error for a value, or a key, of the wrong type. Its text has the type of the value, not the value."""
    valid_classes = valid if isinstance(valid, tuple) else (valid,)
    names = sorted(getattr(each, "__name__", str(each)) for each in valid_classes)
    required = f"is {names[0]}" if len(names) == 1 else f"is one of [{', '.join(names)}]"
    return ApiTypeError(
        f"Invalid type for variable '{path[-1]}'. Required {'key' if key_type else 'value'} type {required} and "
        f"passed type was {type(value).__name__}",
        list(path),
        valid_classes,
        key_type,
    )


def _as_int(value: Any) -> Any:
    """Return a whole number of another library, such as `numpy.int64`, as an `int`; anything else unchanged."""
    return operator.index(value) if hasattr(value, "__index__") and not isinstance(value, int) else value


def _is_plain(value: Any, value_type: Any) -> bool:
    """Return whether a value has a type that is not a model. True and False are not numbers here."""
    return isinstance(value, value_type) and (value_type is bool or not isinstance(value, bool))
