"""The form of datasource configs, and masked secrets (contract.md#datasource-config)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.datasource import SECRET_MASK, faults_of, parse_config, parse_new_config
from headwater.domain.datasource_checks import S3_REGIONS
from headwater.domain.datasource_members import TYPE_NAMES
from headwater.domain.errors import MalformedRequestError
from tests.domain.configs import ALIASES, SECRETS, VALID


def test_examples_cover_every_type() -> None:
    assert set(VALID) == set(TYPE_NAMES)


@pytest.mark.parametrize("raw", VALID.values(), ids=VALID)
def test_response_repeats_the_config_with_masked_secret_and_default_purpose(raw: dict[str, Any]) -> None:
    secret = SECRETS.get(raw["type"])
    expected = {**raw, "purpose": "INPUT_OUTPUT", **({secret: SECRET_MASK} if secret else {})}
    assert parse_config(raw).to_wire() == expected


@pytest.mark.parametrize(("alias", "type_name"), ALIASES.items())
def test_class_names_are_accepted_as_types_and_shown_as_names(alias: str, type_name: str) -> None:
    assert parse_config({**VALID[type_name], "type": alias}).to_wire()["type"] == type_name


@pytest.mark.parametrize("raw", VALID.values(), ids=VALID)
def test_missing_member_is_named(raw: dict[str, Any]) -> None:
    for name in raw:
        for broken in ({key: raw[key] for key in raw if key != name}, {**raw, name: None}, {**raw, name: 5}):
            with pytest.raises(MalformedRequestError, match=name):
                parse_config(broken)


def test_optional_members_may_be_null_and_unknown_members_are_dropped() -> None:
    raw = {
        **VALID["LOCAL"],
        "thumbSuffix": None,
        "purpose": None,
        "webServerLocation": None,
        "id": "x",
        "more": {},
    }
    assert parse_config(raw).to_wire() == {**VALID["LOCAL"], "purpose": "INPUT_OUTPUT"}
    template = "thumbs/[filename].[extension]"
    assert parse_config({**raw, "thumbSuffix": template}).to_wire()["thumbSuffix"] == template


@pytest.mark.parametrize(
    ("type_name", "member", "value", "expected"),
    [
        ("S3", "s3Region", "moon-1", "expected one of the regions us-east-1"),
        ("S3", "s3AccessKeyId", "", "must not be empty"),
        ("S3", "s3SecretAccessKey", "", "must not be empty"),
        ("S3", "fullPath", "gs://bucket/path", "with or without s3://"),
        ("S3", "fullPath", "", "bucket or container name first"),
        ("S3", "fullPath", "s3:///path", "bucket or container name first"),
        ("S3", "fullPath", "a\0b", "NUL"),
        ("S3", "s3ServerSideEncryptionKMSKey", "key", "ARN of a KMS key"),
        ("S3", "s3ServerSideEncryptionKMSKey", "arn:aws:kms:eu-west-1:123456789012:key/x\n", "ARN of a KMS key"),
        ("S3DelegatedAccess", "s3ExternalId", "short", "at least 10"),
        ("S3DelegatedAccess", "s3ExternalId", "has a blank in it", "letters, digits"),
        ("S3DelegatedAccess", "s3ARN", "arn:aws:iam::1:role/x", "ARN of a role"),
        ("GCS", "fullPath", "s3://bucket", "with or without gs://"),
        ("GCS", "gcsProjectId", "", "must not be empty"),
        ("AZURE", "fullPath", "https://account.blob.core.windows.net/c", "without a scheme"),
        ("OBS", "obsEndpoint", "obs.example.com", "begins with http"),
        ("OBS", "obsEndpoint", "https://", "begins with http"),
        ("OBS", "obsEndpoint", "http://host:port/", "a URL such as"),
        ("OBS", "obsEndpoint", "http://a b/", "a URL such as"),
        ("OBS", "obsEndpoint", "http://user:word@host/", "without user and password"),
        ("LOCAL", "fullPath", "a\ud800", "Unicode"),
        ("LOCAL", "fullPath", "/etc", "without a leading"),
        ("LOCAL", "fullPath", "a/../../b", "'..' parts"),
        ("LOCAL", "fullPath", "./a", "'.' and"),
        ("LOCAL", "fullPath", "file://a", "not a URL"),
        ("LOCAL", "webServerLocation", "ftp://x", "begins with http"),
        ("LOCAL", "purpose", "OUTPUT", "INPUT_OUTPUT, INPUT, LIGHTLY"),
        ("LOCAL", "purpose", ["INPUT"], "INPUT_OUTPUT, INPUT, LIGHTLY"),
        ("LOCAL", "thumbSuffix", 3, "expected a string"),
    ],
)
def test_malformed_member_is_named_with_what_was_expected(
    type_name: str, member: str, value: Any, expected: str
) -> None:
    with pytest.raises(MalformedRequestError) as caught:
        parse_config({**VALID[type_name], member: value})
    assert f"{member}: " in caught.value.message
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("type_name", "member", "value", "expected"),
    [
        ("OBS", "obsEndpoint", "https://host?region=", "?region=NAME"),
        ("OBS", "obsEndpoint", "https://host?region=a/b", "?region=NAME"),
        ("OBS", "obsEndpoint", "https://host?region=a&x=1", "?region=NAME"),
        ("LOCAL", "webServerLocation", "https://host/?a=b", "'?' and '#'"),
        *((type_name, member, " \n", "must not be empty") for type_name, member in SECRETS.items()),
    ],
)
def test_rule_for_new_configs_does_not_hold_for_stored_ones(
    type_name: str, member: str, value: str, expected: str
) -> None:
    """A stored datasource that broke a rule of a later version could be neither shown nor replaced."""
    raw = {**VALID[type_name], member: value}
    assert parse_config(raw).type == type_name, "what is stored can be read"
    with pytest.raises(MalformedRequestError) as caught:
        parse_new_config({**raw, "purpose": "OUTPUT"})
    assert expected in caught.value.message
    assert "purpose: " in caught.value.message, "all faults are named at once"
    [(name, text)] = faults_of(type_name, raw)
    assert name == member, "the command line says the same"
    assert expected in text


@pytest.mark.parametrize("end", ["?a=b", "?", "/#x", "/a/../b", "/..", "/./", "/%2e%2E/a", "/a\\b", "\\..\\a"])
def test_web_server_that_is_no_folder_is_refused_by_new_configs(end: str) -> None:
    """Read URLs named other files, or none: the name became a part of the query, or clients removed `..` parts."""
    raw = {**VALID["LOCAL"], "webServerLocation": f"https://files.example.com{end}"}
    with pytest.raises(MalformedRequestError, match="webServerLocation: expected a URL with"):
        parse_new_config(raw)
    assert parse_config(raw).to_wire()["webServerLocation"] == raw["webServerLocation"], "what is stored can be read"


@pytest.mark.parametrize("url", ["http://localhost:3456", "https://a.example/..b/c./", "http://[::1]:80/a%20b/"])
def test_web_server_with_a_folder_is_accepted(url: str) -> None:
    assert parse_new_config({**VALID["LOCAL"], "webServerLocation": url}).to_wire()["webServerLocation"] == url


@pytest.mark.parametrize("raw", [None, 1, "x", [], {}, {"type": None}, {"type": "S4"}, {"type": ["S3"]}, {"type": ""}])
def test_value_that_is_not_a_config_is_refused(raw: object) -> None:
    with pytest.raises(MalformedRequestError):
        parse_config(raw)


@given(st.sampled_from(sorted(SECRETS)), st.text(min_size=8, max_size=40).map(lambda text: f"~{text}~"))
def test_secret_is_in_no_response_repr_or_error(type_name: str, secret: str) -> None:
    raw = {**VALID[type_name], SECRETS[type_name]: secret}
    config = parse_config(raw)
    assert config.secret == secret
    assert secret not in repr(config) + str(config) + repr(config.to_wire())
    with pytest.raises(MalformedRequestError) as caught:
        parse_config({**raw, "fullPath": 5, SECRETS[type_name]: [secret]})
    assert secret not in caught.value.message


@pytest.mark.parametrize("region", S3_REGIONS)
def test_every_region_of_both_generations_is_accepted(region: str) -> None:
    assert parse_config({**VALID["S3"], "s3Region": region}).to_wire()["s3Region"] == region


@pytest.mark.parametrize("type_name", SECRETS)
def test_mask_keeps_the_secret_while_account_and_server_stay(type_name: str) -> None:
    stored = parse_config(VALID[type_name])
    kept = parse_config({**stored.to_wire(), "fullPath": "elsewhere/path"}).with_secret_of(stored)
    assert kept.secret == VALID[type_name][SECRETS[type_name]]
    for member in (each.wire_name for each in stored.TYPE.identity):
        moved = parse_config({**stored.to_wire(), member: VALID[type_name][member] + "x"})
        with pytest.raises(MalformedRequestError, match="send the secret itself"):
            moved.with_secret_of(stored)
    with pytest.raises(MalformedRequestError, match="send the secret itself"):
        parse_config(stored.to_wire()).with_secret_of(None)


def test_mask_does_not_carry_a_secret_to_another_type() -> None:
    """Otherwise a PUT could send a stored S3 key to an OBS endpoint."""
    obs = parse_config(
        {**VALID["OBS"], "obsSecretAccessKey": SECRET_MASK, "obsAccessKeyId": VALID["S3"]["s3AccessKeyId"]}
    )
    with pytest.raises(MalformedRequestError):
        obs.with_secret_of(parse_config(VALID["S3"]))


def test_endpoint_with_a_region_is_repeated_as_it_was_put() -> None:
    endpoint = "https://OBS.example.com:9000/base/?region=RegionOne"
    assert parse_config({**VALID["OBS"], "obsEndpoint": endpoint}).to_wire()["obsEndpoint"] == endpoint


@pytest.mark.parametrize("type_name", SECRETS)
@pytest.mark.parametrize("change", ["{}\n", "{}\r\n", "  {}\t", "\ufeff{}", "\u00a0{}\u200b"])
def test_what_copying_adds_to_a_secret_is_not_part_of_it(type_name: str, change: str) -> None:
    """A secret with a line break at its end was kept, and every request failed as SignatureDoesNotMatch."""
    name = SECRETS[type_name]
    secret = VALID[type_name][name]
    assert parse_config({**VALID[type_name], name: change.format(secret)}).secret == secret
    with pytest.raises(MalformedRequestError, match=f"{name}: must not be empty"):
        parse_new_config({**VALID[type_name], name: change.format("")})


@pytest.mark.parametrize("type_name", SECRETS)
def test_a_mask_with_a_line_break_is_the_mask(type_name: str) -> None:
    name = SECRETS[type_name]
    stored = parse_config(VALID[type_name])
    assert parse_config({**VALID[type_name], name: f"{SECRET_MASK}\n"}).with_secret_of(stored).secret == stored.secret
