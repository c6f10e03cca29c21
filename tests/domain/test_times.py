"""Times of listings and people, in whole seconds."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.domain.times import parse_iso_seconds, parse_object_time


@settings(max_examples=60, deadline=None)
@given(
    moment=st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(9999, 12, 31)),
    form=st.sampled_from(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.{ms}Z", "%Y-%m-%dT%H:%M:%S.{ms}+00:00"]),
)
def test_times_are_rounded_down_to_the_second(moment: datetime.datetime, form: str) -> None:
    year = f"{moment.year:04}"
    text = moment.strftime(form.replace("%Y", year)).replace("{ms}", f"{moment.microsecond // 1000:03}")
    expected = int(moment.replace(tzinfo=datetime.UTC, microsecond=0).timestamp())
    assert parse_object_time(text) == expected
    assert parse_iso_seconds(text) == expected


def test_an_object_is_never_older_than_1970() -> None:
    for text in ("1969-12-31T23:59:59+00:00", "1969-12-31T23:59:59.5Z", "1960-01-01T00:00:00Z"):
        assert parse_object_time(text) == 0
    assert parse_iso_seconds("1969-12-31T23:59:59.5+00:00") == -1


def test_a_time_without_a_zone_is_in_utc_or_refused() -> None:
    assert parse_iso_seconds("1970-01-01T00:01") == parse_object_time("1970-01-01T00:01:00") == 60
    for parse in (parse_iso_seconds, parse_object_time):
        with pytest.raises(ValueError, match="zone"):
            parse("1970-01-01T00:01:00", require_zone=True)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "9" * 20, "2024-13-01T00:00:00Z", "2024-01-02T03:xx:05Z", "2024-01-02T03:04:0xZ"]
)
def test_other_texts_are_refused(text: str) -> None:
    for parse in (parse_iso_seconds, parse_object_time):
        with pytest.raises(ValueError):  # noqa: PT011  the parsers of the standard library have many texts
            parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "Tue, 02 Jan 2024 03:04:05 GMT",
        "Tue, 2 Jan 2024 03:04:05 UTC",
        "Tue, 02 Jan 2024 05:34:05 +0230",
        "Mon, 01 Jan 2024 22:04:05 -0500",
        "2024-01-02T03:04:05Z",
        "2024-01-02T03:04:05.999999999Z",
        "2024-01-02T03:04:05+00:00",
        "2024-01-02T05:04:05.678+02:00",
        "2024-01-02T03:04:05+0000",
        "20240102T030405Z",
    ],
)
def test_every_form_in_which_servers_send_the_time_of_an_object(text: str) -> None:
    """A bucket of a server that lists in the form of RFC 1123 was said not to speak S3."""
    assert parse_object_time(text, require_zone=True) == 1_704_164_645


@pytest.mark.parametrize(
    "text",
    [
        *("Tue, 02 Foo 2024 03:04:05 GMT", "Tue, 32 Jan 2024 03:04:05 GMT", "Tue, 02 Jan 2024 24:04:05 GMT"),
        *("Tue, 02 Jan 2024 03:04:05", "Tue, 02 Jan 2024 03:04 GMT", "Tue, "),
    ],
)
def test_other_texts_with_a_weekday_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the parsers of the standard library have many texts
        parse_object_time(text)


def test_an_object_of_rfc_1123_is_never_older_than_1970() -> None:
    assert parse_object_time("Wed, 31 Dec 1969 23:59:59 GMT") == 0
