"""`verify` against moto with authentication, and policies that lack one permission each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from headwater.service.verify import TEST_KEY
from headwater.testing.fault_proxy import Delay, FaultProxy, Status
from tests.live import Live, fetch, running
from tests.servers import AwsUser, GuardedAws, free_port, trust
from tests.stores.s3.server import answering, error_xml

FLAGS = ("canRead", "canWrite", "canList", "canOverwrite")
ALL = ("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
EXTERNAL_ID = "external-id-of-ada"

WITHOUT = {
    "s3:ListBucket": ("canList",),
    "s3:GetObject": ("canRead",),
    "s3:PutObject": ("canWrite", "canOverwrite"),
    "s3:DeleteObject": (),
}
"""The flags that are false if a permission is missing."""


@pytest.fixture(scope="module")
def proxy(guarded: GuardedAws) -> Iterator[FaultProxy]:
    with FaultProxy(guarded.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def own_user(guarded: GuardedAws) -> AwsUser:
    """The server's AWS identity."""
    return guarded.user(["sts:AssumeRole"])


@pytest.fixture(scope="module")
def live(
    guarded: GuardedAws, proxy: FaultProxy, own_user: AwsUser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as environ:
        for name, value in own_user.environ(folder).items():
            environ.setenv(name, value)
        (folder / "files").mkdir()
        local_root = str(folder / "files")
        with running(folder, s3_endpoint=proxy.url, sts_endpoint=guarded.url, local_root=local_root) as live:
            yield live


@pytest.fixture
def bucket(guarded: GuardedAws) -> str:
    name = guarded.bucket()
    guarded.s3.put_object(Bucket=name, Key="data/a.jpg", Body=b"content")
    return name


def config(bucket: str, user: AwsUser, **more: str) -> dict[str, Any]:
    return {
        "type": "S3",
        "fullPath": f"s3://{bucket}/data",
        "s3Region": "us-east-1",
        "s3AccessKeyId": user.key_id,
        "s3SecretAccessKey": user.secret,
        **more,
    }


def delegated(bucket: str, role: str, **more: str) -> dict[str, Any]:
    return {
        "type": "S3DelegatedAccess",
        "fullPath": f"s3://{bucket}/data",
        "s3Region": "us-east-1",
        "s3ExternalId": EXTERNAL_ID,
        "s3ARN": role,
        **more,
    }


def verify(live: Live, *configs: Mapping[str, Any]) -> tuple[set[str], dict[str, str]]:
    """Verify a dataset with these datasources, and return the flags that are true and the errors."""
    dataset = live.configured(configs[0])
    for config in configs[1:]:
        assert live.call("PUT", live.datasource(dataset), dict(config)).status == 200
    began = time.monotonic()
    answer = live.call("GET", live.datasource(dataset, "verify"))
    assert time.monotonic() - began < 15
    assert answer.status == 200, answer.body
    found = answer.json
    errors = found.pop("errors", {})
    assert set(found) == set(FLAGS)
    assert not any(found[flag] for flag in errors)
    return {flag for flag in FLAGS if found[flag]}, errors


def test_all_permissions_leave_no_test_file(live: Live, guarded: GuardedAws, bucket: str) -> None:
    assert verify(live, config(bucket, guarded.user(ALL))) == (set(FLAGS), {})
    assert guarded.keys(bucket) == ["data/a.jpg"]


@pytest.mark.parametrize("role", [False, True], ids=["key", "role"])
@pytest.mark.parametrize("missing", WITHOUT)
def test_missing_permission_is_named_and_clears_only_its_flag(
    live: Live, guarded: GuardedAws, own_user: AwsUser, bucket: str, missing: str, role: bool
) -> None:
    rest = [action for action in ALL if action != missing]
    if role:
        made = delegated(bucket, guarded.role(rest, trust(own_user, EXTERNAL_ID)))
        whose = "for the role of s3ARN"
    else:
        made = config(bucket, guarded.user(rest))
        whose = "for this s3AccessKeyId"
    flags, errors = verify(live, made)
    assert flags == set(FLAGS) - set(WITHOUT[missing])
    assert set(errors) == set(WITHOUT[missing])
    for text in errors.values():
        assert "AccessDenied" in text
        assert f"Allow {missing} on the {'bucket' if missing == 's3:ListBucket' else 'path'}" in text
        assert whose in text
    left = [f"data/{TEST_KEY}"] if missing == "s3:DeleteObject" else []
    assert guarded.keys(bucket) == sorted([*left, "data/a.jpg"])


def test_remaining_test_file_is_reused(live: Live, guarded: GuardedAws, bucket: str) -> None:
    made = config(bucket, guarded.user([action for action in ALL if action != "s3:DeleteObject"]))
    for _ in range(3):
        assert verify(live, made) == (set(FLAGS), {})
    assert guarded.keys(bucket) == [f"data/{TEST_KEY}", "data/a.jpg"]
    assert verify(live, config(bucket, guarded.user(ALL))) == (set(FLAGS), {})
    assert guarded.keys(bucket) == ["data/a.jpg"]


def versions(guarded: GuardedAws, bucket: str) -> list[str]:
    """Return the keys of all versions and delete markers of a bucket."""
    found = guarded.s3.list_object_versions(Bucket=bucket)
    return [each["Key"] for each in (*found.get("Versions", []), *found.get("DeleteMarkers", []))]


def versioned(guarded: GuardedAws, bucket: str) -> None:
    guarded.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def test_verification_leaves_no_version(live: Live, guarded: GuardedAws, bucket: str) -> None:
    """Each verification left two versions and a delete marker, for ever."""
    versioned(guarded, bucket)
    made = config(bucket, guarded.user([*ALL, "s3:DeleteObjectVersion"]))
    for _ in range(2):
        assert verify(live, made) == (set(FLAGS), {})
        assert versions(guarded, bucket) == ["data/a.jpg"]


def test_verification_hides_the_versions_that_it_may_not_delete(live: Live, guarded: GuardedAws, bucket: str) -> None:
    versioned(guarded, bucket)
    assert verify(live, config(bucket, guarded.user(ALL))) == (set(FLAGS), {})
    assert guarded.keys(bucket) == ["data/a.jpg"]
    assert sorted(versions(guarded, bucket)) == [f"data/{TEST_KEY}"] * 3 + ["data/a.jpg"]


def test_only_versions_of_this_verification_are_deleted(live: Live, guarded: GuardedAws, bucket: str) -> None:
    """A file of an earlier verification must not come to light again when the versions above it are deleted."""
    versioned(guarded, bucket)
    guarded.s3.put_object(Bucket=bucket, Key=f"data/{TEST_KEY}", Body=b"earlier")
    assert verify(live, config(bucket, guarded.user([*ALL, "s3:DeleteObjectVersion"]))) == (set(FLAGS), {})
    assert guarded.keys(bucket) == ["data/a.jpg"]
    assert sorted(versions(guarded, bucket)) == [f"data/{TEST_KEY}"] * 2 + ["data/a.jpg"], "and a delete marker"


def test_no_permission_at_all(live: Live, guarded: GuardedAws, bucket: str) -> None:
    flags, errors = verify(live, config(bucket, guarded.user(["s3:ListAllMyBuckets"])))
    assert (flags, set(errors)) == (set(), set(FLAGS))
    assert "s3:ListBucket" in errors["canList"]
    assert "s3:GetObject" in errors["canRead"]
    assert "s3:PutObject" in errors["canWrite"]
    assert guarded.keys(bucket) == ["data/a.jpg"]


def test_input_datasource_is_not_written_to(live: Live, guarded: GuardedAws, proxy: FaultProxy, bucket: str) -> None:
    before = len(proxy.requests)
    made = config(bucket, guarded.user(ALL), purpose="INPUT")
    assert verify(live, made) == ({"canList", "canRead"}, {})
    assert {request.method for request in proxy.requests[before:]} == {"GET"}
    # Nor is anything said of writing where it would be refused.
    assert verify(live, config(bucket, guarded.user(ALL[:2]), purpose="INPUT")) == ({"canList", "canRead"}, {})
    guarded.s3.delete_object(Bucket=bucket, Key="data/a.jpg")
    assert verify(live, made) == ({"canList", "canRead"}, {}), "an empty bucket, too"
    flags, errors = verify(live, config(bucket, guarded.user(ALL[:1]), purpose="INPUT"))
    assert (flags, set(errors)) == ({"canList"}, {"canRead"})
    assert "s3:GetObject" in errors["canRead"]
    assert guarded.keys(bucket) == []


def test_both_datasources_are_verified_by_their_purpose(
    live: Live, guarded: GuardedAws, proxy: FaultProxy, bucket: str
) -> None:
    """An S3 input that is read-only with a local LIGHTLY datasource, and the reverse."""
    folder = {"type": "LOCAL", "fullPath": ""}
    before = len(proxy.requests)
    reader, lister, writer = (guarded.user(actions) for actions in (ALL[:2], ALL[:1], ALL))
    lightly = {**folder, "purpose": "LIGHTLY"}
    assert verify(live, config(bucket, reader, purpose="INPUT"), lightly) == (set(FLAGS), {})
    assert {request.method for request in proxy.requests[before:]} == {"GET"}
    flags, errors = verify(live, config(bucket, lister, purpose="INPUT"), lightly)
    assert (flags, set(errors)) == ({"canList", "canWrite", "canOverwrite"}, {"canRead"})
    assert errors["canRead"].startswith("INPUT: ")
    assert "s3:GetObject" in errors["canRead"]

    source = {**folder, "purpose": "INPUT"}
    before = len(proxy.requests)
    assert verify(live, source, config(bucket, writer, purpose="LIGHTLY")) == (set(FLAGS), {})
    listed = [request.target for request in proxy.requests[before:] if "list-type=2" in request.target]
    assert listed
    assert all("prefix=data%2F.lightly%2F&" in f"{target}&" for target in listed), "nothing else is ever listed there"
    flags, errors = verify(live, source, config(bucket, reader, purpose="LIGHTLY"))
    assert (flags, set(errors)) == ({"canList", "canRead"}, {"canWrite", "canOverwrite"})
    assert all(text.startswith("LIGHTLY: ") and "s3:PutObject" in text for text in errors.values())
    assert guarded.keys(bucket) == ["data/a.jpg"]


def test_empty_bucket_is_read_through_the_test_file(live: Live, guarded: GuardedAws) -> None:
    bucket = guarded.bucket()
    assert verify(live, config(bucket, guarded.user(ALL))) == (set(FLAGS), {})
    assert guarded.keys(bucket) == []


def assert_all_refused(live: Live, made: Mapping[str, Any], *words: str) -> None:
    flags, errors = verify(live, made)
    assert (flags, set(errors)) == (set(), set(FLAGS))
    for text in errors.values():
        for word in words:
            assert word in text, (word, text)
    secret = made.get("s3SecretAccessKey")
    assert not secret or secret not in str(errors)


def test_wrong_secret_is_named(live: Live, guarded: GuardedAws, bucket: str) -> None:
    wrong = config(bucket, guarded.user(ALL), s3SecretAccessKey="test-another-secret")
    assert_all_refused(live, wrong, "SignatureDoesNotMatch", "Check s3SecretAccessKey")


def test_unknown_access_key_is_named(live: Live, guarded: GuardedAws, bucket: str) -> None:
    unknown = config(bucket, guarded.user(ALL), s3AccessKeyId="AKIATESTKEYID")
    assert_all_refused(live, unknown, "InvalidAccessKeyId", "Check s3AccessKeyId")


def test_absent_bucket_is_named(live: Live, guarded: GuardedAws) -> None:
    made = config("no-such-bucket", guarded.user(ALL))
    assert_all_refused(live, made, "NoSuchBucket", "check fullPath", "'no-such-bucket'")


def test_region_of_the_operators_store_is_named_or_used(
    live: Live, guarded: GuardedAws, proxy: FaultProxy, bucket: str
) -> None:
    made = config(bucket, guarded.user(ALL))
    refusal = Status(400, error_xml("AuthorizationHeaderMalformed", more="<Region>eu-west-1</Region>"))
    proxy.faults += [refusal] * 20
    try:
        assert_all_refused(
            live,
            made,
            "AuthorizationHeaderMalformed",
            "in the region eu-west-1: check HEADWATER_S3_ENDPOINT, which may end in ?region=eu-west-1",
        )
    finally:
        proxy.faults.clear()
    proxy.faults.append(refusal)
    assert verify(live, made) == (set(FLAGS), {})
    assert "/eu-west-1/s3/" in proxy.requests[-1].headers["authorization"]


def test_refused_session_is_named(
    live: Live, guarded: GuardedAws, own_user: AwsUser, proxy: FaultProxy, bucket: str
) -> None:
    made = delegated(bucket, guarded.role(ALL, trust(own_user, EXTERNAL_ID)))
    proxy.faults += [Status(400, error_xml("ExpiredToken", "The provided token has expired."))] * 20
    try:
        assert_all_refused(live, made, "ExpiredToken", "The session has expired")
    finally:
        proxy.faults.clear()
    assert verify(live, made) == (set(FLAGS), {})


def test_role_that_may_not_be_assumed_is_named(live: Live, guarded: GuardedAws, own_user: AwsUser, bucket: str) -> None:
    role = guarded.role(ALL, trust(own_user, EXTERNAL_ID))
    wrong = delegated(bucket, role, s3ExternalId="external-id-of-eve")
    assert_all_refused(live, wrong, "AccessDenied", "s3ARN", "s3ExternalId", "trust policy")
    untrusting = delegated(bucket, guarded.role(ALL, trust(guarded.user(ALL), EXTERNAL_ID)))
    assert_all_refused(live, untrusting, "AccessDenied", "s3ARN", "s3ExternalId", "trust policy")


def test_unreachable_host_is_named(guarded: GuardedAws, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("unreachable")
    with running(folder, s3_endpoint=f"http://127.0.0.1:{free_port()}") as live:
        assert_all_refused(live, config("bucket", guarded.user(ALL)), "refused the connection")


def test_hanging_store_is_named_in_time(guarded: GuardedAws, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It accepts connections and sends nothing. Two datasources share the 15 seconds of `verify`."""
    folder = tmp_path_factory.mktemp("hangs")
    with FaultProxy(respond=lambda _: Delay(60)) as store, running(folder, s3_endpoint=store.url) as live:
        user = guarded.user(ALL)
        both = config("bucket", user, purpose="INPUT"), config("other", user, purpose="LIGHTLY")
        flags, errors = verify(live, *both)
        assert (flags, set(errors)) == (set(), set(FLAGS))
        for flag, text in errors.items():
            sides = [part.partition(": ") for part in text.split("; ")]
            tried = ["INPUT", "LIGHTLY"] if flag in ("canList", "canRead") else ["LIGHTLY"]
            assert [side for side, _, _ in sides] == tried, text
            assert all("answer" in error for _, _, error in sides), text


def test_server_without_own_credentials_is_named(
    guarded: GuardedAws, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("nobody")
    for name, value in guarded.user(ALL).environ(folder).items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with (
        FaultProxy(respond=answering(200)) as sts,
        running(folder, s3_endpoint=guarded.url, sts_endpoint=sts.url) as live,
    ):
        made = delegated("bucket", "arn:aws:iam::123456789012:role/test")
        assert_all_refused(live, made, "This server has no AWS credentials", "its operator must")
        assert sts.requests == []
        listed = live.call("GET", live.datasource(live.configured(made), "list"))
        assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_CREDENTIALS_ERROR")


def test_dataset_is_listed_through_a_role(live: Live, guarded: GuardedAws, own_user: AwsUser, bucket: str) -> None:
    made = delegated(bucket, guarded.role(ALL, trust(own_user, EXTERNAL_ID)))
    (page,) = live.pages(live.configured(made))
    (row,) = page["data"]
    assert row["fileName"] == "a.jpg"
    led = fetch(row["readUrl"])
    assert led.status == 307, "a session ends too soon for a URL of its own in a listing"
    assert "X-Amz-Security-Token=" in led.headers["Location"]
    assert "X-Amz-Expires=86400" not in led.headers["Location"]


def note(live: Live, config: Mapping[str, Any]) -> str | None:
    """Verify a dataset with this datasource, and return the note."""
    answer = live.call("GET", live.datasource(live.configured(config), "verify"))
    assert answer.status == 200, answer.body
    return answer.headers["Headwater-Note"]


def test_a_mistyped_folder_is_noted_with_its_neighbours(live: Live, guarded: GuardedAws, bucket: str) -> None:
    """A mistyped folder was verified with four times yes, and nothing was ever listed. The flags stay as they are."""
    guarded.s3.put_object(Bucket=bucket, Key="dätä 2/sub/b.jpg", Body=b"content")
    mistyped = config(bucket, guarded.user(ALL), fullPath=f"s3://{bucket}/date")
    assert verify(live, mistyped) == (set(FLAGS), {})
    assert note(live, mistyped) == "there are no files under 'date/'; nearby: 'data/'"
    assert guarded.keys(bucket) == ["data/a.jpg", "dätä 2/sub/b.jpg"]
    # The bucket typed twice, and a name that is not ASCII.
    twice = config(bucket, guarded.user(ALL), fullPath=f"s3://{bucket}/{bucket}/dätä 3", purpose="INPUT")
    assert str(note(live, twice)).endswith(r"/d\xe4t\xe4 3/'; nearby: 'd\xe4t\xe4 2/'")
    assert note(live, config(bucket, guarded.user(ALL))) is None


@pytest.mark.parametrize("path", ["/data", "//data/", "data//"])
def test_a_slash_too_many_is_noted_with_the_folder_without_it(
    live: Live, guarded: GuardedAws, bucket: str, path: str
) -> None:
    """Nothing is under such a path in an object store, and it looks like the right one."""
    given = config(bucket, guarded.user(ALL), fullPath=f"s3://{bucket}/{path}", purpose="INPUT")
    assert str(note(live, given)).endswith("/'; nearby: 'data/'")
