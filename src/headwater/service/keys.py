"""Rotate the key of a server while it runs (docs/deployment.md#rotate-the-key)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from headwater.catalog.keyring import FOLLOW_SECONDS, SETTLE_SECONDS
from headwater.catalog.secret_key_file import KEY_SETTING, KeyFile, new_key
from headwater.domain.errors import CatalogUnavailableError, HeadwaterError, StartupError
from headwater.service.context import ServiceContext

_MAX_SWEEPS = 10

_IN_SETTING = f"""the key is in {KEY_SETTING}, or in the file that {KEY_SETTING}_FILE names, which this command \
cannot change. To rotate the key without downtime:
  1. Make a new key: `headwater secrets new-key`. Below, NEW is what it prints, and OLD the value that is set now.
  2. Set the value to OLD,NEW for all servers, and restart them one after the other: all accept the new key then.
  3. Set the value to NEW,OLD for all servers, and restart them again: they encrypt and sign with the new key.
  4. Run `headwater secrets rotate` with that value: it encrypts all other secrets with the new key.
  5. When cursors and URLs that were signed with the old key may end, set the value to NEW and restart all servers."""

Progress = Callable[[int, int], None]
"""Called with the number of secrets that were looked at, and that of all to look at."""


class Rotation(NamedTuple):
    """What a rotation has done.

    Attributes:
        key: the id of the key with which all secrets are encrypted now, except those of `failed`.
        is_new: whether the rotation has made this key.
        reencrypted: how many secrets it has encrypted again.
        others: the ids of the other keys that the servers still accept.
        forgotten: the ids of the keys that they do not accept any more.
        failed: the ids of the datasets with a secret that no key decrypts.
    """

    key: str
    is_new: bool
    reencrypted: int
    others: tuple[str, ...]
    forgotten: tuple[str, ...]
    failed: tuple[str, ...]


async def rotate_keys(ctx: ServiceContext, *, forget_old: bool, progress: Progress) -> Rotation:
    """Encrypt all secrets with a new key.

    The new key is added to the key file; servers read it there (`Keyring`). If a rotation was interrupted, its key is
    used instead of a new one, unless the old keys are to be forgotten. If the keys are in the setting, its first key is
    the new one.

    This may be interrupted at any time: every key that a secret needs is in the key file, before and after.

    Args:
        ctx: the service.
        forget_old: remove all other keys from the key file, which ends cursors and URLs that were signed with them.
            Nothing is forgotten if a secret could not be decrypted.
        progress: is told how far it has come.

    Raises:
        HeadwaterError: the only key is in the setting. The text says what to do.
        StartupError: the key file cannot be replaced, or another command is changing it.
        CatalogUnavailableError: the catalog cannot be used.
    """
    file = ctx.keyring.file
    if file is None and len(ctx.keyring.ids) == 1:
        raise HeadwaterError(_IN_SETTING)
    if file is None:
        return await _reencrypt_all(ctx, progress)
    with file.locked():
        is_new = forget_old or not await ctx.catalog.secrets.count_with_other_keys()
        if is_new:
            ctx.keyring.check_file()
            _replace(file, dict([new_key()]) | ctx.keyring.keys)
        ctx.keyring.check_file()
        began = time.monotonic()
        done = (await _reencrypt_all(ctx, progress))._replace(is_new=is_new)
        if not forget_old or done.failed:
            return done
        # The first seconds, servers still sign with the old key: what they hand out after that stays valid.
        await asyncio.sleep(SETTLE_SECONDS + FOLLOW_SECONDS - (time.monotonic() - began))
        _replace(file, {done.key: ctx.keyring.keys[done.key]})
        return done._replace(others=(), forgotten=done.others)


async def follow_key_file(ctx: ServiceContext) -> None:
    """Read the key file again and again until cancelled. What is wrong with it is reported by `/readyz`."""
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        with suppress(CatalogUnavailableError):
            await ctx.keyring.check_in_time()


async def _reencrypt_all(ctx: ServiceContext, progress: Progress) -> Rotation:
    """Encrypt all secrets with the first key, until none is left that a request has stored meanwhile."""
    key, *others = ctx.keyring.ids
    reencrypted = 0
    failed: list[str] = []
    for _ in range(_MAX_SWEEPS):
        left = await ctx.catalog.secrets.count_with_other_keys()
        if left <= len(failed):
            return Rotation(key, False, reencrypted, tuple(others), (), tuple(sorted(set(failed))))
        failed.clear()
        after: str | None = ""
        seen = 0
        while after is not None:
            some = await ctx.catalog.secrets.reencrypt_some(after)
            after, seen = some.last, seen + some.seen
            reencrypted += some.seen - len(some.failed)
            failed += some.failed
            progress(min(seen, left), left)
    raise HeadwaterError(
        f"servers go on to encrypt secrets with another key than '{key}': put '{key}' first in the keys of all "
        f"servers, restart them, and run this again"
    )


def _replace(file: KeyFile, keys: dict[str, bytes]) -> None:
    try:
        file.replace(keys)
    except OSError as error:
        raise StartupError(
            f"key file {file.path} cannot be replaced ({error.strerror}): run this as the user of the server, who must "
            f"be able to write its folder"
        ) from None
