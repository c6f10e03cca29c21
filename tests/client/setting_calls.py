"""Use every setting of a Configuration: `python -m tests.client.setting_calls URL TLS_URL PEM`.

Runs with the generated client and with ours; see `outcomes`.
"""

# Many calls are wrong on purpose and written for both clients; type checkers see ours.
# mypy: disable-error-code="arg-type,attr-defined,call-arg,index,misc,union-attr"

import copy
import logging
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3

from swagger_client import Configuration
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model.timestamp import Timestamp
from tests.client.outcomes import Steps

DATASET = "50000000abcdef1234566789"
URL, TLS_URL, PEM = (*sys.argv[1:4], "", "", "")[:3]
CLOSED = "http://127.0.0.1:1"

steps = Steps()
STEPS: list[tuple[str, Callable[[], Any]]] = []


def step(made: Callable[[], Any]) -> Callable[[], Any]:
    STEPS.append((made.__name__, made))
    return made


def call(configuration: Any, **options: Any) -> Any:
    """Make one call with a configuration."""
    api = DatasourcesApi(steps.client(configuration))
    return api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET, **options)


def configured(host: str = URL, **settings: Any) -> Any:
    """Return a configuration whose attributes are set after its creation."""
    configuration = Configuration(host=host)
    for name, value in settings.items():
        setattr(configuration, name, value)
    return configuration


class Servers(Configuration):
    """A configuration with several servers."""

    def get_host_settings(self) -> Any:
        area = {"default_value": "one", "enum_values": ["one", "two"], "description": "area"}
        return [
            {"url": URL, "description": "the server"},
            {"url": URL + "/{area}/{free}", "variables": {"area": area, "free": {"default_value": "x"}}},
        ]


# The server.


@step
def host_default() -> Any:
    made = Configuration()
    return made.host, made.server_index, made.get_host_settings()


@step
def host_given() -> Any:
    made = Configuration(host="http://given")
    return made.host, made.server_index, made.get_host_from_settings(None), made.get_host_from_settings(0)


@step
def host_given_and_index() -> Any:
    return Configuration(host="http://given", server_index=0).host


@step
def host_set() -> Any:
    made = Configuration(server_index=0)
    made.host = "http://later"
    return made.host, made.server_index


@step
def host_by_position() -> Any:
    made = Configuration(
        "http://a", {"ApiKeyAuth": "k"}, {"ApiKeyAuth": "p"}, "t", "u", "w", True, "pattern", 0, {}, {}
    )
    return vars_of(made, "api_key api_key_prefix access_token username password discard_unknown_keys server_index host")


def vars_of(made: Any, names: str) -> Any:
    return [getattr(made, name) for name in names.split()]


@step
def host_index_too_large() -> Any:
    return Configuration(server_index=1).host


@step
def host_of_servers() -> Any:
    made = Servers(server_index=1)
    return made.host, made.get_host_from_settings(1, {"area": "two", "free": "y"}), call(made)


@step
def host_of_servers_with_variables() -> Any:
    return call(Servers(server_index=1, server_variables={"area": "two"}))


@step
def host_of_servers_with_a_wrong_variable() -> Any:
    return call(Servers(server_index=1, server_variables={"area": "three"}))


@step
def host_of_servers_with_too_large_an_index() -> Any:
    return call(Servers(server_index=2))


@step
def host_of_one_operation() -> Any:
    name = "get_datasource_processed_until_timestamp_by_dataset_id"
    made = Servers(
        server_index=1,
        server_operation_index={name: 1},
        server_operation_variables={name: {"area": "two", "free": "z"}},
    )
    api = DatasourcesApi(steps.client(made))
    return api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET), api.get_datasource_by_dataset_id(
        DATASET
    )


@step
def host_of_one_call() -> Any:
    made = Servers(server_index=1)
    return call(made, _host_index=0), call(made, _host_index=1), call(made, _host_index=None)


