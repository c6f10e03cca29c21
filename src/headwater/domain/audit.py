"""The audit log: who changed what, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Detail = str | int | bool | None


class AuditAction(StrEnum):
    """What was done."""

    DATASET_CREATE = "dataset.create"
    DATASET_RENAME = "dataset.rename"
    DATASET_DELETE = "dataset.delete"
    DATASET_TRANSFER = "dataset.transfer"
    DATASOURCE_SET = "datasource.set"
    DATASOURCE_REMOVE = "datasource.remove"
    WATERMARK_AHEAD = "watermark.ahead"
    WATERMARK_BACK = "watermark.back"
    FEED_MODE = "feed.mode"
    FEED_RESET = "feed.reset"
    SHARE_SET = "share.set"
    SHARE_REMOVE = "share.remove"
    TOKEN_CREATE = "token.create"  # noqa: S105  no secret
    TOKEN_REVOKE = "token.revoke"  # noqa: S105  no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change. It never holds a secret.

    Attributes:
        at: when, in milliseconds since 1970.
        user: who.
        token_id: with which API token; None for a JWT and for the command line.
        action: what was done.
        dataset_id: to which dataset; None if it concerns none.
        target: to which datasource (its purpose), token (its id) or grantee; None if the action tells it.
        details: what is worth knowing about the change.
        address: from which network address; for the command line, the user of the operating system.
        request_id: the id of the request, as in the log of the server; None for the command line.
    """

    at: int
    user: str
    token_id: str | None = None
    action: AuditAction
    dataset_id: str | None = None
    target: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)
    address: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries of the audit log are wanted. None selects all.

    Attributes:
        user: only what this user did.
        dataset_id: only what was done to this dataset.
        action: only actions that begin with this text, such as `token` or `share.set`.
        since: only entries of this time and later, in milliseconds since 1970.
        limit: only this many of the newest.
    """

    user: str | None = None
    dataset_id: str | None = None
    action: str | None = None
    since: int | None = None
    limit: int | None = None
