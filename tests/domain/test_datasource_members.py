"""The declared members of datasource types agree with the config classes, the contract and each other."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from headwater.domain.datasource import find_config_class
from headwater.domain.datasource_members import DATASOURCE_TYPES, DatasourceType, find_datasource_type
from headwater.domain.errors import MalformedRequestError

all_types = pytest.mark.parametrize("declared", DATASOURCE_TYPES, ids=lambda each: each.name)


@all_types
def test_config_class_has_exactly_the_declared_members(declared: DatasourceType) -> None:
    fields = dict(find_config_class(declared.name).model_fields)
    fields.pop("type")
    assert {name: field.alias or name for name, field in fields.items()} == {
        member.attribute: member.wire_name for member in declared.members
    }
    assert list(fields)[: len(declared.members)] == [member.attribute for member in declared.members]


@all_types
def test_secret_member_is_hidden_by_the_config_class(declared: DatasourceType) -> None:
    fields = find_config_class(declared.name).model_fields
    secrets = [name for name, field in fields.items() if field.annotation is SecretStr]
    assert secrets == [member.attribute for member in declared.members if member.secret]
    assert len(secrets) <= 1
    assert bool(secrets) <= bool(declared.identity), "a secret is bound to an account or server"


@all_types
def test_secret_has_no_option(declared: DatasourceType) -> None:
    """The list of processes shows arguments."""
    assert [member.option for member in declared.members if member.secret] in ([], [None])


def test_types_that_share_an_option_describe_it_alike() -> None:
    described: dict[str | None, set[tuple[str, str | None]]] = {}
    for declared in DATASOURCE_TYPES:
        for member in declared.members:
            described.setdefault(member.option, set()).add((member.help, member.metavar))
    assert {option: len(texts) for option, texts in described.items() if option is not None and len(texts) > 1} == {}


@all_types
def test_type_is_found_by_name_and_alias(declared: DatasourceType) -> None:
    assert find_datasource_type(declared.name) is declared
    assert find_datasource_type(declared.alias) is declared
    with pytest.raises(MalformedRequestError, match="type: expected one of S3, S3DelegatedAccess, GCS"):
        find_datasource_type(declared.name.swapcase())
