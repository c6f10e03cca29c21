"""New samples of a dataset with an exact feed: the window ends now, if nothing else is asked for."""

from __future__ import annotations

from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

import pytest

from headwater_client import new_samples
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.server import DATASET, Scripted
from tests.headwater_client.conftest import OLD
from tests.headwater_client.fake_server import FakeServer


@pytest.mark.parametrize(
    ("headers", "settle", "before_now"),
    [
        ({"Headwater-Feed": "exact"}, None, 0),
        ({"headwater-feed": "exact"}, None, 0),
        ({"Headwater-Feed": "dates"}, None, 60),
        ({"Headwater-Feed": "of another kind"}, None, 60),
        ({}, None, 60),
        ({"Headwater-Feed": "exact"}, 30, 30),
        ({"Headwater-Feed": "exact"}, 0, 0),
        ({"Headwater-Feed": "dates"}, 0, 0),
        ({}, 0, 0),
    ],
)
def test_the_window_ends_now_only_with_an_exact_feed(
    api: DatasourcesApi,
    server: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    settle: float | None,
    before_now: int,
) -> None:
    """A server of before does not send the header. An explicit `settle` is always used."""
    now = OLD + 12345
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: formatdate(now, usegmt=True))
    fake = FakeServer(server)
    fake.headers = headers
    with new_samples(api, DATASET, settle=settle) as samples:
        assert len(list(samples)) == 2
    assert fake.mark == samples.end == now - before_now


def test_the_feed_is_asked_for_in_each_block(api: DatasourcesApi, server: Scripted) -> None:
    """The operator can change it, and each dataset can have another one."""
    fake = FakeServer(server)
    ends = []
    for headers in ({"Headwater-Feed": "exact"}, {"Headwater-Feed": "dates"}):
        fake.headers = headers
        fake.mark = OLD
        with new_samples(api, DATASET) as samples:
            ends.append(samples.end)
    assert 55 < ends[0] - ends[1] <= 60


def test_two_blocks_in_one_second_with_an_exact_feed(
    api: DatasourcesApi, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one is empty and asks for nothing: what has arrived since is in the next second's window."""
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: formatdate(OLD, usegmt=True))
    fake = FakeServer(server)
    fake.headers = {"Headwater-Feed": "exact"}
    with new_samples(api, DATASET) as samples:
        assert len(list(samples)) == 2
    asked = len(server.requests)
    with new_samples(api, DATASET) as samples:
        assert list(samples) == []
    assert (samples.begin, samples.end, samples.moved, fake.mark) == (OLD + 1, OLD, False, OLD)
    assert len(server.requests) == asked + 1, "only the watermark was read"
