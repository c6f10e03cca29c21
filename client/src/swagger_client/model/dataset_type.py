"""What a dataset is made of."""

from swagger_client.model_utils import ModelSimple, member


class DatasetType(ModelSimple):
    """What a dataset is made of, as a `str` in `value`. It changes no listing."""

    value: str = member("value", str, enum=("Images", "Videos", "Crops"))
