"""The text that a datasource is stored as. It is independent of the API: a change needs a migration."""

import json

import pytest
import sqlalchemy as sa

from headwater.catalog.catalog import Catalog
from headwater.catalog.engine import parse_database_url
from headwater.catalog.keyring import Keyring
from headwater.catalog.stored_datasource import COLUMNS, datasource_of_row, row_of_datasource
from headwater.catalog.tables import datasources
from headwater.domain.dataset import NewDataset
from headwater.domain.datasource import SECRET_MASK, Datasource, parse_config
from headwater.domain.errors import HeadwaterError
from headwater.domain.ids import new_id
from tests.catalog.values import KEY, config, put
from tests.domain.configs import SECRETS, VALID

KEYRING = Keyring([("test", KEY)])

OPTIONAL = {
    "S3": {"s3ServerSideEncryptionKMSKey": "arn:aws:kms:eu-central-1:123456789012:key/test"},
    "S3DelegatedAccess": {"s3ServerSideEncryptionKMSKey": "arn:aws:kms:us-east-1:123456789012:key/test"},
    "LOCAL": {"webServerLocation": "https://files.example.com"},
}
THUMBS = {"thumbSuffix": "ü/[filename]"}

STORED = {
    "S3": '{"type":"S3","full_path":"s3://bucket/path/","thumb_suffix":"\\u00fc/[filename]","region":"eu-central-1",'
    '"access_key_id":"test-key-id","kms_key":"arn:aws:kms:eu-central-1:123456789012:key/test"}',
    "S3DelegatedAccess": '{"type":"S3DelegatedAccess","full_path":"bucket/path","thumb_suffix":"\\u00fc/[filename]",'
    '"region":"us-east-1","external_id":"an-external-id","role_arn":"arn:aws:iam::123456789012:role/reader",'
    '"kms_key":"arn:aws:kms:us-east-1:123456789012:key/test"}',
    "GCS": '{"type":"GCS","full_path":"gs://bucket/path","thumb_suffix":"\\u00fc/[filename]","project_id":"project"}',
    "AZURE": '{"type":"AZURE","full_path":"container/path","thumb_suffix":"\\u00fc/[filename]",'
    '"account_name":"account"}',
    "OBS": '{"type":"OBS","full_path":"obs://bucket/path","thumb_suffix":"\\u00fc/[filename]",'
    '"endpoint":"https://obs.example.com","access_key_id":"test-key-id"}',
    "LOCAL": '{"type":"LOCAL","full_path":"folder/below","thumb_suffix":"\\u00fc/[filename]",'
    '"web_server_location":"https://files.example.com"}',
    "LIGHTLY": '{"type":"LIGHTLY","full_path":"","thumb_suffix":"\\u00fc/[filename]"}',
}


@pytest.mark.parametrize("type_name", VALID)
def test_stored_text_is_pinned(type_name):
    members = {**VALID[type_name], **OPTIONAL.get(type_name, {}), **THUMBS, "purpose": "LIGHTLY"}
    datasource = Datasource(new_id(), new_id(), parse_config(members))
    row = row_of_datasource(KEYRING, datasource)
    assert row["config"] == STORED[type_name]
    assert row["purpose"] == "LIGHTLY"
    assert (row["id"], row["dataset_id"]) == (datasource.id, datasource.dataset_id)
    assert (row["secret"] is not None) == (type_name in SECRETS)


def test_stored_text_leaves_out_members_without_a_value():
    row = row_of_datasource(KEYRING, Datasource(new_id(), new_id(), config("LOCAL")))
    assert row["config"] == '{"type":"LOCAL","full_path":"folder/below"}'


async def _stored_row(url, keyring, new):
    """Store a config, and return its row and its dataset."""
    catalog = await Catalog.open(url, keyring)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, new))
    await catalog.close()
    database = parse_database_url(url)
    row = await database.read(
        lambda connection: connection.execute(sa.select(*COLUMNS).where(datasources.c.dataset_id == dataset.id)).one()
    )
    await database.close()
    return row


async def test_row_is_read_back(url):
    new = config("S3", purpose="INPUT", **OPTIONAL["S3"])
    row = await _stored_row(url, KEYRING, new)
    assert json.loads(row.config)["type"] == "S3"
    assert datasource_of_row(KEYRING, row) == Datasource(row.datasource_id, row.dataset_id, new)


async def test_row_that_breaks_a_rule_for_new_configs_is_read_back(url):
    """A later version called it not valid, so that its dataset could be neither used nor configured again."""
    stored = config("OBS", obsEndpoint="https://host.example?region=a/b", obsSecretAccessKey=" ")
    row = await _stored_row(url, KEYRING, stored)
    assert datasource_of_row(KEYRING, row).config == stored


async def test_lost_secret_is_read_as_the_mask_only_on_request(url):
    """A datasource whose secret cannot be decrypted can still be replaced."""
    row = await _stored_row(url, KEYRING, config("S3"))
    other = Keyring([("other", KEY)])
    with pytest.raises(HeadwaterError, match="a key that this server does not have"):
        datasource_of_row(other, row)
    assert datasource_of_row(other, row, mask_lost_secret=True).config.secret == SECRET_MASK
