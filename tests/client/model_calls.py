"""Use the keywords and tables of models, and exceptions: `python -m tests.client.model_calls URL`.

Runs with the generated client and with ours; see `outcomes`.
"""

import copy
import inspect
from functools import partial
from typing import Any

from swagger_client import Configuration, exceptions, models
from tests.client.outcomes import Steps

MODELS = [
    "ApiErrorCode",
    "ApiErrorResponse",
    "DatasourceConfig",
    "DatasourceConfigAzure",
    "DatasourceConfigAzureAllOf",
    "DatasourceConfigBase",
    "DatasourceConfigGCS",
    "DatasourceConfigGCSAllOf",
    "DatasourceConfigLIGHTLY",
    "DatasourceConfigLIGHTLYAllOf",
    "DatasourceConfigLOCAL",
    "DatasourceConfigLOCALAllOf",
    "DatasourceConfigS3",
    "DatasourceConfigS3AllOf",
    "DatasourceConfigVerifyData",
    "DatasourceProcessedUntilTimestampRequest",
    "DatasourceProcessedUntilTimestampResponse",
    "DatasourceRawSamplesData",
    "DatasourceRawSamplesDataRow",
    "MongoObjectID",
    "Timestamp",
]
TABLES = ["openapi_types", "attribute_map", "allowed_values", "validations", "discriminator"]
TABLES += ["additional_properties_type", "required_properties", "read_only_vars"]

LOCAL = "type='DatasourceConfigLOCAL', full_path='a'"

# Evaluated one by one, with the names of `models` and `exceptions`, and `config`, a configuration.
EXPRESSIONS = [
    *(f"{model}.{table}" for model in MODELS for table in TABLES),
    "DatasourceRawSamplesDataRow('a', 'b').attribute_map",
    "Timestamp(5).validations",
    # Without checks.
    "Timestamp('5', _check_type=True)",
    "DatasourceRawSamplesDataRow(5, None, _check_type=False).to_dict()",
    "DatasourceRawSamplesDataRow(5, None, _check_type=False, more=[1]).more",
    "setattr(DatasourceRawSamplesDataRow('a', 'b', _check_type=False), 'file_name', 5)",
    "DatasourceRawSamplesDataRow('a', 'b', _check_type=False)._check_type",
    "DatasourceProcessedUntilTimestampRequest(5, _check_type=False).processed_until_timestamp",
    "DatasourceProcessedUntilTimestampRequest(5, _check_type=False).to_dict()",
    "Timestamp(-5, _check_type=False)",
    f"DatasourceConfigLOCAL({LOCAL}, id=5, _check_type=False)",
    f"DatasourceConfigLOCAL({LOCAL}, thumb_suffix=5, _check_type=False).thumb_suffix",
    # JSON names.
    "DatasourceRawSamplesDataRow(fileName='a', readUrl='b', _spec_property_naming=True)",
    "DatasourceRawSamplesDataRow(fileName='a', readUrl='b', _spec_property_naming=True)._spec_property_naming",
    "DatasourceRawSamplesDataRow(fileName='a', readUrl='b')",
    "DatasourceRawSamplesDataRow(file_name='a', read_url='b', _spec_property_naming=True)",
    "DatasourceProcessedUntilTimestampRequest(processedUntilTimestamp=Timestamp(5), _spec_property_naming=True)",
    "DatasourceProcessedUntilTimestampRequest(processedUntilTimestamp=5, _spec_property_naming=True)",
    "DatasourceProcessedUntilTimestampRequest(processedUntilTimestamp=5, _spec_property_naming=True, "
    "_configuration=config)",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', fullPath='a', _spec_property_naming=True)",
    # Conversions by a configuration.
    "DatasourceProcessedUntilTimestampRequest(5, _configuration=config)",
    "DatasourceProcessedUntilTimestampRequest('5', _configuration=config)",
    "DatasourceProcessedUntilTimestampRequest(5, _configuration=config)._configuration is config",
    "DatasourceRawSamplesData(True, 'c', [{'file_name': 'a', 'read_url': 'b'}], _configuration=config)",
    "DatasourceRawSamplesData(True, 'c', [{'file_name': 'a', 'read_url': 'b'}])",
    "DatasourceRawSamplesData(True, 'c', [{'fileName': 'a', 'readUrl': 'b'}], _configuration=config, "
    "_spec_property_naming=True)",
    "ApiErrorResponse('NOT_FOUND', 'text', 'request', _configuration=config)",
    "ApiErrorResponse('NO_CODE', 'text', 'request', _configuration=config)",
    "setattr(DatasourceProcessedUntilTimestampRequest(5, _configuration=config), 'processed_until_timestamp', 7)",
    "setattr(DatasourceProcessedUntilTimestampRequest(5, _configuration=config), 'processed_until_timestamp', '7')",
    # The other keywords.
    "DatasourceRawSamplesDataRow('a', 'b', _path_to_item=['x'])._path_to_item",
    "DatasourceRawSamplesDataRow('a', 5, _path_to_item=['x', 3])",
    "text_of(lambda: DatasourceRawSamplesDataRow('a', 5, _path_to_item=['x', 3]))",
    "text_of(lambda: DatasourceRawSamplesDataRow('a', 5))",
    "text_of(lambda: DatasourceRawSamplesData(True, 'c', [5]))",
    "text_of(lambda: Timestamp(-1))",
    "text_of(lambda: MongoObjectID(5))",
    "text_of(lambda: ApiErrorCode('NO_CODE')).split(',')[0]",
    "text_of(lambda: DatasourceRawSamplesDataRow('a', 'b').nothing)",
    "text_of(lambda: Timestamp(5).nothing)",
    "text_of(lambda: DatasourceRawSamplesDataRow('a', 'b', more=object()))",
    "DatasourceRawSamplesDataRow('a', 'b', _visited_composed_classes=())",
    "DatasourceRawSamplesDataRow('a', 'b')._visited_composed_classes",
    "DatasourceRawSamplesDataRow('a', 'b', more=1)._data_store",
    "DatasourceRawSamplesDataRow('a', 'b', _more=1)._more",
    "DatasourceRawSamplesDataRow('a', 'b')._nothing",
    "Timestamp(5, _nothing=1)",
    "Timestamp(5)._data_store",
    "Timestamp(5).get('value')",
    "Timestamp(5)['value']",
    "'value' in Timestamp(5)",
    "Timestamp(5) == Timestamp(5, _check_type=False)",
    "DatasourceRawSamplesDataRow._from_openapi_data('a', 'b')",
    "DatasourceRawSamplesDataRow._from_openapi_data(fileName='a', readUrl='b', _spec_property_naming=True)",
    "DatasourceRawSamplesDataRow._from_openapi_data('a', 5)",
    "Timestamp._from_openapi_data(5)",
    "Timestamp._from_openapi_data(-5)",
    f"DatasourceConfigLOCAL._from_openapi_data({LOCAL})",
    f"DatasourceConfig({LOCAL}, _configuration=config)",
    f"DatasourceConfig({LOCAL}, _check_type=False)",
    "DatasourceRawSamplesDataRow('a', 'b').set_attribute('file_name', 5)",
    "changed(DatasourceRawSamplesDataRow('a', 'b'), 'file_name', 'c')",
    "DatasourceConfigLOCALAllOf('a')",
    "DatasourceConfigLOCALAllOf('a').to_dict()",
    "DatasourceConfigLOCALAllOf('a', web_server_location='x')",
    "DatasourceConfigS3AllOf('b', 'eu-central-1', 'test-key-id', 'k').s3_region",
    "DatasourceConfigS3AllOf('b', 'nowhere', 'test-key-id', 'k')",
    f"isinstance(DatasourceConfigLOCAL({LOCAL}), ModelComposed)",
    "isinstance(DatasourceRawSamplesDataRow('a', 'b'), ModelNormal)",
    "isinstance(Timestamp(5), ModelSimple)",
    "copied(DatasourceRawSamplesDataRow('a', 'b'))",
    f"copied(DatasourceConfigLOCAL({LOCAL}))",
    "deleted(DatasourceRawSamplesDataRow('a', 'b'))",
    # Exceptions.
    "[str(ApiTypeError('text')), ApiTypeError('text').path_to_item, ApiTypeError('text').valid_classes]",
    "[ApiTypeError('text', ['a', 1], (int,), True).args, ApiTypeError('text', ['a', 1], (int,), True).key_type]",
    "public(caught(lambda: DatasourceRawSamplesDataRow('a', 5)))",
    "public(caught(lambda: setattr(DatasourceRawSamplesDataRow('a', 'b'), 'file_name', 5)))",
    "public(caught(lambda: DatasourceRawSamplesDataRow('a', 'b').__setitem__(5, 5)))",
    "caught(lambda: DatasourceRawSamplesDataRow('a', 'b').nothing).path_to_item",
    "[str(ApiValueError('text', ['a', 1])), str(ApiAttributeError('text', ['a'])), str(ApiKeyError('text', [2]))]",
    "[render_path(['a', 1, 'b']), render_path([])]",
    "[ApiException(5, 'reason').status, ApiException(5, 'reason').reason, ApiException().body, ApiException().headers]",
    "[str(ApiException(status=5, reason='reason')), str(NotFoundException())]",
    "[cls.__mro__ for cls in (NotFoundException, UnauthorizedException, ForbiddenException, ServiceException)]",
    "[cls.__mro__ for cls in (ApiTypeError, ApiValueError, ApiAttributeError, ApiKeyError)]",
    "public(ServiceException(http_resp=response))",
    "str(ServiceException(http_resp=response))",
]


