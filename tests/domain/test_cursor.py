"""Cursors are opaque, URL-safe, authenticated, and bound to their listing (contract.md#lists-and-time-windows)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.cursor import Cursor, CursorSigner, ListingSpec, Progress
from headwater.domain.errors import MalformedRequestError
from headwater.domain.feed import FeedListing, LateArrivals
from headwater.domain.key_order import Order
from headwater.domain.key_range import Resume
from headwater.domain.window import Window

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SIGNER = CursorSigner([KEY])
SPEC = ListingSpec("5" * 24, "location", Window(3, 9))
CURSOR = Cursor(SPEC, Progress(Resume("a/b.png")))

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300)
specs = st.builds(
    ListingSpec,
    dataset=st.just(SPEC.dataset),
    location=st.just(SPEC.location),
    window=st.builds(Window, st.integers(0), st.integers(0)),
    folder=st.sampled_from(["", ".lightly/metadata/", ".lightly/predictions/a task/"]),
    selection_file=st.none() | st.just(".lightly/relevant.txt"),
    last_key=st.none() | names,
    order=st.sampled_from(Order),
    start_after=st.none() | names,
    listing=st.none() | st.builds(FeedListing, st.integers(1), st.integers(1), st.integers(-1)),
)
resumes = st.builds(
    Resume,
    after=st.none() | names | st.just(""),
    marker=st.none() | st.text(st.characters(codec="utf-8"), max_size=30),
    prefix_done=st.booleans(),
)
progresses = st.builds(
    Progress,
    resume=resumes,
    done=st.booleans(),
    unreadable=st.integers(0),
    late=st.just(LateArrivals()) | st.builds(LateArrivals, st.integers(1), st.integers(0)),
)
cursors = st.builds(Cursor, specs, progresses)


def open_cursor(text: str, signer: CursorSigner = SIGNER, folder: str = "") -> Cursor:
    return signer.open(text, SPEC.dataset, SPEC.location, folder)


@given(cursors)
def test_a_sealed_cursor_opens_unchanged(cursor: Cursor) -> None:
    text = SIGNER.seal(cursor)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert open_cursor(text, folder=cursor.spec.folder) == cursor


def test_a_cursor_with_a_changed_character_is_refused() -> None:
    text = SIGNER.seal(CURSOR)
    others = [text + "=", text + "==", text + "A", text[:-1]]
    others += [text[:-1] + last for last in string.ascii_letters + string.digits + "-_+/" if last != text[-1]]
    for changed in others:
        with pytest.raises(MalformedRequestError, match="not a cursor of this server"):
            open_cursor(changed)
    for index, character in enumerate(text):
        changed = text[:index] + ("A" if character != "A" else "B") + text[index + 1 :]
        with pytest.raises(MalformedRequestError, match="not a cursor of this server"):
            open_cursor(changed)


@given(st.text(max_size=100))
def test_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequestError, match="not a cursor of this server"):
        open_cursor(text)


def test_a_cursor_of_another_dataset_or_of_moved_data_is_refused() -> None:
    text = SIGNER.seal(CURSOR)
    with pytest.raises(MalformedRequestError, match="another dataset"):
        SIGNER.open(text, "6" * 24, SPEC.location)
    with pytest.raises(MalformedRequestError, match="moved to other data"):
        SIGNER.open(text, SPEC.dataset, "elsewhere")


def test_a_cursor_outlives_a_key_rotation_until_its_key_is_removed() -> None:
    text = SIGNER.seal(CURSOR)
    assert open_cursor(text, CursorSigner([OTHER_KEY, KEY])) == CURSOR
    with pytest.raises(MalformedRequestError):
        open_cursor(text, CursorSigner([OTHER_KEY]))


def seal_fields(fields: object) -> str:
    """Return a cursor with this payload, signed with `KEY`."""
    payload = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(hmac.digest(KEY, payload, hashlib.sha256) + payload).rstrip(b"=").decode()


START = [SPEC.dataset, SPEC.location, 3, 9]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([1, *START, None], Cursor(SPEC, Progress())),
        ([1, *START, "a/b.png", False, 2, "m"], Cursor(SPEC, Progress(Resume("a/b.png", "m"), unreadable=2))),
        ([2, *START, "a/b.png", True], Cursor(SPEC, Progress(Resume("a/b.png"), done=True))),
        (
            [2, *START, "a", False, 0, None, "", None, "", None, 5],
            Cursor(SPEC, Progress(Resume("a"))),
        ),
        (
            [2, *START, "a", False, 0, None, "", None, "", None, 5, 70],
            Cursor(SPEC, Progress(Resume("a"))),
        ),
        (
            [2, *START, "a", False, 0, "kmarker", "", "z", "b"],
            Cursor(SPEC._replace(last_key="z", order=Order.UTF16_AMBIGUOUS), Progress(Resume("a", "kmarker"))),
        ),
        (
            [2, *START, "a/", False, 0, "\0", "", None, "", ".lightly/relevant.txt"],
            Cursor(SPEC._replace(selection_file=".lightly/relevant.txt"), Progress(Resume("a/", prefix_done=True))),
        ),
    ],
)
def test_a_cursor_of_an_earlier_version_continues(fields: list[object], expected: Cursor) -> None:
    """Versions 1 and 2 were arrays without the fields at their end that held defaults.

    The last two were how many samples the listing had counted, and their size. The index counts now.
    """
    assert open_cursor(seal_fields(fields)) == expected


def test_a_cursor_from_before_the_feed_continues() -> None:
    """Such a cursor may have counted samples, and knows no listing of a feed."""
    fields = {"v": 3, "dataset": SPEC.dataset, "location": SPEC.location, "from": 3, "to": 9, "after": "a/b.png"}
    assert open_cursor(seal_fields(fields)) == CURSOR
    assert open_cursor(seal_fields({**fields, "samples": 4, "size": 5})) == CURSOR


@pytest.mark.parametrize("fields", [[3, *START, None], {"v": 2}, {"v": 4}])
def test_a_cursor_of_an_unknown_version_is_refused(fields: object) -> None:
    with pytest.raises(MalformedRequestError, match="not a cursor of this server"):
        open_cursor(seal_fields(fields))


def test_the_wire_format_is_fixed() -> None:
    """Cursors of this version stay readable: a field that is renamed or dropped must be read by its old name, too."""
    spec = ListingSpec(
        "5" * 24,
        "0" * 24,
        Window(1, 2),
        ".lightly/metadata/",
        ".lightly/a.txt",
        "z",
        Order.SLASH_FIRST,
        "b",
        FeedListing(6, 7, 8),
    )
    progress = Progress(Resume("a", "m", prefix_done=True), done=True, unreadable=3, late=LateArrivals(4, 5))
    cursor = Cursor(spec, progress)
    raw = SIGNER.seal(cursor)
    payload = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))[32:])
    assert payload == {
        "v": 3,
        "dataset": "5" * 24,
        "location": "0" * 24,
        "from": 1,
        "to": 2,
        "folder": ".lightly/metadata/",
        "selection": ".lightly/a.txt",
        "last": "z",
        "order": "/",
        "first": "b",
        "feed": [6, 7, 8],
        "after": "a",
        "marker": "m",
        "prefix_done": True,
        "done": True,
        "unreadable": 3,
        "late": [4, 5],
    }


def test_a_cursor_contains_only_fields_that_differ_from_their_default() -> None:
    """So the cursors of raw samples stay short."""
    assert len(SIGNER.seal(CURSOR)) < 260
    with_selection = Cursor(SPEC._replace(selection_file=".lightly/a"), CURSOR.progress)
    assert len(SIGNER.seal(CURSOR)) < len(SIGNER.seal(with_selection)) - 15
    in_feed = Cursor(SPEC._replace(listing=FeedListing(1, 1, 9)), CURSOR.progress)
    assert len(SIGNER.seal(in_feed)) < 260


def test_a_cursor_of_another_folder_is_refused() -> None:
    text = SIGNER.seal(Cursor(SPEC._replace(folder=".lightly/metadata/"), CURSOR.progress))
    assert open_cursor(text, folder=".lightly/metadata/").spec.folder == ".lightly/metadata/"
    with pytest.raises(MalformedRequestError, match=r"a listing of .lightly/metadata/, and this one is of raw samples"):
        open_cursor(text)
    with pytest.raises(MalformedRequestError, match=r"a listing of raw samples, and this one is of .lightly/metadata/"):
        open_cursor(SIGNER.seal(CURSOR), folder=".lightly/metadata/")
