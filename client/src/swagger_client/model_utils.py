"""The base classes of all models: attribute and item access, constructors, comparison, copies and texts.

`model_members` describes how models are declared.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional, Sequence, TypeVar

from swagger_client.exceptions import ApiAttributeError, ApiTypeError, ApiValueError
from swagger_client.model_members import (
    ADDITIONAL_TYPES,
    UNSET,
    Member,
    ModelType,
    file_type,
    from_json,
    from_program,
    member,
    none_type,
    wrong_type,
)
from swagger_client.model_serialization import to_json, to_plain
from swagger_client.validation_options import (
    DEFAULT_OPTIONS,
    OPTION_KEYWORDS,
    RESPONSE_OPTIONS,
    UNCHECKED_OPTIONS,
    Path,
    ValidationOptions,
)

__all__ = [
    "UNSET",
    "ApiAttributeError",
    "ApiTypeError",
    "ApiValueError",
    "Member",
    "ModelComposed",
    "ModelNormal",
    "ModelSimple",
    "ModelType",
    "OpenApiModel",
    "as_parameter",
    "date",
    "datetime",
    "file_type",
    "from_server",
    "member",
    "none_type",
    "to_json",
    "wrong_type",
]

M = TypeVar("M", bound="OpenApiModel")


class _Table:
    """A table of a model's members in the form of the generated client, computed when it is read."""

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name.strip("_")

    def __get__(self, _: Any, owner: type[OpenApiModel]) -> Any:
        from swagger_client import model_tables  # few programs need it

        return getattr(model_tables, self._name)(owner)


