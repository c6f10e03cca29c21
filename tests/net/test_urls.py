"""Endpoints that people configure, and percent-encoding."""

from __future__ import annotations

import pytest

from headwater.domain.errors import LocationInvalidError
from headwater.net.urls import (
    Origin,
    encode_path,
    encode_query,
    encode_value,
    is_http_url,
    parse_endpoint,
    split_http_url,
)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://store.test", Origin("https", "store.test", 443), ""),
        ("HTTP://Store.TEST:9000/", Origin("http", "store.test", 9000), ""),
        ("https://store.test:443/a+b/ü%20/", Origin("https", "store.test", 443), "/a%2Bb/%C3%BC%20"),
        ("http://[2001:DB8::1]:80", Origin("http", "2001:db8::1", 80), ""),
        ("https://bücher.example", Origin("https", "xn--bcher-kva.example", 443), ""),
        ("http://minio_1:9000", Origin("http", "minio_1", 9000), ""),
    ],
)
def test_endpoint_is_split(url: str, origin: Origin, path: str) -> None:
    assert parse_endpoint(url, "obsEndpoint") == (origin, path)


def test_authority_omits_the_default_port() -> None:
    assert Origin("https", "store.test", 443).authority == "store.test"
    assert Origin("http", "store.test", 443).authority == "store.test:443"
    assert str(Origin("http", "::1", 9000)) == "http://[::1]:9000"


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "store.test",
            "ftp://store.test",
            "https://",
            "https://:9000",
            "https://a:x",
            "https://a:0",
            "https://a:65536",
        ),
        *(
            "https://user:secret@store.test",
            "https://store.test?x=1",
            "https://store.test#x",
            "https://a b",
            "https://a\n.b",
        ),
        *(
            "https://a/\r\nx: y",
            "http://[::1",
            "http://[fe80::1%25eth0]",
            "https://a..b",
            "https://" + "a" * 64 + ".test",
        ),
    ],
)
def test_invalid_endpoint_is_refused(url: str) -> None:
    with pytest.raises(LocationInvalidError, match="obsEndpoint") as error:
        parse_endpoint(url, "obsEndpoint")
    assert "secret" not in error.value.message


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://issuer.test", Origin("https", "issuer.test", 443), "/"),
        ("HTTP://Issuer.test:8080/keys?a=%20&b", Origin("http", "issuer.test", 8080), "/keys?a=%20&b"),
        ("http://[::1]:80/", Origin("http", "::1", 80), "/"),
    ],
)
def test_http_url_is_split(url: str, origin: Origin, target: str) -> None:
    assert is_http_url(url)
    assert split_http_url(url) == (origin, target)


@pytest.mark.parametrize(
    "url", ["", "issuer.test", "ftp://a", "https://", "https://u:p@a", "https://a#b", "https://a:x"]
)
def test_other_urls_are_not_http_urls(url: str) -> None:
    assert not is_http_url(url)


def test_percent_encoding() -> None:
    assert encode_path("a/b c~_.-") == "a/b%20c~_.-"
    assert encode_value("a/b+c~") == "a%2Fb%2Bc~"
    assert encode_query({"b": "1&2", "a": "", "B": "ü"}) == "B=%C3%BC&a=&b=1%262"
