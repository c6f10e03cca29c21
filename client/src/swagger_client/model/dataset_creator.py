"""Which kind of client made a dataset."""

from swagger_client.model_utils import ModelSimple, member


class DatasetCreator(ModelSimple):
    """Which kind of client made a dataset, as a `str` in `value`."""

    value: str = member(
        "value", str, enum=("UNKNOWN", "USER_WEBAPP", "USER_PIP", "USER_PIP_LIGHTLY_MAGIC", "USER_WORKER")
    )
