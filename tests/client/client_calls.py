"""Use ApiClient, `call_api` and the options of every method: `python -m tests.client.client_calls URL`.

Runs with the generated client and with ours; see `outcomes`.
"""

# Many calls are wrong on purpose and written for both clients; type checkers see ours.
# mypy: disable-error-code="arg-type,attr-defined,call-arg,func-returns-value,index,misc,var-annotated"

import io
import sys
import tempfile
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import swagger_client
from swagger_client import Configuration, exceptions, rest
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model_utils import file_type
from swagger_client.models import (
    DatasourceConfigLOCAL,
    DatasourceConfigVerifyData,
    DatasourceProcessedUntilTimestampRequest,
    DatasourceProcessedUntilTimestampResponse,
    DatasourceRawSamplesData,
    DatasourceRawSamplesDataRow,
    MongoObjectID,
    Timestamp,
)
from tests.client.outcomes import Steps

DATASET = "50000000abcdef1234566789"
DATASOURCE = f"/v1/datasets/{DATASET}/datasource"
AUTH = ["ApiKeyAuth", "auth0Bearer"]
URL = (*sys.argv[1:2], "")[0]

steps = Steps()
STEPS: list[tuple[str, Callable[[], Any]]] = []


def step(made: Callable[[], Any]) -> Callable[[], Any]:
    STEPS.append((made.__name__, made))
    return made


def client(*arguments: Any, **keywords: Any) -> Any:
    return steps.client(Configuration(URL, {"ApiKeyAuth": "key"}, access_token="a.b.c"), *arguments, **keywords)


def api(*arguments: Any, **keywords: Any) -> Any:
    return DatasourcesApi(client(*arguments, **keywords))


def watermark(**options: Any) -> Any:
    return api().get_datasource_processed_until_timestamp_by_dataset_id(DATASET, **options)


def listing(**options: Any) -> Any:
    return api().get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, **options)


class Saved:
    """A saved response."""

    def __init__(self, data: Any, **headers: str) -> None:
        self.data = data
        self.headers = headers

    def getheader(self, name: str, default: Any = None) -> Any:
        return self.headers.get(name.replace("-", "_"), default)


def echo(*arguments: Any, **keywords: Any) -> Any:
    """Return what the server received from `call_api`."""
    return client().call_api("/echo", *arguments, _return_http_data_only=True, **keywords)


# The client.


@step
def client_with_a_header() -> Any:
    made = DatasourcesApi(client("X-More", "yes", "session=1", 2))
    return made.get_datasource_by_dataset_id(DATASET), made.api_client.cookie, made.api_client.pool_threads


@step
def client_with_a_header_by_name() -> Any:
    return DatasourcesApi(client(header_name="X-More", header_value="yes", cookie="a=b")).get_datasource_by_dataset_id(
        DATASET
    )


@step
def client_with_default_headers() -> Any:
    made = client()
    made.default_headers["X-More"] = "one"
    made.set_default_header("Accept", "text/plain")
    return DatasourcesApi(made).get_datasource_by_dataset_id(DATASET)


@step
def client_with_a_user_agent() -> Any:
    made = client()
    made.user_agent = "mine/1"
    return made.user_agent, made.default_headers["User-Agent"]


@step
def client_of_the_user_agent() -> Any:
    return swagger_client.ApiClient().user_agent


@step
def client_as_a_context() -> Any:
    with client() as made:
        inside = made
        DatasourcesApi(made).get_datasource_by_dataset_id(DATASET)
    inside.close()
    return DatasourcesApi(inside).get_datasource_by_dataset_id(DATASET)


@step
def client_of_an_api() -> Any:
    made = client()
    return DatasourcesApi(made).api_client is made, DatasourcesApi(api_client=made).api_client is made


@step
def client_threads() -> Any:
    made = DatasourcesApi(client(pool_threads=3))
    waiting = [made.get_datasource_by_dataset_id(DATASET, async_req=True) for _ in range(3)]
    results = [each.get(20).full_path for each in waiting]
    waiting[0].wait(1)
    return results, waiting[0].ready(), waiting[0].successful(), type(made.api_client.pool)


