"""Whatever a user sends, the domain takes it or refuses it with its own error: no other exception ever gets out.

Properties of accepted values are tested next to each module. Cursors and URLs: `test_cursor.py`, `test_read_url.py`,
`test_redirected_url.py`, and over HTTP `tests/fuzz/test_mutations.py`.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from headwater import contract
from headwater.domain.dataset import check_name, may_begin_name
from headwater.domain.datasource import parse_new_config
from headwater.domain.errors import MalformedRequestError, RelevantFilenamesInvalidError
from headwater.domain.key_file import find_key_file, no_key_file, unescaped_pem
from headwater.domain.lightly_folder import check_selection_file, predictions_folder
from headwater.domain.selection import Selection
from headwater.domain.selection_parser import SelectionParser
from headwater.domain.window import LAST_SECOND, parse_seconds
from tests.contract.test_document import problems
from tests.domain.configs import SECRETS, VALID

DOCUMENT = contract.document()
NAME = DOCUMENT["components"]["schemas"]["DatasetName"]

ODD = [
    "",
    " ",
    "\0",
    "\n",
    "/",
    "//",
    ".",
    "..",
    "://",
    "s3://",
    "https://",
    "https://[",
    "@",
    "%",
    "?",
    "#",
    "\\",
    "é",
]
TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from([*ODD, "bucket", "a.b", "arn:aws:iam::123456789012:role/x", "9"]), max_size=6).map(
        "".join
    ),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = sorted({member for config in VALID.values() for member in config} | {"purpose", "thumbSuffix", "id"})


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """A valid config in which some members are something else, are missing, or belong to another type."""
    config = dict(draw(st.sampled_from(list(VALID.values()))))
    for member in draw(st.lists(st.sampled_from(MEMBERS), max_size=3)):
        value = draw(st.one_of(TEXTS, TEXTS, JSON))
        kept = config.get(member)
        if isinstance(kept, str) and isinstance(value, str) and draw(st.booleans()):
            value = kept + value
        config[member] = value
    return config


@given(configs())
@example({**VALID["S3"], "fullPath": "arn:aws:s3:eu-central-1:111122223333:accesspoint/mine/street"})
@example({**VALID["GCS"], "fullPath": "bucket:a/b"})
def test_config_is_taken_or_refused(config: dict[str, Any]) -> None:
    """What is taken can be sent back as the contract says, and is the same after it was put once more.

    The document allowed no `:` in `fullPath`: clients that are made from it, and `swagger_client`, refused the ARNs of
    access points, which the server takes.
    """
    try:
        parsed = parse_new_config(config)
    except MalformedRequestError:
        return
    wire = parsed.to_wire()
    assert problems(DOCUMENT, {"$ref": "#/components/schemas/DatasourceConfig"}, {"id": "0" * 24, **wire}) == []
    assert parse_new_config({**wire, **{name: config[name] for name in SECRETS.values() if name in wire}}) == parsed
    assert parsed.location.fingerprint


@given(JSON)
def test_any_json_as_a_config_is_refused_or_taken(raw: object) -> None:
    try:
        parse_new_config(raw)
    except MalformedRequestError:
        pass


@given(st.one_of(TEXTS, st.integers().map(str), st.from_regex(r"\s*[+-]?[\d_.]+\s*")))
@example("9" * 5000)
def test_seconds_are_a_number_in_range_or_refused(text: str) -> None:
    try:
        seconds = parse_seconds("from", text)
    except MalformedRequestError:
        assert not (re.fullmatch("[0-9]{1,12}", text) and int(text) <= LAST_SECOND)
    else:
        assert 0 <= seconds <= LAST_SECOND
        assert str(seconds) == (text.lstrip("0") or "0")


@given(st.one_of(TEXTS, st.from_regex(NAME["pattern"]), st.text("a -_9", max_size=300)))
@example("a b\n")
def test_name_is_taken_exactly_as_the_contract_says(text: str) -> None:
    is_valid = NAME["minLength"] <= len(text) <= NAME["maxLength"] and re.fullmatch(NAME["pattern"][1:-1], text)
    try:
        assert check_name(text) == text
        assert is_valid
    except MalformedRequestError:
        assert not is_valid
    if is_valid:
        assert all(may_begin_name(text[:end]) for end in range(1, len(text) + 1))


@given(st.one_of(st.binary(max_size=200), st.lists(TEXTS).map("\n".join).map(str.encode)), st.integers(1, 50))
def test_selection_is_taken_or_refused_however_it_arrives(raw: bytes, chunk: int) -> None:
    def parse(size: int) -> Selection | str:
        parser = SelectionParser(".lightly/relevant.txt")
        try:
            for start in range(0, len(raw), size):
                parser.feed(raw[start : start + size])
            return parser.finish()
        except RelevantFilenamesInvalidError as error:
            return error.message

    whole, in_chunks = parse(len(raw) or 1), parse(chunk)
    if isinstance(whole, str) or isinstance(in_chunks, str):
        assert type(whole) is type(in_chunks)
        return
    for name in ("a", "a/b", ".lightly/x", "bucket", "9"):
        assert whole.selects(name) == in_chunks.selects(name)


@given(TEXTS)
def test_file_of_a_selection_and_task_stay_in_their_folder(text: str) -> None:
    for check in (check_selection_file, predictions_folder):
        try:
            found = check(text)
        except MalformedRequestError:
            continue
        assert found.startswith(".lightly/")
        assert not set(found.split("/")) & {".", ".."}


@given(st.one_of(TEXTS, JSON.map(str)))
@example("[" * 100_000)
@example("-----BEGIN PRIVATE KEY-----" * 100)
def test_any_text_as_a_key_file_has_an_explanation(text: str) -> None:
    if find_key_file(text) is None:
        assert no_key_file(text)
    assert isinstance(unescaped_pem(text), str)
