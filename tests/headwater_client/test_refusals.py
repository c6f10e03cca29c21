"""Files that a store refuses: what the store says is shown, and a page is listed again only if that can help."""

from __future__ import annotations

import logging
import pickle
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import StandardBlobTier

import swagger_client
from headwater_client import (
    Downloaded,
    DownloadError,
    PathBlockedError,
    RefusedError,
    TransferError,
    download,
    iter_samples,
    new_samples,
    read_urls,
)
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.server import DATASET, Answer, Request, Scripted
from tests.client.server import running as scripted
from tests.headwater_client.conftest import put
from tests.headwater_client.stores import listed_page, reason, row, tree
from tests.live import Live, fetch, running
from tests.servers import (
    AZURE_ACCOUNT,
    AZURE_KEY,
    KEY_ID,
    SECRET,
    azure_client,
    azurite,
    moto_server,
    rclone_s3,
    s3_client,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from swagger_client.model.datasource_raw_samples_data import DatasourceRawSamplesData as Page

PAGE_SIZE = 7
ARCHIVED = "InvalidObjectState: The operation is not valid for the object's storage class"


class CountingApi(DatasourcesApi):
    """Counts its list requests."""

    lists = 0

    def get_list_of_raw_samples_from_datasource_by_dataset_id(self, *given: Any, **more: Any) -> Page:
        self.lists += 1
        return super().get_list_of_raw_samples_from_datasource_by_dataset_id(*given, **more)


@contextmanager
def counting(live: Live) -> Iterator[CountingApi]:
    configuration = swagger_client.Configuration(host=live.url, api_key={"ApiKeyAuth": live.token})
    with swagger_client.ApiClient(configuration) as api_client:
        yield CountingApi(api_client)


def obs(url: str, path: str) -> dict[str, str]:
    return {
        **{"type": "OBS", "fullPath": path, "obsEndpoint": url},
        **{"obsAccessKeyId": KEY_ID, "obsSecretAccessKey": SECRET},
    }


@contextmanager
def s3_server(folder: Path, url: str, **settings: str) -> Iterator[Live]:
    with running(folder, allowed_endpoints="127.0.0.0/8", page_size=str(PAGE_SIZE), **settings) as live:
        yield live


def xml(code: str, message: str, more: str = "") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>'.encode()


def test_archived_files_in_s3(tmp_path: Path) -> None:
    """For each archived file the page was listed again, the error did not say why, and the watermark never moved."""
    with moto_server() as url, s3_client(url) as client, s3_server(tmp_path, url) as live, counting(live) as api:
        client.create_bucket(Bucket="bucket")
        for number in range(40):
            client.put_object(
                Bucket="bucket",
                Key=f"{number:02}.png",
                Body=b"x",
                StorageClass="GLACIER" if number % 2 else "STANDARD",
            )
        dataset = live.configured(obs(url, "bucket"))
        time.sleep(1.1)  # a window ends with a whole second
        with (
            pytest.raises(DownloadError, match="20 of 40 files") as caught,
            new_samples(api, dataset) as rows,
        ):
            download(rows, tmp_path / "raised")
        assert not rows.moved
        pages = api.lists
        assert pages <= 40 // PAGE_SIZE * 2 + 2, "no page is listed again"
        errors = caught.value.errors
        assert sorted(errors) == [f"{number:02}.png" for number in range(1, 40, 2)]
        assert str(errors["01.png"]) == f"the store refuses '01.png' with 403 {ARCHIVED}"
        assert "ignature=" not in str(caught.value)

        api.lists = 0
        with new_samples(api, dataset) as rows:
            done = download(rows, tmp_path / "skipped", on_refused="skip")
        assert rows.moved, "archived files do not hold the watermark for ever"
        assert api.lists <= pages + 1  # moving the watermark asks for the last page
        assert (done.files, sorted(done.refused)) == (20, sorted(errors))
        error = done.refused["01.png"]
        assert (type(error), error.status, error.code) == (RefusedError, 403, "InvalidObjectState")
        assert len(tree(tmp_path / "skipped")) == 20


@dataclass
class Guard:
    """A bucket behind a proxy that denies access, as AWS does after a policy was removed: moto has no such answer."""

    client: S3Client
    bucket: str
    live: Live
    config: dict[str, str]
    dataset: str
    denied: Callable[[str], bool] = lambda _: False
    """Takes the target of a request."""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """S3 that accepts every key."""
    with moto_server() as url:
        yield url


@pytest.fixture
def guard(moto: str, tmp_path: Path) -> Iterator[Guard]:
    """A guarded bucket with twenty objects."""
    bucket = f"bucket-{uuid.uuid4().hex}"
    with s3_client(moto) as client, scripted() as proxy, s3_server(tmp_path, proxy.url) as live:
        client.create_bucket(Bucket=bucket)
        for number in range(20):
            client.put_object(Bucket=bucket, Key=f"{number:02}.png", Body=b"x")
        config = obs(proxy.url, bucket)
        guard = Guard(client, bucket, live, config, live.configured(config))

        def answer(request: Request) -> Answer:
            if guard.denied(request.target):
                return Answer(403, body=xml("AccessDenied", "Access Denied"))
            found = fetch(moto + request.target, request.method, dict(request.headers), request.body or None)
            copied = ("Content-Type", "Content-Range", "ETag")
            return Answer(
                found.status, None, found.body, {name: found.headers[name] for name in copied if name in found.headers}
            )

        proxy.answer = answer
        time.sleep(1.1)  # a window ends with a whole second
        yield guard


@pytest.mark.parametrize("wait", [0, 1.1])
def test_denied_files(guard: Guard, tmp_path: Path, wait: float) -> None:
    """A fresh URL was never tried. Now it is, with one request to list for each page, and not for each file.

    Within the second of the listing, the server lists the same URL again.
    """
    names = [f"{number:02}.png" for number in range(0, 20, 2)]
    guard.denied = lambda target: target.split("?")[0].endswith(tuple(names))
    with counting(guard.live) as api:
        rows = list(iter_samples(api, guard.dataset))
        time.sleep(wait)
        before = api.lists
        with pytest.raises(DownloadError, match="10 of 20 files") as caught:
            download(rows, tmp_path / "raised")
        assert 1 <= api.lists - before <= 3, "one request for each page"
        assert {type(error) for error in caught.value.errors.values()} == {RefusedError}
        assert "403 AccessDenied: Access Denied; " in str(caught.value)
        with new_samples(api, guard.dataset) as new:
            done = download(new, tmp_path / "skipped", on_refused="skip")
        assert new.moved
    assert (done.files, sorted(done.refused)) == (10, names)


def test_a_lost_permission_does_not_move_the_watermark(guard: Guard, tmp_path: Path) -> None:
    """If the credentials lost the permission to read, `skip` moved the watermark past every file: all were lost."""
    guard.denied = lambda target: ".png?" in target
    with counting(guard.live) as api:
        with (
            pytest.raises(DownloadError, match="20 of 20 files") as caught,
            new_samples(api, guard.dataset) as rows,
        ):
            download(rows, tmp_path / "files", on_refused="skip")
        assert not rows.moved
        assert api.lists <= 7, "three pages, the end, and one request for each page"
        assert "Check with the operation verify" in str(caught.value)
        assert {type(error) for error in caught.value.errors.values()} == {RefusedError}
        assert caught.value.downloaded == Downloaded(0, 0, 0)

        guard.denied = lambda _: False
        with new_samples(api, guard.dataset) as rows:
            assert download(rows, tmp_path / "files", on_refused="skip").files == 20
        assert rows.moved


def test_a_permission_that_is_lost_during_a_run(guard: Guard, tmp_path: Path) -> None:
    """A few files were downloaded, so that all others counted as denied one by one, and were skipped."""
    served = [f"/{number:02}.png?" for number in range(3)]
    requests: Counter[str] = Counter()

    def denied(target: str) -> bool:
        """Serve the first three files once."""
        name = target[target.rindex("/") : target.index("?") + 1]
        requests[name] += 1
        return ".png?" in name and (name not in served or requests[name] > 1)

    guard.denied = denied
    with counting(guard.live) as api:
        with (
            pytest.raises(DownloadError, match="17 of 20 files") as caught,
            new_samples(api, guard.dataset) as rows,
        ):
            download(rows, tmp_path / "files", on_refused="skip", workers=1)
        assert not rows.moved
    assert (caught.value.downloaded.files, caught.value.downloaded.refused) == (3, {})
    assert "Check with the operation verify" in str(caught.value)


def test_archived_files_alone_do_not_hold_the_watermark(guard: Guard, tmp_path: Path) -> None:
    """A run in which nothing was downloaded is not always one with a lost permission."""
    for number in range(20):
        guard.client.put_object(Bucket=guard.bucket, Key=f"{number:02}.png", Body=b"x", StorageClass="GLACIER")
    time.sleep(1.1)
    with counting(guard.live) as api, new_samples(api, guard.dataset) as rows:
        done = download(rows, tmp_path / "files", on_refused="skip")
    assert rows.moved
    assert (done.files, len(done.refused)) == (0, 20)


def test_a_key_that_is_replaced_during_a_run(guard: Guard, tmp_path: Path) -> None:
    """The former key lost its policy. All files whose URLs it had signed were skipped, and so lost."""
    with counting(guard.live) as api, new_samples(api, guard.dataset) as rows:
        listed = list(rows)
        assert download(listed[:3], tmp_path / "files", on_refused="skip").files == 3
        replaced = {**guard.config, "obsAccessKeyId": "ANOTHERKEY"}
        assert guard.live.call("PUT", guard.live.datasource(guard.dataset), replaced).status == 200
        guard.denied = lambda target: KEY_ID in target
        before = api.lists
        done = download(listed, tmp_path / "files", on_refused="skip")
        assert api.lists - before <= 3, "one request for each page"
    assert rows.moved
    assert (done.files, done.skipped, done.refused) == (17, 3, {})


def test_names_that_collide_do_not_hold_the_watermark_for_ever(guard: Guard, tmp_path: Path) -> None:
    """A bucket can contain both of these names, a folder cannot: the documentation did not say how to go on."""
    guard.client.put_object(Bucket=guard.bucket, Key="00.png/1.png", Body=b"y")
    time.sleep(1.1)
    with counting(guard.live) as api:
        with pytest.raises(DownloadError, match="1 of 21 files"), new_samples(api, guard.dataset) as rows:
            download(rows, tmp_path / "files")
        assert not rows.moved
        with new_samples(api, guard.dataset) as rows:
            try:
                download(rows, tmp_path / "files")
            except DownloadError as error:
                if not all(isinstance(each, PathBlockedError) for each in error.errors.values()):
                    raise
        assert rows.moved


def test_archived_blobs_in_azure(tmp_path: Path) -> None:
    """Azure answers 409 for archived blobs, which looked like any other failure."""
    settings = {"allowed_endpoints": "127.0.0.0/8", "page_size": str(PAGE_SIZE), "read_url_ttl": "1"}
    with azurite() as url, azure_client(url) as client, running(tmp_path, azure_endpoint=url, **settings) as live:
        container = client.create_container("data")
        for number in range(10):
            blob = container.upload_blob(f"{number}.png", b"x")
            if number == 3:
                blob.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
        config = {"type": "AZURE", "fullPath": "data", "accountName": AZURE_ACCOUNT, "accountKey": AZURE_KEY}
        dataset = live.configured(config)
        with counting(live) as api:
            rows = list(iter_samples(api, dataset))
            time.sleep(2)  # all URLs have expired
            before = api.lists
            done = download(rows, tmp_path / "files", on_refused="skip", workers=1)
            assert api.lists - before <= 4, "one request for each page, and for each that expires again"
    assert done.files == 9
    (error,) = done.refused.values()
    archived = "409 BlobArchived: This operation is not permitted on an archived blob."
    assert str(error) == f"the store refuses '3.png' with {archived}"


@pytest.mark.parametrize("store_server", ["rclone", "local"])
def test_expired_urls_are_renewed_once_for_each_page(tmp_path: Path, store_server: str) -> None:
    """rclone answers 400 `UnsupportedAlgorithm` for an expired URL: only the URL itself shows that it has expired."""
    folder = tmp_path / "files" / "bucket"
    names = [put(folder, f"{number:02}.png") for number in range(20)]
    settings = {"local_root": str(folder.parent), "read_url_ttl": "2", "page_size": str(PAGE_SIZE)}
    with rclone_s3(folder.parent) as url, running(tmp_path, allowed_endpoints="127.0.0.0/8", **settings) as live:
        config = obs(url, "bucket") if store_server == "rclone" else {"type": "LOCAL", "fullPath": "bucket"}
        dataset = live.configured(config)
        with counting(live) as api:
            rows = list(iter_samples(api, dataset))
            time.sleep(3.1)
            before = api.lists
            assert download(rows, tmp_path / "got").files == 20
            assert api.lists - before <= 6, "three pages, and again if the machine is so slow that they expire again"
    assert tree(tmp_path / "got") == names


AMZ = "X-Amz-Date=20260101T000000Z&X-Amz-Expires=604800&X-Amz-Signature=secret-of-a-url"
GOOG = "X-Goog-Date=20260101T000000Z&X-Goog-Expires=3600&X-Goog-Signature=secret-of-a-url"
EARLY, LATE = "Thu, 01 Jan 2026 00:10:00 GMT", "Fri, 09 Jan 2026 00:00:00 GMT"
HEADWATER = {"code": "FORBIDDEN", "error": "", "message": "", "requestId": "1"}
UNREADABLE = {**HEADWATER, "code": "DATASET_DATASOURCE_CREDENTIALS_ERROR", "message": "no read permission"}
GOOGLE_JSON = {"error": {"code": 403, "message": "storage.objects.get denied", "status": "PERMISSION_DENIED"}}
AZURE_DETAIL = "<AuthenticationErrorDetail>not valid in the specified time frame</AuthenticationErrorDetail>"
SSE_C_OF_CEPH = "Requests specifying Server Side Encryption with Customer provided keys must provide a secret key."
SSE_C = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided."


@pytest.mark.parametrize(
    ("answer", "query", "shown"),
    [
        (Answer(403, body=xml("InvalidObjectState", "archived")), AMZ, "403 InvalidObjectState: archived"),
        (Answer(400, body=xml("InvalidRequest", SSE_C)), AMZ, f"400 InvalidRequest: {SSE_C}"),
        (Answer(400, body=xml("InvalidArgument", SSE_C_OF_CEPH)), AMZ, f"400 InvalidArgument: {SSE_C_OF_CEPH}"),
        (Answer(400, body=xml("KMS.DisabledException", "off")), AMZ, "400 KMS.DisabledException: off"),
        (Answer(409, body=b"", headers={"x-ms-error-code": "BlobBeingRehydrated"}), "", "409 BlobBeingRehydrated"),
        (Answer(400, json=UNREADABLE), "", "400 DATASET_DATASOURCE_CREDENTIALS_ERROR: no read permission"),
    ],
)
def test_refusals_of_a_file(
    plain_api: DatasourcesApi,
    server: Scripted,
    store: Scripted,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
    query: str,
    shown: str,
) -> None:
    """Each cost a list request, and the texts said only that "no fresh one is listed"."""
    answer.headers.setdefault("Date", EARLY)
    _refusing(server, store, answer, query, served="/19")
    with pytest.raises(DownloadError, match="19 of 20 files") as caught:
        download(iter_samples(plain_api, DATASET), tmp_path, workers=2)
    assert len(server.requests) == 1
    error = caught.value.errors["1.png"]
    assert isinstance(error, RefusedError)
    assert str(error) == f"the store refuses '1.png' with {shown}"
    assert pickle.loads(pickle.dumps(error)).__dict__ == error.__dict__
    with caplog.at_level(logging.WARNING):
        done = download(iter_samples(plain_api, DATASET), tmp_path, on_refused="skip")
    assert set(done.refused) == {f"{number}.png" for number in range(19)}
    assert "files that the store refuses (19)" in caplog.text
    assert "and 9 more, in `refused`" in caplog.text


@pytest.mark.parametrize(
    ("answer", "query", "shown"),
    [
        (Answer(403, body=xml("AccessDenied", "no kms:Decrypt")), AMZ, "403 AccessDenied: no kms:Decrypt"),
        (Answer(403, body=xml("AccessDenied", "")), AMZ, "403 AccessDenied"),
        (Answer(403, body=xml("AccessDenied", "a &lt;b&gt; c")), GOOG, "403 AccessDenied: a <b> c"),
        (Answer(403, json=GOOGLE_JSON), GOOG, "403 PERMISSION_DENIED: storage.objects.get denied"),
    ],
)
def test_denials(
    plain_api: DatasourcesApi, server: Scripted, store: Scripted, tmp_path: Path, answer: Answer, query: str, shown: str
) -> None:
    """A denied URL counted as a denied file, although it could be signed with former credentials."""
    answer.headers.setdefault("Date", EARLY)
    _refusing(server, store, answer, query, accepted="/fresh")
    assert download(iter_samples(plain_api, DATASET), tmp_path / "renewed", on_refused="skip").files == 20
    assert len(server.requests) == 2

    _refusing(server, store, answer, query, served="/19")
    done = download(iter_samples(plain_api, DATASET), tmp_path / "skipped", on_refused="skip")
    assert len(server.requests) == 2
    assert len(done.refused) == 19
    assert str(done.refused["1.png"]) == f"the store refuses '1.png' with {shown}; it refused a fresh URL, too"

    rows = [row(store, "0.png", f"/0?{query}"), row(store, "19.png", "/19")]
    with pytest.raises(DownloadError, match="no fresh URL is listed") as caught:
        download(rows, tmp_path / "rows", on_refused="skip")
    assert type(reason(caught)) is TransferError, "nobody knows whether the URL is current"
    done = download(rows, tmp_path / "rows", on_refused="skip", renew=lambda _, url: url)
    assert list(done.refused) == ["0.png"]


@pytest.mark.parametrize("code", ["AccessDenied", "KMS.DisabledException", UNREADABLE["code"]])
def test_one_denied_file_without_others(store: Scripted, tmp_path: Path, code: str) -> None:
    """With one new file for each run, a lost permission would lose all of them, one after the other."""
    store.script(Answer(403, body=xml(code, "")))
    with pytest.raises(DownloadError, match="1 of 1 files") as caught:
        download([row(store)], tmp_path, on_refused="skip", renew=lambda _, url: url)
    assert isinstance(reason(caught), RefusedError)
    assert "Check with the operation verify" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_cached_page_is_not_current_for_ever(
    plain_api: DatasourcesApi, server: Scripted, store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials can change after a page was listed again because of a file that a policy denies."""
    monkeypatch.setattr(read_urls, "CURRENT_SECONDS", -1)
    _refusing(server, store, Answer(403, body=xml("AccessDenied", "")), "", accepted="/fresh3")
    assert download(iter_samples(plain_api, DATASET), tmp_path, workers=1).files == 20
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "query"),
    [
        (Answer(403, body=xml("AccessDenied", "Request has expired", "<Expires>x</Expires>")), ""),
        (Answer(403, body=xml("AccessDenied", ""), headers={"Date": LATE}), AMZ),
        (Answer(403, body=xml("Other", ""), headers={"Date": EARLY}), GOOG.replace("=3600", "=60")),
        (Answer(403, headers={"Date": LATE}), "se=2026-01-01T00%3A00%3A00Z&sig=secret-of-a-url"),
        (Answer(403, headers={"Date": LATE}), "se=2026-01-01&sig=secret-of-a-url"),
        (Answer(403, body=xml("Other", ""), headers={"Date": LATE}), "Expires=1767225600&Signature=secret-of-a-url"),
        (Answer(400, body=xml("ExpiredToken", "The provided token has expired.")), AMZ),
        (Answer(400, body=xml("InvalidToken", "")), AMZ),
        (Answer(403, json={**HEADWATER, "message": "this read URL expired at 2026"}), ""),
        (Answer(403, body=xml("AuthenticationFailed", "Failed.\nRequestId:1", AZURE_DETAIL)), ""),
        (Answer(403, body=xml("InvalidAccessKeyId", "")), AMZ),
        (Answer(400, body=xml("InvalidRequest", "Please use AWS4-HMAC-SHA256."), headers={"Date": EARLY}), AMZ),
        (Answer(400, body=xml("InvalidRequest", ""), headers={"Date": EARLY}), AMZ),
        (Answer(403, body=xml("SignatureDoesNotMatch", "", "<StringToSign>secret-of-a-url</StringToSign>")), AMZ),
        (Answer(403, json={**HEADWATER, "message": "the signature does not match"}), ""),
        (Answer(403, body=xml("AuthorizationFailure", "a firewall")), "se=2026-02-01&sig=secret-of-a-url"),
        (Answer(400, body=xml("AuthorizationHeaderMalformed", "the region is wrong")), AMZ),
        (Answer(403), AMZ),
        (Answer(403, body=b"<html>Forbidden</html>"), ""),
        (Answer(403, body=b'{"code": 5, "error": []}'), ""),
    ],
)
def test_a_refused_url_is_renewed_once_for_each_page(
    plain_api: DatasourcesApi, server: Scripted, store: Scripted, tmp_path: Path, answer: Answer, query: str
) -> None:
    _refusing(server, store, answer, query, accepted="/fresh")
    assert download(iter_samples(plain_api, DATASET), tmp_path).files == 20
    assert len(server.requests) == 2

    server.requests.clear()
    _refusing(server, store, answer, query)
    with pytest.raises(DownloadError) as caught:
        download(iter_samples(plain_api, DATASET), tmp_path / "other", on_refused="skip")
    assert {type(error) for error in caught.value.errors.values()} == {TransferError}, (
        "the URL is refused, not the file"
    )
    assert "secret-of-a-url" not in str(caught.value)


def _refusing(
    server: Scripted, store: Scripted, answer: Answer, query: str, *, accepted: str = "-", served: str = "-"
) -> None:
    """Let the server list twenty files with other URLs each time, and the store refuse those that are not accepted.

    Args:
        accepted: how the paths begin that it accepts.
        served: how they end.
    """

    def listing(_: Request) -> Answer:
        start = "old" if len(server.requests) == 1 else f"fresh{len(server.requests)}"
        return listed_page(*((f"{number}.png", f"{store.url}/{start}/{number}?{query}") for number in range(20)))

    server.requests.clear()
    server.answer = listing
    store.answer = lambda request: (
        Answer(body=b"x") if request.path.startswith(accepted) or request.path.endswith(served) else answer
    )


def test_a_refusal_of_the_server_to_redirect_concerns_all_files(store: Scripted, tmp_path: Path) -> None:
    """Skipping it would move the watermark past every file, because the credentials of the datasource are wrong."""
    store.script(Answer(400, json=UNREADABLE))
    with pytest.raises(DownloadError, match="no read permission") as caught:
        download([row(store, path="/v1/x/readurlRedirect?path=a.png")], tmp_path, on_refused="skip")
    assert type(reason(caught)) is TransferError


def test_no_secret_of_the_url_is_shown(store: Scripted, tmp_path: Path) -> None:
    """A store, or a proxy before it, can repeat the URL in its answer."""
    query = "X-Amz-Security-Token=session%2Ftoken&sig=sig+nature&token=tok"
    echo = f"no session/token nor sig nature nor sig%20nature, {query} {'long ' * 1000}"
    store.script(Answer(403, body=xml("SomeCode\x1b[31m", echo), headers={"Date": EARLY}))
    with pytest.raises(DownloadError) as caught:
        download([row(store, path=f"/a.png?{query}")], tmp_path)
    text = str(reason(caught))
    assert "session" not in text
    assert "nature" not in text
    assert "\x1b" not in text
    assert "SomeCode" in text
    assert len(text) < 500


def test_a_long_or_broken_body_of_a_refusal(store: Scripted, tmp_path: Path) -> None:
    for answer in (
        Answer(403, body=b"<Error><Code>Late" + b"x" * 1_000_000),
        Answer(403, body=xml("AccessDenied", "x"), cut=5),
        Answer(403, body=b"{" * 100_000),
        Answer(403, body=b"\xff\xfe\x00"),
    ):
        store.script(answer)
        with pytest.raises(DownloadError, match=r"the store refuses 'a\.png' with 403"):
            download([row(store)], tmp_path)


def test_refusals_and_failures_together(store: Scripted, tmp_path: Path) -> None:
    refused = Answer(403, body=xml("InvalidObjectState", "archived"))
    store.answer = lambda request: {"/0": refused, "/1": Answer(404)}.get(request.path, Answer(body=b"x"))
    rows = [row(store, f"{number}.png", f"/{number}") for number in range(3)]
    with pytest.raises(DownloadError, match="1 of 3 files") as caught:
        download(rows, tmp_path, on_refused="skip")
    assert list(caught.value.errors) == ["1.png"]
    assert list(caught.value.downloaded.refused) == ["0.png"]
    assert Counter(type(error) for error in caught.value.downloaded.refused.values()) == {RefusedError: 1}
    assert download([], tmp_path, on_refused="skip") == Downloaded(0, 0, 0)


def test_an_invalid_choice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(swagger_client.ApiValueError, match="on_refused"):
        download([], tmp_path, on_refused="ignore")  # type: ignore[arg-type]
