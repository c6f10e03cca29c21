"""The type of client that created a dataset."""

from swagger_client.model_utils import ModelSimple, member


class DatasetCreator(ModelSimple):
    """The type of client that created a dataset, as a `str` in `value`."""

    value: str = member(
        "value", str, enum=("UNKNOWN", "USER_WEBAPP", "USER_PIP", "USER_PIP_LIGHTLY_MAGIC", "USER_WORKER")
    )
