"""Verify the access to datasources by using it, never by reading policies (contract.md#verify)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headwater.auth.permissions import DatasetContext
from headwater.domain.datasource import Datasource, LightlyConfig, LocalConfig, Purpose
from headwater.domain.errors import (
    CredentialsRefusedError,
    DatasourceUnknownError,
    LocationInvalidError,
    ObjectNotFoundError,
    OverwriteRefusedError,
    StoreError,
    StoreUnavailableError,
)
from headwater.domain.nearby import MAX_NAMES, similar_names
from headwater.domain.objects import Key, StorePage
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.domain.text import shorten, visible
from headwater.net.compute import compute
from headwater.service.configure import NO_DATASOURCE, get_datasources
from headwater.service.context import ServiceContext
from headwater.stores.base import Store

TEST_KEY = f"{LIGHTLY_FOLDER}headwater-verify.txt"
"""The test file that is created, replaced and deleted. If it cannot be deleted, it stays and is used again."""

ABSENT_KEY = f"{LIGHTLY_FOLDER}headwater-verify-absent.txt"
"""A key that does not exist. It is read if nothing may be written and no listed file can be read."""

VERIFY_SECONDS = 11.0
"""Time limit for all checks; those without a result by then fail as unreachable."""

CLEAN_UP_SECONDS = 3.0
"""Additional time limit for deleting the test file. A verification takes at most 15 seconds in all."""

NEARBY_SECONDS = 3.0
"""Time limit for finding folders that a mistyped path may mean. It is part of `VERIFY_SECONDS`."""

MAX_FOLDERS_UP = 3
"""How many folders above the root are looked into, until one is found that has folders."""

MAX_KEYS_TO_READ = 3
"""How many listed files are tried until one can be read."""

MAX_SHOWN = 100
"""Characters of a path in a note, escapes included."""

_ACCESS_DENIED_CODES = frozenset({"AccessDenied", "forbidden", "AuthorizationPermissionMismatch"})
"""Codes of providers for valid credentials without a permission. They may also mean that the object is absent."""

_ABSENT_KEY_WAS_READ = " (no listed file could be read, so a file that does not exist was requested)"


class Check(StrEnum):
    """One of the operations that a verification tries."""

    LIST = "list"
    READ = "read"
    WRITE = "write"
    OVERWRITE = "overwrite"


_WRITE_CHECKS = (Check.WRITE, Check.OVERWRITE)


@dataclass(slots=True)
class Verification:
    """The result of a verification.

    Attributes:
        passed: the operations that work.
        errors: why an operation does not work and what to change. An operation that was not tried has no error.
        notes: what is no error and may be a mistake: there are no files.
    """

    passed: set[Check] = field(default_factory=set)
    errors: dict[Check, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


async def verify_datasource(ctx: ServiceContext, dataset: DatasetContext) -> Verification:
    """Try the datasources of a dataset: list, write, overwrite, read, delete.

    A datasource with the purpose INPUT is never written to; its write checks neither pass nor fail. If the dataset has
    both an INPUT and a LIGHTLY datasource, both are tried concurrently within the same time limit. A store that refuses
    or cannot be reached is a result, not an error.

    Raises:
        DatasourceUnknownError: the dataset has no datasource.
        TooManyRequestsError: the principal has too many requests in flight.
    """
    sources = get_datasources(dataset)
    if not sources:
        raise DatasourceUnknownError(NO_DATASOURCE)
    with ctx.limiter.hold(dataset.principal.user):
        results = await asyncio.gather(*(_verify(ctx, source) for source in sources))
    if len(sources) == 1:
        return results[0]
    return _combine({source.config.purpose: result for source, result in zip(sources, results, strict=True)})


def _combine(results: Mapping[Purpose, Verification]) -> Verification:
    """Return one result for INPUT and LIGHTLY: both must be listed and read, only LIGHTLY is written to."""
    passed = {check for check in (Check.LIST, Check.READ) if all(check in each.passed for each in results.values())}
    passed |= results[Purpose.LIGHTLY].passed.intersection(_WRITE_CHECKS)
    texts: dict[Check, list[str]] = {}
    for purpose, result in results.items():
        for check, error in result.errors.items():
            texts.setdefault(check, []).append(f"{purpose}: {error}")
    notes = [f"{purpose}: {note}" for purpose, result in results.items() for note in result.notes]
    return Verification(passed, {check: "; ".join(errors) for check, errors in texts.items()}, notes)


async def _verify(ctx: ServiceContext, source: Datasource) -> Verification:
    writes = source.config.purpose is not Purpose.INPUT
    result = Verification()
    try:
        async with asyncio.timeout(VERIFY_SECONDS):
            await _run_checks(ctx, source, writes, result)
    except TimeoutError:
        late = StoreUnavailableError(f"the storage did not answer within {VERIFY_SECONDS:.0f} seconds")
        _fail_open_checks(result, late, writes)
    except StoreError as error:
        _fail_open_checks(result, error, writes)
    return result


def _fail_open_checks(result: Verification, error: StoreError, writes: bool) -> None:
    """Set `error` for every check without a result."""
    for check in (Check.LIST, Check.READ, *(_WRITE_CHECKS if writes else ())):
        if check not in result.passed:
            result.errors.setdefault(check, error.message)


async def _run_checks(ctx: ServiceContext, source: Datasource, writes: bool, result: Verification) -> None:
    store = ctx.stores.open(source)
    test_file = _TestFile(store)
    # With the purpose LIGHTLY only this folder is ever listed, and the policy may allow no more than that.
    folder = LIGHTLY_FOLDER if source.config.purpose is Purpose.LIGHTLY else ""
    try:
        page = await _check_list(store, folder, result)
    except LocationInvalidError as error:
        # The folder of a LOCAL datasource must exist, unlike those of the other types.
        if isinstance(source.config, LocalConfig) and (advice := await _nearby(store)):
            raise LocationInvalidError(f"{error.message}; {advice}", error.provider_code) from None
        raise
    # Before anything is written, which would make the folder exist.
    listed = _keys_to_read(page)
    is_empty = page is not None and page.resume_after is None and set(listed) <= {TEST_KEY}
    if is_empty and not isinstance(source.config, LightlyConfig):
        advice = "" if folder else await _nearby(store)
        result.notes.append(f"there are no files under {_shown(store.root + folder)}{advice and '; '}{advice}")
    if not writes:
        await _check_read(store, listed, result)
        return
    try:
        await _check_write(test_file, result)
        await _check_read(store, [*listed, *([TEST_KEY] if Check.WRITE in result.passed else [])], result)
    finally:
        await test_file.remove()


class _TestFile:
    """The test file in one store, and the versions of it that this verification has made."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._versions: list[str] = []

    async def write(self, data: bytes) -> None:
        """Create or replace the file.

        Raises:
            StoreError: the store refused.
        """
        version = await self._store.write(TEST_KEY, data)
        if version is not None and version not in self._versions:
            self._versions.append(version)

    async def delete(self) -> None:
        """Delete the file.

        Raises:
            StoreError: the store refused.
        """
        await self._store.delete(TEST_KEY)

    async def remove(self) -> None:
        """Delete the file and the versions of this verification. This is not a check: if it is refused, they stay."""
        try:
            async with asyncio.timeout(CLEAN_UP_SECONDS):
                if not self._versions or not await self._remove_versions():
                    await self.delete()
        except (StoreError, TimeoutError):
            pass  # the file stays and is used again

    async def _remove_versions(self) -> bool:
        """Delete the versions of this verification, and return whether nothing remains that could be read."""
        try:
            for version in reversed(self._versions):
                await self._store.delete_version(TEST_KEY, version)
            # A file that an earlier verification could not delete.
            page = await self._store.list_page(TEST_KEY, None, 1)
        except StoreError:
            return False
        return all(found.key != TEST_KEY for found in page.objects)


