"""Fresh URLs for expired ones, and downloads that use them."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import swagger_client
from headwater_client import DownloadError, ReadUrls, download, iter_samples
from headwater_client.sample import PageRequest, sample_of
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow as Row
from tests.client.server import DATASET, Answer, Request, Scripted, failure
from tests.headwater_client.conftest import put
from tests.headwater_client.stores import CONTENT, after, listed_page, reason, row, tree
from tests.live import Live, fetch
from tests.live import running as running_server


@contextmanager
def client_of(live: Live) -> Iterator[DatasourcesApi]:
    configuration = swagger_client.Configuration(host=live.url, api_key={"ApiKeyAuth": live.token})
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasourcesApi(api_client)


@pytest.fixture
def live_with_short_ttl(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server for the same folder whose read URLs expire after one second."""
    settings = {"local_root": live.environ["HEADWATER_LOCAL_ROOT"], "read_url_ttl": "1", "page_size": "7"}
    with running_server(tmp_path_factory.mktemp("short"), **settings) as server:
        yield server


def test_samples_get_fresh_urls_from_their_page(live_with_short_ttl: Live, bucket: Path, tmp_path: Path) -> None:
    names = [put(bucket, f"{number:02}.png", b"%d" % number) for number in range(40)]
    dataset = live_with_short_ttl.configured({"type": "LOCAL", "fullPath": bucket.name})
    with client_of(live_with_short_ttl) as api:
        rows = list(iter_samples(api, dataset))
        put(bucket, "00a.png")  # the files after it move to later positions
        time.sleep(1.1)
        assert fetch(rows[0].read_url).status == 403
        done = download(rows, tmp_path, workers=2)
    assert done.files == 40
    assert tree(tmp_path) == names
    for number, name in enumerate(names):
        assert (tmp_path / name).read_bytes() == b"%d" % number


def test_other_rows_need_api_and_dataset_id(live_with_short_ttl: Live, bucket: Path, tmp_path: Path) -> None:
    names = [put(bucket, f"{number:02}.png") for number in range(20)]
    dataset = live_with_short_ttl.configured({"type": "LOCAL", "fullPath": bucket.name})
    with client_of(live_with_short_ttl) as api:
        kept = pickle.loads(pickle.dumps(list(iter_samples(api, dataset))))
        time.sleep(1.1)
        with pytest.raises(DownloadError, match="api and dataset_id"):
            download(kept, tmp_path / "without")
        assert download(reversed(kept), tmp_path / "with", api=api, dataset_id=dataset).files == 20
    assert tree(tmp_path / "with") == names
    assert tree(tmp_path / "without") == []


@pytest.mark.parametrize("given", [{"api": object()}, {"dataset_id": DATASET}])
def test_api_and_dataset_id_belong_together(tmp_path: Path, given: Any) -> None:
    with pytest.raises(swagger_client.ApiTypeError, match="belong together"):
        download([], tmp_path, **given)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_custom_renew_function(store: Scripted, tmp_path: Path, status: int) -> None:
    calls = []

    def renew(which: Row, refused: str) -> str:
        calls.append((which.file_name, refused))
        return f"{store.url}/new"

    store.answer = lambda request: Answer(body=b"x") if request.path == "/new" else Answer(status)
    assert download([row(store)], tmp_path, renew=renew).files == 1
    assert calls == [("a.png", row(store).read_url)]


def test_a_url_that_expires_during_the_download(store: Scripted, tmp_path: Path) -> None:
    good = after(Answer(cut=300_000))

    def answer(request: Request) -> Answer:
        return Answer(403) if request.path == "/a.png" and len(store.requests) > 1 else good(request)

    store.answer = answer
    done = download([row(store)], tmp_path, renew=lambda *_: f"{store.url}/new", pause=0)
    assert done.bytes == len(CONTENT)
    assert (tmp_path / "a.png").read_bytes() == CONTENT


@pytest.mark.parametrize("fresh", [None, "same", "new"])
def test_a_url_that_is_refused_every_time(store: Scripted, tmp_path: Path, fresh: str | None) -> None:
    store.script(Answer(403))
    urls = {None: lambda *_: None, "same": lambda _, url: url, "new": lambda _, url: url + "0"}
    with pytest.raises(DownloadError, match=r"refuses 'a\.png' with 403") as caught:
        download([row(store)], tmp_path, renew=urls[fresh])
    assert len(store.requests) == (2 if fresh == "new" else 1)
    assert "secret-of-a-url" not in str(caught.value)


def test_a_row_that_is_not_listed_costs_two_listings(
    api: DatasourcesApi, server: Scripted, store: Scripted, tmp_path: Path
) -> None:
    def listing(request: Request) -> Answer:
        number = int(dict(request.query).get("cursor", "0")) + 1
        return Answer(json={"hasMore": number < 5, "cursor": str(number), "data": []})

    server.answer = listing
    store.script(Answer(403))
    with pytest.raises(DownloadError, match=r"refuses 'a\.png'"):
        download([row(store)], tmp_path, api=api, dataset_id=DATASET)
    assert len(server.requests) <= 10


def test_the_search_for_a_moved_sample_is_limited(
    api: DatasourcesApi, server: Scripted, store: Scripted, tmp_path: Path
) -> None:
    def listing(request: Request) -> Answer:
        number = int(dict(request.query).get("cursor", "0")) + 1
        data = [{"fileName": "a.png", "readUrl": f"{store.url}/a"}] if len(server.requests) == 1 else []
        return Answer(json={"hasMore": True, "cursor": str(number), "data": data})

    server.answer = listing
    store.script(Answer(403))
    rows = iter_samples(api, DATASET)
    first = next(rows)
    rows.close()  # type: ignore[attr-defined]
    before = len(server.requests)
    with pytest.raises(DownloadError, match=r"refuses 'a\.png'"):
        download([first], tmp_path)
    assert len(server.requests) - before == 10


def test_an_error_of_the_listing_is_the_error_of_the_file(
    api: DatasourcesApi, server: Scripted, store: Scripted, tmp_path: Path
) -> None:
    server.script(failure(404, "DATASET_UNKNOWN", "There is no such dataset."))
    store.script(Answer(403))
    with pytest.raises(DownloadError, match="There is no such dataset") as caught:
        download([row(store)], tmp_path, api=api, dataset_id=DATASET)
    assert isinstance(reason(caught), swagger_client.NotFoundException)


def test_refused_urls_are_removed_from_the_cache(plain_api: DatasourcesApi, server: Scripted) -> None:
    """Old URLs of a page stayed in the cache, so the rest of the page failed although the listing had valid ones."""
    urls = ReadUrls(pause=0)
    request = PageRequest(plain_api, DATASET, None, None, None)
    first = sample_of(Row("a", "u0"), request)
    last = "u0"
    for number in range(1, 6):
        server.script(listed_page(("a", f"u{number}"), ("b", f"v{number}")))
        last = str(urls.fresh(first, last, expired=True))
        assert last == f"u{number}"
        # The other file of the page was listed at the same time: its cached URL has expired too.
        second = sample_of(Row("b", f"v{number - 1}"), request)
        assert urls.fresh(second, f"v{number - 1}", expired=True) == f"v{number}"
