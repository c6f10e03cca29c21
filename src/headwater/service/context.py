"""The service as a whole: what every use case works with."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.auth.authenticate import Authenticator
from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.domain.cursor import CursorSigner
from headwater.domain.errors import KeyMissingError, StartupError
from headwater.domain.redirected_url import RedirectedUrlSigner
from headwater.service.limits import RequestLimiter
from headwater.service.selection_cache import SelectionCache
from headwater.settings import Settings
from headwater.stores.managed import ManagedLocation
from headwater.stores.registry import StoreRegistry

if TYPE_CHECKING:
    from headwater.auth.jwt import JwtVerifier


@dataclass(frozen=True, kw_only=True)
class ServiceContext:
    """One running service: settings, catalog, stores, and the signers of what it hands out."""

    settings: Settings
    catalog: Catalog
    stores: StoreRegistry
    access: Authenticator
    cursors: CursorSigner
    redirected_urls: RedirectedUrlSigner
    limiter: RequestLimiter = field(default_factory=RequestLimiter)
    selections: SelectionCache = field(default_factory=SelectionCache)
    now: Callable[[], float] = time.time


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[ServiceContext]:
    """Open the service: prepare the data folder, bring the catalog up to date, connect nothing else.

    Raises:
        StartupError: a setting, key or catalog with which nothing can start.
    """
    _check_apart(settings)
    async with AsyncExitStack() as opened:
        verifier = _jwt_verifier(settings)
        if verifier is not None:
            opened.push_async_callback(verifier.aclose)
        key_file = settings.folder / "secret.key"
        made_key = settings.secret_key is None and not key_file.exists()
        keyring = _keyring(settings, key_file)
        stores = StoreRegistry(settings, keyring.derive("read urls"))
        opened.push_async_callback(stores.aclose)
        try:
            catalog = await Catalog.open(settings.catalog_url, keyring)
        except KeyMissingError:
            if made_key:
                key_file.unlink(missing_ok=True)  # it opens nothing, and would lie in the way of the right one
            raise
        opened.push_async_callback(catalog.close)
        yield ServiceContext(
            settings=settings,
            catalog=catalog,
            stores=stores,
            access=Authenticator(catalog.tokens, verifier),
            cursors=CursorSigner(keyring.derive("cursors")),
            redirected_urls=RedirectedUrlSigner(keyring.derive("redirected read urls"), settings.base_url),
        )


def _check_apart(settings: Settings) -> None:
    """Refuse a mount root from which datasources could read the catalog or the key, or the areas of other datasets.

    A data folder or a managed folder below the mount root is hidden from datasources; one that is the mount root, or
    above it, cannot be, nor can a database outside the data folder.

    Raises:
        StartupError: they could.
    """
    if settings.mount_root is None:
        return
    root, folder = settings.mount_root.resolve(), settings.folder.resolve()
    database = settings.sqlite_file.resolve() if settings.sqlite_file else folder
    if root == folder or (database.is_relative_to(root) and not database.is_relative_to(folder)):
        raise StartupError(
            f"datasources below the mount root {settings.mount_root} could read this server's own data in "
            f"{database if root != folder else folder}; set HEADWATER_DATA_DIR, HEADWATER_DATABASE_URL or "
            f"HEADWATER_LOCAL_ROOT so that they cannot"
        )
    managed = ManagedLocation.parse(settings.managed_store).folder if settings.managed_store else None
    if managed is not None and root.is_relative_to(managed.resolve()):
        raise StartupError(
            f"datasources below the mount root {settings.mount_root} could reach the areas that "
            f"HEADWATER_MANAGED_STORE gives other datasets; set one of the two elsewhere"
        )


def _jwt_verifier(settings: Settings) -> JwtVerifier | None:
    wanted = (settings.jwt_issuer, settings.jwt_audience, settings.jwks_url)
    if not any(wanted):
        return None
    from headwater.auth.jwt import jwt_verifier  # slow to import, and few installations need it

    return jwt_verifier(*wanted)


def _keyring(settings: Settings, key_file: Path) -> Keyring:
    if settings.database_url is None or settings.secret_key is None:
        _prepare(settings.folder)
    if settings.secret_key is not None:
        return Keyring.parse(settings.secret_key)
    return Keyring.load_or_create(key_file)


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(
            f"the data folder {folder} cannot be made ({error.strerror}); set HEADWATER_DATA_DIR to one that can"
        ) from None