@step
def client_threads_after_closing() -> Any:
    made = api()
    made.get_datasource_by_dataset_id(DATASET, async_req=True).get(20)
    made.api_client.close()
    return made.get_datasource_by_dataset_id(DATASET, async_req=True).get(20)


@step
def client_last_response() -> Any:
    made = client()
    DatasourcesApi(made).get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    last = made.last_response
    return last.status, last.reason, last.data, last.getheader("content-type"), last.getheader("x", "default")


@step
def client_last_response_unread() -> Any:
    made = client()
    DatasourcesApi(made).get_datasource_processed_until_timestamp_by_dataset_id(DATASET, _preload_content=False)
    return made.last_response.data


# Helpers of the client.


@step
def select_accept() -> Any:
    made = client()
    given: list[Any] = [[], None, ["text/plain"], ["Text/Plain", "a/b"], ["a/b", "Application/JSON"]]
    return [made.select_header_accept(each) for each in given]


@step
def select_content_type() -> Any:
    made = client()
    given: list[Any] = [[], None, ["text/plain", "a/b"], ["*/*"], ["a/b", "Application/JSON"]]
    return [made.select_header_content_type(each) for each in given]


@step
def tuples_of_parameters() -> Any:
    made = client()
    formats = {"c": "csv", "s": "ssv", "t": "tsv", "p": "pipes", "m": "multi", "o": "other"}
    values = [1, "b"]
    return (
        made.parameters_to_tuples([(name, values) for name in "cstpmox"], formats),
        made.parameters_to_tuples({"c": values, "x": values}, formats),
        made.parameters_to_tuples({"c": 5, "d": None}, None),
    )


@step
def sanitized() -> Any:
    made = client()
    row = DatasourceRawSamplesDataRow("a", "b", more=[1])
    given: list[Any] = [None, 5, 1.5, "a", True, datetime(2020, 1, 2, 3, 4), date(2020, 1, 2), (1, [2]), {"a": row}]
    given += [[row], Timestamp(5), io.BytesIO(b"bytes"), DatasourceProcessedUntilTimestampRequest(Timestamp(5))]
    return [made.sanitize_for_serialization(each) for each in given]


@step
def sanitized_by_the_class() -> Any:
    return swagger_client.ApiClient.sanitize_for_serialization([Timestamp(5)])


@step
def sanitized_what_json_has_not() -> Any:
    return client().sanitize_for_serialization({"a": object()})


@step
def deserialized() -> Any:
    made = client()
    rows = '[{"fileName": "a", "readUrl": "b"}, {"fileName": "c", "readUrl": "d"}]'
    return [
        made.deserialize(Saved(rows), ([DatasourceRawSamplesDataRow],), True),
        made.deserialize(Saved("5"), (Timestamp,), True),
        made.deserialize(Saved("5"), (int,), True),
        made.deserialize(Saved("5"), (float,), True),
        made.deserialize(Saved('"a"'), (str,), True),
        made.deserialize(Saved("plain text"), (str,), True),
        made.deserialize(Saved("null"), (str, type(None)), True),
        made.deserialize(Saved('{"a": 1, "b": 2}'), ({str: (int,)},), True),
        made.deserialize(Saved("[1, null]"), ([int, type(None)],), True),
        made.deserialize(Saved("[[1], [2]]"), ([[int]],), True),
    ]


@step
def deserialized_wrong() -> Any:
    return client().deserialize(Saved("5"), (str,), True)


@step
def deserialized_wrong_member() -> Any:
    return client().deserialize(
        Saved('{"processedUntilTimestamp": "5"}'), (DatasourceProcessedUntilTimestampResponse,), True
    )


@step
def deserialized_unchecked() -> Any:
    made = client()
    page = '{"hasMore": "yes", "cursor": 5, "data": [{"fileName": "a"}, 7], "more": {"a": null}}'
    read = made.deserialize(Saved(page), (DatasourceRawSamplesData,), False)
    return type(read), read.has_more, read.cursor, read.data, read["more"]


@step
def deserialized_unchecked_as_text() -> Any:
    page = '{"hasMore": true, "cursor": "c", "data": [{"fileName": "a", "readUrl": "b"}]}'
    read = client().deserialize(Saved(page), (DatasourceRawSamplesData,), False)
    return read.to_str(), read.to_dict()


