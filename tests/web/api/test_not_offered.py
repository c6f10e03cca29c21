"""The routes of the published API that are not offered."""

from __future__ import annotations

import re

from headwater import contract
from headwater.web.api.not_offered import NOT_OFFERED, is_published


def test_routes_are_not_in_the_contract() -> None:
    offered = {re.sub(r"{\w+}", "{}", path) for path in contract.document()["paths"]}
    assert not offered & {re.sub(r"{\w+}", "{}", path) for path in NOT_OFFERED}
    for path in contract.document()["paths"]:
        assert not is_published(path)


def test_every_template_matches_its_paths() -> None:
    assert len(NOT_OFFERED) == len(set(NOT_OFFERED)) > 50
    for template in NOT_OFFERED:
        assert is_published(re.sub(r"{\w+}", "50000000abcdef1234566789", template))


def test_parameter_matches_exactly_one_segment() -> None:
    assert is_published("/v1/jobs/7")
    assert not is_published("/v1/jobs/")
    assert not is_published("/v1/jobs/7/8")
    assert not is_published("/v1/jobs/7\n/8/")
    assert not is_published("/v2/jobs")
    assert not is_published("/v1/datasets/50000000abcdef1234566789/nothing")
