import base64
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from headwater.catalog.keyring import Keyring
from headwater.domain.errors import HeadwaterError, StartupError

ONE = bytes(range(32))
TWO = bytes(range(100, 132))


def entry(key_id: str, key: bytes) -> str:
    return f"{key_id}:{base64.b64encode(key).decode()}"


@given(st.text(), st.text())
def test_decrypts_what_it_encrypted(secret, dataset_id):
    # The domain refuses surrogates, which cannot be stored.
    secret, dataset_id = (text.encode("utf-8", "replace").decode() for text in (secret, dataset_id))
    keyring = Keyring([("a", ONE)])
    assert keyring.decrypt(keyring.encrypt(secret, dataset_id), dataset_id) == secret


def test_encrypted_text_has_the_key_id_and_differs_every_time():
    keyring = Keyring.parse(entry("first", ONE))
    texts = {keyring.encrypt("the secret", "d") for _ in range(50)}
    assert len(texts) == 50
    assert all(text.startswith("first:") for text in texts)
    sealed = base64.b64decode(texts.pop().partition(":")[2], validate=True)
    assert len(sealed) == 12 + len("the secret") + 16


def test_first_key_encrypts_and_all_decrypt():
    old = Keyring.parse(entry("old", ONE))
    rotated = Keyring.parse(f"{entry('new', TWO)},{entry('old', ONE)}")
    assert rotated.decrypt(old.encrypt("s", "d"), "d") == "s"
    assert rotated.encrypt("s", "d").startswith("new:")


def test_secret_of_another_dataset_is_refused():
    keyring = Keyring([("a", ONE)])
    with pytest.raises(HeadwaterError, match="cannot be decrypted"):
        keyring.decrypt(keyring.encrypt("s", "one"), "another")


@pytest.mark.parametrize("position", [0, 11, 12, 13, -1])
def test_altered_secret_is_refused(position):
    keyring = Keyring([("a", ONE)])
    key_id, _, encoded = keyring.encrypt("the secret", "d").partition(":")
    sealed = bytearray(base64.b64decode(encoded))
    sealed[position] ^= 1
    with pytest.raises(HeadwaterError, match="cannot be decrypted"):
        keyring.decrypt(f"{key_id}:{base64.b64encode(sealed).decode()}", "d")


@pytest.mark.parametrize("text", ["a:", "a:AAAA", "a:not base64", "a"])
def test_text_that_is_not_an_encrypted_secret_is_refused(text):
    with pytest.raises(HeadwaterError, match="cannot be decrypted"):
        Keyring([("a", ONE)]).decrypt(text, "d")


def test_secret_of_a_missing_key_is_refused():
    with pytest.raises(HeadwaterError, match="a key that this server does not have"):
        Keyring([("b", TWO)]).decrypt(Keyring([("a", ONE)]).encrypt("s", "d"), "d")


def test_encryption_key_is_neither_the_raw_key_nor_a_derived_one():
    """A subkey for another use must not decrypt secrets, whatever its label is."""
    text = Keyring([("a", ONE)]).encrypt("s", "d")
    sealed = base64.b64decode(text.partition(":")[2])
    for key in (ONE, *Keyring([("a", ONE)]).derive("headwater secrets"), *Keyring([("a", ONE)]).derive("")):
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(sealed[:12], sealed[12:], b"d")


def test_derive_returns_one_subkey_for_each_key_and_label():
    keyring = Keyring([("a", ONE), ("b", TWO)])
    cursors, urls = keyring.derive("cursors"), keyring.derive("read urls")
    assert cursors == Keyring([("x", ONE), ("y", TWO)]).derive("cursors")
    assert len({*cursors, *urls, ONE, TWO}) == 6
    assert {len(key) for key in (*cursors, *urls)} == {32}


def test_parse_keeps_the_order_and_ignores_blanks():
    assert Keyring.parse(f" {entry('b', TWO)} ,\n{entry('a', ONE)} ").ids == ("b", "a")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "entry 1 is not a key"),
        (base64.b64encode(ONE).decode(), "entry 1 is not a key"),
        (f"{entry('a', ONE)},", "entry 2 is not a key"),
        (f"{entry('a', ONE)},b:not base64!", "entry 2 is not a key"),
        (entry("", ONE), "entry 1 is not a key"),
        (entry("a b", ONE), "entry 1 is not a key"),
        (entry("a", ONE[:16]), "entry 1 holds 16 bytes"),
        (f"{entry('a', ONE)},{entry('a', TWO)}", "entry 2 has the id of an earlier entry"),
    ],
)
def test_malformed_keys_are_named_by_number_and_never_shown(text, says):
    with pytest.raises(StartupError) as caught:
        Keyring.parse(text)
    message = caught.value.message
    assert message.startswith("HEADWATER_SECRET_KEY: ")
    assert says in message
    for part in text.replace(",", ":").split(":"):
        assert len(part) < 8 or part not in message


def test_repr_hides_keys():
    assert repr(Keyring([("a", ONE), ("b", TWO)])) == "Keyring(a, b)"


def test_creates_a_key_file_once(tmp_path):
    path = tmp_path / "data" / "secret.key"
    first = Keyring.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [child.name for child in path.parent.iterdir()] == ["secret.key"]
    assert path.read_text().count("\n") == 1
    again = Keyring.load_or_create(path)
    assert again.derive("x") == first.derive("x")
    assert Keyring.parse(path.read_text()).decrypt(first.encrypt("s", "d"), "d") == "s"


def test_concurrent_starts_agree_on_one_key(tmp_path):
    with ThreadPoolExecutor(4) as threads:
        for attempt in range(20):
            path, barrier = tmp_path / str(attempt) / "secret.key", threading.Barrier(4)

            def start(_, path=path, barrier=barrier):
                barrier.wait()
                return Keyring.load_or_create(path).derive("x")

            assert len(set(threads.map(start, range(4)))) == 1
            assert [child.name for child in path.parent.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o601, 0o666])
def test_key_file_that_other_users_may_open_is_refused(tmp_path, mode):
    path = tmp_path / "secret.key"
    Keyring.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(StartupError, match=rf"mode {mode:04o}\); run: chmod 600 '{path}'"):
        Keyring.load_or_create(path)


def test_key_file_that_a_group_may_open_is_accepted(tmp_path):
    """Kubernetes' fsGroup makes the files of a volume 0660 at each mount: the second start of a pod failed."""
    path = tmp_path / "secret.key"
    Keyring.load_or_create(path)
    path.chmod(0o660)
    Keyring.load_or_create(path).check_file()


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\xff\xfe", b"a:" + base64.b64encode(ONE[:8])])
def test_key_file_without_a_key_is_named(tmp_path, content):
    path = tmp_path / "secret.key"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(StartupError, match=f"key file {path}: entry 1 "):
        Keyring.load_or_create(path)


def test_key_file_that_cannot_be_created_is_a_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match=r"key file .*/file/secret\.key cannot be used: Not a directory"):
        Keyring.load_or_create(tmp_path / "file" / "secret.key")
