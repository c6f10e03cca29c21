"""Users, their tokens, and the principal of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.domain.errors import MalformedRequestError
from headwater.domain.text import is_unicode

_NAME = re.compile(r"[^\s|\x00-\x1f\x7f](?:[^|\x00-\x1f\x7f]{0,253}[^\s|\x00-\x1f\x7f])?")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request. `user` is the owner of its datasets; an admin may use the datasets of all users."""

    user: str
    admin: bool = False

    def may_use(self, owner: str) -> bool:
        """Return whether this principal may use what `owner` owns."""
        return self.admin or self.user == owner


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What the catalog stores about an API token; never the token itself.

    `created_at` and `revoked_at` are in milliseconds since 1970.
    """

    id: str
    user: str
    admin: bool
    created_at: int
    revoked_at: int | None


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
            "user: expected 1 to 255 characters without '|', control characters, or blanks at the ends"
        )
    return name


def jwt_user_name(issuer: str, subject: str) -> str:
    """Return the name of the user of a JWT: `issuer|sub`."""
    return f"{issuer}|{subject}"
