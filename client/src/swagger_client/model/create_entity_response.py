"""What was made."""

from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model_utils import ModelNormal, member


class CreateEntityResponse(ModelNormal):
    """What was made.

    Attributes:
        id: its id; `id.value` is the text.
    """

    id: MongoObjectID = member("id", MongoObjectID)
