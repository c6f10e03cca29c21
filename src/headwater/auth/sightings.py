"""Record when tokens were used, and the groups that JWTs name: in the background, and seldom."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Protocol

import structlog

from headwater.domain.errors import HeadwaterError
from headwater.domain.users import ApiToken
from headwater.net.tasks import TaskStarter

USE_SECONDS = 3600
"""The least time between two records of the use of one token."""

GROUPS_SECONDS = 60
"""The least time between two records of the groups of one user, whose JWTs may disagree."""

MAX_USERS = 10_000
"""Of how many users it is remembered when their groups were recorded."""

log = structlog.get_logger(__name__)


class UseRecorder(Protocol):
    """What `Sightings` needs of the tokens in the catalog."""

    async def record_use(self, token_id: str, at: int) -> None:
        """Record that a token was used at a time in milliseconds since 1970."""


class GroupRecorder(Protocol):
    """What `Sightings` needs of the users in the catalog."""

    async def set_groups(self, name: str, groups: frozenset[str]) -> None:
        """Store the groups of a user, if there is a user with this name."""


class Sightings:
    """What requests tell about tokens and users. No request waits for a record, and none fails because of it.

    Args:
        tokens: records the use of tokens.
        users: records the groups of users.
        start: starts the tasks that record.
    """

    def __init__(self, tokens: UseRecorder, users: GroupRecorder, start: TaskStarter) -> None:
        self._tokens = tokens
        self._users = users
        self._start = start
        self._uses_in_progress: set[str] = set()
        self._recorded: OrderedDict[str, float] = OrderedDict()

    def saw_token(self, token: ApiToken, now: int) -> None:
        """Record that a token was used, unless that was recorded less than `USE_SECONDS` ago.

        Args:
            token: what the catalog stores about it.
            now: milliseconds since 1970.
        """
        recent = token.last_used_at is not None and now - token.last_used_at < USE_SECONDS * 1000
        if not recent and token.id not in self._uses_in_progress:
            self._uses_in_progress.add(token.id)
            task = self._start("record_token_use", _logged(self._tokens.record_use(token.id, now)))
            task.add_done_callback(lambda _: self._uses_in_progress.discard(token.id))

    def saw_groups(self, user: str, groups: frozenset[str]) -> None:
        """Record the groups in a JWT of a user, at most once in `GROUPS_SECONDS`.

        Also if this server has recorded the same: another one may have recorded others since.
        """
        now = time.monotonic()
        if user in self._recorded and now - self._recorded[user] < GROUPS_SECONDS:
            return
        self._recorded[user] = now
        self._recorded.move_to_end(user)
        if len(self._recorded) > MAX_USERS:
            self._recorded.popitem(last=False)
        task = self._start("record_groups", _logged(self._users.set_groups(user, groups)))
        task.add_done_callback(lambda done: done.cancelled() or done.result() or self._recorded.pop(user, None))


async def _logged(record: Coroutine[object, object, None]) -> bool:
    """Return whether a record was made."""
    try:
        await record
    except HeadwaterError as error:
        log.warning("sighting_not_recorded", reason=error.message)
        return False
    return True
