"""Datasets that are shared with users and groups, and new owners (contract.md#sharing)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.domain.configs import VALID
from tests.jwks import AUDIENCE, Issuer, signing_key
from tests.live import Live, request, running


class Users:
    """Tokens of several users of one server."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.tokens = {"ada": live.token}

    def token(self, user: str) -> str:
        if user not in self.tokens:
            self.tokens[user] = self.live.headwater("token", "create", "--user", user)
        return self.tokens[user]

    def call(self, caller: str, method: str, path: str, body: Any = None, **query: str) -> Any:
        return self.live.call(method, path, body, token=self.token(caller), query=query)

    def share(self, dataset: str, by: str = "ada", **body: str) -> Any:
        return self.call(by, "PUT", f"/v1/headwater/datasets/{dataset}/shares", body)

    def listed(self, user: str, path: str = "/v1/datasets", **query: str) -> set[str]:
        return {found["id"] for found in self.call(user, "GET", path, **query).json}


@pytest.fixture(scope="module")
def users(live: Live) -> Users:
    users = Users(live)
    for name in ("bob", "cleo"):
        users.token(name)
    return users


def test_roles_allow_what_they_say(users: Users) -> None:
    dataset = users.live.configured(VALID["LOCAL"])
    path, datasource = f"/v1/datasets/{dataset}", users.live.datasource(dataset)
    reading = [("GET", path, None), ("GET", datasource, None), ("GET", f"{datasource}/processedUntilTimestamp", None)]
    writing = [
        ("PUT", path, {"name": f"by bob {dataset}"}),
        ("PUT", f"{datasource}/processedUntilTimestamp", {"processedUntilTimestamp": 7}),
        ("PUT", datasource, VALID["LOCAL"]),
    ]
    managing = [("GET", f"/v1/headwater/datasets/{dataset}/shares", None)]

    def allowed(steps: list[tuple[str, str, Any]]) -> set[int]:
        return {users.call("bob", *step).status for step in steps}

    assert allowed([*reading, *writing, *managing]) == {403}
    assert users.share(dataset, user="bob", role="reader").status == 200
    assert (allowed(reading), allowed([*writing, *managing])) == ({200}, {403})
    message = users.call("bob", *writing[0]).json["message"]
    assert message == f"the dataset {dataset} is shared with you, but this operation needs the role editor"
    users.share(dataset, user="bob", role="editor")
    assert (allowed([*reading, *writing]), allowed(managing)) == ({200}, {403})
    assert users.call("bob", "DELETE", path).status == 403
    users.share(dataset, user="bob", role="owner")
    assert allowed([*reading, *writing, *managing]) == {200}
    shares = users.call("ada", *managing[0]).json
    assert [(share["user"], share["role"]) for share in shares] == [("bob", "owner")]
    assert users.call("bob", "DELETE", path).status == 200


def test_secrets_stay_masked_for_others(users: Users) -> None:
    dataset = users.live.configured({**VALID["S3"], "s3SecretAccessKey": "never-to-be-seen"})
    users.share(dataset, user="bob", role="reader")
    answer = users.call("bob", "GET", users.live.datasource(dataset))
    assert answer.status == 200
    assert b"never-to-be-seen" not in answer.body


def test_lists_tell_own_from_shared_datasets(users: Users) -> None:
    shared, unshared = users.live.dataset(), users.live.dataset()
    own = users.call("cleo", "POST", "/v1/datasets", {"name": f"of cleo {shared}"}).json["id"]
    users.share(shared, user="cleo", role="reader")
    name = users.call("ada", "GET", f"/v1/datasets/{shared}").json["name"]
    for path in ("/v1/datasets", "/v1/datasets/enriched"):
        assert users.listed("cleo", path) >= {own}
        assert not users.listed("cleo", path) & {shared, unshared}
        assert users.listed("cleo", path, shared="True") & {shared, unshared, own} == {shared}
        assert users.listed("cleo", path, getAssetsOfTeam="True") & {shared, unshared, own} == set()
    for path in (f"/v1/datasets/query/name/{quote(name)}", f"/v1/datasets/enriched/query/name/{quote(name)}"):
        assert users.listed("cleo", path, exact="true") == set()
        assert users.listed("cleo", path, exact="true", shared="true") == {shared}
    ids = [("datasetIds", each) for each in (shared, unshared, own)]
    by_ids = users.live.call("GET", "/v1/datasets/enriched/query/ids", token=users.token("cleo"), query=ids).json
    assert {found["id"] for found in by_ids} == {shared, own}
    assert users.listed("ada", shared="true") & {shared, own} == set()


