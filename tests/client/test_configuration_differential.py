"""Every setting, compared with the client that openapi-generator 5.3.0 generates from the seed.

Requests, results and error classes must be equal, except for the differences that the README lists.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import generated
from tests.client import pair, setting_calls
from tests.client.server import running

pytestmark = pytest.mark.slow  # Java generates the reference client

EXPLAINED = {
    "host_of_one_call_no_number": "`_request_timeout` or `_host_index` of a wrong type",
    "key_that_is_empty": "an empty API key",
    "hook_is_called": "`refresh_api_key_hook`",
    "no_proxy": "`no_proxy`, `_content_type`, `_spec_property_naming`",
    "unknown_keys_discarded_let_wrong_types_through": "`discard_unknown_keys`",
    "loggers_of_a_new_configuration": "logger levels",
    "logger_file_holds_the_token": "secrets and tokens",
    "logger_file_of_a_copy_writes_each_line": "`logger_file` of a copied configuration",
    "report_of_the_version": "`User-Agent` and version",
    "secret_after_refusal": "secrets and tokens",
}

Both = tuple[pair.Outcomes, pair.Outcomes]


@pytest.fixture(scope="module")
def both(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    reference = generated.seed_client(tmp_path_factory)
    with running() as server, running(context) as secure:
        server.answer = secure.answer = pair.answer
        arguments = (secure.url, str(certificate))
        yield (
            pair.run("setting_calls", server, reference, *arguments),
            pair.run("setting_calls", server, pair.OURS, *arguments),
        )


def test_all_differences_are_explained(both: Both) -> None:
    assert list(both[0]) == [name for name, _ in setting_calls.STEPS]
    pair.check(both, EXPLAINED)


def test_the_program_covers_successes_and_errors(both: Both) -> None:
    """Two clients that fail everywhere in the same way would be equal too."""
    reference, _ = both
    assert sum(bool(result["requests"]) for result in reference.values()) > 20
    errors = {result["outcome"].get("error") for result in reference.values()}
    assert errors >= {"ApiValueError", "TypeError", "ValueError", "MaxRetryError", "NewConnectionError"}
