"""Users, their tokens, and the principal of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from headwater.domain.errors import ForbiddenError, MalformedRequestError
from headwater.domain.text import is_unicode

_NAME = re.compile(r"[^\s|\x00-\x1f\x7f](?:[^|\x00-\x1f\x7f]{0,253}[^\s|\x00-\x1f\x7f])?")

_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,255}")


class Scope(StrEnum):
    """What a token is limited to. Each scope contains those before it."""

    READ = "read"
    """See the datasets of the user, list files, get read URLs."""

    WRITE = "write"
    """Everything that the user may do."""

    ADMIN = "admin"
    """Everything, on the datasets of all users."""

    def covers(self, other: Scope) -> bool:
        """Return whether this scope contains `other`."""
        return _SCOPES.index(self) >= _SCOPES.index(other)


_SCOPES = tuple(Scope)


def scope_too_small(scope: Scope) -> str:
    """Return the text of the error for an operation that needs more than this scope."""
    return f"the token has the scope {scope}, and this operation needs {Scope.WRITE}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request, and what its credential is limited to.

    Attributes:
        user: the owner of the datasets that it creates.
        scope: the scope of the credential; that of a JWT is WRITE.
        dataset_id: the only dataset that the credential may be used for; None for no such limit.
        groups: the groups of the user, as the JWT issuer named them.
        token_id: the id of the API token; None for a JWT and for the command line.
        expires_at: when the credential expires, in milliseconds since 1970; None for never or for a JWT.
    """

    user: str
    scope: Scope = Scope.WRITE
    dataset_id: str | None = None
    groups: frozenset[str] = frozenset()
    token_id: str | None = None
    expires_at: int | None = None

    def check_unlimited(self, what: str) -> None:
        """Check that the credential is limited neither to one dataset nor to reading.

        Args:
            what: what is attempted, for the text of the error: "create datasets".

        Raises:
            ForbiddenError: it is.
        """
        if self.dataset_id is not None:
            raise ForbiddenError(f"a token that is limited to one dataset may not {what}")
        if not self.scope.covers(Scope.WRITE):
            raise ForbiddenError(scope_too_small(self.scope))

    @property
    def is_admin(self) -> bool:
        """Whether this principal may use the datasets of all users."""
        return self.scope is Scope.ADMIN


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What a new API token shall be.

    Attributes:
        scope: what it is limited to.
        dataset_id: the only dataset that it may be used for; None for all datasets of the user.
        label: what it is for, in the words of the user; None for no label.
        expires_at: when it expires, in milliseconds since 1970; None for never.
    """

    scope: Scope = Scope.WRITE
    dataset_id: str | None = None
    label: str | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What the catalog stores about an API token; never the token itself.

    Attributes:
        id: names the token, and is no secret.
        user: whom it authenticates.
        limits: what it was made for.
        created_at: in milliseconds since 1970, as are all times here.
        revoked_at: None if it was not revoked.
        last_used_at: within an hour of the time when it was last used; None if it was not used yet.
    """

    id: str
    user: str
    limits: NewToken
    created_at: int
    revoked_at: int | None = None
    last_used_at: int | None = None

    def is_usable(self, now_ms: int) -> bool:
        """Return whether the token is neither revoked nor expired."""
        expires_at = self.limits.expires_at
        return self.revoked_at is None and (expires_at is None or now_ms < expires_at)


def check_user_name(name: str) -> str:
    """Return a name if an operator may give it to a user.

    The bar `|` is reserved for the users of JWTs, `issuer|sub` (contract.md#authentication), so that the user of a JWT
    cannot have the name of a user made on the command line.

    Raises:
        MalformedRequestError: the name is empty or longer than 255 characters, begins or ends with a blank, or holds
            control characters or a bar.
    """
    if not _NAME.fullmatch(name) or not is_unicode(name):
        raise MalformedRequestError(
            "user: expected 1 to 255 characters without '|', control characters, or blanks at the ends; the user of a "
            "JWT is ISSUER|SUBJECT, with the issuer in HEADWATER_JWT_ISSUER"
        )
    return name


def is_printable_name(name: object) -> bool:
    """Return whether a text may name a group or a user of a JWT, or label a token: 1 to 255 printable characters."""
    return isinstance(name, str) and _PRINTABLE.fullmatch(name) is not None and is_unicode(name)


def is_jwt_user_name(name: str, issuer: str | None) -> bool:
    """Return whether the JWTs of an issuer can identify a user with this name, `issuer|sub`."""
    return issuer is not None and name.startswith(f"{issuer}|") and is_printable_name(name[len(issuer) + 1 :])


def check_label(label: str) -> str:
    """Return the label of a token.

    Raises:
        MalformedRequestError: it is empty, longer than 255 characters, or holds control characters.
    """
    if not is_printable_name(label):
        raise MalformedRequestError("label: expected 1 to 255 characters without control characters")
    return label


def jwt_user_name(issuer: str, subject: str) -> str:
    """Return the name of the user of a JWT: `issuer|sub`."""
    return f"{issuer}|{subject}"