def test_children_that_are_shared_are_seen(users: Users) -> None:
    parent = users.live.dataset()
    child, hidden = (
        users.call("ada", "POST", "/v1/datasets", {"name": f"{name} {parent}", "parentDatasetId": parent}).json["id"]
        for name in ("child", "hidden")
    )
    users.share(parent, user="bob", role="reader")
    users.share(child, user="bob", role="reader")
    assert users.listed("bob", f"/v1/datasets/{parent}/children") == {child}
    assert users.listed("ada", f"/v1/datasets/{parent}/children") == {child, hidden}


def test_an_admin_lists_all_datasets(users: Users) -> None:
    """An admin token could use every dataset, and saw none in any list."""
    dataset = users.live.dataset()
    users.tokens["root"] = users.live.headwater("token", "create", "--user", "root", "--admin")
    own = users.call("root", "POST", "/v1/datasets", {"name": f"of root {dataset}"}).json["id"]
    assert users.listed("root") == {own}
    for flag in ("shared", "getAssetsOfTeam"):
        assert dataset in users.listed("root", **{flag: "true"})
        assert own not in users.listed("root", **{flag: "true"})
    assert users.listed("root", getAssetsOfTeamInclusiveSelf="true") >= {own, dataset}


def test_a_share_ends_with_the_next_request(users: Users) -> None:
    dataset = users.live.dataset()
    shares = f"/v1/headwater/datasets/{dataset}/shares"
    users.share(dataset, user="bob", role="reader")
    assert users.call("bob", "GET", f"/v1/datasets/{dataset}").status == 200
    assert users.call("ada", "DELETE", shares, user="bob").status == 200
    assert users.call("bob", "GET", f"/v1/datasets/{dataset}").status == 403
    assert users.call("ada", "DELETE", shares, user="bob").status == 404
    assert users.call("ada", "DELETE", shares, user="b\0b").status == 400


def test_users_leave_but_remove_nobody_else(users: Users) -> None:
    dataset = users.live.dataset()
    shares = f"/v1/headwater/datasets/{dataset}/shares"
    users.share(dataset, user="bob", role="reader")
    users.share(dataset, user="cleo", role="reader")
    assert users.call("bob", "DELETE", shares, user="cleo").status == 403
    assert users.call("bob", "DELETE", shares, user="bob").status == 200
    assert users.call("bob", "GET", f"/v1/datasets/{dataset}").status == 403
    assert users.call("cleo", "GET", f"/v1/datasets/{dataset}").status == 200


def test_a_new_owner(users: Users) -> None:
    dataset = users.live.dataset()
    name = users.call("ada", "GET", f"/v1/datasets/{dataset}").json["name"]
    users.share(dataset, user="bob", role="editor")
    owner = f"/v1/headwater/datasets/{dataset}/owner"
    assert users.call("bob", "PUT", owner, {"user": "bob"}).status == 403
    assert users.call("ada", "PUT", owner, {"user": "bob"}).status == 403, "nobody gets a dataset without asking for it"
    users.share(dataset, user="bob", role="owner")
    assert users.call("bob", "PUT", owner, {"user": "cleo"}).status == 403
    assert users.call("bob", "PUT", owner, {"user": "bob"}).status == 200
    assert users.call("bob", "GET", f"/v1/datasets/{dataset}").json["userId"] == "bob"
    shares = users.call("bob", "GET", f"/v1/headwater/datasets/{dataset}/shares").json
    assert [(share["user"], share["role"]) for share in shares] == [("ada", "editor")]
    assert users.call("ada", "DELETE", f"/v1/datasets/{dataset}").status == 403
    users.live.dataset(name)
    users.share(dataset, by="bob", user="ada", role="owner")
    taken = users.call("ada", "PUT", owner, {"user": "ada"})
    assert (taken.status, taken.code) == (400, "DATASET_NAME_EXISTS")
    assert users.call("bob", "GET", f"/v1/datasets/{dataset}").json["userId"] == "bob"


