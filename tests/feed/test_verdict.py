"""The judge of the harness finds what was lost and what was handed out twice, and accuses nobody wrongly."""

from __future__ import annotations

from tests.feed.bucket import Bucket
from tests.feed.verdict import Handout, judge


def handout(key: str, *possible: int) -> Handout:
    return Handout(key, frozenset(possible))


def test_versions_in_one_window_each_are_no_faults() -> None:
    windows = [[handout("a", 1)], [handout("b", 2), handout("b", 2)], [handout("a", 3)]]
    assert judge(windows, {"a": 3, "b": 2}) == ([], [])


def test_version_in_no_window_is_lost_if_it_stands() -> None:
    assert judge([[handout("a", 1)]], {"a": 2, "b": 3}) == ([("a", 2), ("b", 3)], [])
    assert judge([[handout("a", 1)]], {}) == ([], [])


def test_version_in_two_windows_was_handed_out_twice() -> None:
    assert judge([[handout("a", 1)], [handout("a", 1)]], {}) == ([], [("a", 1)])


def test_ambiguous_handouts_are_explained_if_they_can_be() -> None:
    windows = [[handout("a", 1, 2)], [handout("a", 1, 2)]]
    assert judge(windows, {"a": 2}) == ([], [])
    assert judge([[handout("a", 1, 2)], [handout("a", 1)]], {"a": 2}) == ([], [])
    assert len(judge([*windows, [handout("a", 1, 2)]], {"a": 2}).twice) == 1, "three windows, and only two versions"
    assert judge([[handout("a", 1, 2)], [handout("a", 2)]], {"a": 3}).lost == [("a", 3)]


def test_versions_served_while_a_request_was_in_flight_are_known() -> None:
    bucket = Bucket("b")
    bucket.put("k", 5)
    bucket.page("", 10)
    sent = bucket.tick()
    bucket.put("k", 5)
    bucket.page("", 10)
    bucket.put("k", 5)
    bucket.page("k", 10)
    received = bucket.tick()
    bucket.page("", 10)
    assert bucket.served_between(sent, received, "k") == {2}
