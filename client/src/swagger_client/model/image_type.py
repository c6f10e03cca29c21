"""Which form of its images a dataset was made for."""

from swagger_client.model_utils import ModelSimple, member


class ImageType(ModelSimple):
    """Which form of its images a dataset was made for, as a `str` in `value`."""

    value: str = member("value", str, enum=("full", "thumbnail", "meta"))
