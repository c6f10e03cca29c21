"""A dataset to make."""

from typing import Union

from swagger_client.model.dataset_creator import DatasetCreator
from swagger_client.model.dataset_name import DatasetName
from swagger_client.model.dataset_type import DatasetType
from swagger_client.model.image_type import ImageType
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model_utils import UNSET, ModelNormal, member


class DatasetCreateRequest(ModelNormal):
    """A dataset to make: `DatasetCreateRequest("front-camera")`. A `str` becomes the model that its member needs.

    Attributes:
        name: its name.
        type: what it is made of.
        img_type: which form of its images it is made for.
        creator: which kind of client makes it.
        parent_dataset_id: the dataset that it is made from.
    """

    name: Union[DatasetName, str] = member("name", DatasetName, wraps=True)
    type: Union[DatasetType, str] = member("type", DatasetType, default=UNSET, kw_only=True, wraps=True)
    img_type: Union[ImageType, str] = member("imgType", ImageType, default=UNSET, kw_only=True, wraps=True)
    creator: Union[DatasetCreator, str] = member("creator", DatasetCreator, default=UNSET, kw_only=True, wraps=True)
    parent_dataset_id: Union[MongoObjectID, str] = member(
        "parentDatasetId", MongoObjectID, default=UNSET, kw_only=True, wraps=True
    )
