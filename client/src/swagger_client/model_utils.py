"""What every model is made of: a table of its members, and what reading, writing and checking make of it.

A model is a class whose members are declared in its body; everything else follows from that table:

    class DatasourceRawSamplesDataRow(ModelNormal):
        file_name: str = member("fileName", str)
        read_url: str = member("readUrl", str)

Values that a program sets are checked against the type and the rules of their member. Values that a server sent
are checked against the type only, so that a newer server (a region, an error code that this version does not
know) can be read. Members that the table does not name are kept under their own name.

The values lie in slots: a page of many rows is built quickly and takes little memory.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional, Sequence, Tuple, TypeVar, Union, cast

from swagger_client.exceptions import ApiAttributeError, ApiTypeError, ApiValueError

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        """Say to type checkers, and to nobody else, that constructors follow from the members."""
        return lambda decorated: decorated


T = TypeVar("T")
M = TypeVar("M", bound="OpenApiModel")
Path = Tuple[Any, ...]
"""The names and indices that lead to a value, for the texts of errors."""

UNSET: Any = type("Unset", (), {"__slots__": (), "__repr__": lambda _: "UNSET"})()
"""The default of a member that may be left out: not set, which is not the same as None."""

_REQUIRED: Any = object()
_LIST: Any = type(list[Any])
_FURTHER = (bool, int, float, str, list, dict, datetime.datetime, datetime.date, type(None))
"""The types of members that a model does not declare."""


class Member:
    """One line of a model's table.

    Attributes:
        name: the name in Python.
        wire: the name in JSON.
        kind: the type: `str`, `int`, `bool`, a model, or `list[…]` of one of these.
        required: whether the constructor needs it.
        rules: what a value must meet beyond its type, named as in OpenAPI: `pattern`,
            `minLength`, `maxLength`, `minimum`, `enum`.
        kw_only: whether constructors take it by name only.
        nullable: whether None is a value of it.
        secret: whether texts show `***` in place of the value.
        wraps: whether a `str` is taken too, and made into the model that is the type.
    """

    name: str
    put: Callable[[OpenApiModel, Any], None]
    read: Callable[[OpenApiModel], Any]

    def __init__(self, wire: str, kind: Any, required: bool, rules: Mapping[str, Any]) -> None:
        self.wire = wire
        self.kind = kind
        self.plain = kind if kind in (str, int, bool) else None
        self.required = required
        self.rules = rules
        self.kw_only = self.nullable = self.secret = self.wraps = False

    def bind(self, name: str, slot: Any) -> None:
        """Learn under which name, and in which slot of its class, the values lie."""
        self.name = name
        self.put = slot.__set__
        self.read = slot.__get__

    def check(self, value: Any, path: Path) -> Any:
        """The value, if a program may set it.

        Raises:
            ApiTypeError: it has the wrong type.
            ApiValueError: the rules refuse it.
        """
        if self.wraps and isinstance(value, str):
            return self.kind(value)
        value = self.convert(value, path, from_server=False)
        if self.rules and value is not None:
            _check_rules(self.name, value, self.rules)
        return value

    def convert(self, value: Any, path: Path, from_server: bool) -> Any:
        """The value in the type of this member.

        Raises:
            ApiTypeError: it is not of that type, nor (from a server) JSON of it.
        """
        return None if value is None and self.nullable else _convert(self.kind, value, path, from_server)


def member(
    wire: str,
    kind: type[T],
    *,
    default: Any = _REQUIRED,
    kw_only: bool = False,
    nullable: bool = False,
    secret: bool = False,
    wraps: bool = False,
    **rules: Any,
) -> T:
    """Declare a member of a model.

    Args:
        wire: its name in JSON.
        kind: its type.
        default: `UNSET` where it may be left out.
        kw_only: whether constructors take it by name only.
        nullable: whether None is a value of it.
        secret: whether texts show `***` in place of its value.
        wraps: whether a `str` is taken too, and made into the model that is the type.
        rules: `pattern`, `minLength`, `maxLength`, `minimum`, `enum`, as the contract has them.
    """
    line = Member(wire, kind, default is _REQUIRED, rules)
    line.kw_only, line.nullable, line.secret, line.wraps = kw_only, nullable, secret, wraps
    return cast(T, line)


@dataclass_transform(field_specifiers=(member,))
class ModelType(type):
    """Turns the members in the body of a class into slots and a table."""

    _members: Mapping[str, Member]
    _by_wire: Mapping[str, Member]
    _required: Sequence[str]
    _required_wires: frozenset[str]
    _positional: Sequence[str]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> ModelType:
        """Make the class. Keywords such as `kw_only` are for type checkers."""
        own = {key: value for key, value in namespace.items() if isinstance(value, Member)}
        for key in own:
            del namespace[key]
        namespace.setdefault("__slots__", tuple(own))
        cls = super().__new__(mcs, name, bases, namespace)
        for key, line in own.items():
            line.bind(key, cls.__dict__[key])
        members = {**getattr(cls, "_members", {}), **own}
        cls._members = members
        cls._by_wire = {line.wire: line for line in members.values()}
        cls._required = tuple(key for key, line in members.items() if line.required)
        cls._required_wires = frozenset(members[key].wire for key in cls._required)
        cls._positional = tuple(key for key, line in members.items() if not line.kw_only)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)


class OpenApiModel(metaclass=ModelType):
    """What all models can do.

    Members are attributes and items: `row.file_name`, `row["file_name"]`, `"file_name" in row`, `row.get("file_name")`.
    One that is not set raises ApiAttributeError. Two models are equal if they are of one class and hold the same.
    """

    __slots__ = ("_further",)  # a dict of the members that the table does not name, or None

    if not TYPE_CHECKING:  # checkers know the constructor and the attributes of each model from its members

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._fill(args, kwargs)

        def __getattr__(self, name: str) -> Any:
            # Python comes here for slots that are empty, and for names that are no slot.
            if name == "_further":
                raise AttributeError(name)
            return self[name]

        def __setattr__(self, name: str, value: Any) -> None:
            self[name] = value

    def _leave_empty(self) -> None:
        _put_further(self, None)

    def _fill(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        cls = type(self)
        self._leave_empty()
        if len(args) > len(cls._positional):
            raise ApiTypeError(
                f"Invalid positional arguments passed to {cls.__name__}: "
                f"it takes {len(cls._positional)}, {len(args)} were given",
                valid_classes=(cls,),
            )
        given = dict(zip(cls._positional, args))  # noqa: B905  as many as there are; strict= needs Python 3.10
        for name, value in kwargs.items():
            if name in given:
                raise ApiTypeError(f"{cls.__name__} got two values for '{name}'", valid_classes=(cls,))
            if name.startswith("_") or not self._takes(name):
                raise ApiTypeError(f"Invalid named argument '{name}' passed to {cls.__name__}", valid_classes=(cls,))
            given[name] = value
        for name in cls._required:
            if name not in given:
                raise ApiTypeError(f"{cls.__name__} needs {name}, which is missing", valid_classes=(cls,))
        for name, value in given.items():
            self[name] = value

    @classmethod
    def _from_server(cls, data: Any, path: Path) -> Any:
        """A model made from the JSON of an answer.

        Raises:
            ApiTypeError: a member is missing or has the wrong type.
        """
        if type(data) is not dict:
            raise wrong_type(data, cls, path)
        if not cls._required_wires <= data.keys():
            missing = sorted(cls._required_wires - data.keys())
            raise ApiTypeError(f"The answer lacks {', '.join(missing)} of {cls.__name__}", path, (cls,))
        self = object.__new__(cls)
        further = None
        by_wire = cls._by_wire
        for wire, value in data.items():
            line = by_wire.get(wire)
            if line is None:
                if further is None:
                    further = {}
                further[wire] = value
            elif type(value) is line.plain:
                line.put(self, value)
            else:
                line.put(self, line.convert(value, (*path, line.name), from_server=True))
        _put_further(self, further)
        return self

    @classmethod
    def _takes(cls, name: str) -> bool:
        """Whether a member of this name can be set."""
        return True

    def _items(self) -> Iterator[tuple[Optional[Member], str, Any]]:
        """The members that are set, with their line of the table; None for one that the table does not name."""
        for name, line in type(self)._members.items():
            try:
                yield line, name, line.read(self)
            except AttributeError:
                continue
        for name, value in _further(self).items():
            yield None, name, value

    def _state(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The members that the table names, and those that it does not; a server may give both the same name."""
        return {name: value for line, name, value in self._items() if line is not None}, _further(self)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a member, or the default where it is not set."""
        line = type(self)._members.get(name)
        if line is None:
            return _further(self).get(name, default)
        try:
            return line.read(self)
        except AttributeError:
            return default

    def __getitem__(self, name: str) -> Any:
        value = self.get(name, UNSET)
        if value is UNSET:
            raise ApiAttributeError(f"{type(self).__name__} has no attribute '{name}'", [name])
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        line = type(self)._members.get(name)
        if line is not None:
            line.put(self, line.check(value, (name,)))
            return
        if not isinstance(name, str):
            raise wrong_type(name, str, (name,))
        if not self._takes(name):
            raise ApiAttributeError(f"{type(self).__name__} has no attribute '{name}'", [name])
        if not isinstance(value, (*_FURTHER, OpenApiModel)):
            raise wrong_type(value, _FURTHER, (name,))
        _put_further(self, {**_further(self), name: value})

    def __contains__(self, name: str) -> bool:
        return self.get(name, UNSET) is not UNSET

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]  # a model can be changed

    def to_str(self) -> str:
        """The model as text, with secrets hidden."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.to_str()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), *self._state())


