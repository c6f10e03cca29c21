"""Check an installation from the inside: what works, what does not, and what to do about it (`headwater doctor`)."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from typing import NamedTuple

from headwater.access import is_folder
from headwater.domain.dataset import Dataset
from headwater.domain.datasource import Datasource, Purpose
from headwater.domain.errors import HeadwaterError, IssuerUnavailableError
from headwater.domain.location import shown_path
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.domain.users import Scope
from headwater.net.egress import Egress
from headwater.net.proxies import ignored_variables
from headwater.net.transport import Request, Transport
from headwater.net.urls import Origin, split_http_url
from headwater.service.context import ServiceContext
from headwater.settings import Settings

MAX_DATASETS = 20
"""How many datasets are tried, the newest first."""

STORE_SECONDS = 10.0
"""The time limit for one datasource."""

SERVER_SECONDS = 5.0
"""The time limit for one request to the server."""

CLOCK_SECONDS = 30
"""The clock difference from which a store is reported. AWS refuses signatures at 15 minutes."""

MIN_FREE_BYTES = 1 << 30
"""The free space below which the disk of the catalog is reported."""

_DAY_MS = 86_400_000


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """The result of one check: what was checked, and what was found, with what to do about it."""

    level: Level
    subject: str
    text: str


def check_environment(settings: Settings) -> Iterator[Finding]:
    """Yield what the environment and the disk say, without the catalog."""
    if names := ignored_variables():
        text = f"{', '.join(names)} name a proxy, which this server does not use: stores must be reachable directly"
        yield Finding(Level.WARNING, "proxies", text)
    allowed = settings.allowed_endpoints or "none besides public addresses"
    yield Finding(Level.OK, "egress", f"datasources may point to: {allowed}")
    root = settings.mount_root
    if root is not None and not (is_folder(root) and os.access(root, os.R_OK | os.X_OK)):
        yield Finding(Level.PROBLEM, "files", f"HEADWATER_LOCAL_ROOT: {root} is no folder that this user may read")
    if settings.uses_folder and is_folder(settings.folder):
        free = shutil.disk_usage(settings.folder).free
        level = Level.OK if free >= MIN_FREE_BYTES else Level.WARNING
        yield Finding(level, "disk", f"{free / 2**30:.1f} GiB free in {settings.folder}")


async def check_server(settings: Settings) -> AsyncIterator[Finding]:
    """Yield whether the server runs, is ready, and can be reached where read URLs point to."""
    transport = Transport(Egress(), call_seconds=SERVER_SECONDS)
    try:
        listening = await _status(transport, f"{settings.listening_url}/readyz")
        if isinstance(listening, str):
            refused = "refused the connection" in listening
            text = "no server runs; `headwater serve` starts it" if refused else "its log may say why"
            yield Finding(Level.WARNING if refused else Level.PROBLEM, "server", f"{text} ({listening})")
        elif listening == 200:
            yield Finding(Level.OK, "server", f"ready at {settings.listening_url}")
        else:
            text = f"{settings.listening_url}/readyz answers with status {listening}: its log says why"
            yield Finding(Level.PROBLEM, "server", text)
        if settings.base_url != settings.listening_url:
            public = await _status(transport, f"{settings.base_url}/healthz")
            if public == 200:
                yield Finding(Level.OK, "public URL", f"{settings.base_url} leads to a server")
            else:
                text = f"read URLs may not work: HEADWATER_PUBLIC_URL is {settings.base_url} ({public})"
                yield Finding(Level.WARNING, "public URL", text)
    finally:
        await transport.aclose()


async def check_catalog(ctx: ServiceContext) -> AsyncIterator[Finding]:
    """Yield what the open catalog, the JWT issuer and the stores say."""
    await ctx.catalog.ping()
    yield Finding(Level.OK, "catalog", f"{ctx.catalog.name}, of the right version, opened with its key")
    yield await _check_tokens(ctx)
    if ctx.settings.jwt_issuer:
        yield await _check_issuer(ctx)
    async for finding in _check_stores(ctx):
        yield finding
    for origin, seconds in ctx.stores.clock_differences().items():
        yield _clock_finding(origin, seconds)


async def _check_tokens(ctx: ServiceContext) -> Finding:
    now = int(time.time() * 1000)
    usable = [token for token in await ctx.catalog.tokens.list() if token.is_usable(now)]
    if not usable:
        text = "there is no valid token: `headwater token create --user NAME` makes one"
        return Finding(Level.WARNING, "tokens", text)
    expiring = [token for token in usable if (token.limits.expires_at or now + 8 * _DAY_MS) < now + 7 * _DAY_MS]
    admins = sum(token.limits.scope is Scope.ADMIN for token in usable)
    text = f"{len(usable)} valid, {admins} of them with the scope admin, {len(expiring)} expire within 7 days"
    return Finding(Level.OK, "tokens", text)


async def _check_issuer(ctx: ServiceContext) -> Finding:
    verifier = ctx.authenticator.jwt
    assert verifier is not None
    try:
        keys = await verifier.fetch_keys()
    except IssuerUnavailableError as error:
        return Finding(Level.PROBLEM, "JWT issuer", f"{ctx.settings.jwt_issuer}: {error.message}")
    if not keys:
        return Finding(Level.PROBLEM, "JWT issuer", f"{ctx.settings.jwt_issuer} publishes no key that can be used")
    return Finding(Level.OK, "JWT issuer", f"{ctx.settings.jwt_issuer}: {keys} keys")


async def _check_stores(ctx: ServiceContext) -> AsyncIterator[Finding]:
    """Yield a finding for each datasource of the newest datasets that have any. One page of each is listed."""
    datasets = await ctx.catalog.datasets.list(None)
    ids = await ctx.catalog.datasources.ids([dataset.id for dataset in datasets])
    configured = [dataset for dataset in reversed(datasets) if ids[dataset.id]]
    checks = (_check_dataset(ctx, dataset) for dataset in configured[:MAX_DATASETS])
    for findings in asyncio.as_completed([asyncio.ensure_future(check) for check in checks]):
        for finding in await findings:
            yield finding
    if len(configured) > MAX_DATASETS:
        text = f"{len(configured) - MAX_DATASETS} older ones were not tried"
        yield Finding(Level.OK, "datasets", text)


async def _check_dataset(ctx: ServiceContext, dataset: Dataset) -> list[Finding]:
    subject = f"dataset {dataset.name}"
    try:
        return [await _check_store(ctx, subject, each) for each in await ctx.catalog.datasources.list(dataset.id)]
    except HeadwaterError as error:
        return [Finding(Level.PROBLEM, subject, error.message)]


async def _check_store(ctx: ServiceContext, subject: str, datasource: Datasource) -> Finding:
    config = datasource.config
    what = f"{config.purpose} in {config.type} {shown_path(config.full_path)}".rstrip()
    # A policy for the `.lightly/` folder may allow to list nothing else.
    prefix = LIGHTLY_FOLDER if config.purpose is Purpose.LIGHTLY else ""
    try:
        async with asyncio.timeout(STORE_SECONDS):
            await ctx.stores.open(datasource).list_page(prefix, None, 1)
    except HeadwaterError as error:
        return Finding(Level.PROBLEM, subject, f"{what}: {error.message}")
    except TimeoutError:
        return Finding(Level.PROBLEM, subject, f"{what}: no answer within {STORE_SECONDS:g} seconds")
    return Finding(Level.OK, subject, f"{what} can be listed")


def _clock_finding(origin: Origin, seconds: float) -> Finding:
    if abs(seconds) < CLOCK_SECONDS:
        return Finding(Level.OK, "clock", f"agrees with {origin}")
    text = (
        f"{origin} is {abs(seconds):.0f} seconds {'ahead of' if seconds > 0 else 'behind'} this machine: stores refuse "
        f"signatures of a clock that is wrong; set this machine's clock (NTP)"
    )
    return Finding(Level.PROBLEM if abs(seconds) > 300 else Level.WARNING, "clock", text)


async def _status(transport: Transport, url: str) -> int | str:
    """Return the status of a GET request, or why there is none."""
    origin, target = split_http_url(url)
    try:
        response = await transport.request(
            Request(
                method="GET",
                origin=origin,
                target=target,
                is_operator_endpoint=True,
                max_body_bytes=1 << 16,
                is_idempotent=False,
            )
        )
    except HeadwaterError as error:
        return error.message
    return response.status