class OpenApiModel(metaclass=ModelType):
    """The base class of all models.

    Members are attributes and items: `row.file_name`, `row["file_name"]`, `"file_name" in row`, `row.get("file_name")`.
    Reading one that is not set raises ApiAttributeError. Two models are equal if they have the same class and members.

    Besides members, constructors take the keywords of the generated client: `_check_type`, `_spec_property_naming`,
    `_path_to_item`, `_configuration` (see `ValidationOptions`) and `_visited_composed_classes`, which has no effect.
    """

    # `_additional`: a dict of the members without a declaration, or None.
    # `_validation_options`: empty in rows from a server, which need the default only.
    __slots__ = ("_additional", "_validation_options")

    openapi_types = _Table()
    attribute_map = _Table()
    allowed_values = _Table()
    validations = _Table()
    discriminator = _Table()
    additional_properties_type = _Table()
    required_properties = _Table()
    read_only_vars = _Table()
    __signature__ = _Table()

    _is_simple = False
    _takes_names_only = False

    if not TYPE_CHECKING:  # type checkers derive the constructor and the attributes of each model from its members

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            default = OPTION_KEYWORDS.isdisjoint(kwargs)
            self._set_members(args, kwargs, DEFAULT_OPTIONS if default else ValidationOptions.pop_from(kwargs))

        def __getattr__(self, name: str) -> Any:
            # Python calls this for empty slots, and for names that are not slots.
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
        """Return a model, as the constructor does."""
        make: Callable[..., M] = cls
        return make(*args, **kwargs)

    def _set_members(self, args: Sequence[Any], kwargs: Mapping[str, Any], options: ValidationOptions) -> None:
        cls = type(self)
        self._clear()
        _write_options(self, options)
        if options.spec_property_naming:
            declared = cls._members_by_json_name
            kwargs = {declared[name].name if name in declared else name: value for name, value in kwargs.items()}
        if len(args) > len(cls._positional):
            raise ApiTypeError(
                f"Invalid positional arguments passed to {cls.__name__}: "
                f"it takes {len(cls._positional)}, {len(args)} were given",
                valid_classes=(cls,),
            )
        given = dict(zip(cls._positional, args))  # noqa: B905  checked above; strict= needs Python 3.10
        for name, value in kwargs.items():
            if name in given:
                raise ApiTypeError(f"{cls.__name__} got two values for '{name}'", valid_classes=(cls,))
            if not self._accepts(name):
                raise ApiTypeError(f"Invalid named argument '{name}' passed to {cls.__name__}", valid_classes=(cls,))
            given[name] = value
        for name in cls._required:
            if name not in given:
                raise ApiTypeError(f"{cls.__name__} needs {name}, which is missing", valid_classes=(cls,))
        for name, value in given.items():
            self[name] = value

    def _clear(self) -> None:
        _write_additional(self, None)

    @classmethod
    def _from_server(cls, data: Any, path: Path, check: bool = True) -> Any:
        """Return a model from the JSON of a response; without `check` its members stay as they are in JSON.

        Raises:
            ApiTypeError: a member is missing or has the wrong type.
        """
        if type(data) is not dict:
            raise wrong_type(data, cls, path)
        if not cls._required_json_names <= data.keys():
            missing = sorted(cls._required_json_names - data.keys())
            raise ApiTypeError(f"The response lacks {', '.join(missing)} of {cls.__name__}", path, (cls,))
        self = object.__new__(cls)
        additional = None
        by_json_name = cls._members_by_json_name
        for json_name, value in data.items():
            declared = by_json_name.get(json_name)
            if declared is None:
                if additional is None:
                    additional = {}
                additional[json_name] = value
            elif type(value) is declared.plain_type or not check:
                declared.write(self, value)
            else:
                declared.write(self, declared.receive(value, (*path, declared.name)))
        _write_additional(self, additional)
        if cls._has_nested or not check:
            _write_options(self, RESPONSE_OPTIONS if check else UNCHECKED_OPTIONS)
        return self

    @classmethod
    def _class_for(cls, members: Mapping[str, Any]) -> type[OpenApiModel]:
        """Return the class of a model with these members."""
        return cls

    @classmethod
    def _classes_by_type(cls) -> Mapping[str, type[OpenApiModel]]:
        """Return the classes that a model of this class can become, by their value of `type`."""
        return {}

    @classmethod
    def _accepts(cls, name: str) -> bool:
        """Return whether a member of this name can be set."""
        return True

    def _options(self) -> ValidationOptions:
        try:
            options: ValidationOptions = _read_options(self)
        except AttributeError:
            return DEFAULT_OPTIONS
        return options

    def _items(self) -> Iterator[tuple[Optional[Member], str, Any]]:
        """Yield the declaration (None for a member without one), name and value of each member that is set."""
        for name, declared in type(self)._members.items():
            try:
                yield declared, name, declared.read(self)
            except AttributeError:
                continue
        for name, value in _additional(self).items():
            yield None, name, value

    def _state(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return the members with and without a declaration, separately: a response can give both the same name."""
        declared = {name: value for member, name, value in self._items() if member is not None}
        return declared, _additional(self)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a member, or the default if it is not set."""
        declared = type(self)._members.get(name)
        if declared is None:
            return _additional(self).get(name, default)
        try:
            return declared.read(self)
        except AttributeError:
            return default

    def __getitem__(self, name: str) -> Any:
        value = self.get(name, UNSET)
        if value is UNSET:
            raise ApiAttributeError(f"{type(self).__name__} has no attribute '{name}'", [name])
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        declared = type(self)._members.get(name)
        if declared is not None:
            declared.write(self, declared.check(value, self._options()))
            return
        if not isinstance(name, str):
            raise wrong_type(name, str, (name,), key_type=True)
        if not self._accepts(name):
            raise ApiAttributeError(f"{type(self).__name__} has no attribute '{name}'", [name])
        if self._options().check_type and not isinstance(value, (*ADDITIONAL_TYPES, OpenApiModel)):
            raise wrong_type(value, ADDITIONAL_TYPES, (*self._options().path_to_item, name))
        _write_additional(self, {**_additional(self), name: value})

    def set_attribute(self, name: str, value: Any) -> None:
        """Set a member, as `model[name] = value` does."""
        self[name] = value

    def __contains__(self, name: str) -> bool:
        return self.get(name, UNSET) is not UNSET

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]  # models are mutable

    def to_str(self) -> str:
        """Return the model as text, with secrets hidden."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.to_str()

    def __reduce__(self) -> tuple[Any, ...]:
        # A configuration contains a token, so it is left out.
        return _rebuild, (type(self), *self._state(), self._options()._replace(configuration=None))


_write_additional = OpenApiModel.__dict__["_additional"].__set__
_read_additional = OpenApiModel.__dict__["_additional"].__get__
_write_options = OpenApiModel.__dict__["_validation_options"].__set__
_read_options = OpenApiModel.__dict__["_validation_options"].__get__


def _additional(model: OpenApiModel) -> Mapping[str, Any]:
    """Return the members of a model that have no declaration."""
    return _read_additional(model) or {}


def _rebuild(cls: type[M], values: Mapping[str, Any], additional: Mapping[str, Any], options: ValidationOptions) -> M:
    """Return a model with these values, unchecked. Copying and unpickling call this."""
    self = object.__new__(cls)
    for name, value in values.items():
        cls._members[name].write(self, value)
    _write_additional(self, additional or None)
    if options != DEFAULT_OPTIONS:
        _write_options(self, options)
    return self


class ModelSimple(OpenApiModel):
    """A model with a single value, in `value`: `Timestamp(1577836800).value`."""

    _is_simple = True

    @classmethod
    def _from_server(cls, data: Any, path: Path, check: bool = True) -> Any:
        self = object.__new__(cls)
        _write_additional(self, None)
        declared = cls._members["value"]
        declared.write(self, declared.receive(data, path) if check else data)
        return self

    @classmethod
    def _accepts(cls, name: str) -> bool:
        return name == "value"

    def to_str(self) -> str:
        """Return the value as text."""
        return str(self["value"])


class ModelNormal(OpenApiModel):
    """A model that is a JSON object."""

    def to_dict(self) -> dict[str, Any]:
        """Return the members that are set, by their Python names, as plain values. It includes secrets."""
        return {name: to_plain(value, json_names=False) for _, name, value in self._items()}

    def to_str(self) -> str:
        """Return the members that are set, by their Python names, as text. Secrets are hidden."""
        import pprint  # slow to import, and only needed to print a model

        shown = {
            name: "***" if declared is not None and declared.secret else to_plain(value, json_names=False)
            for declared, name, value in self._items()
        }
        return pprint.pformat(shown)


class ModelComposed(ModelNormal):
    """A model whose schema is composed of others.

    Its constructor takes names only, and raises ApiValueError for every invalid value, even one of the wrong type.
    """

    _takes_names_only = True

    def _set_members(self, args: Sequence[Any], kwargs: Mapping[str, Any], options: ValidationOptions) -> None:
        if args:
            raise ApiTypeError(
                f"Invalid positional arguments passed to {type(self).__name__}: it takes names only",
                valid_classes=(type(self),),
            )
        try:
            super()._set_members(args, kwargs, options)
        except TypeError as error:
            raise ApiValueError(f"Invalid inputs given to make a {type(self).__name__}: {error}") from error

    @classmethod
    def _from_server(cls, data: Any, path: Path, check: bool = True) -> Any:
        try:
            return super()._from_server(data, path, check)
        except ApiTypeError as error:
            raise ApiValueError(f"The response is not a {cls.__name__}: {error}") from error


def from_server(value_type: Any, data: Any, check_type: bool = True) -> Any:
    """Return the JSON of a response in the type that the operation returns; see `from_json` for types and errors.

    Args:
        value_type: the type.
        data: the JSON.
        check_type: False to leave the members of models as they are in JSON.
    """
    return from_json(value_type, data, ("received_data",), check_type)


def as_parameter(
    value_type: Any, value: Any, name: str, configuration: Any = None, spec_property_naming: bool = False
) -> Any:
    """Return a parameter of an operation in its type, converted from a plain value (a text, a number, a dict).

    Args:
        value_type: the type.
        value: the parameter.
        name: its name, for error texts.
        configuration: the configuration that says which rules are disabled.
        spec_property_naming: whether the keys of a dict are JSON names.

    Raises:
        ApiTypeError: it has the wrong type and cannot be converted.
        ApiValueError: it breaks a rule of its type.
    """
    options = ValidationOptions(True, spec_property_naming, (), configuration, convert=True)
    return from_program(value_type, value, (name,), options)
