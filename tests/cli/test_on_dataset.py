"""Errors in the words of the command line."""

from __future__ import annotations

import pytest

from headwater.cli.on_dataset import OPTION_NAMES, naming, with_names
from headwater.domain.datasource_members import DATASOURCE_TYPES
from headwater.domain.errors import MalformedRequestError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3Region: required; type: expected one of S3", "--region: required; --type: expected one of S3"),
        ("Check s3ARN and s3ExternalId: STS", "Check --role-arn and --external-id: STS"),
        ("the purpose INPUT, of this type: no", "the purpose INPUT, of this type: no"),
        ("obsSecretAccessKey: must not be empty", "--secret-file: must not be empty"),
        ("is in the region x: check obsEndpoint", "is in the region x: check --endpoint"),
        ("a file myfullPathology.png", "a file myfullPathology.png"),
    ],
)
def test_members_become_options(text: str, expected: str) -> None:
    assert with_names(text) == expected


def test_every_member_that_can_be_given_has_an_option() -> None:
    members = {member.wire_name for declared in DATASOURCE_TYPES for member in declared.members}
    assert members - set(OPTION_NAMES) == {"thumbSuffix"}, "can only be given in a config file"


def test_an_error_keeps_its_class_and_code() -> None:
    with pytest.raises(MalformedRequestError) as caught, naming({"name": "NEWNAME"}):
        raise MalformedRequestError("name: expected at least 3 characters")
    assert caught.value.message == "NEWNAME: expected at least 3 characters"
