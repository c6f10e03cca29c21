"""A point in time."""

from swagger_client.model_utils import ModelSimple, member


class Timestamp(ModelSimple):
    """A point in time: whole Unix seconds from 0 on, as an `int` in `value`."""

    value: int = member("value", int, minimum=0)
