"""A point in time, finer."""

from swagger_client.model_utils import ModelSimple, member


class TimestampMilliseconds(ModelSimple):
    """A point in time: whole Unix milliseconds from 0 on, as an `int` in `value`."""

    value: int = member("value", int, minimum=0)
