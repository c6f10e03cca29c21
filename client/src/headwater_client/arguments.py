"""Check arguments: ids of datasets, and numbers.

Numbers of other libraries, such as numpy's, are accepted like Python's own.
"""

from __future__ import annotations

import math
import numbers
import operator
import re
from typing import Any

from headwater_client.file_names import printable
from swagger_client.exceptions import ApiTypeError, ApiValueError

_DATASET_ID = re.compile("[0-9a-f]{24}")


def check_dataset_id(value: Any) -> None:
    """Refuse a text that is not the id of a dataset, such as its name. Other types are checked by the call.

    Raises:
        ApiValueError: it is not 24 hexadecimal digits.
    """
    if isinstance(value, str) and not _DATASET_ID.fullmatch(value):
        raise ApiValueError(
            f"dataset_id is {printable(value)}: the id of a dataset has 24 hexadecimal digits (0-9, a-f). "
            "To find it by the name: "
            "next(each.id for each in DatasetsApi(api_client).get_datasets() if each.name.value == name)",
            ["dataset_id"],
        )


def whole_number(value: Any, name: str, minimum: int) -> int:
    """Return a whole number as an `int`.

    Raises:
        ApiTypeError: it is not a whole number; True and False are not numbers here.
        ApiValueError: it is less than the minimum.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ApiTypeError(f"{name} must be a whole number, not {type(value).__name__}", [name], (int,))
    number = operator.index(value)
    if number < minimum:
        raise ApiValueError(f"{name} is {number}: it must be {minimum} or more", [name])
    return number


def seconds(value: Any, name: str, *, zero: bool = True) -> float:
    """Return a number of seconds as a `float`.

    Args:
        value: the number.
        name: the name of the parameter, for error texts.
        zero: whether 0 is valid.

    Raises:
        ApiTypeError: it is not a number.
        ApiValueError: it is negative, infinite or not a number (NaN), or 0.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ApiTypeError(f"{name} must be a number of seconds, not {type(value).__name__}", [name], (float, int))
    number = float(value)
    if not (0 <= number < math.inf and (zero or number)):
        required = "0 or more seconds" if zero else "more than 0 seconds"
        raise ApiValueError(f"{name} is {value}: it must be {required}", [name])
    return number
