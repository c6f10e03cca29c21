"""Users, and who is asking."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.domain.errors import MalformedRequestError
from headwater.domain.text import is_unicode

_NAME = re.compile(r"[^\s|\x00-\x1f\x7f](?:[^|\x00-\x1f\x7f]{0,253}[^\s|\x00-\x1f\x7f])?")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request. `user` is the name that datasets are owned under; an admin may use everyone's."""

    user: str
    admin: bool = False

    def may_use(self, owner: str) -> bool:
        """Whether what `owner` made is open to this one."""
        return self.admin or self.user == owner


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What the catalog knows of an API token; never the token itself.

    `created_at` and `revoked_at` are in milliseconds since 1970.
    """

    id: str
    user: str
    admin: bool
    created_at: int
    revoked_at: int | None


def check_user_name(name: str) -> str:
    """Return a name that an operator may give a user.

    The bar `|` is kept for users who come with a JWT, `issuer|sub` (contract.md#authentication), so that none of them
    can become a user named on the command line.

    Raises:
        MalformedRequestError: empty, longer than 255, with blanks at an end, control characters or a bar.
    """
    if not _NAME.fullmatch(name) or not is_unicode(name):
        raise MalformedRequestError(
            "user: expected 1 to 255 characters without '|', control characters, or blanks at the ends"
        )
    return name


def jwt_user_name(issuer: str, subject: str) -> str:
    """Name the user of a JWT, in a name space of its own."""
    return f"{issuer}|{subject}"
