"""The authorization matrix: every route with every kind of credential and role (contract.md#authentication).

The routes come from the application. A route without an entry in `ACCESS` fails the tests, so nobody adds one without
deciding who may use it. Requests are of invalid form or change nothing, so that what is allowed can be tried with all
credentials in turn: it may end with any status but 401 and 403.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from headwater.auth.authenticate import digest, new_token
from headwater.domain.dataset import NewDataset
from headwater.domain.ids import new_id
from headwater.domain.sharing import Grantee, GranteeKind, Role
from headwater.domain.users import NewToken, Scope
from headwater.service import admin, configure
from headwater.service.context import ServiceContext, open_context
from headwater.settings import Settings
from headwater.web.app import ROUTERS, create_app
from headwater.web.files import routes as files
from tests.domain.configs import VALID
from tests.jwks import AUDIENCE, Issuer, signing_key


class Access(Enum):
    """Who may use a route."""

    PUBLIC = "anybody, without a credential"
    SIGNED = "who has a signed URL; credentials do not count"
    ANY = "every valid credential"
    USER = "every credential that is limited neither to one dataset nor to reading"
    READ = "who may read the dataset"
    WRITE = "who may write to the dataset"
    MANAGE = "who may manage the dataset"


_D = "/v1/datasets/{dataset_id}"
_S = f"{_D}/datasource"
_H = "/v1/headwater"

ACCESS: dict[tuple[str, str], Access] = {
    ("GET", _S): Access.READ,
    ("PUT", _S): Access.WRITE,
    ("GET", f"{_S}/all"): Access.READ,
    ("GET", f"{_S}/verify"): Access.WRITE,
    ("GET", f"{_S}/list"): Access.READ,
    ("GET", f"{_S}/list/dnc"): Access.READ,
    ("GET", f"{_S}/predictions/list"): Access.READ,
    ("GET", f"{_S}/predictions/list/dnc"): Access.READ,
    ("GET", f"{_S}/predictions/file"): Access.READ,
    ("GET", f"{_S}/predictions/writeUrl"): Access.WRITE,
    ("GET", f"{_S}/metadata/list"): Access.READ,
    ("GET", f"{_S}/metadata/list/dnc"): Access.READ,
    ("GET", f"{_S}/metadata/file"): Access.READ,
    ("GET", f"{_S}/embeddings/file"): Access.READ,
    ("GET", f"{_S}/fileHEAD"): Access.READ,
    ("GET", f"{_S}/readurlRedirect"): Access.SIGNED,
    ("GET", f"{_S}/processedUntilTimestamp"): Access.READ,
    ("PUT", f"{_S}/processedUntilTimestamp"): Access.WRITE,
    ("POST", "/v1/datasets"): Access.USER,
    ("GET", "/v1/datasets"): Access.ANY,
    ("GET", "/v1/datasets/enriched"): Access.ANY,
    ("GET", "/v1/datasets/enriched/query/ids"): Access.ANY,
    ("GET", "/v1/datasets/enriched/query/name/{dataset_name}"): Access.ANY,
    ("GET", "/v1/datasets/query/name/{dataset_name}"): Access.ANY,
    ("GET", _D): Access.READ,
    ("PUT", _D): Access.WRITE,
    ("DELETE", _D): Access.MANAGE,
    ("GET", f"{_D}/children"): Access.READ,
    ("PUT", f"{_D}/registerDatasetUpload"): Access.WRITE,
    ("GET", f"{_H}/whoami"): Access.ANY,
    ("GET", f"{_H}/tokens"): Access.USER,
    ("POST", f"{_H}/tokens"): Access.USER,
    ("DELETE", f"{_H}/tokens/{{token_id}}"): Access.USER,
    ("GET", f"{_H}/datasets/{{dataset_id}}/shares"): Access.MANAGE,
    ("PUT", f"{_H}/datasets/{{dataset_id}}/shares"): Access.MANAGE,
    ("DELETE", f"{_H}/datasets/{{dataset_id}}/shares"): Access.READ,  # own shares; test_sharing.py has those of others
    ("PUT", f"{_H}/datasets/{{dataset_id}}/owner"): Access.MANAGE,
    ("GET", "/v1/versions/pip/latest"): Access.PUBLIC,
    ("GET", "/v1/versions/pip/minimum"): Access.PUBLIC,
    ("GET", "/healthz"): Access.PUBLIC,
    ("GET", "/readyz"): Access.PUBLIC,
    ("GET", "/files/{path}"): Access.SIGNED,
    ("PUT", "/files/{path}"): Access.SIGNED,
    ("GET", "/"): Access.PUBLIC,
    ("GET", "/docs"): Access.PUBLIC,
    ("GET", "/docs/"): Access.PUBLIC,
    ("GET", "/docs/assets/{file}"): Access.PUBLIC,
    ("GET", "/openapi.json"): Access.PUBLIC,
}

_READING = {Access.PUBLIC, Access.ANY, Access.READ}
_EVERYTHING = {*Access} - {Access.SIGNED}
_NO_DATASET = {Access.PUBLIC, Access.ANY, Access.USER}

CREDENTIALS: dict[str, set[Access]] = {
    "owner": _EVERYTHING,
    "owner, read": _READING,
    "owner, this dataset": {Access.PUBLIC, Access.ANY, Access.READ, Access.WRITE},
    "owner, this dataset, read": {Access.PUBLIC, Access.ANY, Access.READ},
    "owner, another dataset": {Access.PUBLIC, Access.ANY},
    "reader": _NO_DATASET | {Access.READ},
    "editor": _NO_DATASET | {Access.READ, Access.WRITE},
    "editor, read": _READING,
    "co-owner": _EVERYTHING,
    "stranger": _NO_DATASET,
    "admin": _EVERYTHING,
    "jwt of a reader by group": _NO_DATASET | {Access.READ},
    "jwt of an owner by group": _EVERYTHING,
    "jwt of a stranger": _NO_DATASET,
}
"""What each credential may use."""

UNAUTHENTICATED = ("none", "unknown", "revoked", "expired", "malformed jwt", "expired jwt", "wrong scheme")

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/datasets"): {"name": "x"},
    ("POST", f"{_H}/tokens"): {"label": ""},
}
"""Bodies that are of invalid form only where permissions are checked first. Others are `{}`."""


class World:
    """An application with one dataset, and credentials for it."""

    def __init__(self, ctx: ServiceContext, app: FastAPI, issuer: Issuer) -> None:
        self.ctx = ctx
        self.app = app
        self.issuer = issuer
        self.dataset = ""
        self.credentials: dict[str, str] = {}

    async def token(self, user: str, **limits: Any) -> str:
        token = new_token()
        await self.ctx.catalog.tokens.add(user, NewToken(**limits), digest(token))
        return token

    def jwt(self, sub: str, **claims: Any) -> str:
        return self.issuer.token(self.issuer.keys[0], sub=sub, **claims)

    async def prepare(self) -> None:
        """Create the dataset, share it, and make all credentials."""
        ctx = self.ctx
        dataset = (await admin.create_dataset(ctx, "ada", NewDataset(name="matrix"))).id
        other = (await admin.create_dataset(ctx, "ada", NewDataset(name="another"))).id
        await configure.put_datasource(ctx, await admin.find_dataset(ctx, dataset), VALID["LOCAL"])
        for name, role in (("rita", Role.READER), ("ed", Role.EDITOR), ("olga", Role.OWNER)):
            await ctx.catalog.shares.put(dataset, Grantee(GranteeKind.USER, name), role)
        for group, role in (("readers", Role.READER), ("owners", Role.OWNER)):
            await ctx.catalog.shares.put(dataset, Grantee(GranteeKind.GROUP, group), role)
        expired = await self.token("ada", expires_at=int(time.time() * 1000) - 1)
        revoked = new_token()
        await ctx.catalog.tokens.revoke((await ctx.catalog.tokens.add("ada", NewToken(), digest(revoked))).id)
        self.dataset = dataset
        self.credentials = {
            "owner": await self.token("ada"),
            "owner, read": await self.token("ada", scope=Scope.READ),
            "owner, this dataset": await self.token("ada", dataset_id=dataset),
            "owner, this dataset, read": await self.token("ada", scope=Scope.READ, dataset_id=dataset),
            "owner, another dataset": await self.token("ada", dataset_id=other),
            "reader": await self.token("rita"),
            "editor": await self.token("ed"),
            "editor, read": await self.token("ed", scope=Scope.READ),
            "co-owner": await self.token("olga"),
            "stranger": await self.token("mallory"),
            "admin": await self.token("root", scope=Scope.ADMIN),
            "jwt of a reader by group": self.jwt("reader", groups=["readers"]),
            "jwt of an owner by group": self.jwt("owner", groups=["owners", "readers"]),
            "jwt of a stranger": self.jwt("stranger", groups=["nobody"]),
            "unknown": new_token(),
            "revoked": revoked,
            "expired": expired,
            "malformed jwt": "eyJ.eyJ.e30",
            "expired jwt": self.jwt("owner", groups=["owners"], exp=int(time.time()) - 100),
        }

    def headers(self, name: str) -> dict[str, str]:
        """Return the headers that carry a credential."""
        if name == "wrong scheme":
            return {"Authorization": "Basic Z29vZDpnb29k"}
        return {"Authorization": f"Bearer {self.credentials[name]}"} if name in self.credentials else {}

    async def status(self, client: httpx.AsyncClient, route: tuple[str, str], credential: str) -> int:
        """Return the status of a request to a route."""
        method, path = route
        values = {
            "dataset_id": self.dataset,
            "token_id": new_id(),
            "dataset_name": "no-such",
            "path": "no/such.png",
            "file": "docs.css",
        }
        body = BODIES.get(route, {}) if method in ("PUT", "POST") else None
        query = {"force": "maybe"} if method == "DELETE" else {}
        answer = await client.request(
            method, path.format(**values), json=body, params=query, headers=self.headers(credential)
        )
        return answer.status_code


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(signing_key("ES256", "one")) as issuer:
        yield issuer


@pytest.fixture
async def world(tmp_path: Path, issuer: Issuer) -> AsyncIterator[World]:
    (tmp_path / "files").mkdir()
    settings = {
        "HEADWATER_DATA_DIR": str(tmp_path / "data"),
        "HEADWATER_LOCAL_ROOT": str(tmp_path / "files"),
        "HEADWATER_JWT_ISSUER": issuer.url,
        "HEADWATER_JWT_AUDIENCE": AUDIENCE,
        "HEADWATER_JWT_GROUPS_CLAIM": "groups",
    }
    async with open_context(Settings.load(settings)) as ctx:
        world = World(ctx, create_app(ctx), issuer)
        await world.prepare()
        yield world


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route. HEAD is GET without a body."""
    for route in app.state.routes:
        if isinstance(route, files.FilesRoute):
            yield from (("GET", "/files/{path}"), ("PUT", "/files/{path}"))
            continue
        if getattr(route, "original_router", None) in ROUTERS:
            continue  # how FastAPI includes a router, whose routes are in the list as well
        assert isinstance(route, Route), "a kind of route that these tests do not know"
        path = re.sub(r":\w+}", "}", route.path)
        path = re.sub(r"^/docs/assets/.+", "/docs/assets/{file}", path)
        yield from ((method, path) for method in route.methods or set() if method != "HEAD")


async def test_every_route_has_an_entry(world: World) -> None:
    found = set(routes(world.app))
    assert found == set(ACCESS), "say in ACCESS who may use a new route"


async def test_every_route_with_every_credential(world: World) -> None:
    wrong = []
    transport = httpx.ASGITransport(app=world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://headwater.test") as client:
        for route, access in ACCESS.items():
            for credential in (*CREDENTIALS, *UNAUTHENTICATED):
                status = await world.status(client, route, credential)
                expected = expected_statuses(access, credential)
                if status not in expected:
                    wrong.append((route, credential, status, sorted(expected)))
    assert wrong == []
    assert len(ACCESS) * len((*CREDENTIALS, *UNAUTHENTICATED)) > 900


def expected_statuses(access: Access, credential: str) -> set[int]:
    """Return the statuses that a request to a route may have."""
    allowed = {200, 201, 307, 308, 400, 404}
    if access is Access.SIGNED:
        return {400, 401, 403, 404}  # no credential is a signature
    if access is Access.PUBLIC:
        return allowed
    if credential in UNAUTHENTICATED:
        return {401}
    return allowed if access in CREDENTIALS[credential] else {403}
