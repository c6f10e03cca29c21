"""The id of a dataset or datasource."""

from swagger_client.model_utils import ModelSimple, member


class MongoObjectID(ModelSimple):
    """The id of a dataset or datasource: 24 lower-case hexadecimal digits, as a `str` in `value`."""

    value: str = member("value", str, pattern="^[a-f0-9]{24}$")
