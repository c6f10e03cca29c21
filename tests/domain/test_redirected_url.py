"""Redirected read URLs are good for one object of one datasource (contract.md#redirected-read-urls)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from headwater.domain.datasource import Datasource, Purpose, parse_config
from headwater.domain.purposes import input_datasource, lightly_datasource, reconfigure
from headwater.domain.redirected_url import RedirectedUrlSigner

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SIGNER = RedirectedUrlSigner([KEY], "https://data.example.com/base/")
CONFIG = parse_config({"type": "LOCAL", "fullPath": "a"})
SOURCE = Datasource("1" * 24, "d" * 24, CONFIG)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


def parts(url: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(url).query, strict_parsing=True)
    return query["path"][0], query["publicToken"][0]


@given(names)
def test_a_signed_url_finds_its_datasource(name: str) -> None:
    (url,) = SIGNER.sign(SOURCE, [name])
    assert url.startswith(f"https://data.example.com/base/v1/datasets/{'d' * 24}/datasource/readurlRedirect?path=")
    path, token = parts(url)
    assert path == name
    assert SIGNER.find([SOURCE], path, token) is SOURCE


def test_a_redirected_url_is_short() -> None:
    (url,) = SIGNER.sign(SOURCE, ["camera/0001.jpg"])
    assert len(url) < 150


@given(names, names)
def test_a_token_is_invalid_for_any_other_object_or_datasource(name: str, other: str) -> None:
    path, token = parts(SIGNER.sign(SOURCE, [name])[0])
    elsewhere = [
        replace(SOURCE, id="2" * 24),
        replace(SOURCE, dataset_id="e" * 24),
        replace(SOURCE, config=parse_config({"type": "LOCAL", "fullPath": "b"})),
    ]
    assert SIGNER.find(elsewhere, path, token) is None
    assert (SIGNER.find([SOURCE], other, token) is SOURCE) == (other == name)
    for wrong in ("", token[:-1], token + "A", token.swapcase(), "\ud800", "ü"):
        assert SIGNER.find([SOURCE], path, wrong) is None


def test_a_url_outlives_new_credentials_and_a_key_rotation() -> None:
    path, token = parts(SIGNER.sign(SOURCE, ["a"])[0])
    assert RedirectedUrlSigner([OTHER_KEY, KEY], "https://x").find([SOURCE], path, token) is SOURCE
    assert RedirectedUrlSigner([OTHER_KEY], "https://x").find([SOURCE], path, token) is None
    spelled = replace(SOURCE, config=parse_config({"type": "LOCAL", "fullPath": "a/"}))
    assert SIGNER.find([spelled], path, token) is spelled


def test_a_key_is_served_by_the_datasource_of_its_purpose() -> None:
    raw = Datasource("1" * 24, "d" * 24, parse_config({"type": "LOCAL", "fullPath": "a", "purpose": "INPUT"}))
    lightly = Datasource("2" * 24, "d" * 24, parse_config({"type": "LOCAL", "fullPath": "a", "purpose": "LIGHTLY"}))
    for source, other, key in ((raw, lightly, "a.png"), (lightly, raw, ".lightly/a.json")):
        path, token = parts(SIGNER.sign(source, [key])[0])
        assert SIGNER.find([raw, lightly], path, token) is source
        assert SIGNER.find([other], path, token) is None


Serving = Callable[[Sequence[Datasource]], Datasource | None]


class Bound(NamedTuple):
    """What was signed for a file while it was at a location."""

    serving: Serving
    path: str
    token: str
    stay: int


@given(st.lists(st.tuples(st.sampled_from(list(Purpose)), st.sampled_from("ab")), max_size=8))
@example([(Purpose.INPUT_OUTPUT, "a"), (Purpose.INPUT, "a"), (Purpose.INPUT, "b")])
@example([(Purpose.INPUT_OUTPUT, "a"), (Purpose.INPUT, "a"), (Purpose.INPUT, "b"), (Purpose.INPUT, "a")])
@example([(Purpose.INPUT_OUTPUT, "a"), (Purpose.LIGHTLY, "a"), (Purpose.INPUT_OUTPUT, "a"), (Purpose.LIGHTLY, "b")])
def test_a_url_is_valid_exactly_as_long_as_what_serves_its_key_stays(puts: list[tuple[Purpose, str]]) -> None:
    """A PUT of INPUT at the location of an INPUT_OUTPUT left the URLs of raw samples with the LIGHTLY datasource.

    They then still worked after the input had moved. Besides, a PUT of INPUT_OUTPUT at the locations of both others
    ended the URLs of both.
    """
    stored: tuple[Datasource, ...] = ()
    issued: list[Bound] = []
    stays: dict[Serving, int] = {input_datasource: 0, lightly_datasource: 0}
    for purpose, folder in puts:
        config = parse_config({"type": "LOCAL", "fullPath": folder, "purpose": purpose})
        after = reconfigure("d" * 24, stored, config).datasources
        for serving in stays:
            before, now = serving(stored), serving(after)
            stays[serving] += before is None or now is None or before.config.location != now.config.location
        stored = after
        for serving, key in ((input_datasource, "a.png"), (lightly_datasource, ".lightly/a.json")):
            source = serving(stored)
            if source is not None:
                issued.append(Bound(serving, *parts(SIGNER.sign(source, [key])[0]), stays[serving]))
        for bound in issued:
            expected = bound.serving(stored) if bound.stay == stays[bound.serving] else None
            assert SIGNER.find(stored, bound.path, bound.token) is expected
    assert len({source.id for source in stored}) == len(stored)
