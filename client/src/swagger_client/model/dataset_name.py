"""The name of a dataset."""

from swagger_client.model_utils import ModelSimple, member


class DatasetName(ModelSimple):
    """The name of a dataset, as a `str` in `value`.

    3 to 255 letters, digits, spaces, `_` and `-`; the first is a letter or digit. Unique for each owner.
    """

    value: str = member("value", str, minLength=3, maxLength=255, pattern="^[a-zA-Z0-9][a-zA-Z0-9 _-]+$")
