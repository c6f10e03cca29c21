"""The properties of a new dataset."""

from typing import Union

from swagger_client.model.dataset_creator import DatasetCreator
from swagger_client.model.dataset_name import DatasetName
from swagger_client.model.dataset_type import DatasetType
from swagger_client.model.image_type import ImageType
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model_utils import UNSET, ModelNormal, member


class DatasetCreateRequest(ModelNormal):
    """The properties of a new dataset: `DatasetCreateRequest("front-camera")`. A `str` is converted to the model.

    Attributes:
        name: its name.
        type: what its samples are.
        img_type: which version of its images it uses.
        creator: the type of client that creates it.
        parent_dataset_id: the dataset that it is derived from.
    """

    name: Union[DatasetName, str] = member("name", DatasetName, wraps=True)
    type: Union[DatasetType, str] = member("type", DatasetType, default=UNSET, kw_only=True, wraps=True)
    img_type: Union[ImageType, str] = member("imgType", ImageType, default=UNSET, kw_only=True, wraps=True)
    creator: Union[DatasetCreator, str] = member("creator", DatasetCreator, default=UNSET, kw_only=True, wraps=True)
    parent_dataset_id: Union[MongoObjectID, str] = member(
        "parentDatasetId", MongoObjectID, default=UNSET, kw_only=True, wraps=True
    )