def test_an_admin_gives_a_dataset_to_known_users(users: Users) -> None:
    dataset = users.live.dataset()
    users.tokens["root"] = users.live.headwater("token", "create", "--user", "root", "--admin")
    owner = f"/v1/headwater/datasets/{dataset}/owner"
    assert users.call("root", "PUT", owner, {"user": "nobody-knows"}).status == 400
    assert users.call("root", "PUT", owner, {"user": "bob"}).status == 200
    assert users.call("bob", "GET", f"/v1/datasets/{dataset}").json["userId"] == "bob"


def test_an_editor_learns_no_names_of_the_owner(users: Users) -> None:
    """The error said that the caller had a dataset with the name, and so told the names of the owner's datasets."""
    dataset, secret = users.live.dataset(), users.live.dataset(f"secret {os.urandom(4).hex()}")
    name = users.call("ada", "GET", f"/v1/datasets/{secret}").json["name"]
    users.share(dataset, user="bob", role="editor")
    refused = users.call("bob", "PUT", f"/v1/datasets/{dataset}", {"name": name})
    assert (refused.status, refused.code) == (400, "DATASET_NAME_EXISTS")
    assert refused.json["message"] == "name: this dataset cannot have this name; choose another"


def test_an_editor_uses_stored_credentials_only_where_they_are_used(users: Users) -> None:
    """With the mask, an editor could move the datasource to any bucket that the credentials of the owner reach."""
    dataset = users.live.configured({**VALID["S3"], "fullPath": "s3://bucket/shared"})
    datasource = users.live.datasource(dataset)
    users.share(dataset, user="bob", role="editor")
    masked = users.call("bob", "GET", datasource).json
    assert users.call("bob", "PUT", datasource, {**masked, "thumbSuffix": ".thumb/[filename]"}).status == 200
    elsewhere = {**masked, "fullPath": "s3://payroll"}
    assert users.call("bob", "PUT", datasource, elsewhere).status == 403
    limited = users.call("ada", "POST", "/v1/headwater/tokens", {"datasetId": dataset}).json["token"]
    assert users.live.call("PUT", datasource, elsewhere, token=limited).status == 403
    assert users.call("bob", "PUT", datasource, {**elsewhere, "s3SecretAccessKey": "test"}).status == 200
    assert users.call("ada", "PUT", datasource, masked).status == 200