@step
def deserialized_as_a_file() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = client()
        made.configuration.temp_folder_path = folder
        named = {"Content_Disposition": 'attachment; filename="answer.txt"'}
        results = []
        for saved in (Saved("text", **named), Saved(b"bytes")):
            with made.deserialize(saved, (file_type,), True) as file:
                results.append((file.read(), file.name.startswith(folder)))
                named_as_said = Path(file.name).name == "answer.txt"
        return results, named_as_said


@step
def credentials_added() -> Any:
    made, headers, queries = client(), {"X-More": "1"}, [("a", "b")]
    made.update_params_for_auth(headers, queries, AUTH, "/path", "GET", None)
    made.update_params_for_auth(headers, queries, None, "/path", "GET", None)
    made.update_params_for_auth(headers, queries, ["unknown"], "/path", "GET", None)
    return headers, queries


@step
def credentials_of_other_schemes() -> Any:
    class Other(Configuration):
        def auth_settings(self) -> Any:
            common = {"type": "api_key", "key": "X-More", "value": "value"}
            return {location: {**common, "in": location} for location in ("cookie", "header", "query", "body")}

    made, headers, queries = swagger_client.ApiClient(Other(URL)), {}, []
    made.update_params_for_auth(headers, queries, ["cookie", "header", "query"], "/path", "GET", None)
    try:
        made.update_params_for_auth(headers, queries, ["body"], "/path", "GET", None)
    except exceptions.ApiValueError:
        return headers, queries
    return "no error"


@step
def files_as_fields() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        path.write_bytes(b"pixels")
        other = Path(folder, "b")
        other.write_bytes(b"other")
        opened: Any = [path.open("rb"), other.open("rb"), None]
        made = client()
        return made.files_parameters({"images": opened, "none": None}), opened[0].closed, made.files_parameters()


@step
def files_as_fields_closed() -> Any:
    closed = io.BytesIO(b"bytes")
    closed.close()
    return client().files_parameters({"images": [closed]})


@step
def files_read() -> Any:
    opened = io.BytesIO(b"bytes")
    return client().get_file_data_and_close_file(opened), opened.closed


@step
def fields_of_multipart() -> Any:
    first, second = client().parameters_to_multipart([("a", {"b": "ü"}), ("c", 5)], dict)
    return first.data, first.headers, second


# Calls by `call_api`.


@step
def call_by_position() -> Any:
    return client().call_api(
        *("/v1/datasets/{id}/datasource/list", "GET", {"id": DATASET}, [("from", 5), ("to", Timestamp(7))]),
        *({"Accept": "application/json"}, None, [], {}, (DatasourceRawSamplesData,), AUTH, False, True, {}, True),
        *(20, None, True),
    )


@step
def call_without_checks() -> Any:
    """Like a call without `_check_type`: the members of the response stay as they are in JSON."""
    made = client()
    read = made.call_api(
        f"{DATASOURCE}/list", "GET", response_type=(DatasourceRawSamplesData,), _return_http_data_only=True
    )
    return type(read), read.data, made.last_response.status


@step
def call_with_the_triple() -> Any:
    data, status, headers = client().call_api(f"{DATASOURCE}/verify", "GET", response_type=({str: (bool,)},))
    return data, status, headers["content-type"]


@step
def call_without_a_type() -> Any:
    return client().call_api(f"{DATASOURCE}/verify", "GET")[:2]


@step
def call_in_the_background() -> Any:
    return client().call_api(f"{DATASOURCE}/verify", "GET", async_req=True).get(20)[:2]


@step
def call_unread() -> Any:
    return client().call_api(f"{DATASOURCE}/verify", "GET", _preload_content=False).data


@step
def call_of_a_model() -> Any:
    return echo("PUT", body=DatasourceConfigLOCAL(type="DatasourceConfigLOCAL", full_path="a"), response_type=(ANY,))


ANY = {str: (str, list, list)}


