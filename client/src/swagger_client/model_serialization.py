"""Convert models to plain values, for JSON and for texts."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

from swagger_client.exceptions import ApiValueError
from swagger_client.model_members import ModelType


def to_json(value: Any) -> Any:
    """Return a value as JSON has it: models become objects with their JSON names.

    Raises:
        ApiValueError: JSON cannot represent a value of this type.
    """
    return to_plain(value, json_names=True)


def to_plain(value: Any, json_names: bool) -> Any:
    """Return a value with all models in it converted to dicts and plain values.

    Args:
        value: a model, or anything that contains models.
        json_names: whether to use the JSON names of members, and convert dates and files too.

    Raises:
        ApiValueError: with `json_names`, JSON cannot represent a value of this type.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value
    model = type(value)
    if isinstance(model, ModelType):
        if model._is_simple:
            return value["value"]
        return {
            member.json_name if json_names and member is not None else name: to_plain(each, json_names)
            for member, name, each in value._items()
        }
    if isinstance(value, (list, tuple)):
        return [to_plain(each, json_names) for each in value]
    if isinstance(value, dict):
        return {key: to_plain(each, json_names) for key, each in value.items()}
    if not json_names:
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, io.IOBase):
        from swagger_client import forms  # no operation of the API sends a file

        return forms.read_and_close(value)
    raise ApiValueError(f"Unable to prepare type {type(value).__name__} for serialization")
