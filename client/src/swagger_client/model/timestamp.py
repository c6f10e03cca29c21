"""A point in time, in seconds."""

from swagger_client.model_utils import ModelSimple, member


class Timestamp(ModelSimple):
    """A point in time: whole Unix seconds, 0 or more, as an `int` in `value`."""

    value: int = member("value", int, minimum=0)
