"""The contract file is consistent and agrees with the domain."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from openapi_spec_validator import OpenAPIV30SpecValidator
from referencing import Registry, Resource

from headwater import contract
from headwater.domain import dataset, datasource, datasource_checks, datasource_members, errors, window

DOCUMENTS = {"document": contract.document(), "seed": contract.seed()}
METHODS = {"get", "put", "post", "delete"}
REDIRECT = "/v1/datasets/{datasetId}/datasource/readurlRedirect"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_is_valid_openapi(name: str) -> None:
    OpenAPIV30SpecValidator(DOCUMENTS[name]).validate()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_survives_json(name: str) -> None:
    """An unquoted 200 or date in YAML would become a value of another type."""
    assert json.loads(json.dumps(DOCUMENTS[name])) == DOCUMENTS[name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_references_resolve_and_components_are_used(name: str) -> None:
    document = DOCUMENTS[name]
    references = {node for node in walk(document) if isinstance(node, str) and node.startswith("#/")}
    components = {
        f"#/components/{kind}/{component}"
        for kind, named in document["components"].items()
        if kind != "securitySchemes"
        for component in named
    }
    assert references == components


@pytest.mark.parametrize("name", DOCUMENTS)
def test_internal_markers_are_removed(name: str) -> None:
    names = {member for node in walk(DOCUMENTS[name]) if isinstance(node, dict) for member in node}
    assert not [member for member in names - {"x-enum-varnames"} if member.startswith("x-")]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_objects_in_responses_list_their_required_members(name: str) -> None:
    for path, schema in response_objects(DOCUMENTS[name]):
        assert schema.get("properties"), path
        if "errors" not in path:  # the only object whose members are all optional
            assert schema.get("required"), path
        assert set(schema.get("required", [])) <= set(schema["properties"]), path


def test_operations_have_a_name_a_summary_and_errors() -> None:
    ids = []
    for path, method, operation in operations(contract.document()):
        where = f"{method} {path}"
        ids.append(operation["operationId"])
        assert operation["summary"], where
        assert len(operation["tags"]) == 1, where
        assert "500" in operation["responses"], where
        if operation.get("security") != []:
            assert {"400", "401", "503"} <= set(operation["responses"]), where
        if path == REDIRECT:  # needs no account, so its errors must not reveal what exists
            assert set(operation["responses"]) == {"307", "400", "401", "403", "500", "503"}
            assert operation["security"] == [{"ApiPublicJWTAuth": []}]
            continue
        if "{datasetId}" in path:
            assert {"403", "404"} <= set(operation["responses"]), where
        if "requestBody" in operation:
            assert "413" in operation["responses"], where
        success = [status for status in operation["responses"] if status < "300"]
        assert success == ["201" if method == "post" else "200"], where
    assert len(ids) == len(set(ids))


def test_responses_have_a_request_id() -> None:
    document = contract.document()
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            headers = resolve(document, response)["headers"]
            assert "X-Request-Id" in headers, (path, method, status)
            assert ("Retry-After" in headers) == (status in ("429", "503")), (path, method, status)
            assert ("WWW-Authenticate" in headers) == (status == "401"), (path, method, status)


def test_errors_have_the_same_body() -> None:
    document = contract.document()
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400":
                schema = resolve(document, response)["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ApiErrorResponse"}, (path, method, status)


def test_examples_match_their_schemas() -> None:
    document = contract.document()
    count = 0
    for media in (node for node in walk(document) if isinstance(node, dict) and "examples" in node):
        for name, example in media["examples"].items():
            for validator in (OAS30ReadValidator, OAS30WriteValidator):
                assert not problems(document, media["schema"], example["value"], validator), name
            count += 1
    assert count >= 14


def test_config_matches_exactly_one_type() -> None:
    """If types did not restrict `type`, an S3 config would also match LIGHTLY, and `oneOf` would refuse it."""
    document = contract.document()
    schema = {"$ref": "#/components/schemas/DatasourceConfig"}
    lightly = {"type": "LIGHTLY", "fullPath": ""}
    assert not problems(document, schema, lightly)
    assert problems(document, schema, {**lightly, "type": "S3"})
    assert problems(document, schema, {**lightly, "type": "FTP"})


@pytest.mark.parametrize("path", ["", "a/b", "a/", "...", "a..b/.c", "a/...", "a//b", "a\nb"])
def test_valid_folder_of_a_local_datasource(path: str) -> None:
    config = {"type": "LOCAL", "fullPath": path}
    assert not problems(contract.document(), {"$ref": "#/components/schemas/DatasourceConfig"}, config)
    datasource.parse_config(config)


@pytest.mark.parametrize("path", ["/a", "file://a", "a/../b", "..", "./a", "a/.", "a/..", ".", "a\n/../b"])
def test_invalid_folder_of_a_local_datasource(path: str) -> None:
    config = {"type": "LOCAL", "fullPath": path}
    assert problems(contract.document(), {"$ref": "#/components/schemas/DatasourceConfig"}, config)
    with pytest.raises(errors.MalformedRequestError):
        datasource.parse_config(config)


def test_enumerations_equal_those_of_the_domain() -> None:
    schemas = contract.document()["components"]["schemas"]
    assert set(schemas["DatasourceConfig"]["discriminator"]["mapping"]) == set(datasource_members.TYPE_NAMES)
    assert schemas["DatasourcePurpose"]["enum"] == list(datasource.Purpose)
    for kind in ("DatasourceConfigS3", "DatasourceConfigS3DelegatedAccess"):
        assert schemas[kind]["properties"]["purpose"]["enum"] == list(datasource.Purpose)
        regions = schemas[kind]["properties"]["s3Region"]["enum"]
        assert sorted(regions) == sorted(datasource_checks.S3_REGIONS)
    assert schemas["DatasetType"]["enum"] == list(dataset.DatasetType)
    assert schemas["ImageType"]["enum"] == list(dataset.ImageType)
    assert schemas["DatasetCreator"]["enum"] == list(dataset.DatasetCreator)
    assert schemas["Timestamp"]["maximum"] == window.LAST_SECOND
    assert {error.code for error in all_errors()} <= set(schemas["ApiErrorCode"]["enum"])


def test_types_and_members_equal_those_of_the_domain() -> None:
    schemas = contract.document()["components"]["schemas"]
    for short_name, reference in schemas["DatasourceConfig"]["discriminator"]["mapping"].items():
        schema = schemas[reference.rpartition("/")[2]]
        fields = datasource.find_config_class(short_name).model_fields
        members = {field.alias or name: field.is_required() for name, field in fields.items()}
        assert schema["properties"]["type"]["enum"] == [short_name, reference.rpartition("/")[2]]
        assert set(members) == set(schema["properties"]) - {"id"}
        assert {name for name, required in members.items() if required} == set(schema["required"])
        for alias in schema["properties"]["type"]["enum"]:
            assert datasource.find_config_class(alias) is datasource.find_config_class(short_name)


def test_seed_contains_only_the_older_generation() -> None:
    seed = contract.seed()
    assert [operation["operationId"] for _, _, operation in operations(seed)] == [
        "getDatasourceByDatasetId",
        "updateDatasourceByDatasetId",
        "verifyDatasourceByDatasetId",
        "getListOfRawSamplesFromDatasourceByDatasetId",
        "getDatasourceProcessedUntilTimestampByDatasetId",
        "updateDatasourceProcessedUntilTimestampByDatasetId",
    ]
    for _, _, operation in operations(seed):
        assert list(operation["responses"]) == ["200", "400", "401", "403", "404"]
        assert "summary" not in operation
    assert [tag["name"] for tag in seed["tags"]] == ["Datasources"]
    assert seed["servers"] == [{"url": "https://api.lightly.ai"}]
    listing = seed["paths"]["/v1/datasets/{datasetId}/datasource/list"]["get"]
    assert [parameter["name"] for parameter in listing["parameters"]] == ["from", "to", "cursor"]
    assert "headers" not in json.dumps(seed)


def test_seed_has_the_older_schemas() -> None:
    schemas = contract.seed()["components"]["schemas"]
    assert len(schemas["DatasourceConfig"]["oneOf"]) == 5
    assert set(schemas["DatasourceConfig"]["discriminator"]["mapping"]) == {"S3", "GCS", "AZURE", "LOCAL", "LIGHTLY"}
    assert schemas["DatasourceConfigBase"]["discriminator"] == {"propertyName": "type"}
    assert set(schemas["DatasourceConfigBase"]["properties"]) == {"id", "type", "thumbSuffix"}
    assert set(schemas["DatasourceConfigVerifyData"]["properties"]) == {"canRead", "canWrite", "canList"}
    assert schemas["DatasourceConfigVerifyData"]["required"] == ["canRead", "canWrite", "canList"]
    assert "error" not in schemas["ApiErrorResponse"]["properties"]
    assert "message" in schemas["ApiErrorResponse"]["required"]
    assert "CONFLICT" not in schemas["ApiErrorCode"]["enum"]
    assert "DATASET_DATASOURCE_ILLEGAL_ACTION" in schemas["ApiErrorCode"]["enum"]


def test_document_is_a_copy_for_each_caller() -> None:
    contract.document()["paths"].clear()
    contract.seed()["paths"].clear()
    assert contract.document()["paths"]
    assert contract.seed()["paths"]


def test_file_is_found_in_an_installed_package(tmp_path: Path) -> None:
    packaged = tmp_path / "site-packages" / "headwater"
    (packaged / "openapi").mkdir(parents=True)
    (packaged / "openapi" / "datasources.yaml").touch()
    (packaged / "contract.py").write_bytes(Path(contract.__file__).read_bytes())
    module = load_module(packaged / "contract.py")
    assert module.source() == packaged / "openapi" / "datasources.yaml"
    (packaged / "openapi" / "datasources.yaml").unlink()
    with pytest.raises(FileNotFoundError, match="installation is incomplete"):
        module.source()


def load_module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("contract_elsewhere", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_errors(root: type[errors.HeadwaterError] = errors.HeadwaterError) -> Iterator[type[errors.HeadwaterError]]:
    yield root
    for child in root.__subclasses__():
        yield from all_errors(child)


def walk(node: Any) -> Iterator[Any]:
    yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from walk(child)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        kind, name = node["$ref"].split("/")[2:]
        node = document["components"][kind][name]
    return node


def response_objects(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            for media in resolve(document, response).get("content", {}).values():
                yield from objects(document, media["schema"], f"{method} {path} {status}")


def objects(document: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = resolve(document, schema)
    for part in (*schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from objects(document, part, where)
    if schema.get("type") == "object":
        yield where, schema
    for name, member in schema.get("properties", {}).items():
        yield from objects(document, member, f"{where} .{name}")
    if "items" in schema:
        yield from objects(document, schema["items"], f"{where}[]")


def problems(
    document: dict[str, Any], schema: dict[str, Any], value: Any, validator: Any = OAS30WriteValidator
) -> list[str]:
    registry: Any = Registry().with_resource("urn:contract", Resource.opaque(document))
    anchored = json.loads(json.dumps(schema).replace('"#/', '"urn:contract#/'))
    return [error.message for error in validator(anchored, registry=registry).iter_errors(value)]
