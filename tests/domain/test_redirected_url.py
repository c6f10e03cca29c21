"""Redirected read URLs are good for one object of one datasource (contract.md#redirected-read-urls)."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.datasource import Datasource, parse_config
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


def test_the_right_one_of_two_datasources_is_found() -> None:
    other = Datasource("2" * 24, "d" * 24, CONFIG)
    path, token = parts(SIGNER.sign(other, ["a"])[0])
    assert SIGNER.find([SOURCE, other], path, token) is other
