"""How a dataset is shared."""

from swagger_client.model_utils import ModelSimple, member


class SharedAccessType(ModelSimple):
    """How a dataset is shared with the caller, as a `str` in `value`."""

    value: str = member("value", str, enum=("WRITE",))
