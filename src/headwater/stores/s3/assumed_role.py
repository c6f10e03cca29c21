"""S3 through a role of the bucket's owner, which this server assumes (`S3DelegatedAccess`).

The session of a role is fetched once for all its users, and dropped if S3 refuses it. It is refreshed before half of
its life has passed, so that read URLs always live for the other half.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from headwater.domain.datasource import S3DelegatedAccessConfig
from headwater.domain.errors import StoreError, StoreUnavailableError
from headwater.net.refreshing import Expiring, RefreshingCache
from headwater.net.threads import DaemonExecutor, LimitedExecutor, NoFreeThreadError, UserThreads, run_in_executor
from headwater.net.transport import Transport
from headwater.net.users import current_user
from headwater.observability.work import StoreWork
from headwater.stores.error_mapping import ConfigLabels, count_error
from headwater.stores.s3.bucket import signed_region
from headwater.stores.s3.error_codes import STS_RULES
from headwater.stores.s3.sigv4 import Credentials
from headwater.stores.s3.store import S3Store, region_label, s3_bucket

CALL_SECONDS = 9.0
"""The time limit for assuming a role, including the search for this server's own credentials."""

START_SECONDS = 4.0
"""How much of that time to wait for a free thread."""

EXPIRY_MARGIN_SECONDS = 30.0
"""A session is not used in its last seconds: requests take a while."""

REFRESH_AFTER = 5 / 12
"""The part of a session's life after which it is refreshed in the background: 25 minutes of the usual hour. After half
of its life, callers wait for the new one."""


def open_delegated(
    config: S3DelegatedAccessConfig,
    transport: Transport,
    sessions: RefreshingCache[Credentials],
    s3_endpoint: str | None,
    sts_endpoint: str | None,
    clock: Callable[[], float] = time.time,
) -> S3Store:
    """Open the datasource of a bucket that a role has access to. STS is not contacted yet.

    Args:
        config: the datasource.
        transport: sends the requests to S3.
        sessions: keeps the sessions of roles.
        s3_endpoint: the S3 of this server, from `HEADWATER_S3_ENDPOINT`; None is Amazon's.
        sts_endpoint: where roles are assumed, from `HEADWATER_STS_ENDPOINT`; None is Amazon's, in the bucket's region.
        clock: returns Unix seconds.

    Raises:
        LocationInvalidError: the bucket or the endpoint is invalid.
    """
    location = config.location
    bucket, endpoint_label = s3_bucket(location.bucket, config.region, s3_endpoint)
    labels = ConfigLabels(
        "S3",
        "session of s3ARN",
        "session of s3ARN",
        endpoint_label,
        region_label(endpoint_label),
        grantee="the role of s3ARN",
    )
    role = AssumedRole(config, sessions, sts_endpoint, clock)
    return S3Store(transport, bucket, location.prefix, role, labels, kms_key=config.kms_key, clock=clock)


class AssumedRole:
    """The sessions of one role; a `CredentialSource`.

    Args:
        config: has the role, the external id and the region.
        sessions: keeps the sessions.
        endpoint: the operator's STS; None is Amazon's in the region.
        clock: returns Unix seconds.
    """

    def __init__(
        self,
        config: S3DelegatedAccessConfig,
        sessions: RefreshingCache[Credentials],
        endpoint: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._role = (config.role_arn, config.external_id, signed_region(config.region), endpoint)
        self._sessions = sessions
        self._clock = clock
        self._key = ("assumed role", *self._role)

    async def credentials(self) -> Credentials:
        """Return the session to sign with now.

        Raises:
            StoreError: the role cannot be assumed.
        """
        return await self._sessions.get(self._key, self._fetch)

    def report_refused(self, credentials: Credentials) -> bool:
        """Record that S3 refused a session, and return whether `credentials` may now return another one."""
        return self._sessions.forget(self._key, credentials)

    async def _fetch(self) -> Expiring[Credentials]:
        region = self._role[2]
        try:
            with StoreWork("sts", "POST"):
                session = await run_in_executor(
                    _executors[region].for_user(current_user()),
                    _assume,
                    *self._role,
                    timeout=CALL_SECONDS,
                    start_timeout=START_SECONDS,
                )
        except StoreError as error:
            count_error("sts", STS_RULES, error.provider_code)
            raise
        except NoFreeThreadError:
            raise StoreUnavailableError(
                "This server is assuming too many roles at once. Try again in a moment"
            ) from None
        except TimeoutError:
            raise StoreUnavailableError(
                f"Assuming the role took longer than {CALL_SECONDS:.0f} seconds. Try again in a moment"
            ) from None
        now, expires = self._clock(), session.expires or 0.0
        if expires - EXPIRY_MARGIN_SECONDS <= now:
            raise StoreUnavailableError(
                "The role's session has ended before it began, by the clock of this server: its operator must set it"
            )
        life = expires - now
        return Expiring(session, now + life * REFRESH_AFTER, expires - EXPIRY_MARGIN_SECONDS, refresh_by=now + life / 2)


def _assume(role_arn: str, external_id: str, region: str, endpoint: str | None) -> Credentials:
    from headwater.stores.s3 import sts  # in the thread: botocore takes a while to load

    return sts.SERVER.assume(role_arn, external_id, region, endpoint)


_threads = DaemonExecutor(16, "headwater-sts")
_executors: defaultdict[str, UserThreads] = defaultdict(lambda: UserThreads(LimitedExecutor(_threads, 4), 2))
"""By region, so that roles of other regions can be assumed if one region does not answer, and by user in a region."""
