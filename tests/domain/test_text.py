"""How text from outside is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.text import shorten, visible


@given(st.text(), st.integers(3, 40))
def test_no_escape_is_divided_where_a_text_is_shortened(text: str, length: int) -> None:
    """A path was cut within the escape of one of its characters."""
    whole = visible(text).encode("ascii", "backslashreplace").decode()
    short = shorten(whole, length, "...")
    assert len(short) <= length
    if len(whole) <= length:
        assert short == whole
    else:
        assert short.endswith("...")
        kept = short.removesuffix("...").encode("ascii").decode("unicode_escape")
        assert text.startswith(kept), "each escape is whole"
