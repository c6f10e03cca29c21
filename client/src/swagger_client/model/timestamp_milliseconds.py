"""A point in time, in milliseconds."""

from swagger_client.model_utils import ModelSimple, member


class TimestampMilliseconds(ModelSimple):
    """A point in time: whole Unix milliseconds, 0 or more, as an `int` in `value`."""

    value: int = member("value", int, minimum=0)
