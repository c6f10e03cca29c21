"""The context that every use case works with: settings, catalog, stores, signers, limits."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.access import refusal
from headwater.auth.authenticate import Authenticator
from headwater.auth.sightings import Sightings
from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.domain.cursor import CursorSigner
from headwater.domain.errors import CatalogMissingError, KeyMissingError, StartupError
from headwater.domain.redirected_url import RedirectedUrlSigner
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.service.background import BackgroundTasks
from headwater.service.limits import RequestLimiter
from headwater.service.selection_cache import SelectionCache
from headwater.service.unreadable_names import UnreadableNames
from headwater.settings import Settings
from headwater.stores.managed import ManagedLocation
from headwater.stores.registry import StoreRegistry

if TYPE_CHECKING:
    from headwater.auth.jwt import JwtVerifier


class Setup(Enum):
    """What `open_context` may change to have a catalog that it can open."""

    NOTHING = "nothing"
    CREATE = "create a catalog with its data folder and key, if there is none"
    UPGRADE = "create one, or upgrade the tables of an earlier version"


@dataclass(frozen=True, kw_only=True)
class ServiceContext:
    """One running service.

    It holds everything that lives as long as the service. No state of the service is in modules, so that several
    services can run in one process. They share threads and caches of the process (GCS signing and key files, botocore).

    Attributes:
        settings: the settings that the service was opened with.
        catalog: everything that survives a restart.
        keyring: the keys that encrypt secrets and sign cursors and URLs.
        stores: opens the store of a datasource.
        authenticator: authenticates requests.
        background: starts and stops work that may outlive the request that needs it.
        cursors: signs and opens cursors.
        redirected_urls: signs and checks redirected URLs.
        limiter: limits the requests in flight of each user.
        selections: selections that were parsed recently.
        unreadable_names: what was logged about names that are not UTF-8.
        now: returns the current time in Unix seconds.
    """

    settings: Settings
    catalog: Catalog
    keyring: Keyring
    stores: StoreRegistry
    authenticator: Authenticator
    background: BackgroundTasks
    cursors: CursorSigner
    redirected_urls: RedirectedUrlSigner
    limiter: RequestLimiter = field(default_factory=RequestLimiter)
    selections: SelectionCache = field(default_factory=SelectionCache)
    unreadable_names: UnreadableNames = field(default_factory=UnreadableNames)
    now: Callable[[], float] = time.time


@asynccontextmanager
async def open_context(settings: Settings, setup: Setup = Setup.UPGRADE) -> AsyncIterator[ServiceContext]:
    """Open a service until the block ends.

    No store and no JWT issuer is contacted.

    Args:
        settings: the settings.
        setup: what may be created or upgraded. Otherwise nothing is written before the catalog is open.

    Raises:
        CatalogMissingError: there is no catalog, and none may be created.
        StartupError: a setting, the key or the catalog cannot be used.
    """
    _check_data_folder(settings)
    _check_separation(settings)
    if setup is not Setup.UPGRADE:
        await _check_catalog(settings, setup)
    async with AsyncExitStack() as opened:
        background = BackgroundTasks()
        transport = Transport(Egress.parse(settings.allowed_endpoints), start=background.start)
        opened.push_async_callback(transport.aclose)
        # Who signs JWTs is decided by the roots that the operator trusts, not by those of certifi.
        issuer_transport = Transport(transport.egress, tls_context=ssl.create_default_context)
        opened.push_async_callback(issuer_transport.aclose)
        verifier = _jwt_verifier(settings, issuer_transport, background)
        created_key = _lacks_key(settings)
        keyring = _keyring(settings)
        stores = StoreRegistry(settings, keyring.follow("read urls"), transport, background.start)
        opened.callback(stores.close)
        try:
            catalog = await Catalog.open(settings.catalog_url, keyring)
        except KeyMissingError:
            if created_key:
                # It decrypts nothing, and would hide that the right key is missing.
                key_file(settings).unlink(missing_ok=True)
            raise
        opened.push_async_callback(catalog.close)
        # Entered last, so that tasks stop before what they use is closed. Nothing above starts a task.
        await opened.enter_async_context(background)
        yield ServiceContext(
            settings=settings,
            catalog=catalog,
            keyring=keyring,
            stores=stores,
            authenticator=Authenticator(
                catalog.tokens, verifier, Sightings(catalog.tokens, catalog.users, background.start)
            ),
            background=background,
            cursors=CursorSigner(keyring.follow("cursors")),
            redirected_urls=RedirectedUrlSigner(keyring.follow("redirected read urls"), settings.base_url),
        )


def _check_data_folder(settings: Settings) -> None:
    """Check that this user may look into the data folder, if there is one.

    Raises:
        StartupError: the system refuses it.
    """
    if not settings.uses_folder:
        return
    folder = settings.folder
    try:
        there = folder.exists()
    except OSError:
        there = True
    if there and (refused := refusal(folder, os.R_OK | os.X_OK)):
        raise StartupError(f"the data folder {folder} cannot be used: {refused}, or set HEADWATER_DATA_DIR to another")


def _check_separation(settings: Settings) -> None:
    """Check that LOCAL datasources cannot read the catalog, the key, or managed areas.

    A data folder or managed folder under the mount root is hidden from datasources. That is impossible if it is the
    mount root or contains it, and for a database outside the data folder.

    Raises:
        StartupError: datasources could read them.
    """
    if settings.mount_root is None:
        return
    root = settings.mount_root.resolve()
    folder = settings.folder.resolve() if settings.uses_folder else None
    database = settings.sqlite_file.resolve() if settings.sqlite_file else None
    hidden = database is None or (folder is not None and database.is_relative_to(folder))
    if root == folder or (database is not None and database.is_relative_to(root) and not hidden):
        raise StartupError(
            f"datasources under the mount root {settings.mount_root} could read this server's own data in "
            f"{database if root != folder else folder}; set HEADWATER_DATA_DIR, HEADWATER_DATABASE_URL or "
            f"HEADWATER_LOCAL_ROOT so that they cannot"
        )
    managed = ManagedLocation.parse(settings.managed_store).folder if settings.managed_store else None
    if managed is not None and root.is_relative_to(managed.resolve()):
        raise StartupError(
            f"datasources under the mount root {settings.mount_root} could reach the areas that "
            f"HEADWATER_MANAGED_STORE gives other datasets; set one of the two elsewhere"
        )


def _jwt_verifier(settings: Settings, transport: Transport, background: BackgroundTasks) -> JwtVerifier | None:
    jwt_settings = (settings.jwt_issuer, settings.jwt_audience, settings.jwks_url, settings.jwt_groups_claim)
    if not any(jwt_settings):
        return None
    from headwater.auth.jwt import jwt_verifier  # slow to import, and few installations need it

    return jwt_verifier(*jwt_settings, transport, background.start)


async def _check_catalog(settings: Settings, setup: Setup) -> None:
    """Check that the catalog and its key are there, or that both may be created."""
    try:
        await Catalog.check_exists(settings.catalog_url)
    except CatalogMissingError:
        if setup is Setup.NOTHING:
            raise
        return
    if _lacks_key(settings):
        raise KeyMissingError(
            f"there is a catalog, but not the key file {key_file(settings)} that belongs to it: restore the key file, "
            f"or set HEADWATER_SECRET_KEY or HEADWATER_DATA_DIR as for the server"
        )


def key_file(settings: Settings) -> Path:
    """Return the key file that is used unless a setting holds the keys."""
    return settings.folder / "secret.key"


def _lacks_key(settings: Settings) -> bool:
    return settings.secret_key is None and not key_file(settings).exists()


def _keyring(settings: Settings) -> Keyring:
    if settings.database_url is None or settings.secret_key is None:
        _create_data_folder(settings.folder)
    if settings.secret_key is not None:
        return Keyring.parse(settings.secret_key)
    return Keyring.load_or_create(key_file(settings))


def _create_data_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(
            f"the data folder {folder} cannot be made: {refusal(folder) or error.strerror}, or set HEADWATER_DATA_DIR "
            f"to another"
        ) from None