_put_further = OpenApiModel.__dict__["_further"].__set__
_read_further = OpenApiModel.__dict__["_further"].__get__


def _further(model: OpenApiModel) -> Mapping[str, Any]:
    """The members of a model that its table does not name."""
    return _read_further(model) or {}


def _rebuild(cls: type[M], values: Mapping[str, Any], further: Mapping[str, Any]) -> M:
    """A model with these values, unchecked: what copying and unpickling call."""
    self = object.__new__(cls)
    for name, value in values.items():
        cls._members[name].put(self, value)
    _put_further(self, further or None)
    return self


class ModelSimple(OpenApiModel):
    """A model that is one value, in `value`: `Timestamp(1577836800).value`."""

    @classmethod
    def _from_server(cls, data: Any, path: Path) -> Any:
        self = object.__new__(cls)
        _put_further(self, None)
        line = cls._members["value"]
        line.put(self, line.convert(data, path, from_server=True))
        return self

    @classmethod
    def _takes(cls, name: str) -> bool:
        return name == "value"

    def to_str(self) -> str:
        """The value as text."""
        return str(self["value"])


class ModelNormal(OpenApiModel):
    """A model that is an object of members."""

    def to_dict(self) -> dict[str, Any]:
        """The members that are set, by their names in Python, down to plain values. Secrets are in it."""
        return {name: _plain(value, wire=False) for _, name, value in self._items()}

    def to_str(self) -> str:
        """The members that are set, by their names in Python, as text. Secrets are hidden."""
        import pprint  # not needed by a program that prints no model, and slow to import

        shown = {
            name: "***" if line is not None and line.secret else _plain(value, wire=False)
            for line, name, value in self._items()
        }
        return pprint.pformat(shown)


