"""Where a dataset's files lie: what all kinds of storage have in common, and how the right kind is found."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Type

from swagger_client.exceptions import ApiTypeError, ApiValueError
from swagger_client.model_utils import UNSET, ModelComposed, member, wrong_type
from swagger_client.terms import Path, Terms


class DatasourceConfig(ModelComposed, kw_only=True):
    """Where a dataset's files lie.

    Made with a `type` it becomes the class of that kind: `DatasourceConfig(type="LOCAL", full_path="cameras")` is a
    `DatasourceConfigLOCAL`. The `type` is the short value (`S3`) or the name of the class (`DatasourceConfigS3`).
    `DatasourceConfig(None)` stands where a configuration is still to be filled in; it cannot be sent.

    Attributes:
        type: the kind of storage.
        full_path: bucket or container, and the path in it.
        id: 24 hexadecimal digits, given by the server.
        purpose: what the datasource serves: the raw samples (`INPUT`), everything under `.lightly/` (`LIGHTLY`), or
            both (`INPUT_OUTPUT`), as also where it is left out.
        thumb_suffix: where thumbnails are, with `[filename]` and `[extension]` as placeholders.
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

    def _fill(self, args: Sequence[Any], kwargs: Mapping[str, Any], terms: Terms) -> None:
        if self._is_kind():
            super()._fill(args, kwargs, terms)
        else:
            self._leave_empty()

    @classmethod
    def _class_for(cls, members: Mapping[str, Any]) -> Type[DatasourceConfig]:
        return cls if cls._is_kind() else kind_of(members)

    @classmethod
    def _is_kind(cls) -> bool:
        return "enum" in cls._members["type"].rules

    @classmethod
    def _from_server(cls, data: Any, path: Path, check: bool = True) -> Any:
        if cls._is_kind():
            return super()._from_server(data, path, check)
        if not isinstance(data, dict):
            raise wrong_type(data, cls, path)
        return kind_of(data)._from_server(data, path, check)


def kind_of(members: Mapping[str, Any]) -> Type[DatasourceConfig]:
    """The class for these members, named as in Python or JSON.

    Raises:
        ApiValueError: there is no `type`, or no kind of this `type`.
    """
    if "type" not in members:
        raise ApiValueError("A DatasourceConfig needs a type, which is missing")
    kinds, value = kinds_by_type(), members["type"]
    if not isinstance(value, str) or value not in kinds:
        raise ApiValueError(f"There is no DatasourceConfig of type {value!r}, only of {', '.join(kinds)}")
    return kinds[value]


@functools.lru_cache(maxsize=None)
def kinds_by_type() -> Mapping[str, Type[DatasourceConfig]]:
    """Every kind of storage, by the values of `type` that lead to it."""
    from swagger_client import models  # each kind imports this module, so they cannot be imported above

    kinds = models.DatasourceConfigBase.__subclasses__()
    return {value: kind for kind in kinds for value in kind._members["type"].rules["enum"]}
