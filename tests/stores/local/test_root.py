"""How errors of the operating system are explained."""

from __future__ import annotations

import errno

import pytest

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError, StoreUnavailableError
from headwater.stores.local.root import explain


@pytest.mark.parametrize(
    ("code", "expected", "says"),
    [
        ("EACCES", CredentialsRefusedError, "needs write permission"),
        ("EPERM", CredentialsRefusedError, "needs write permission"),
        ("EROFS", CredentialsRefusedError, "mount the file system for writing"),
        ("ENOSPC", StoreUnavailableError, "free some space"),
        ("EDQUOT", StoreUnavailableError, "free some space"),
        ("EMFILE", StoreUnavailableError, "too many files open"),
        ("ENFILE", StoreUnavailableError, "too many files open"),
        ("EIO", StoreUnavailableError, "fault"),
        ("ESTALE", StoreUnavailableError, "fault"),
        ("ETIMEDOUT", StoreUnavailableError, "fault"),
        ("ENOTCONN", StoreUnavailableError, "fault"),
        ("EFBIG", StoreUnavailableError, "fault"),
        ("EISDIR", LocationInvalidError, "no file can have"),
        ("ENAMETOOLONG", LocationInvalidError, "no file can have"),
    ],
)
def test_explain_names_the_cause_and_the_fix(code: str, expected: type[StoreError], says: str) -> None:
    error = explain(OSError(getattr(errno, code), "…"), "write 'a.png'", "write permission")
    assert type(error) is expected
    assert error.provider_code == code
    assert error.message.startswith(f"cannot write 'a.png' ({code}: ")
    assert says in error.message
