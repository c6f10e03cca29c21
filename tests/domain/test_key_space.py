"""What is learned about the keys of a listing."""

from __future__ import annotations

from headwater.domain.key_space import KeySpace


def test_a_long_name_without_digits_is_added_at_once() -> None:
    """The shape of such a name took minutes, and blocked the whole server."""
    name = "p" * 300_000
    space = KeySpace("\U0010ffff")
    space.add("", [name], None)
    assert space.seen == [name]
