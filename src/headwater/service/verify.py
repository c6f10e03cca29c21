"""Verify a datasource's access by trying it, never by reading policies (contract.md#verify)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.auth.permissions import DatasetContext
from headwater.domain.datasource import Datasource, Purpose
from headwater.domain.errors import (
    CredentialsRefusedError,
    DatasourceUnknownError,
    LocationInvalidError,
    ObjectNotFoundError,
    OverwriteRefusedError,
    StoreError,
    StoreUnavailableError,
)
from headwater.domain.objects import Key
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.service.configure import NO_DATASOURCE, get_datasources
from headwater.service.context import ServiceContext
from headwater.stores.base import Store

TEST_KEY = f"{LIGHTLY_FOLDER}headwater-verify.txt"
"""The one test file, always of this name: made, replaced, removed. Where removing is refused it stays."""

ABSENT_KEY = f"{LIGHTLY_FOLDER}headwater-verify-absent.txt"
"""A key that is asked for where nothing may be written and nothing was found to read."""

TIME_LIMIT = 11.0
"""Seconds after which what was not yet answered counts as unreachable."""

CLEAN_UP_LIMIT = 3.0
"""Seconds that removing the test file may take beyond that; a verification answers within 15 in all."""

_MAY_BE_ABSENT = frozenset({"AccessDenied", "forbidden", "AuthorizationPermissionMismatch"})
"""What providers answer to good credentials that lack a permission, also for what is not there."""

KEYS_TO_READ = 3
"""Listed files of which one is read, at most."""

_ASKED_FOR_NOTHING = " (no file was listed that could be read, so one that does not exist was asked for)"


@dataclass(slots=True)
class Verification:
    """What works. `errors` says of each flag that is false by the store's doing why, and what to change."""

    can_read: bool = False
    can_write: bool = False
    can_list: bool = False
    can_overwrite: bool = False
    errors: dict[str, str] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """What is answered: the four flags, and the errors where there are any."""
        flags = {
            "canRead": self.can_read,
            "canWrite": self.can_write,
            "canList": self.can_list,
            "canOverwrite": self.can_overwrite,
        }
        return {**flags, "errors": self.errors} if self.errors else flags


async def verify_datasource(ctx: ServiceContext, dataset: DatasetContext) -> Verification:
    """Try the datasource of a dataset: list, write, replace, read, remove.

    For the purpose INPUT nothing is written, and the two write flags stay false without an error. Where there is one
    for INPUT and one for LIGHTLY, both are tried beside each other, within the same time. A store that refuses or
    cannot be reached is an answer, not an error.

    Raises:
        DatasourceUnknownError: none is configured.
    """
    sources = get_datasources(dataset)
    if not sources:
        raise DatasourceUnknownError(NO_DATASOURCE)
    with ctx.limiter.of(dataset.principal.user):
        found = await asyncio.gather(*(_verify(ctx, source) for source in sources))
    if len(sources) == 1:
        return found[0]
    return _together({source.config.purpose: side for source, side in zip(sources, found, strict=True)})


def _together(sides: Mapping[Purpose, Verification]) -> Verification:
    """One answer for INPUT and LIGHTLY: each must be listed and read, LIGHTLY alone is written to."""
    lightly = sides[Purpose.LIGHTLY]
    told: dict[str, list[str]] = {}
    for purpose, side in sides.items():
        for flag, error in side.errors.items():
            told.setdefault(flag, []).append(f"{purpose}: {error}")
    return Verification(
        can_read=all(side.can_read for side in sides.values()),
        can_write=lightly.can_write,
        can_list=all(side.can_list for side in sides.values()),
        can_overwrite=lightly.can_overwrite,
        errors={flag: "; ".join(texts) for flag, texts in told.items()},
    )


async def _verify(ctx: ServiceContext, source: Datasource) -> Verification:
    writes = source.config.purpose is not Purpose.INPUT
    result = Verification()
    try:
        async with asyncio.timeout(TIME_LIMIT):
            await _try_all(ctx, source, writes, result)
    except TimeoutError:
        late = StoreUnavailableError(f"the storage did not answer within {TIME_LIMIT:.0f} seconds")
        _give_up(result, late, writes)
    except StoreError as error:
        _give_up(result, error, writes)
    return result