async def _check_list(store: Store, prefix: str, result: Verification) -> StorePage | None:
    """List one page and return it; None if that is refused.

    Raises:
        StoreError: no check can pass: the location does not exist or cannot be reached.
    """
    try:
        page = await store.list_page(prefix, None, store.list_limit)
    except CredentialsRefusedError as error:
        result.errors[Check.LIST] = error.message
        return None
    result.passed.add(Check.LIST)
    return page


def _keys_to_read(page: StorePage | None) -> list[Key]:
    objects = [] if page is None else page.objects
    return [found.key for found in objects if not found.key.endswith("/")][:MAX_KEYS_TO_READ]


async def _nearby(store: Store) -> str:
    """Return which other folders the path of a store may mean; empty if none is known."""
    parts = store.root.split("/")[:-1]
    try:
        async with asyncio.timeout(NEARBY_SECONDS):
            for level in range(len(parts) - 1, max(-1, len(parts) - 1 - MAX_FOLDERS_UP), -1):
                above = "".join(f"{part}/" for part in parts[:level])
                if names := await store.list_folders(above):
                    return await compute(_advice, above, parts[level:], names)
    except (StoreError, TimeoutError):
        pass  # the policy may allow only the root itself
    return ""


def _advice(above: str, wanted: list[str], found: list[str]) -> str:
    # A folder above the path may be meant. The path itself is not, even if it exists.
    names = found if len(wanted) > 1 else [name for name in found if name != wanted[0]]
    exists = len(names) < len(found)
    if similar := similar_names(wanted, names):
        return f"nearby: {', '.join(_shown(f'{above}{name}/') for name in similar)}"
    if exists or not names:
        return ""
    some = ", ".join(_shown(f"{above}{name}/") for name in names[:MAX_NAMES])
    return f"no folder has a similar name; there is {some}{' and others' if len(names) > MAX_NAMES else ''}"


