"""An error response becomes one plain line that contains no secret."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net.transport import Response
from headwater.stores.error_mapping import Operation, OperationContext, error_from_response, plain
from headwater.stores.s3.error_codes import S3 as PROVIDER
from tests.stores.s3.server import S3_LABELS, error_xml, store_error


@pytest.mark.parametrize(
    ("status", "kind"), [(502, StoreUnavailableError), (503, StoreUnavailableError), (504, StoreUnavailableError)]
)
def test_error_page_of_a_gateway_is_transient(status: int, kind: type[StoreError]) -> None:
    assert type(store_error(status, b"<html>Bad gateway</html>")) is kind


def test_empty_404_is_an_invalid_location() -> None:
    assert type(store_error(404)) is LocationInvalidError


def test_long_path_is_shown_completely() -> None:
    """To the rule that hides secrets in a provider's text, a long path looks like one."""
    response = Response(403, {}, error_xml("AccessDenied"))
    root = "datasets/images/train/of/a/year/and/a/day/"
    assert (
        root
        in error_from_response(response, OperationContext(Operation.READ, "data", root, S3_LABELS, PROVIDER)).message
    )


def test_provider_text_becomes_one_plain_line() -> None:
    assert plain("a\r\nb\x00\u2028c\u202e  d.") == "a b c d"
    assert plain("x" * 30 + " " + "y" * 300, limit=40) == "x" * 30 + " …"
    assert len(plain("word " * 300)) == 200
    said = plain(
        "User: arn:aws:iam::123456789012:user/x may not s3:ListBucket on arn:aws:s3:::some-bucket-with-a-long-name"
    )
    assert said.endswith("some-bucket-with-a-long-name")


@pytest.mark.parametrize("said", ["a-" * 32_000, "token" * 13_000, "x-token " * 8_000, "token=" + " " * 64_000])
def test_long_provider_text_is_processed_quickly(said: str) -> None:
    """A search that started again at each `-` took 95 s for 64 kB, and blocked the server."""
    began = time.perf_counter()
    assert len(plain(said)) <= 200
    body = error_xml("X", said, more=f"<Endpoint>{said}</Endpoint>")[: 2**16]
    store_error(400, body, headers={"x-amz-bucket-region": said, "location": f"https://{said}"})
    store_error(301, b"", headers={"location": f"https://{said}"})
    store_error(301, b"<Error><Endpoint>" + said[:60_000].encode() + b"</Endpoint></Error>")
    assert time.perf_counter() - began < 1.0


def test_secret_is_not_shown_at_the_cut() -> None:
    """Removing blanks after the cut moved the text at the cut into the part that is shown."""
    for blanks in range(700, 800):
        assert plain("Refused" + " " * blanks + "ab" * 32).replace("…", "").strip() == "Refused"


@pytest.mark.parametrize(
    "code",
    [
        "ServerSideEncryptionConfigurationNotFoundError",
        "MissingRequiredHeaderForBucketWithObjectLockEnabled",
        "ObjectLockConfigurationIsNotEnabledOnThisBucketACL",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT_FOR_THIS_REQUEST",
        "account_is_not_allowed_to_write_to_this_container",
        "bucketPolicyOnlyIsEnabledAndLegacyAclIsNotAllowed",
    ],
)
def test_long_error_code_is_shown(code: str) -> None:
    """A code of 40 letters or more was taken for a secret, and nobody could look it up."""
    error = store_error(400, error_xml(code, f"Refused with {code}."))
    assert f"{code} (Refused with {code})" in error.message


@given(secret=st.text(string.ascii_letters + string.digits + "+/", min_size=40, max_size=120))
@settings(max_examples=300, deadline=None)
@example("wJalrXUtnFEMIbKxMDENGybPxRfiCYEXAMPLEKEYab")
@example("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr")
@example("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQR")
@example("aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgHiJkLmNoPqR")
@example("ServerSideEncryptionConfigurationNotFoundErr0r")
@example("0" * 64)
def test_random_text_is_hidden_as_a_code_and_in_a_message(secret: str) -> None:
    """Showing long error codes must not show keys, signatures and tokens."""
    assert secret not in store_error(400, error_xml(secret, f"It was {secret} that failed.")).message


@pytest.mark.parametrize(
    "secret",
    [
        "you sent hush-hush with it",
        "Signature=" + "ab" * 32,
        "x-amz-security-token: short",
        "Authorization: Basic abc",
        "Credential=me/20240101/s3",
        "the string " + "A1b/" * 10,
    ],
)
def test_provider_text_contains_no_secret(secret: str) -> None:
    error = store_error(403, error_xml("AccessDenied", f"Refused: {secret}"))
    assert "Refused" in error.message
    for hidden in ("hush", "abab", "short", "abc", "me/2024", "A1b/"):
        assert hidden not in error.message
