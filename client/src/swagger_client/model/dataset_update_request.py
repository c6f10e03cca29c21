"""The new name of a dataset."""

from typing import Union

from swagger_client.model.dataset_name import DatasetName
from swagger_client.model_utils import ModelNormal, member


class DatasetUpdateRequest(ModelNormal):
    """The new name of a dataset.

    Attributes:
        name: the name; a `str` becomes a `DatasetName`.
    """

    name: Union[DatasetName, str] = member("name", DatasetName, wraps=True)
