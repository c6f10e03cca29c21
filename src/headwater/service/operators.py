"""What an operator does beside the API: users, their tokens, datasets in their name."""

from __future__ import annotations

from headwater.domain.dataset import Dataset, NewDataset, check_name
from headwater.domain.errors import MalformedRequest, NotFound
from headwater.domain.ids import is_id
from headwater.domain.users import ApiToken, check_user_name
from headwater.service.access import digest, new_token
from headwater.service.headwater import Headwater


async def create_token(hw: Headwater, user: str, admin: bool) -> tuple[str, ApiToken]:
    """Make a token for a user, making the user if need be. The token works at once and is shown never again.

    Raises:
        MalformedRequest: not a name that a user may have.
    """
    check_user_name(user)
    token = new_token()
    return token, await hw.catalog.add_token(user, admin, digest(token))


async def list_tokens(hw: Headwater) -> list[ApiToken]:
    """All tokens, revoked ones too; never the tokens themselves."""
    return await hw.catalog.tokens()


async def revoke_token(hw: Headwater, token_id: str) -> None:
    """Make a token useless at once; one that was revoked before stays revoked.

    Raises:
        NotFound: there is no token of this id.
    """
    if not is_id(token_id):
        raise MalformedRequest("ID: expected the id of a token, as `headwater token list` shows it, not the token")
    if not await hw.catalog.revoke_token(token_id):
        raise NotFound(f"there is no token with the id {token_id}; `headwater token list` shows them")


async def create_dataset(hw: Headwater, user: str | None, new: NewDataset) -> Dataset:
    """Make a dataset for a user, making the user if need be.

    Args:
        hw: the service.
        user: whose; None means the only user there is, or `operator` where there is none yet.
        new: the dataset.

    Raises:
        MalformedRequest: a name that may not be given, or `user` is None and there are several users.
        NameTaken: the user has a dataset of this name.
    """
    if user is None:
        known = await hw.catalog.users()
        if len(known) > 1:
            raise MalformedRequest(f"--user: needed to tell whose dataset it is: {', '.join(known)}")
        user = known[0] if known else "operator"
    elif not await hw.catalog.has_user(user):
        check_user_name(user)
    check_name(new.name)
    return await hw.catalog.add_dataset(user, new)
