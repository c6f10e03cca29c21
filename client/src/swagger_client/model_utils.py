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

import io
from datetime import date, datetime
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterator,
    Mapping,
    Optional,
    Sequence,
    TypeVar,
    Union,
    cast,
)

from swagger_client.exceptions import ApiAttributeError, ApiTypeError, ApiValueError
from swagger_client.terms import RECEIVED, TERMS, UNCHECKED, USUAL, Path, Terms, check_rules

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        """Say to type checkers, and to nobody else, that constructors follow from the members."""
        return lambda decorated: decorated


T = TypeVar("T")
M = TypeVar("M", bound="OpenApiModel")
UNSET: Any = type("Unset", (), {"__slots__": (), "__repr__": lambda _: "UNSET"})()
"""The default of a member that may be left out: not set, which is not the same as None."""

_REQUIRED: Any = object()
_LIST: Any = type(list[Any])
none_type = type(None)
file_type = io.IOBase
FURTHER_TYPES = (bool, date, datetime, dict, float, int, list, str, none_type)
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

    def check(self, value: Any, terms: Terms) -> Any:
        """The value, if a program may set it.

        Raises:
            ApiTypeError: it has the wrong type.
            ApiValueError: the rules refuse it.
        """
        if type(value) is not self.plain and terms.check_type and not (value is None and self.nullable):
            if self.wraps and isinstance(value, str):
                return self.kind(value)
            value = _taken(self.kind, value, (*terms.path_to_item, self.name), terms)
        if self.rules and value is not None:
            check_rules(self.name, value, self.rules, terms.configuration)
        return value

    def receive(self, value: Any, path: Path) -> Any:
        """What a server sent, in the type of this member.

        Raises:
            ApiTypeError: it is not JSON of that type.
        """
        return None if value is None and self.nullable else _received(self.kind, value, path)


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
    _nests: bool

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
        cls._nests = any(line.plain is None for line in members.values())
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)


class _Table:
    """A table of a model's members in the form of generated clients, made when it is read."""

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name.strip("_")

    def __get__(self, _: Any, owner: type[OpenApiModel]) -> Any:
        from swagger_client import model_tables  # few programs need it

        return getattr(model_tables, self._name)(owner)


