"""The datasource of a dataset: the members that all types have, and how the class for a type is found."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Type

from swagger_client.exceptions import ApiTypeError, ApiValueError
from swagger_client.model_utils import UNSET, ModelComposed, member, wrong_type
from swagger_client.validation_options import Path, ValidationOptions

_CLASS_NAMES = {
    "azure": "DatasourceConfigAzure",
    "gcs": "DatasourceConfigGCS",
    "lightly": "DatasourceConfigLIGHTLY",
    "local": "DatasourceConfigLOCAL",
    "obs": "DatasourceConfigOBS",
    "s3": "DatasourceConfigS3",
    "s3_delegated_access": "DatasourceConfigS3DelegatedAccess",
}
"""The class for each type of datasource, by the end of its module's name."""


class DatasourceConfig(ModelComposed, kw_only=True):
    """The location of a dataset's files.

    The `type` selects the class of the new object: `DatasourceConfig(type="LOCAL", full_path="cameras")` is a
    `DatasourceConfigLOCAL`. The `type` is the short value (`S3`) or the name of the class (`DatasourceConfigS3`).
    `DatasourceConfig(None)` is a placeholder for a configuration that is not known yet; it cannot be sent.

    Attributes:
        type: the type of datasource.
        full_path: bucket or container, and the path in it.
        id: 24 hexadecimal digits, assigned by the server.
        purpose: what the datasource serves: the raw samples (`INPUT`), everything under `.lightly/` (`LIGHTLY`), or
            both (`INPUT_OUTPUT`, the default).
        thumb_suffix: the path of thumbnails, with `[filename]` and `[extension]` as placeholders.
    """

    type: str = member("type", str)
    full_path: str = member("fullPath", str)
    id: str = member("id", str, default=UNSET, pattern="^[a-f0-9]{24}$")
    purpose: str = member("purpose", str, default=UNSET, enum=("INPUT_OUTPUT", "INPUT", "LIGHTLY"))
    thumb_suffix: Optional[str] = member("thumbSuffix", str, default=UNSET, nullable=True)

    if TYPE_CHECKING:

        def __init__(self, placeholder: None = None, /, **members: Any) -> None: ...

    else:

        def __new__(cls, *args: Any, **members: Any) -> DatasourceConfig:
            """Find the class for `type`, whose constructor Python then calls."""
            if args and args != (None,):
                raise ApiTypeError(f"Invalid positional arguments passed to {cls.__name__}: it takes names only")
            return object.__new__(cls if args else cls._class_for(members))

    def _set_members(self, args: Sequence[Any], kwargs: Mapping[str, Any], options: ValidationOptions) -> None:
        if self._has_fixed_type():
            super()._set_members(args, kwargs, options)
        else:
            self._clear()

    @classmethod
    def _class_for(cls, members: Mapping[str, Any]) -> Type[DatasourceConfig]:
        return cls if cls._has_fixed_type() else class_for(members)

    @classmethod
    def _classes_by_type(cls) -> Mapping[str, Type[DatasourceConfig]]:
        return {} if cls._has_fixed_type() else classes_by_type()

    @classmethod
    def _has_fixed_type(cls) -> bool:
        """Return whether this is the class for one type of datasource."""
        return "enum" in cls._members["type"].rules

    @classmethod
    def _from_server(cls, data: Any, path: Path, check: bool = True) -> Any:
        if cls._has_fixed_type():
            return super()._from_server(data, path, check)
        if not isinstance(data, dict):
            raise wrong_type(data, cls, path)
        return class_for(data)._from_server(data, path, check)


def class_for(members: Mapping[str, Any]) -> Type[DatasourceConfig]:
    """Return the class for these members, which can have Python or JSON names.

    Raises:
        ApiValueError: there is no `type`, or no class for it.
    """
    if "type" not in members:
        raise ApiValueError("A DatasourceConfig needs a type, which is missing")
    classes, value = classes_by_type(), members["type"]
    if not isinstance(value, str) or value not in classes:
        raise ApiValueError(f"There is no DatasourceConfig of type {value!r}, only of {', '.join(classes)}")
    return classes[value]


@functools.lru_cache(maxsize=None)
def classes_by_type() -> Mapping[str, Type[DatasourceConfig]]:
    """Return the class for each value of `type`."""
    # By name, because each of these modules imports this one.
    modules = {end: import_module(f"swagger_client.model.datasource_config_{end}") for end in _CLASS_NAMES}
    classes: Sequence[Type[DatasourceConfig]] = [getattr(modules[end], name) for end, name in _CLASS_NAMES.items()]
    return {value: cls for cls in classes for value in cls._members["type"].rules["enum"]}