@step
def call_of_lists() -> Any:
    formats = {"c": "csv", "m": "multi", "p": "pipes"}
    queries = [("c", [1, 2]), ("m", ["a", "b"]), ("p", [1, 2]), ("x", "y")]
    return echo("GET", {}, queries, collection_formats=formats, auth_settings=["ApiKeyAuth"])


@step
def call_at_another_host() -> Any:
    return client().call_api("/echo", "GET", _host=f"{URL}/other", query_params=[("a", None), ("b", True), ("c", 1.5)])[
        :2
    ]


@step
def call_with_a_falsy_body() -> Any:
    return [echo("PUT", body=body) for body in ({}, [], 0, "", None)]


@step
def call_with_each_method() -> Any:
    return [echo(method, body={"a": 1}) for method in ("GET", "POST", "PUT", "DELETE")]


@step
def call_with_a_text() -> Any:
    return [echo("POST", header_params={"Content-Type": "text/plain"}, body=body) for body in ("text",)]


@step
def call_with_a_dict_as_text() -> Any:
    return echo("POST", header_params={"Content-Type": "text/plain"}, body={"a": 1})


@step
def call_with_json_of_ones_own() -> Any:
    return echo("POST", header_params={"Content-Type": "application/vnd.own+json"}, body={"a": 1})


@step
def call_with_a_form() -> Any:
    return echo(
        "POST",
        header_params={"Content-Type": "application/x-www-form-urlencoded"},
        post_params=[("a", "b c"), ("d", "ü")],
    )


@step
def call_with_files() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        path.write_bytes(b"pixels")
        return echo(
            "POST",
            header_params={"Content-Type": "multipart/form-data"},
            post_params=[("a", {"b": 1}), ("c", "d")],
            files={"image": [path.open("rb")]},
        )


@step
def call_with_a_form_and_a_body() -> Any:
    return echo("POST", header_params={"Content-Type": "application/json"}, post_params=[("a", "b")], body={"c": 1})


@step
def call_with_an_unknown_method() -> Any:
    return client().call_api("/echo", "FETCH")


@step
def call_with_a_method_in_small_letters() -> Any:
    return client().call_api("/echo", "get")


@step
def call_that_fails() -> Any:
    path = "/v1/datasets/" + "4" * 24 + "/datasource"
    return client().call_api(path, "GET", {}, [], response_type=(str,), auth_settings=AUTH)


@step
def call_with_credentials_but_no_query() -> Any:
    return client().call_api("/echo", "GET", auth_settings=AUTH)[:2]


@step
def call_that_fails_unread() -> Any:
    try:
        return client().call_api("/v1/datasets/" + "4" * 24 + "/datasource", "GET", _preload_content=False)
    except exceptions.NotFoundException as error:
        return error.status, error.body, error.headers["content-type"]


@step
def request_of_ones_own() -> Any:
    made = client()
    headers = dict(made.default_headers)
    answer = made.request("GET", f"{URL}/echo", query_params=[("a", "b")], headers=headers)
    return answer.status, answer.data, answer.reason


@step
def request_of_the_rest_client() -> Any:
    made = rest.RESTClientObject(Configuration(URL), pools_size=2, maxsize=3)
    headers = {"X-Step": str(steps.number)}
    answers = [made.GET(f"{URL}/echo", headers=dict(headers), query_params=[("a", "b")], _preload_content=True)]
    answers += [
        method(f"{URL}/echo", headers=dict(headers), body={"a": 1}, _request_timeout=20)
        for method in (made.POST, made.PUT, made.DELETE)
    ]
    return [(answer.status, answer.data) for answer in answers]


# The options of methods.


@step
def option_of_everything_at_its_default() -> Any:
    return watermark(
        async_req=False,
        _return_http_data_only=True,
        _preload_content=True,
        _request_timeout=None,
        _check_input_type=True,
        _check_return_type=True,
        _host_index=None,
    )


@step
def option_that_there_is_not() -> Any:
    return watermark(_nothing=1)


@step
def option_spec_property_naming() -> Any:
    config = {"type": "DatasourceConfigLOCAL", "fullPath": "a"}
    return api().update_datasource_by_dataset_id(DATASET, config, _spec_property_naming=True)


