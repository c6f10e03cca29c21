"""What a program can do with models, and what they refuse."""

# Many arguments are wrong on purpose, and type checkers report them.
# mypy: disable-error-code="arg-type,attr-defined,call-arg,index,list-item,misc,no-untyped-call,unused-ignore"

from __future__ import annotations

import copy
import datetime
import inspect
import pickle
import pprint
from importlib import import_module
from typing import Any

import pytest

import swagger_client
from swagger_client import models
from swagger_client.exceptions import ApiAttributeError, ApiTypeError, ApiValueError
from swagger_client.model_utils import from_server
from swagger_client.models import (
    ApiErrorCode,
    ApiErrorResponse,
    DatasourceConfig,
    DatasourceConfigAzure,
    DatasourceConfigBase,
    DatasourceConfigGCS,
    DatasourceConfigLOCAL,
    DatasourceConfigOBS,
    DatasourceConfigS3,
    DatasourceConfigVerifyData,
    DatasourceProcessedUntilTimestampRequest,
    DatasourceRawSamplesData,
    DatasourceRawSamplesDataRow,
    MongoObjectID,
    Timestamp,
)
from tests.client.server import DATASET

SECRET = "a-secret-of-a-test"

S3 = {
    "full_path": "s3://my-bucket/front",
    "s3_region": "eu-central-1",
    "s3_access_key_id": "test-key-id",
    "s3_secret_access_key": SECRET,
}
ROW = DatasourceRawSamplesDataRow("a.jpg", "http://a")


def test_a_simple_model_has_one_value() -> None:
    time = Timestamp(1577836800)
    assert time.value == time["value"] == Timestamp(value=1577836800).value == 1577836800
    assert (str(time), repr(time), time.to_str()) == ("1577836800",) * 3
    assert time == Timestamp(1577836800)
    assert time != Timestamp(1577836801)
    assert time != 1577836800
    assert "value" in time
    time.value = 5
    assert time.value == 5


def test_an_object_model_has_members_as_attributes_and_items() -> None:
    row = DatasourceRawSamplesDataRow(file_name="a.jpg", read_url="http://a")
    assert row == ROW
    assert row.file_name == row["file_name"] == row.get("file_name") == "a.jpg"
    row["file_name"] = "b.jpg"
    assert row.to_dict() == {"file_name": "b.jpg", "read_url": "http://a"}
    assert row != ROW
    assert "file_name" in row
    assert "fileName" not in row
    assert repr(row) == str(row) == row.to_str() == pprint.pformat(row.to_dict())
    page = DatasourceRawSamplesData(True, "c", [row])
    assert page.to_dict() == {"has_more": True, "cursor": "c", "data": [{"file_name": "b.jpg", "read_url": "http://a"}]}


def test_members_without_a_declaration() -> None:
    row: Any = DatasourceRawSamplesDataRow("a.jpg", "http://a", size=7)
    row.taken_at = datetime.date(2020, 1, 1)
    row["nested"] = {"row": ROW}
    assert (row.size, row["taken_at"], "size" in row) == (7, datetime.date(2020, 1, 1), True)
    assert swagger_client.ApiClient.sanitize_for_serialization(row) == {
        "fileName": "a.jpg",
        "readUrl": "http://a",
        "size": 7,
        "taken_at": "2020-01-01",
        "nested": {"row": {"fileName": "a.jpg", "readUrl": "http://a"}},
    }
    with pytest.raises(ApiTypeError):
        row.wrong = object()
    with pytest.raises(ApiValueError):
        swagger_client.ApiClient.sanitize_for_serialization({"wrong": object()})


@pytest.mark.parametrize("type_name", ["S3", "DatasourceConfigS3"])
@pytest.mark.parametrize("make", [DatasourceConfig, DatasourceConfigBase, DatasourceConfigS3])
def test_both_spellings_of_a_type_select_the_class(make: Any, type_name: str) -> None:
    config = make(type=type_name, **S3)
    assert type(config) is DatasourceConfigS3
    assert isinstance(config, DatasourceConfig)
    assert config.type == type_name
    assert config == DatasourceConfigS3(type=type_name, **S3)