class Response:
    """Return the attributes of an exception."""

    status = 500
    reason = "Broken"
    data = '{"code": "MALFORMED_RESPONSE", "message": "text", "requestId": "request-1"}'

    def getheaders(self) -> Any:
        return {"Content-Type": "application/json"}


def caught(expression: Any) -> Any:
    """Return the exception that a call raises."""
    try:
        expression()
    except Exception as error:
        return error
    return None


def text_of(expression: Any) -> str:
    return str(caught(expression))


def public(error: Any) -> Any:
    return {name: value for name, value in vars(error).items() if not name.startswith("_")}


def changed(model: Any, name: str, value: Any) -> Any:
    model.set_attribute(name, value)
    return model


def copied(model: Any) -> Any:
    return copy.deepcopy(model)


def deleted(model: Any) -> Any:
    del model.file_name
    return model


def main() -> None:
    names = {name: getattr(models, name) for name in MODELS}
    names.update({name: cls for name, cls in vars(exceptions).items() if inspect.isclass(cls)})
    bases = inspect.getmro(models.DatasourceConfigLOCAL) + inspect.getmro(models.Timestamp)
    bases += inspect.getmro(models.DatasourceRawSamplesDataRow)
    names.update({cls.__name__: cls for cls in bases})
    given = {"config": Configuration(), "response": Response(), "render_path": exceptions.render_path}
    names.update(given, caught=caught, public=public, text_of=text_of, changed=changed, copied=copied, deleted=deleted)
    # One dict as globals, because lambdas see no other names.
    Steps().run((expression, partial(eval, expression, names)) for expression in EXPRESSIONS)


if __name__ == "__main__":
    main()