@step
def option_content_type() -> Any:
    config = DatasourceConfigLOCAL(type="DatasourceConfigLOCAL", full_path="a")
    return api().update_datasource_by_dataset_id(DATASET, config, _content_type="application/vnd.own+json")


WRONG_OPTIONS: dict[str, list[Any]] = {
    "async_req": ["yes", None, 1],
    "_return_http_data_only": [1, None],
    "_preload_content": [0, None],
    "_check_input_type": ["no", None, 0],
    "_check_return_type": ["no", None],
    "_request_timeout": ["5", True, {"a": 5}],
    "_host_index": ["0", 1.5, True],
}
STEPS.extend(
    (f"option {name}={value!r}", partial(watermark, **{name: value}))
    for name, values in WRONG_OPTIONS.items()
    for value in values
)


@step
def option_timeout_of_three() -> Any:
    return watermark(_request_timeout=(1, 2, 3))


@step
def option_timeouts() -> Any:
    return [watermark(_request_timeout=value).processed_until_timestamp.value for value in (20, 20.5, (20, 20.5), 0)]


class Named(Configuration):
    """A configuration whose server has an index: the generated client's `_check_input_type` needs a `_host_index`."""

    def get_host_settings(self) -> Any:
        return [{"url": URL, "description": "the server"}]


@step
def option_input_unchecked() -> Any:
    made = DatasourcesApi(steps.client(Named(URL, {"ApiKeyAuth": "key"})))
    options = {"_check_input_type": False, "_host_index": 0}
    results = [made.get_datasource_by_dataset_id(DATASET, **options)]
    list_ = made.get_list_of_raw_samples_from_datasource_by_dataset_id
    results.append(list_(DATASET, _from="yesterday", to=-5, cursor=7, **options))
    config = {"type": "FTP", "anything": [1, None]}
    results.append(made.update_datasource_by_dataset_id(DATASET, config, **options))
    update = made.update_datasource_processed_until_timestamp_by_dataset_id
    results.append(update(DATASET, {"processedUntilTimestamp": 5}, **options))
    results.append(update(MongoObjectID(DATASET), Timestamp(5), **options))
    return results


@step
def option_input_unchecked_another_id() -> Any:
    made = DatasourcesApi(steps.client(Named(URL)))
    return made.get_datasource_by_dataset_id(5, _check_input_type=False, _host_index=0)


@step
def option_input_unchecked_without_a_host_index() -> Any:
    return api().get_datasource_by_dataset_id(DATASET, _check_input_type=False)


@step
def option_input_unchecked_none() -> Any:
    return api().get_datasource_by_dataset_id(None, _check_input_type=False)


@step
def option_input_unchecked_no_body() -> Any:
    return api().update_datasource_by_dataset_id(DATASET, None, _check_input_type=False)


@step
def option_return_unchecked() -> Any:
    page, mark = listing(_check_return_type=False), watermark(_check_return_type=False)
    config = api().get_datasource_by_dataset_id(DATASET, _check_return_type=False)
    return type(page), page.data, page.cursor, mark, mark.processed_until_timestamp, config, config.full_path


@step
def option_return_unchecked_can_be_changed() -> Any:
    mark = watermark(_check_return_type=False)
    mark.processed_until_timestamp = "later"
    mark.more = object
    return mark.processed_until_timestamp, mark.more


@step
def option_return_checked_can_be_changed() -> Any:
    mark = watermark()
    mark.processed_until_timestamp = 5
    page = listing()
    page.data = [{"fileName": "a", "readUrl": "b"}]
    return mark, page, type(page.data[0])


@step
def option_return_checked_cannot_be_changed_to_anything() -> Any:
    mark = watermark()
    mark.processed_until_timestamp = "5"
    return mark


@step
def option_of_all_together() -> Any:
    data, status, headers = (
        api()
        .verify_datasource_by_dataset_id(
            DATASET, async_req=True, _return_http_data_only=False, _request_timeout=(20, 20), _check_return_type=False
        )
        .get(20)
    )
    return data, status, headers["content-type"], isinstance(data, DatasourceConfigVerifyData)


if __name__ == "__main__":
    steps.run(STEPS)