@step
def host_of_one_call_too_large() -> Any:
    return call(Configuration(host=URL), _host_index=7)


@step
def host_of_one_call_no_number() -> Any:
    return call(Configuration(host=URL), _host_index="0")


@step
def host_with_a_slash() -> Any:
    return call(Configuration(host=f"{URL}/"))


@step
def host_with_a_path() -> Any:
    return call(Configuration(host=f"{URL}/team/api"))


# Credentials.


@step
def key() -> Any:
    made = Configuration(URL, {"ApiKeyAuth": "a+b/c=="})
    return call(made), made.auth_settings()


@step
def key_set_later() -> Any:
    made = Configuration(URL)
    made.api_key["ApiKeyAuth"] = "later"
    return call(made)


@step
def key_of_an_unknown_scheme() -> Any:
    made = Configuration(URL, {"Other": "value"}, {"Other": "prefix"})
    return call(made), made.auth_settings(), made.get_api_key_with_prefix("Other")


@step
def key_with_prefix() -> Any:
    return call(Configuration(URL, {"ApiKeyAuth": "key"}, {"ApiKeyAuth": "Key"}))


@step
def key_by_alias() -> Any:
    made = Configuration(URL, {"Alias": "key", "Empty": ""}, {"Name": "Key"})
    return [
        made.get_api_key_with_prefix("Name", alias="Alias"),
        made.get_api_key_with_prefix("Name", "None"),
        made.get_api_key_with_prefix("Name"),
        made.get_api_key_with_prefix("Empty", "Alias"),
    ]


@step
def key_and_bearer() -> Any:
    made = Configuration(URL, {"ApiKeyAuth": "key"}, access_token="a.b.c", username="u", password="p")
    return call(made), made.auth_settings(), made.get_basic_auth_token()


@step
def key_that_is_empty() -> Any:
    return call(Configuration(URL, {"ApiKeyAuth": ""}))


@step
def bearer() -> Any:
    return call(Configuration(URL, access_token="a.b.c"))


@step
def bearer_that_is_empty() -> Any:
    return call(Configuration(URL, access_token=""))


@step
def bearer_as_a_key() -> Any:
    return call(Configuration(URL, {"auth0Bearer": "a.b.c"}))


@step
def basic() -> Any:
    made = Configuration(URL, username="user", password="pass wörd")
    return call(made), made.get_basic_auth_token(), Configuration(URL).get_basic_auth_token()


@step
def hook_renews() -> Any:
    made = Configuration(URL, {"ApiKeyAuth": "old"})
    made.refresh_api_key_hook = lambda config: config.api_key.update(ApiKeyAuth="new")
    return call(made)


@step
def hook_is_called() -> Any:
    times: list[int] = []
    made = Configuration(URL, {"ApiKeyAuth": "old"})
    made.refresh_api_key_hook = lambda _: times.append(1)
    call(made)
    return len(times)


@step
def hook_that_fails() -> Any:
    made = Configuration(URL, {"ApiKeyAuth": "old"})
    made.refresh_api_key_hook = lambda _: {}["nothing"]
    return call(made)


# Connections.


@step
def retries_off_without_a_server() -> Any:
    return call(configured(CLOSED, retries=0))


@step
def retries_of_ones_own_without_a_server() -> Any:
    return call(configured(CLOSED, retries=urllib3.Retry(1, backoff_factor=0)))


@step
def retries_false_without_a_server() -> Any:
    return call(configured(CLOSED, retries=False))


@step
def certificate_unknown() -> Any:
    return call(configured(TLS_URL, retries=0))


@step
def certificate_trusted() -> Any:
    return call(Configuration(host=TLS_URL, ssl_ca_cert=PEM))


@step
def certificate_trusted_later() -> Any:
    return call(configured(TLS_URL, ssl_ca_cert=PEM))


@step
def certificate_of_another_host() -> Any:
    return call(configured(TLS_URL, ssl_ca_cert=PEM, assert_hostname="other", retries=0))


