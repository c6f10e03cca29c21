"""This server's own AWS identity, for storage that the operator provides."""

from __future__ import annotations

import time
from collections.abc import Callable

from headwater.domain.errors import StoreUnavailableError
from headwater.net.refreshing import Expiring, RefreshingCache
from headwater.net.threads import DaemonExecutor, LimitedExecutor, NoFreeThreadError, run_in_executor
from headwater.stores.s3.assumed_role import CALL_SECONDS, START_SECONDS
from headwater.stores.s3.sigv4 import Credentials

REFRESH_SECONDS = 300.0
"""The age at which credentials are looked up again: the operator may have changed them."""

EXPIRY_MARGIN_SECONDS = 30.0
"""Credentials are not used in their last seconds: requests take a while."""


class OwnIdentity:
    """The credentials that botocore's chain finds: variables, profiles, web identities, metadata services.

    Args:
        sessions: keeps the credentials.
        clock: returns Unix seconds.
    """

    def __init__(self, sessions: RefreshingCache[Credentials], clock: Callable[[], float] = time.time) -> None:
        self._sessions = sessions
        self._clock = clock

    async def credentials(self) -> Credentials:
        """Return the credentials to sign with now.

        Raises:
            CredentialsRefusedError: this server has no valid credentials.
            StoreUnavailableError: the credentials cannot be found now.
        """
        return await self._sessions.get("this server's own identity", self._fetch)

    def report_refused(self, credentials: Credentials) -> bool:
        """Return False: what the operator has configured stays until it expires."""
        return False

    async def _fetch(self) -> Expiring[Credentials]:
        try:
            found = await run_in_executor(_executor, _look_up, timeout=CALL_SECONDS, start_timeout=START_SECONDS)
        except (NoFreeThreadError, TimeoutError):
            raise StoreUnavailableError(
                "This server's own AWS credentials are not available for now: looking for them takes too long"
            ) from None
        now = self._clock()
        if found.expires is None:
            return Expiring(found, now + REFRESH_SECONDS, now + 10 * REFRESH_SECONDS)
        left = found.expires - now
        return Expiring(
            found,
            now + min(REFRESH_SECONDS, left / 3),
            found.expires - EXPIRY_MARGIN_SECONDS,
            refresh_by=now + left / 2,
        )


def _look_up() -> Credentials:
    from headwater.stores.s3 import sts  # in the thread: botocore takes a while to load

    return sts.SERVER.own()


_executor = LimitedExecutor(DaemonExecutor(2, "headwater-aws"), 2)