def _give_up(result: Verification, error: StoreError, writes: bool) -> None:
    """Say of every flag that nothing was found out about why that is."""
    for flag, known, asked in (
        ("canList", result.can_list, True),
        ("canRead", result.can_read, True),
        ("canWrite", result.can_write, writes),
        ("canOverwrite", result.can_overwrite, writes),
    ):
        if asked and not known:
            result.errors.setdefault(flag, error.message)


async def _try_all(ctx: ServiceContext, source: Datasource, writes: bool, result: Verification) -> None:
    store = ctx.stores.open(source)
    # Of a datasource that serves LIGHTLY alone nothing else is ever listed, and its policy need not allow more.
    listed = await _try_list(store, LIGHTLY_FOLDER if source.config.purpose is Purpose.LIGHTLY else "", result)
    if not writes:
        await _try_read(store, listed, result)
        return
    try:
        await _try_write(store, result)
        await _try_read(store, [*listed, *([TEST_KEY] if result.can_write else [])], result)
    finally:
        await _clean_up(store)


async def _try_list(store: Store, prefix: str, result: Verification) -> list[Key]:
    """List one page; answer some keys to read, if there are any.

    Raises:
        StoreError: there is nothing to try: no such place, or nobody answers there.
    """
    try:
        page = await store.list_page(prefix, None, store.list_limit)
    except CredentialsRefusedError as error:
        result.errors["canList"] = error.message
        return []
    result.can_list = True
    return [found.key for found in page.objects if not found.key.endswith("/")][:KEYS_TO_READ]


async def _try_write(store: Store, result: Verification) -> None:
    try:
        await _create(store)
        result.can_write = True
    except OverwriteRefusedError as error:
        # An earlier verification made it and could not remove it, so creating works, and replacing was tried just now.
        result.can_write = True
        result.errors["canOverwrite"] = error.message
        return
    except StoreError as error:
        result.errors["canWrite"] = error.message
        result.errors["canOverwrite"] = f"not tried, as creating is refused: {error.message}"
        return
    try:
        await store.write(TEST_KEY, b"Headwater replaced this to verify its access, and removes it.\n")
        result.can_overwrite = True
    except StoreError as error:
        result.errors["canOverwrite"] = error.message


async def _create(store: Store) -> None:
    """Create the test file; where one of an earlier verification may not be replaced, it is removed first if it can be.

    Raises:
        OverwriteRefusedError: it is there, and can neither be replaced nor removed.
        StoreError: it cannot be created.
    """
    data = b"Headwater writes this to verify its access, and removes it.\n"
    try:
        await store.write(TEST_KEY, data)
    except OverwriteRefusedError as error:
        try:
            await store.delete(TEST_KEY)
        except StoreError:
            raise error from None
        await store.write(TEST_KEY, data)


async def _try_read(store: Store, keys: list[Key], result: Verification) -> None:
    """Read a byte of a file that is there; where none is known, ask for one that is not.

    One that cannot be read as it lies, such as an archived one, says nothing of the access: the next one is tried.
    """
    told = ""
    for key in keys or [ABSENT_KEY]:
        try:
            await store.read(key, 1)
        except ObjectNotFoundError:
            pass
        except LocationInvalidError as error:
            told = told or error.message
            continue
        except StoreError as error:
            told = error.message
            if not keys and error.provider_code in _MAY_BE_ABSENT:
                told += _ASKED_FOR_NOTHING
            break
        result.can_read = True
        return
    result.errors["canRead"] = told


async def _clean_up(store: Store) -> None:
    try:
        async with asyncio.timeout(CLEAN_UP_LIMIT):
            await store.delete(TEST_KEY)
    except (StoreError, TimeoutError):
        pass  # the contract's four flags do not speak of removing; the file stays and is used again