class ModelComposed(ModelNormal):
    """A model whose schema is composed of others.

    Its constructor takes names only, and raises ApiValueError for whatever its schemas refuse, a wrong type too.
    """

    def _fill(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if args:
            raise ApiTypeError(
                f"Invalid positional arguments passed to {type(self).__name__}: it takes names only",
                valid_classes=(type(self),),
            )
        try:
            super()._fill(args, kwargs)
        except ApiTypeError as error:
            raise ApiValueError(f"Invalid inputs given to make a {type(self).__name__}: {error}") from error

    @classmethod
    def _from_server(cls, data: Any, path: Path) -> Any:
        try:
            return super()._from_server(data, path)
        except ApiTypeError as error:
            raise ApiValueError(f"The answer holds no {cls.__name__}: {error}") from error


def from_server(kind: Any, data: Any) -> Any:
    """The JSON of an answer in the type that the operation answers.

    Raises:
        ApiTypeError: the answer is not of that type.
        ApiValueError: the answer is no model of a composed schema, or its discriminator is unknown.
    """
    return _convert(kind, data, ("received_data",), from_server=True)


def to_wire(value: Any) -> Any:
    """A value as JSON has it: models as objects with their names on the wire.

    Raises:
        ApiValueError: JSON has no form for this type.
    """
    return _plain(value, wire=True)


def as_parameter(kind: type[M], value: Any, name: str) -> M:
    """A parameter of an operation in its type: a model, or what one is made of (`"5000…"`, `1577836800`, a dict).

    Raises:
        ApiTypeError: it is neither.
        ApiValueError: it is refused by the rules of its type.
    """
    if isinstance(value, kind):
        return value
    make: Callable[..., M] = kind
    if issubclass(kind, ModelSimple):
        plain = kind._members["value"].kind
        if isinstance(value, plain) and not (plain is int and isinstance(value, bool)):
            return make(value)
    elif isinstance(value, dict):
        return make(**{key: _as_member(kind, key, each) for key, each in value.items()})
    raise wrong_type(value, kind, (name,))


def _as_member(kind: type[OpenApiModel], name: str, value: Any) -> Any:
    line = kind._members.get(name)
    if line is None or not isinstance(line.kind, ModelType):
        return value
    expected: Any = line.kind
    return as_parameter(expected, value, name)


def wrong_type(value: Any, valid: Union[type, tuple[type, ...]], path: Path) -> ApiTypeError:
    """The error for a value of the wrong type. It names the type of the value, never the value."""
    valid_classes = valid if isinstance(valid, tuple) else (valid,)
    names = sorted(each.__name__ for each in valid_classes)
    required = f"is {names[0]}" if len(names) == 1 else f"is one of [{', '.join(names)}]"
    return ApiTypeError(
        f"Invalid type for variable '{path[-1]}'. Required value type {required} and "
        f"passed type was {type(value).__name__}",
        list(path),
        valid_classes,
        key_type=False,
    )


def _convert(kind: Any, value: Any, path: Path, from_server: bool) -> Any:
    if type(kind) is _LIST:
        if not isinstance(value, list):
            raise wrong_type(value, list, path)
        (item,) = kind.__args__
        return [_convert(item, each, (*path, index), from_server) for index, each in enumerate(value)]
    if issubclass(kind, OpenApiModel):
        if from_server:
            return kind._from_server(value, path)
        if isinstance(value, kind):
            return value
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise wrong_type(value, kind, path)


def _check_rules(name: str, value: Any, rules: Mapping[str, Any]) -> None:
    """Texts name the rule, not the value, which may be a secret; one that must be of a list is none."""
    if "enum" in rules and value not in rules["enum"]:
        raise ApiValueError(f"Invalid value for `{name}` ({value}), must be one of {list(rules['enum'])}")
    if "minLength" in rules and len(value) < rules["minLength"]:
        raise ApiValueError(
            f"Invalid value for `{name}`, length must be greater than or equal to `{rules['minLength']}`"
        )
    if "maxLength" in rules and len(value) > rules["maxLength"]:
        raise ApiValueError(f"Invalid value for `{name}`, length must be less than or equal to `{rules['maxLength']}`")
    if "minimum" in rules and value < rules["minimum"]:
        raise ApiValueError(
            f"Invalid value for `{name}`, must be a value greater than or equal to `{rules['minimum']}`"
        )
    if "pattern" in rules and not re.search(rules["pattern"], value):
        raise ApiValueError(f"Invalid value for `{name}`, must match regular expression `{rules['pattern']}`")


def _plain(value: Any, wire: bool) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, ModelSimple):
        return value["value"]
    if isinstance(value, OpenApiModel):
        return {
            line.wire if wire and line is not None else name: _plain(each, wire) for line, name, each in value._items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(each, wire) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each, wire) for key, each in value.items()}
    if not wire:
        return value
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    raise ApiValueError(f"Unable to prepare type {type(value).__name__} for serialization")