@step
def certificate_of_any_host() -> Any:
    return call(configured(TLS_URL.replace("127.0.0.1", "localhost"), ssl_ca_cert=PEM, assert_hostname=False))


@step
def certificate_not_checked() -> Any:
    return call(configured(TLS_URL, verify_ssl=False))


@step
def certificate_of_the_client() -> Any:
    return call(configured(TLS_URL, ssl_ca_cert=PEM, cert_file=PEM, key_file=PEM))


@step
def certificate_of_the_client_missing() -> Any:
    return call(configured(TLS_URL, ssl_ca_cert=PEM, cert_file="/nothing.pem", key_file="/nothing.pem", retries=0))


@step
def proxy() -> Any:
    return call(configured("http://headwater.invalid", proxy=URL, proxy_headers={"X-Proxy": "yes"}))


@step
def no_proxy() -> Any:
    return call(configured(URL, proxy=CLOSED, no_proxy="example.com, 127.0.0.1", retries=0))


@step
def pool() -> Any:
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    client = steps.client(configured(connection_pool_maxsize=7, socket_options=options))
    call(client.configuration)
    settings = client.rest_client.pool_manager.connection_pool_kw
    default = steps.client(configured(connection_pool_maxsize=None)).rest_client.pool_manager.connection_pool_kw
    return settings["maxsize"], settings["socket_options"], default["maxsize"]


@step
def pool_default() -> Any:
    return Configuration().connection_pool_maxsize, Configuration().socket_options


@step
def safe_characters_of_paths() -> Any:
    client = steps.client(configured(safe_chars_for_path_param="/:"))
    return client.call_api("/echo/{name}", "GET", {"name": "a/b:c d"}, _return_http_data_only=True)


# Checks.


@step
def checks_disabled() -> Any:
    made = Configuration(URL, disabled_client_side_validations="minimum,pattern")
    api = DatasourcesApi(steps.client(made))
    page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, _from=-5)
    return page.cursor, Timestamp(-5, _configuration=made)


@step
def checks_disabled_later() -> Any:
    made = configured(disabled_client_side_validations="minimum")
    return made.disabled_client_side_validations, Timestamp(-5, _configuration=made)


@step
def checks_disabled_others() -> Any:
    return Timestamp(-5, _configuration=configured(disabled_client_side_validations="maximum"))


@step
def checks_disabled_that_there_are_not() -> Any:
    return Configuration(disabled_client_side_validations="minimum,nonsense")


@step
def checks_disabled_later_that_there_are_not() -> Any:
    return configured(disabled_client_side_validations="nonsense")


@step
def checks_that_have_no_effect() -> Any:
    made = configured(client_side_validation=False)
    return Configuration().client_side_validation, Timestamp(-5, _configuration=made)


@step
def unknown_keys_discarded() -> Any:
    api = DatasourcesApi(steps.client(Configuration(URL, discard_unknown_keys=True)))
    return api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET).data[0].to_dict()


@step
def unknown_keys_discarded_let_wrong_types_through() -> Any:
    api = DatasourcesApi(steps.client(Configuration(URL, discard_unknown_keys=True)))
    return api.get_datasource_by_dataset_id(5)


# Logs.


@step
def loggers() -> Any:
    made = Configuration()
    return [(name, logger.name) for name, logger in made.logger.items()], vars_of(
        made, "logger_format logger_file logger_stream_handler logger_file_handler debug"
    )


@step
def loggers_of_debug() -> Any:
    made = Configuration(URL)
    made.debug = True
    on = [logger.level for logger in made.logger.values()]
    made.debug = False
    return on, [logger.level for logger in made.logger.values()]


@step
def loggers_of_a_new_configuration() -> Any:
    logging.getLogger("urllib3").setLevel(logging.INFO)
    Configuration()
    return logging.getLogger("urllib3").level


