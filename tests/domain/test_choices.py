"""What an error says about a value that is none of a few."""

from __future__ import annotations

import pytest

from headwater.domain.choices import expected_one_of, suggest
from headwater.domain.datasource import parse_config
from headwater.domain.datasource_checks import S3_REGIONS
from headwater.domain.errors import MalformedRequestError
from tests.domain.configs import VALID

TYPES = ("Images", "Videos", "Crops")


@pytest.mark.parametrize(
    ("given", "choices", "expected"),
    [
        ("image", TYPES, "did you mean Images?"),
        ("IMAGES", TYPES, "did you mean Images?"),
        (" crops ", TYPES, "did you mean Crops?"),
        ("exat", ("exact", "dates"), "did you mean exact?"),
        ("eu-wst-3", S3_REGIONS, "did you mean eu-west-3, "),
        ("sheep", TYPES, None),
        ("", TYPES, None),
        (5, TYPES, None),
        (None, TYPES, None),
        (["Images"], TYPES, None),
    ],
)
def test_a_misspelled_choice_is_recognised(given: object, choices: tuple[str, ...], expected: str | None) -> None:
    found = suggest(given, choices)
    assert found is None if expected is None else found is not None and found.startswith(expected)


def test_long_text_is_not_compared() -> None:
    """Comparing a megabyte with every choice would block the server for seconds."""
    assert suggest("Images" * 100_000, TYPES) is None


def test_the_text_does_not_repeat_the_value() -> None:
    assert expected_one_of(TYPES, "image") == "expected one of Images, Videos, Crops (did you mean Images?)"
    assert expected_one_of(TYPES, "sheep") == "expected one of Images, Videos, Crops"


@pytest.mark.parametrize(
    ("member", "value", "expected"),
    [
        (
            "type",
            "s3",
            "type: expected one of S3, S3DelegatedAccess, GCS, AZURE, OBS, LOCAL, LIGHTLY (did you mean S3?)",
        ),
        ("purpose", "INPT", "purpose: expected one of INPUT_OUTPUT, INPUT, LIGHTLY (did you mean INPUT?)"),
        ("s3Region", "eu-wst-1", "s3Region: expected a region of AWS (did you mean eu-west-1, "),
    ],
)
def test_configs_suggest_types_purposes_and_regions(member: str, value: str, expected: str) -> None:
    """A misspelled region was answered with a list of 33, a misspelled purpose without a suggestion."""
    with pytest.raises(MalformedRequestError) as caught:
        parse_config({**VALID["S3"], member: value})
    assert caught.value.message.startswith(expected)


@pytest.mark.parametrize("type_name", VALID)
def test_no_text_is_that_of_the_library(type_name: str) -> None:
    """`Value error, …` and `Input should be …` are what pydantic says, and name neither members nor what to do."""
    values: tuple[object, ...] = ("", "\0", "\ud800", " ", "x", 5, 1.5, True, [], {}, b"x", None)
    texts = []
    for member in VALID[type_name]:
        for value in values:
            try:
                parse_config({**VALID[type_name], member: value})
            except MalformedRequestError as error:
                texts.append((member, error.message))
    assert texts
    assert [text for member, text in texts if not text.startswith(f"{member}: ")] == []
    assert [text for _, text in texts if "alue error" in text or "nput should be" in text] == []