def test_a_slow_body_does_not_outlive_a_share(users: Users) -> None:
    """A co-owner who was removed finished a PUT that had begun before, and took the dataset."""
    dataset = users.live.dataset()
    shares, owner = (f"/v1/headwater/datasets/{dataset}/{name}" for name in ("shares", "owner"))
    users.share(dataset, user="bob", role="owner")
    body = b'{"user": "bob"}'
    parts = urlsplit(users.live.url)
    with socket.create_connection((parts.hostname, parts.port), 30) as connection:
        head = f"PUT {owner} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {users.token('bob')}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:3])
        time.sleep(1.2)
        assert users.call("ada", "DELETE", shares, user="bob").status == 200
        connection.sendall(body[3:])
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")
    assert users.call("ada", "GET", f"/v1/datasets/{dataset}").json["userId"] == "ada"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"user": "nobody-knows", "role": "reader"}, "user: there is no such user"),
        ({"user": "https://issuer.example.com|x", "role": "reader"}, "user: there is no such user"),
        ({"user": "ada", "role": "reader"}, "user: ada owns the dataset"),
        ({"user": "bob", "group": "team", "role": "reader"}, "user, group: expected exactly one"),
        ({"role": "reader"}, "user, group: expected exactly one"),
        ({"group": "", "role": "reader"}, "group: expected"),
        ({"group": "a\nb", "role": "reader"}, "group: expected"),
        ({"user": "bob"}, "role: required"),
        ({"user": "bob", "role": "king"}, "role: expected one of reader, editor, owner"),
    ],
)
def test_shares_of_invalid_form_are_refused(users: Users, body: dict[str, str], named: str) -> None:
    dataset = users.live.dataset()
    answer = users.share(dataset, **body)
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert named in answer.json["message"]
    assert users.call("ada", "GET", f"/v1/headwater/datasets/{dataset}/shares").json == []


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(signing_key("ES256", "one")) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def with_groups(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("groups")
    with running(folder, jwt_issuer=issuer.url, jwt_audience=AUDIENCE, jwt_groups_claim="groups") as live:
        yield live


def test_groups_of_a_jwt_give_their_roles(issuer: Issuer, with_groups: Live) -> None:
    live = with_groups
    dataset, other = live.dataset(), live.dataset()

    def call(path: str, method: str = "GET", body: Any = None, **claims: Any) -> Any:
        jwt = issuer.token(issuer.keys[0], **claims)
        return request(live.url, method, path, body, {"Authorization": f"Bearer {jwt}"})

    shares = f"/v1/headwater/datasets/{dataset}/shares"
    assert live.call("PUT", shares, {"group": "vision", "role": "reader"}).status == 200
    path = f"/v1/datasets/{dataset}"
    assert call(path, groups=["vision", "audio"]).status == 200
    assert call(path, groups="vision").status == 200
    for groups in ([], ["Vision"], ["audio"], {"vision": True}, ["vision", 5], None, ["x"] * 1001 + ["vision"]):
        assert call(path, groups=groups).status == 403, groups
    assert call(path).status == 403
    listed = call("/v1/datasets?getAssetsOfTeam=True", groups=["vision"]).json
    assert {each["id"] for each in listed} == {dataset}
    assert call("/v1/datasets", groups=["vision"]).json == []
    assert other not in call("/v1/datasets?shared=True", groups=["vision"]).body.decode()
    live.call("PUT", shares, {"group": "audio", "role": "editor"})
    renamed = {"name": f"by the group {dataset}"}
    assert call(path, "PUT", renamed, groups=["vision"]).status == 403
    assert call(path, "PUT", renamed, groups=["vision", "audio"]).status == 200, "the most that a role allows"


def test_an_api_token_has_the_groups_of_the_latest_jwt(issuer: Issuer, with_groups: Live) -> None:
    """Published clients send API tokens, and would have no groups."""
    live = with_groups
    dataset = live.dataset()
    live.call("PUT", f"/v1/headwater/datasets/{dataset}/shares", {"group": "vision", "role": "reader"})
    jwt = issuer.token(issuer.keys[0], sub="someone-else", groups=["vision"])
    made = request(live.url, "POST", "/v1/headwater/tokens", {}, {"Authorization": f"Bearer {jwt}"})
    assert made.status == 201
    token = made.json["token"]
    assert live.call("GET", f"/v1/datasets/{dataset}", token=token).status == 200
    me = live.call("GET", "/v1/headwater/whoami", token=token).json
    assert (me["user"], me["groups"]) == (f"{issuer.url}|someone-else", ["vision"])


def test_a_user_of_the_issuer_need_not_be_known(issuer: Issuer, with_groups: Live) -> None:
    live = with_groups
    dataset = live.dataset()
    body = {"user": f"{issuer.url}|never-seen", "role": "reader"}
    assert live.call("PUT", f"/v1/headwater/datasets/{dataset}/shares", body).status == 200
    jwt = issuer.token(issuer.keys[0], sub="never-seen")
    answer = request(live.url, path=f"/v1/datasets/{dataset}", headers={"Authorization": f"Bearer {jwt}"})
    assert answer.status == 200


def test_groups_are_recorded_when_they_change(tmp_path: Path, issuer: Issuer) -> None:
    """Of a user who left a group, an API token kept the role of the group for ever."""
    settings = {"jwt_issuer": issuer.url, "jwt_audience": AUDIENCE, "jwt_groups_claim": "groups"}
    with running(tmp_path, **settings) as live:
        jwt = issuer.token(issuer.keys[0], groups=["vision"])
        made = request(live.url, "POST", "/v1/headwater/tokens", {}, {"Authorization": f"Bearer {jwt}"}).json
    with running(tmp_path, **settings) as live:  # another process: nothing was recorded in the last minute
        jwt = issuer.token(issuer.keys[0], groups=[])
        request(live.url, path="/v1/headwater/whoami", headers={"Authorization": f"Bearer {jwt}"})
        deadline = time.monotonic() + 10
        groups = ["vision"]
        while groups and time.monotonic() < deadline:
            groups = live.call("GET", "/v1/headwater/whoami", token=made["token"]).json["groups"]
        assert groups == []