@step
def logger_format() -> Any:
    made = Configuration()
    made.logger_format = "%(name)s: %(message)s"
    record = logging.LogRecord("name", logging.INFO, "", 1, "text", None, None)
    return made.logger_format, made.logger_formatter.format(record)


@step
def logger_file() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = Configuration(URL, {"ApiKeyAuth": "secret-token"})
        made.logger_format = "%(name)s %(levelname)s %(message)s"
        made.logger_file = f"{folder}/log"
        made.debug = True
        call(made)
        made.debug = False
        handler = made.logger_file_handler
        attached = [handler in logger.handlers for logger in made.logger.values()]
        for logger in made.logger.values():
            logger.removeHandler(handler)
        handler.close()
        text = Path(folder, "log").read_text()
        return made.logger_file == f"{folder}/log", type(handler), attached, "urllib3.connectionpool DEBUG" in text


@step
def logger_file_holds_the_token() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = Configuration(URL, {"ApiKeyAuth": "secret-token"})
        made.logger_file = f"{folder}/log"
        made.debug = True
        call(made)
        made.debug = False
        for logger in made.logger.values():
            logger.removeHandler(made.logger_file_handler)
        made.logger_file_handler.close()
        return "secret-token" in Path(folder, "log").read_text()


@step
def logger_file_of_a_copy_writes_each_line() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = Configuration(URL)
        made.logger_file = f"{folder}/log"
        copied = copy.deepcopy(made)
        logging.getLogger("swagger_client").warning("text")
        for each in (made, copied):
            for logger in each.logger.values():
                logger.removeHandler(each.logger_file_handler)
            each.logger_file_handler.close()
        return Path(folder, "log").read_text().count("text")


@step
def report() -> Any:
    return Configuration().to_debug_report().splitlines()[:4]


@step
def report_of_the_version() -> Any:
    return Configuration().to_debug_report().splitlines()[-1]


# Copies and defaults.


@step
def copies() -> Any:
    made = Configuration(URL, {"ApiKeyAuth": "key"}, access_token="t", disabled_client_side_validations="minimum")
    made.retries = 7
    shallow, deep = copy.copy(made), copy.deepcopy(made)
    made.api_key["ApiKeyAuth"] = "changed"
    same_loggers = [deep.logger[name] is logger for name, logger in made.logger.items()]
    names = "host api_key access_token retries disabled_client_side_validations debug logger_file"
    return vars_of(shallow, names), vars_of(deep, names), same_loggers, deep.logger is made.logger


@step
def copies_of_a_subclass() -> Any:
    made = copy.deepcopy(Servers(server_index=1))
    return type(made), made.server_index, made.host


@step
def default_there_is_none() -> Any:
    return Configuration._default, Configuration.get_default_copy().host


@step
def default_is_a_copy() -> Any:
    made = Configuration(URL, {"ApiKeyAuth": "key"})
    Configuration.set_default(made)
    try:
        made.api_key["ApiKeyAuth"] = "changed"
        first = Configuration.get_default_copy()
        first.api_key["ApiKeyAuth"] = "changed"
        return call(None), Configuration.get_default_copy().api_key, first is not made
    finally:
        Configuration.set_default(None)


@step
def default_is_not_of_a_new_one() -> Any:
    Configuration.set_default(Configuration("http://default"))
    try:
        return Configuration().host
    finally:
        Configuration.set_default(None)


@step
def secret_after_refusal() -> Any:
    """The error of a refused connection shows its address."""
    try:
        return call(Configuration(CLOSED, {"ApiKeyAuth": "secret-token"}))
    except urllib3.exceptions.MaxRetryError as error:
        return type(error).__name__, "secret-token" in str(error)


@step
def attributes_of_ones_own() -> Any:
    made = Configuration()
    made.my_own = 5
    return copy.deepcopy(made).my_own


if __name__ == "__main__":
    steps.run(STEPS)
