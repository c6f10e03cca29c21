"""A dataset."""

from swagger_client.model.dataset_name import DatasetName
from swagger_client.model.dataset_type import DatasetType
from swagger_client.model.image_type import ImageType
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model.shared_access_type import SharedAccessType
from swagger_client.model.timestamp import Timestamp
from swagger_client.model.timestamp_milliseconds import TimestampMilliseconds
from swagger_client.model_utils import UNSET, ModelNormal, member


class DatasetData(ModelNormal):
    """A dataset as the caller sees it. Members without a value are not set.

    Attributes:
        id: its id.
        name: its name.
        user_id: its owner.
        type: what its samples are.
        n_samples: number of samples on the server; 0 on a Headwater server, which stores none.
        size_in_bytes: number of bytes on the server; also 0.
        created_at: time of creation, in Unix milliseconds.
        last_modified_at: time of the last change, in Unix milliseconds.
        access_type: how it is shared with the caller.
        img_type: which version of its images it uses.
        meta_data_configuration_id: the id of the configuration of its metadata.
        datasources: the ids of its datasources.
        datasource_processed_until_timestamp: the watermark, in Unix seconds.
        access_role: the permissions of the caller, as six bits after `0b`.
        parent_dataset_id: the dataset that it was derived from.
        original_dataset_id: the dataset that it is a copy of.
    """

    id: MongoObjectID = member("id", MongoObjectID)
    name: DatasetName = member("name", DatasetName)
    user_id: str = member("userId", str)
    type: DatasetType = member("type", DatasetType)
    n_samples: int = member("nSamples", int, minimum=0)
    size_in_bytes: int = member("sizeInBytes", int, minimum=0)
    created_at: TimestampMilliseconds = member("createdAt", TimestampMilliseconds)
    last_modified_at: TimestampMilliseconds = member("lastModifiedAt", TimestampMilliseconds)
    access_type: SharedAccessType = member("accessType", SharedAccessType, default=UNSET, kw_only=True)
    img_type: ImageType = member("imgType", ImageType, default=UNSET, kw_only=True)
    meta_data_configuration_id: MongoObjectID = member(
        "metaDataConfigurationId", MongoObjectID, default=UNSET, kw_only=True
    )
    datasources: list[MongoObjectID] = member("datasources", list[MongoObjectID], default=UNSET, kw_only=True)
    datasource_processed_until_timestamp: Timestamp = member(
        "datasourceProcessedUntilTimestamp", Timestamp, default=UNSET, kw_only=True
    )
    access_role: str = member("accessRole", str, default=UNSET, kw_only=True, pattern="^0b[01]{6}$")
    parent_dataset_id: MongoObjectID = member("parentDatasetId", MongoObjectID, default=UNSET, kw_only=True)
    original_dataset_id: MongoObjectID = member("originalDatasetId", MongoObjectID, default=UNSET, kw_only=True)
