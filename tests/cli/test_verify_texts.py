"""What `headwater datasource verify` prints if several kinds of access fail for one reason."""

from __future__ import annotations

from headwater.cli.datasource import _verification_fields

REASON = "InvalidAccessKeyId (The key does not exist). Check the key: the store does not know it"
READ = f"OBS did not read an object of the bucket 'b': {REASON}"
WRITE = f"OBS did not write an object to the bucket 'b': {REASON}"
LIST = f"OBS did not list the bucket 'b': {REASON}"


def _printed(**errors: str) -> list[tuple[str, str]]:
    answer = dict.fromkeys(("canRead", "canWrite", "canList", "canOverwrite"), False)
    return list(_verification_fields({**answer, "errors": errors}))


def test_a_common_reason_is_printed_once() -> None:
    """The same long reason was printed four times, because the texts only began in different ways."""
    refused = f"not tried, as creating is refused: {WRITE}"
    assert _printed(canRead=READ, canWrite=WRITE, canList=LIST, canOverwrite=refused) == [
        ("canRead", "no"),
        ("", READ),
        ("canWrite", "no"),
        ("", "OBS did not write an object to the bucket 'b': as above"),
        ("canList", "no"),
        ("", "OBS did not list the bucket 'b': as above"),
        ("canOverwrite", "no"),
        ("", "not tried, as creating is refused: as above"),
    ]


def test_what_differs_is_printed() -> None:
    """Each operation needs another permission."""
    texts = [f"AccessDenied (Access Denied). Allow s3:{name} for this key" for name in ("GetObject", "ListBucket")]
    assert [text for _, text in _printed(canRead=texts[0], canList=texts[1]) if text.startswith("Access")] == texts


def test_a_common_reason_of_two_datasources_is_printed_once() -> None:
    both = {name: f"INPUT: {text}; LIGHTLY: {text}" for name, text in (("canRead", READ), ("canList", LIST))}
    texts = [text for name, text in _printed(**both, canWrite=f"LIGHTLY: {WRITE}") if not name]
    assert texts == [
        f"INPUT: {READ}; LIGHTLY: as above",
        "LIGHTLY: OBS did not write an object to the bucket 'b': as above",
        "INPUT: OBS did not list the bucket 'b': as above; LIGHTLY: as above",
    ]
