"""The contract file holds together, and says the same as the domain."""

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
def test_it_is_valid_openapi(name: str) -> None:
    OpenAPIV30SpecValidator(DOCUMENTS[name]).validate()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_survives_json(name: str) -> None:
    """An unquoted 200 or date in YAML would come back as something else."""
    assert json.loads(json.dumps(DOCUMENTS[name])) == DOCUMENTS[name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_leads_somewhere_and_every_component_is_used(name: str) -> None:
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
def test_no_mark_of_the_file_is_left(name: str) -> None:
    names = {member for node in walk(DOCUMENTS[name]) if isinstance(node, dict) for member in node}
    assert not [member for member in names if member.startswith("x-")]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_object_of_an_answer_lists_its_required_members(name: str) -> None:
    for path, schema in answered_objects(DOCUMENTS[name]):
        assert schema.get("properties"), path
        if "errors" not in path:  # the one object whose members may all be absent
            assert schema.get("required"), path
        assert set(schema.get("required", [])) <= set(schema["properties"]), path


def test_every_operation_is_named_explained_and_can_fail() -> None:
    ids = []
    for path, method, operation in operations(contract.document()):
        where = f"{method} {path}"
        ids.append(operation["operationId"])
        assert operation["summary"], where
        assert len(operation["tags"]) == 1, where
        assert "500" in operation["responses"], where
        if operation.get("security") != []:
            assert {"400", "401", "503"} <= set(operation["responses"]), where
        if path == REDIRECT:  # for strangers, who learn nothing of what there is
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


def test_every_answer_carries_its_request_id() -> None:
    document = contract.document()
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            headers = resolved(document, response)["headers"]
            assert "X-Request-Id" in headers, (path, method, status)
            assert ("Retry-After" in headers) == (status in ("429", "503")), (path, method, status)
            assert ("WWW-Authenticate" in headers) == (status == "401"), (path, method, status)


def test_every_failure_has_the_one_body() -> None:
    document = contract.document()
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400":
                schema = resolved(document, response)["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ApiErrorResponse"}, (path, method, status)


def test_the_examples_keep_to_their_schemas() -> None:
    document = contract.document()
    count = 0
    for media in (node for node in walk(document) if isinstance(node, dict) and "examples" in node):
        for name, example in media["examples"].items():
            for validator in (OAS30ReadValidator, OAS30WriteValidator):
                assert not problems(document, media["schema"], example["value"], validator), name
            count += 1
    assert count >= 14


def test_each_config_is_one_of_the_seven_kinds_only() -> None:
    """Without its own values of `type`, an S3 config would be a LIGHTLY one too, and so valid as neither."""
    document = contract.document()
    schema = {"$ref": "#/components/schemas/DatasourceConfig"}
    lightly = {"type": "LIGHTLY", "fullPath": ""}
    assert not problems(document, schema, lightly)
    assert problems(document, schema, {**lightly, "type": "S3"})
    assert problems(document, schema, {**lightly, "type": "FTP"})


@pytest.mark.parametrize("path", ["", "a/b", "a/", "...", "a..b/.c", "a/...", "a//b", "a\nb"])
def test_folders_of_a_local_datasource(path: str) -> None:
    config = {"type": "LOCAL", "fullPath": path}
    assert not problems(contract.document(), {"$ref": "#/components/schemas/DatasourceConfig"}, config)
    datasource.parse_config(config)


@pytest.mark.parametrize("path", ["/a", "file://a", "a/../b", "..", "./a", "a/.", "a/..", ".", "a\n/../b"])
def test_what_is_no_folder_of_a_local_datasource(path: str) -> None:
    config = {"type": "LOCAL", "fullPath": path}
    assert problems(contract.document(), {"$ref": "#/components/schemas/DatasourceConfig"}, config)
    with pytest.raises(errors.MalformedRequestError):
        datasource.parse_config(config)


def test_the_domain_agrees() -> None:
    schemas = contract.document()["components"]["schemas"]
    assert set(schemas["DatasourceConfig"]["discriminator"]["mapping"]) == set(datasource_members.TYPE_NAMES)
    assert schemas["DatasourcePurpose"]["enum"] == list(datasource.Purpose)
    assert schemas["DatasourceConfigBase"]["properties"]["purpose"]["enum"] == list(datasource.Purpose)
    for kind in ("DatasourceConfigS3", "DatasourceConfigS3DelegatedAccess"):
        regions = schemas[kind]["allOf"][1]["properties"]["s3Region"]["enum"]
        assert sorted(regions) == sorted(datasource_checks.S3_REGIONS)
    assert schemas["DatasetType"]["enum"] == list(dataset.DatasetType)
    assert schemas["ImageType"]["enum"] == list(dataset.ImageType)
    assert schemas["DatasetCreator"]["enum"] == list(dataset.DatasetCreator)
    assert schemas["Timestamp"]["maximum"] == window.LAST_SECOND
    assert {error.code for error in every_error()} <= set(schemas["ApiErrorCode"]["enum"])


def test_the_domain_takes_the_types_and_members_of_the_document() -> None:
    schemas = contract.document()["components"]["schemas"]
    base = schemas["DatasourceConfigBase"]
    for short_name, reference in schemas["DatasourceConfig"]["discriminator"]["mapping"].items():
        own = schemas[reference.rpartition("/")[2]]["allOf"][1]
        fields = datasource.find_config_class(short_name).model_fields
        members = {field.alias or name: field.is_required() for name, field in fields.items()}
        assert own["properties"]["type"]["enum"] == [short_name, reference.rpartition("/")[2]]
        assert set(members) == (set(base["properties"]) | set(own["properties"])) - {"id"}
        assert {name for name, required in members.items() if required} == {*base["required"], *own["required"]}
        for alias in own["properties"]["type"]["enum"]:
            assert datasource.find_config_class(alias) is datasource.find_config_class(short_name)


def test_the_seed_holds_the_older_generation_alone() -> None:
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


def test_the_schemas_of_the_seed_are_the_older_ones() -> None:
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


def test_a_caller_may_change_what_it_gets() -> None:
    contract.document()["paths"].clear()
    contract.seed()["paths"].clear()
    assert contract.document()["paths"]
    assert contract.seed()["paths"]


def test_the_file_is_found_in_an_installed_package(tmp_path: Path) -> None:
    packaged = tmp_path / "site-packages" / "headwater"
    (packaged / "openapi").mkdir(parents=True)
    (packaged / "openapi" / "datasources.yaml").touch()
    (packaged / "contract.py").write_bytes(Path(contract.__file__).read_bytes())
    module = loaded(packaged / "contract.py")
    assert module.source() == packaged / "openapi" / "datasources.yaml"
    (packaged / "openapi" / "datasources.yaml").unlink()
    with pytest.raises(FileNotFoundError, match="installation is incomplete"):
        module.source()


def loaded(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("contract_elsewhere", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def every_error(root: type[errors.HeadwaterError] = errors.HeadwaterError) -> Iterator[type[errors.HeadwaterError]]:
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


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


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        kind, name = node["$ref"].split("/")[2:]
        node = document["components"][kind][name]
    return node


def answered_objects(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            for media in resolved(document, response).get("content", {}).values():
                yield from objects(document, media["schema"], f"{method} {path} {status}")


def objects(document: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = resolved(document, schema)
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
