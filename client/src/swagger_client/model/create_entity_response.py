"""The id of a new dataset."""

from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model_utils import ModelNormal, member


class CreateEntityResponse(ModelNormal):
    """The id of a new dataset.

    Attributes:
        id: the id; `id.value` is its text.
    """

    id: MongoObjectID = member("id", MongoObjectID)
