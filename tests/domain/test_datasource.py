"""The form of datasource configs, their masks and places (contract.md#datasource-config)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.datasource import SECRET_MASK, parse_config
from headwater.domain.datasource_checks import S3_REGIONS
from headwater.domain.datasource_members import TYPE_NAMES
from headwater.domain.errors import MalformedRequestError
from tests.domain.configs import ALIASES, SECRETS, VALID


def test_the_examples_cover_every_type() -> None:
    assert set(VALID) == set(TYPE_NAMES)


@pytest.mark.parametrize("raw", VALID.values(), ids=VALID)
def test_answers_repeat_what_was_put_but_for_the_secret_and_the_default_purpose(raw: dict[str, Any]) -> None:
    secret = SECRETS.get(raw["type"])
    expected = {**raw, "purpose": "INPUT_OUTPUT", **({secret: SECRET_MASK} if secret else {})}
    assert parse_config(raw).to_wire() == expected


@pytest.mark.parametrize(("alias", "kind"), ALIASES.items())
def test_class_names_are_accepted_as_types_and_answered_short(alias: str, kind: str) -> None:
    assert parse_config({**VALID[kind], "type": alias}).to_wire()["type"] == kind


@pytest.mark.parametrize("raw", VALID.values(), ids=VALID)
def test_every_required_member_is_required_by_name(raw: dict[str, Any]) -> None:
    for name in raw:
        for broken in ({key: raw[key] for key in raw if key != name}, {**raw, name: None}, {**raw, name: 5}):
            with pytest.raises(MalformedRequestError, match=name):
                parse_config(broken)


def test_optional_members_may_be_null_and_unknown_ones_are_dropped() -> None:
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
    ("kind", "member", "value", "told"),
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
def test_a_malformed_member_is_named_with_what_was_expected(kind: str, member: str, value: Any, told: str) -> None:
    with pytest.raises(MalformedRequestError) as caught:
        parse_config({**VALID[kind], member: value})
    assert f"{member}: " in caught.value.message
    assert told in caught.value.message


@pytest.mark.parametrize("raw", [None, 1, "x", [], {}, {"type": None}, {"type": "S4"}, {"type": ["S3"]}, {"type": ""}])
def test_what_is_no_config_at_all(raw: object) -> None:
    with pytest.raises(MalformedRequestError):
        parse_config(raw)


@given(st.sampled_from(sorted(SECRETS)), st.text(min_size=8, max_size=40).map(lambda text: f"~{text}~"))
def test_a_secret_is_in_no_answer_repr_or_error(kind: str, secret: str) -> None:
    raw = {**VALID[kind], SECRETS[kind]: secret}
    config = parse_config(raw)
    assert config.secret == secret
    assert secret not in repr(config) + str(config) + repr(config.to_wire())
    with pytest.raises(MalformedRequestError) as caught:
        parse_config({**raw, "fullPath": 5, SECRETS[kind]: [secret]})
    assert secret not in caught.value.message


@pytest.mark.parametrize("region", S3_REGIONS)
def test_every_region_of_both_generations(region: str) -> None:
    assert parse_config({**VALID["S3"], "s3Region": region}).to_wire()["s3Region"] == region


@pytest.mark.parametrize("kind", SECRETS)
def test_a_mask_keeps_the_secret_while_its_account_and_server_stay(kind: str) -> None:
    stored = parse_config(VALID[kind])
    kept = parse_config({**stored.to_wire(), "fullPath": "elsewhere/path"}).with_secret_of(stored)
    assert kept.secret == VALID[kind][SECRETS[kind]]
    for member in (each.wire_name for each in stored.TYPE.identity):
        moved = parse_config({**stored.to_wire(), member: VALID[kind][member] + "x"})
        with pytest.raises(MalformedRequestError, match="send the secret itself"):
            moved.with_secret_of(stored)
    with pytest.raises(MalformedRequestError, match="send the secret itself"):
        parse_config(stored.to_wire()).with_secret_of(None)


def test_a_mask_does_not_carry_a_secret_to_another_type() -> None:
    """Or a PUT could aim a stored S3 key at an OBS endpoint."""
    obs = parse_config(
        {**VALID["OBS"], "obsSecretAccessKey": SECRET_MASK, "obsAccessKeyId": VALID["S3"]["s3AccessKeyId"]}
    )
    with pytest.raises(MalformedRequestError):
        obs.with_secret_of(parse_config(VALID["S3"]))


def _place(kind: str, **members: str) -> str:
    return parse_config({**VALID[kind], **members}).location.fingerprint


def test_the_same_place_however_it_is_spelled() -> None:
    assert len({_place("S3", fullPath=path) for path in ("b/p", "b/p/", "s3://b/p", "s3://b/p/")}) == 1
    assert len({_place("LOCAL", fullPath=path) for path in ("a/b", "a/b/", "a//b")}) == 1
    assert _place("S3", s3AccessKeyId="another", s3SecretAccessKey="another") == _place("S3")
    assert _place("OBS", obsEndpoint="https://OBS.example.com/") == _place("OBS")
    assert _place("OBS", obsEndpoint="https://obs.example.com:443") == _place("OBS")


def test_only_a_scheme_at_the_beginning_is_one() -> None:
    """`bucket/a://other/x` was taken for the bucket `other`."""
    place = parse_config({**VALID["S3"], "fullPath": "bucket/a://other/x"}).location
    assert (place.bucket, place.prefix) == ("bucket", "a://other/x/")


def test_other_data_is_another_place() -> None:
    places = [
        _place("S3", fullPath="b"),
        _place("S3", fullPath="b/p"),
        _place("S3", fullPath="b/pp"),
        _place("S3", fullPath="b//p"),
        _place("S3DelegatedAccess", fullPath="b/p"),
        _place("OBS", fullPath="b/p"),
        _place("OBS", fullPath="b/p", obsEndpoint="https://other.example.com"),
        _place("OBS", fullPath="b/p", obsEndpoint="http://obs.example.com"),
        _place("AZURE", fullPath="b/p"),
        _place("AZURE", fullPath="b/p", accountName="other"),
        _place("GCS", fullPath="b/p"),
        _place("LOCAL", fullPath="b/p"),
        _place("LOCAL", fullPath=""),
    ]
    assert len(set(places)) == len(places)
