from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.errors import ForbiddenError
from headwater.domain.read_url import ReadUrlSigner

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW = 1_700_000_000
SIGNER = ReadUrlSigner([KEY], "https://hw.example", "/data")

ODD_LETTERS = st.sampled_from(" %+#?&=;'\"<>\\/.~\n\r\t\x01\x7fé\u0301🦊א")
ODD = st.text(st.one_of(ODD_LETTERS, st.characters(codec="utf-8")), min_size=1, max_size=40)


def parts_of(url: str) -> tuple[str, str, str]:
    split = urlsplit(url)
    query = parse_qs(split.query, strict_parsing=True)
    assert list(query) == ["expires", "signature"]
    assert split.fragment == ""
    return unquote(split.path.removeprefix("/files/")), query["expires"][0], query["signature"][0]


def sign(path: str, expires: int = NOW + 60, signer: ReadUrlSigner = SIGNER) -> tuple[str, str, str]:
    (url,) = signer.sign([path], expires)
    return parts_of(url)


def test_a_url_has_the_documented_form() -> None:
    (url,) = ReadUrlSigner([KEY], "https://hw.example/pre/fix/", "/data").sign(["a b/ü~%41+.png"], 1_800_000_000)
    assert url.startswith("https://hw.example/pre/fix/files/a%20b/%C3%BC~%2541%2B.png?expires=1800000000&signature=")
    signature = url.rpartition("=")[2]
    assert len(signature) == 43
    assert set(signature) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@given(ODD)
def test_a_signed_url_is_valid(path: str) -> None:
    (url,) = SIGNER.sign([path], NOW + 60)
    assert url.isascii()
    assert not any(c in url for c in " \"<>\\'+;\n\r\t#")
    got, expires, signature = parts_of(url)
    assert got == path
    assert SIGNER.verify(got, expires, signature, NOW) == 60


@given(ODD, ODD)
def test_a_changed_path_is_refused(path: str, other: str) -> None:
    _, expires, signature = sign(path)
    if other != path:
        with pytest.raises(ForbiddenError, match="does not match"):
            SIGNER.verify(other, expires, signature, NOW)


@given(st.text(max_size=20))
def test_a_changed_expiry_is_refused(expires: str) -> None:
    path, right, signature = sign("a.png")
    if expires != right:
        with pytest.raises(ForbiddenError, match="does not match"):
            SIGNER.verify(path, expires, signature, NOW)


@pytest.mark.parametrize("spelling", ["0{}", "+{}", " {}", "{}\n", "{}.0", "٣", "", "9" * 5000])
def test_the_expiry_has_one_spelling(spelling: str) -> None:
    path, expires, signature = sign("a.png")
    with pytest.raises(ForbiddenError, match="does not match"):
        SIGNER.verify(path, spelling.format(expires), signature, NOW)


@given(st.integers(0, 42), st.characters())
def test_a_changed_signature_is_refused(index: int, letter: str) -> None:
    path, expires, right = sign("a.png")
    signature = right[:index] + letter + right[index + 1 :]
    if signature != right:
        with pytest.raises(ForbiddenError, match="does not match"):
            SIGNER.verify(path, expires, signature, NOW)


def test_a_shortened_or_extended_signature_is_refused() -> None:
    path, expires, signature = sign("a.png")
    for changed in (signature[:-1], signature + "A", signature + "=", "", "é", "\ud800"):
        with pytest.raises(ForbiddenError, match="does not match"):
            SIGNER.verify(path, expires, changed, NOW)


def test_digits_cannot_move_from_the_path_to_the_expiry() -> None:
    """If a digit moved from the path to the expiry, the same bytes would be signed for a URL that lives longer."""
    _, expires, signature = sign("7/a.png", NOW)
    with pytest.raises(ForbiddenError, match="does not match"):
        SIGNER.verify("/a.png", expires + "7", signature, NOW)


def test_an_expired_url_is_refused() -> None:
    path, expires, signature = sign("a.png", NOW)
    assert SIGNER.verify(path, expires, signature, NOW - 1.5) == 1
    for now in (NOW, NOW + 0.1, NOW + 10**6):
        with pytest.raises(ForbiddenError, match=r"expired at 2023-11-14T22:13:20Z: list again"):
            SIGNER.verify(path, expires, signature, now)


def test_a_url_of_another_mount_root_is_refused() -> None:
    path, expires, signature = sign("a.png")
    with pytest.raises(ForbiddenError, match="does not match"):
        ReadUrlSigner([KEY], "https://hw.example", "/other").verify(path, expires, signature, NOW)


def test_a_url_outlives_a_key_rotation() -> None:
    old, both, new = (ReadUrlSigner(keys, "https://h", "/data") for keys in ([KEY], [OTHER_KEY, KEY], [OTHER_KEY]))
    assert both.verify(*sign("a.png", signer=old), NOW) == 60
    assert new.verify(*sign("a.png", signer=both), NOW) == 60
    with pytest.raises(ForbiddenError, match="does not match"):
        new.verify(*sign("a.png", signer=old), NOW)


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b"k" * 33]])
def test_missing_and_short_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ReadUrlSigner(keys, "https://h", "/data")


def test_the_representation_does_not_show_keys() -> None:
    assert KEY.decode() not in repr(SIGNER) + str(vars(SIGNER))


def test_a_lone_surrogate_in_a_name_can_be_signed() -> None:
    """A JSON body can contain half a surrogate pair. No file has such a name, but signing it must not fail."""
    (url,) = SIGNER.sign(["a\ud800.png"], NOW)
    assert "/files/a%ED%A0%80.png?" in url
