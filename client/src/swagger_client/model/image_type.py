"""Which version of its images a dataset uses."""

from swagger_client.model_utils import ModelSimple, member


class ImageType(ModelSimple):
    """Which version of its images a dataset uses, as a `str` in `value`."""

    value: str = member("value", str, enum=("full", "thumbnail", "meta"))