@pytest.mark.parametrize("name", [name for name in models.__all__ if name.startswith("DatasourceConfig")])
def test_every_class_name_is_a_valid_type(name: str) -> None:
    if name in ("DatasourceConfig", "DatasourceConfigBase") or "Verify" in name:
        return
    with pytest.raises(ApiValueError, match=f"{name} needs full_path"):
        DatasourceConfig(type=name)


def test_the_placeholder_of_the_examples_can_be_created() -> None:
    placeholder = DatasourceConfig(None)
    assert type(placeholder) is DatasourceConfig
    assert placeholder.to_dict() == {}


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: MongoObjectID("5000"), ApiValueError),
        (lambda: MongoObjectID("50000000ABCDEF1234566789"), ApiValueError),
        (lambda: MongoObjectID(5), ApiTypeError),
        (lambda: MongoObjectID(), ApiTypeError),
        (lambda: MongoObjectID(DATASET, DATASET), ApiTypeError),
        (lambda: MongoObjectID(DATASET, more=1), ApiTypeError),
        (lambda: Timestamp(-1), ApiValueError),
        (lambda: Timestamp("5"), ApiTypeError),
        (lambda: Timestamp(5.0), ApiTypeError),
        (lambda: Timestamp(True), ApiTypeError),
        (lambda: Timestamp(None), ApiTypeError),
        (lambda: ApiErrorCode("NO_SUCH_CODE"), ApiValueError),
        (lambda: DatasourceProcessedUntilTimestampRequest(), TypeError),
        (lambda: DatasourceProcessedUntilTimestampRequest(5), ApiTypeError),
        (lambda: DatasourceProcessedUntilTimestampRequest(Timestamp(5), Timestamp(5)), ApiTypeError),
        (lambda: DatasourceRawSamplesDataRow("a", "b", file_name="c"), ApiTypeError),
        (lambda: DatasourceRawSamplesData(1, "c", []), ApiTypeError),
        (lambda: DatasourceRawSamplesData(True, "c", ROW), ApiTypeError),
        (lambda: DatasourceRawSamplesData(True, "c", [{"file_name": "a"}]), ApiTypeError),
        (lambda: DatasourceConfigVerifyData(True, True, 0), ApiTypeError),
        (lambda: ApiErrorResponse("NOT_FOUND", "m", "r"), ApiTypeError),
        (lambda: DatasourceConfig(), ApiValueError),
        (lambda: DatasourceConfig("S3"), ApiTypeError),
        (lambda: DatasourceConfig(type="FTP"), ApiValueError),
        (lambda: DatasourceConfig(type=5), ApiValueError),
        (lambda: DatasourceConfigS3("S3"), ApiTypeError),
        (lambda: DatasourceConfigS3(type="GCS", **S3), ApiValueError),
        (lambda: DatasourceConfigS3(type="S3"), ApiValueError),
        (lambda: DatasourceConfigS3(type="S3", **{**S3, "s3_region": "mars-north-1"}), ApiValueError),
        (lambda: DatasourceConfigS3(type="S3", **{**S3, "s3_access_key_id": ""}), ApiValueError),
        (lambda: DatasourceConfigS3(type="S3", **{**S3, "full_path": "https://bucket"}), ApiValueError),
        (lambda: DatasourceConfigS3(type="S3", **{**S3, "id": MongoObjectID(DATASET)}), ApiValueError),
        (lambda: DatasourceConfigS3(type="S3", **{**S3, "full_path": None}), ApiValueError),
        (lambda: DatasourceConfigS3(type="S3", **{**S3, "purpose": "input"}), ApiValueError),
        (lambda: DatasourceConfigS3(type="S3", **{**S3, "id": "5000"}), ApiValueError),
        (lambda: DatasourceConfigLOCAL(type="LOCAL", full_path="../x"), ApiValueError),
        (lambda: DatasourceConfigLOCAL(type="LOCAL", full_path="x", web_server_location="x"), ApiValueError),
    ],
)
def test_invalid_constructor_arguments_are_refused(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        make()
    assert isinstance(caught.value, swagger_client.OpenApiException)


@pytest.mark.parametrize(
    ("model", "name", "value", "error"),
    [
        (Timestamp(5), "value", -1, ApiValueError),
        (Timestamp(5), "value", "x", ApiTypeError),
        (Timestamp(5), "other", 1, ApiAttributeError),
        (ROW, "file_name", 5, ApiTypeError),
        (DatasourceConfigLOCAL(type="LOCAL", full_path="x"), "full_path", 5, ApiTypeError),
        (DatasourceConfigLOCAL(type="LOCAL", full_path="x"), "full_path", "/x", ApiValueError),
        (DatasourceConfigLOCAL(type="LOCAL", full_path="x"), "type", "S3", ApiValueError),
    ],
)
def test_a_refused_assignment_changes_nothing(model: Any, name: str, value: Any, error: type[Exception]) -> None:
    before = copy.deepcopy(model)
    with pytest.raises(error):
        setattr(model, name, value)
    with pytest.raises(error):
        model[name] = value
    assert model == before


def test_reading_a_missing_member_raises_an_attribute_error() -> None:
    for read in (lambda: ROW.size, lambda: ROW["size"], lambda: Timestamp(5).to_dict()):
        with pytest.raises(ApiAttributeError):
            read()
    assert not hasattr(ROW, "size")
    assert ROW.get("size", 4) == 4
    with pytest.raises(ApiTypeError):
        ROW[5] = 1


CONFIGS = [
    DatasourceConfigS3(type="S3", **S3),
    DatasourceConfigGCS(type="GCS", full_path="b", gcs_project_id="p", gcs_credentials=SECRET),
    DatasourceConfigAzure(type="AZURE", full_path="b", account_name="a", account_key=SECRET),
    DatasourceConfigOBS(
        type="OBS", full_path="b", obs_endpoint="http://o", obs_access_key_id="i", obs_secret_access_key=SECRET
    ),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.type)
def test_texts_of_a_datasource_hide_its_secret(config: DatasourceConfig) -> None:
    for text in (repr(config), str(config), config.to_str(), f"{[config]}", pprint.pformat(config)):
        assert SECRET not in text
        assert "'***'" in text
    assert SECRET in config.to_dict().values()


def test_error_texts_hide_secrets() -> None:
    for wrong in (
        {"s3_region": 5},
        {"s3_access_key_id": ""},
        {"full_path": f"{SECRET}://"},
        {"s3_secret_access_key": [SECRET]},
    ):
        with pytest.raises(ApiValueError) as caught:
            DatasourceConfigS3(type="S3", **{**S3, **wrong})
        assert SECRET not in f"{caught.value} {caught.value.__cause__}"
    with pytest.raises(ApiTypeError) as positional:
        DatasourceConfigS3(SECRET)
    assert SECRET not in str(positional.value)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize(
    "model", [Timestamp(5), ROW, DatasourceRawSamplesData(True, "c", [ROW]), *CONFIGS, DatasourceConfig(None)], ids=repr
)
def test_models_can_be_copied_and_pickled(again: Any, model: Any) -> None:
    copied = again(model)
    assert copied == model
    assert type(copied) is type(model)


def test_an_undeclared_member_can_have_the_python_name_of_another() -> None:
    """Copies and comparisons once confused the two."""
    wire = {"fileName": "a.jpg", "readUrl": "http://a", "file_name": "other"}
    row = from_server(DatasourceRawSamplesDataRow, wire)
    assert (row.file_name, copy.copy(row).file_name) == ("a.jpg", "a.jpg")
    assert swagger_client.ApiClient.sanitize_for_serialization(copy.deepcopy(row)) == wire
    assert row != from_server(DatasourceRawSamplesDataRow, {**wire, "fileName": "b.jpg"})


def test_a_deep_copy_shares_nothing() -> None:
    page = DatasourceRawSamplesData(True, "c", [copy.copy(ROW)])
    copied = copy.deepcopy(page)
    copied.data[0].file_name = "other"
    assert page.data[0].file_name == "a.jpg"


def test_rows_have_no_instance_dict() -> None:
    """A listing has very many rows; a dict in each would double their memory."""
    assert not hasattr(ROW, "__dict__")
    assert set(DatasourceRawSamplesDataRow.__slots__) == {"file_name", "read_url"}


def test_models_are_not_hashable() -> None:
    with pytest.raises(TypeError):
        hash(Timestamp(5))


def test_positional_arguments_of_older_programs() -> None:
    """The seed requires three flags; a fourth, and the code, text and request id of an error, are positional too."""
    assert DatasourceConfigVerifyData(True, True, False).to_dict() == {
        "can_read": True,
        "can_write": True,
        "can_list": False,
    }
    assert DatasourceConfigVerifyData(True, True, False, True).can_overwrite is True
    error = ApiErrorResponse(ApiErrorCode("NOT_FOUND"), "nothing here", "request-1")
    assert error.to_dict() == {"code": "NOT_FOUND", "message": "nothing here", "request_id": "request-1"}


def test_the_keywords_of_generated_constructors() -> None:
    configuration = swagger_client.Configuration(disabled_client_side_validations="minimum")
    unchecked: Any = DatasourceRawSamplesDataRow(5, None, _check_type=False)
    unchecked.file_name = 7
    assert unchecked.to_dict() == {"file_name": 7, "read_url": None}
    assert DatasourceRawSamplesDataRow(fileName="a.jpg", readUrl="http://a", _spec_property_naming=True) == ROW
    request: Any = DatasourceProcessedUntilTimestampRequest(5, _configuration=configuration)
    assert request.processed_until_timestamp == Timestamp(5)
    request.processed_until_timestamp = -7
    assert request.processed_until_timestamp.value == -7, "the rule is disabled"
    with pytest.raises(ApiValueError):
        DatasourceProcessedUntilTimestampRequest(-7, _configuration=swagger_client.Configuration())
    with pytest.raises(ApiTypeError, match=r"\['x'\]\[3\]\['file_name'\]"):
        DatasourceRawSamplesDataRow(5, "b", _path_to_item=["x", 3])


def test_a_member_of_a_response_accepts_plain_values() -> None:
    answer = from_server(models.DatasourceProcessedUntilTimestampResponse, {"processedUntilTimestamp": 5})
    answer.processed_until_timestamp = 7
    assert answer.processed_until_timestamp == Timestamp(7)
    with pytest.raises(ApiTypeError):
        answer.processed_until_timestamp = "7"


def test_an_unchecked_response_keeps_its_json_values() -> None:
    page = from_server(DatasourceRawSamplesData, {"hasMore": 1, "cursor": None, "data": [{"fileName": 5}]}, False)
    assert (page.has_more, page.cursor, page.data) == (1, None, [{"fileName": 5}])
    with pytest.raises(ApiTypeError, match="lacks data"):
        from_server(DatasourceRawSamplesData, {"hasMore": 1, "cursor": None}, False)


def test_the_tables_and_the_signature_of_a_model() -> None:
    assert DatasourceRawSamplesData.attribute_map == {"has_more": "hasMore", "cursor": "cursor", "data": "data"}
    assert DatasourceRawSamplesData.openapi_types["data"] == ([DatasourceRawSamplesDataRow],)
    assert Timestamp(5).validations == {("value",): {"inclusive_minimum": 0}}
    assert DatasourceConfigLOCAL.discriminator is None
    assert DatasourceConfig.discriminator["type"]["S3"] is DatasourceConfigS3
    names = list(inspect.signature(DatasourceConfigVerifyData).parameters)
    assert names == ["can_read", "can_write", "can_list", "can_overwrite", "errors", "further_members"]


@pytest.mark.parametrize("type_name", ["Azure", "GCS", "LIGHTLY", "LOCAL", "S3"])
def test_the_all_of_models(type_name: str) -> None:
    name = f"DatasourceConfig{type_name}AllOf"
    part = getattr(models, name)
    assert part is getattr(import_module(f"swagger_client.model.datasource_config_{type_name.lower()}_all_of"), name)
    assert "id" not in part.attribute_map
    assert part("a", **dict.fromkeys(list(part._required)[1:], "us-east-1")).full_path == "a"
    with pytest.raises(AttributeError, match="Nothing"):
        _ = models.Nothing