def _shown(path: str) -> str:
    text = visible(path)
    return f"'{shorten(text, MAX_SHOWN)}'" if text else "the root"


async def _check_write(test_file: _TestFile, result: Verification) -> None:
    try:
        await _create(test_file)
        result.passed.add(Check.WRITE)
    except OverwriteRefusedError as error:
        # The file of an earlier verification still exists: creating works, and overwriting was just refused.
        result.passed.add(Check.WRITE)
        result.errors[Check.OVERWRITE] = error.message
        return
    except StoreError as error:
        result.errors[Check.WRITE] = error.message
        result.errors[Check.OVERWRITE] = f"not tried, as creating is refused: {error.message}"
        return
    try:
        await test_file.write(b"Headwater replaced this to verify its access, and removes it.\n")
        result.passed.add(Check.OVERWRITE)
    except StoreError as error:
        result.errors[Check.OVERWRITE] = error.message


async def _create(test_file: _TestFile) -> None:
    """Create the test file. If one exists that cannot be overwritten, try to delete it first.

    Raises:
        OverwriteRefusedError: the file exists and can be neither overwritten nor deleted.
        StoreError: the file cannot be created.
    """
    data = b"Headwater writes this to verify its access, and removes it.\n"
    try:
        await test_file.write(data)
    except OverwriteRefusedError as error:
        try:
            await test_file.delete()
        except StoreError:
            raise error from None
        await test_file.write(data)


async def _check_read(store: Store, keys: list[Key], result: Verification) -> None:
    """Read one byte of an existing file; without `keys`, request a file that does not exist.

    A file that cannot be read in its state, such as an archived one, says nothing about the access: the next one is
    tried.
    """
    reason = ""
    for key in keys or [ABSENT_KEY]:
        try:
            await store.read(key, 1)
        except ObjectNotFoundError:
            pass
        except LocationInvalidError as error:
            reason = reason or error.message
            continue
        except StoreError as error:
            reason = error.message
            if not keys and error.provider_code in _ACCESS_DENIED_CODES:
                reason += _ABSENT_KEY_WAS_READ
            break
        result.passed.add(Check.READ)
        return
    result.errors[Check.READ] = reason
