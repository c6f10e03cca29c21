"""What the samples of a dataset are."""

from swagger_client.model_utils import ModelSimple, member


class DatasetType(ModelSimple):
    """What the samples of a dataset are, as a `str` in `value`. It does not affect listings."""

    value: str = member("value", str, enum=("Images", "Videos", "Crops"))