class OpenApiModel(metaclass=ModelType):
    """What all models can do.

    Members are attributes and items: `row.file_name`, `row["file_name"]`, `"file_name" in row`, `row.get("file_name")`.
    One that is not set raises ApiAttributeError. Two models are equal if they are of one class and hold the same.

    Beside their members, constructors take the keywords of generated clients: `_check_type`, `_spec_property_naming`,
    `_path_to_item`, `_configuration` (see `Terms`) and `_visited_composed_classes`, which has no effect.
    """

    # A dict of the members that the table does not name, or None; the terms, empty in rows that a server sent.
    __slots__ = ("_further", "_terms")

    openapi_types = _Table()
    attribute_map = _Table()
    allowed_values = _Table()
    validations = _Table()
    discriminator = _Table()
    additional_properties_type = _Table()
    required_properties = _Table()
    read_only_vars = _Table()
    __signature__ = _Table()

    if not TYPE_CHECKING:  # checkers know the constructor and the attributes of each model from its members

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._fill(args, kwargs, USUAL if TERMS.isdisjoint(kwargs) else Terms.taken_from(kwargs))

        def __getattr__(self, name: str) -> Any:
            # Python comes here for slots that are empty, and for names that are no slot.
            if name in OpenApiModel.__slots__:
                raise AttributeError(name)
            value = self.get(name, UNSET)
            if value is UNSET and name[:1] == "_":
                from swagger_client import model_tables  # few programs need it

                return model_tables.private(self, name)
            return self[name] if value is UNSET else value

        def __setattr__(self, name: str, value: Any) -> None:
            self[name] = value

    @classmethod
    def _from_openapi_data(cls: type[M], *args: Any, **kwargs: Any) -> M:
        """As the constructor."""
        make: Callable[..., M] = cls
        return make(*args, **kwargs)

    def _leave_empty(self) -> None:
        _put_further(self, None)

    def _fill(self, args: Sequence[Any], kwargs: Mapping[str, Any], terms: Terms) -> None:
        cls = type(self)
        self._leave_empty()
        _put_terms(self, terms)
        if terms.spec_property_naming:
            lines = cls._by_wire
            kwargs = {lines[name].name if name in lines else name: value for name, value in kwargs.items()}
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
            if not self._takes(name):
                raise ApiTypeError(f"Invalid named argument '{name}' passed to {cls.__name__}", valid_classes=(cls,))
            given[name] = value
        for name in cls._required:
            if name not in given:
                raise ApiTypeError(f"{cls.__name__} needs {name}, which is missing", valid_classes=(cls,))
        for name, value in given.items():
            self[name] = value

    @classmethod
    def _from_server(cls, data: Any, path: Path, check: bool = True) -> Any:
        """A model made from the JSON of an answer; without a check its members stay as JSON has them.

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
            elif type(value) is line.plain or not check:
                line.put(self, value)
            else:
                line.put(self, line.receive(value, (*path, line.name)))
        _put_further(self, further)
        if cls._nests or not check:
            _put_terms(self, RECEIVED if check else UNCHECKED)
        return self

    @classmethod
    def _class_for(cls, members: Mapping[str, Any]) -> type[OpenApiModel]:
        """The class of a model with these members."""
        return cls

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
            line.put(self, line.check(value, terms_of(self)))
            return
        if not isinstance(name, str):
            raise wrong_type(name, str, (name,), key_type=True)
        if not self._takes(name):
            raise ApiAttributeError(f"{type(self).__name__} has no attribute '{name}'", [name])
        if terms_of(self).check_type and not isinstance(value, (*FURTHER_TYPES, OpenApiModel)):
            raise wrong_type(value, FURTHER_TYPES, (*terms_of(self).path_to_item, name))
        _put_further(self, {**_further(self), name: value})

    def set_attribute(self, name: str, value: Any) -> None:
        """Set a member, as `model[name] = value` does."""
        self[name] = value

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
        # A configuration holds a token, so it does not go along.
        return _rebuild, (type(self), *self._state(), terms_of(self)._replace(configuration=None))


_put_further = OpenApiModel.__dict__["_further"].__set__
_read_further = OpenApiModel.__dict__["_further"].__get__
_put_terms = OpenApiModel.__dict__["_terms"].__set__
_read_terms = OpenApiModel.__dict__["_terms"].__get__


def terms_of(model: OpenApiModel) -> Terms:
    """The terms of a model; its slot may be empty where they are the usual ones."""
    try:
        terms: Terms = _read_terms(model)
    except AttributeError:
        return USUAL
    return terms


def _further(model: OpenApiModel) -> Mapping[str, Any]:
    """The members of a model that its table does not name."""
    return _read_further(model) or {}


def _rebuild(cls: type[M], values: Mapping[str, Any], further: Mapping[str, Any], terms: Terms) -> M:
    """A model with these values, unchecked: what copying and unpickling call."""
    self = object.__new__(cls)
    for name, value in values.items():
        cls._members[name].put(self, value)
    _put_further(self, further or None)
    if terms != USUAL:
        _put_terms(self, terms)
    return self


class ModelSimple(OpenApiModel):
    """A model that is one value, in `value`: `Timestamp(1577836800).value`."""

    @classmethod
    def _from_server(cls, data: Any, path: Path, check: bool = True) -> Any:
        self = object.__new__(cls)
        _put_further(self, None)
        line = cls._members["value"]
        line.put(self, line.receive(data, path) if check else data)
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

    def _fill(self, args: Sequence[Any], kwargs: Mapping[str, Any], terms: Terms) -> None:
        if args:
            raise ApiTypeError(
                f"Invalid positional arguments passed to {type(self).__name__}: it takes names only",
                valid_classes=(type(self),),
            )
        try:
            super()._fill(args, kwargs, terms)
        except TypeError as error:
            raise ApiValueError(f"Invalid inputs given to make a {type(self).__name__}: {error}") from error

    @classmethod
    def _from_server(cls, data: Any, path: Path, check: bool = True) -> Any:
        try:
            return super()._from_server(data, path, check)
        except ApiTypeError as error:
            raise ApiValueError(f"The answer holds no {cls.__name__}: {error}") from error


def from_server(kind: Any, data: Any, check_type: bool = True) -> Any:
    """The JSON of an answer in the type that the operation answers.

    Args:
        kind: the type, or a tuple of those that it may have; `[type, …]` or `list[type]` for a list of them,
            `{str: (type, …)}` for a dict.
        data: the JSON.
        check_type: False to leave the members of models as JSON has them.

    Raises:
        ApiTypeError: the answer is not of that type.
        ApiValueError: it holds a datasource whose kind is unknown.
    """
    return _received(kind, data, ("received_data",), check_type)


def to_wire(value: Any) -> Any:
    """A value as JSON has it: models as objects with their names on the wire.

    Raises:
        ApiValueError: JSON has no form for this type.
    """
    return _plain(value, wire=True)


def as_parameter(
    kind: Any, value: Any, name: str, configuration: Any = None, spec_property_naming: bool = False
) -> Any:
    """A parameter of an operation in its type: a model, or what one is made of (`"5000…"`, `1577836800`, a dict).

    Args:
        kind: the type.
        value: the parameter.
        name: its name, for the texts of errors.
        configuration: says which rules the value need not meet.
        spec_property_naming: whether the members of a dict have their names in JSON.

    Raises:
        ApiTypeError: it is neither.
        ApiValueError: it is refused by the rules of its type.
    """
    return _taken(kind, value, (name,), Terms(True, spec_property_naming, (), configuration, convert=True))


def wrong_type(value: Any, valid: Union[type, tuple[type, ...]], path: Path, key_type: bool = False) -> ApiTypeError:
    """The error for a value, or a key, of the wrong type. It names the type of the value, never the value."""
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


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a type that is no model. True and False are no numbers here."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _taken(kind: Any, value: Any, path: Path, terms: Terms) -> Any:
    """What a program gives, in this type."""
    if type(kind) is _LIST:
        if not isinstance(value, list):
            raise wrong_type(value, list, path)
        (item,) = kind.__args__
        return [_taken(item, each, (*path, index), terms) for index, each in enumerate(value)]
    if not issubclass(kind, OpenApiModel):
        if _is(value, kind):
            return value
    elif isinstance(value, kind):
        return value
    elif terms.convert:
        if issubclass(kind, ModelSimple):
            if _is(value, kind._members["value"].kind):
                return _made(kind, {"value": value}, path, terms)
        elif isinstance(value, dict):
            return _made(kind, value, path, terms)
    raise wrong_type(value, kind, path)


def _made(kind: type[OpenApiModel], members: Mapping[str, Any], path: Path, terms: Terms) -> OpenApiModel:
    """A model of these members."""
    model = object.__new__(kind._class_for(members))
    model._fill((), members, terms._replace(path_to_item=path))
    return model


def _received(kind: Any, value: Any, path: Path, check: bool = True) -> Any:
    """What a server sent, in this type; the forms of types are those of `from_server`."""
    if isinstance(kind, tuple):
        for each in kind[:-1]:
            try:
                return _received(each, value, path, check)
            except (ApiTypeError, ApiValueError):
                continue
        return _received(kind[-1], value, path, check)
    if type(kind) is _LIST or isinstance(kind, list):
        if not isinstance(value, list):
            raise wrong_type(value, list, path)
        item = tuple(kind) if isinstance(kind, list) else kind.__args__[0]
        if isinstance(item, type) and issubclass(item, OpenApiModel):  # a page has very many rows
            read = item._from_server
            return [read(each, (*path, index), check) for index, each in enumerate(value)]
        return [_received(item, each, (*path, index), check) for index, each in enumerate(value)]
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise wrong_type(value, dict, path)
        return {key: _received(kind[str], each, (*path, key), check) for key, each in value.items()}
    if issubclass(kind, OpenApiModel):
        return kind._from_server(value, path, check)
    if kind is float and type(value) is int:
        return float(value)
    if not _is(value, kind):
        raise wrong_type(value, kind, path)
    return value


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
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, io.IOBase):
        from swagger_client import forms  # no operation of the API sends a file

        return forms.read_and_close(value)
    raise ApiValueError(f"Unable to prepare type {type(value).__name__} for serialization")
