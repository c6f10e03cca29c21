"""API tokens in the catalog, on SQLite and PostgreSQL."""

import asyncio
import hashlib
import time

from headwater.domain.ids import is_id, new_id
from headwater.domain.users import NewToken, Scope


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def test_token_is_found_by_its_digest(catalog):
    before = time.time_ns() // 1_000_000
    first = await catalog.tokens.add("ann", NewToken(), digest("1"))
    second = await catalog.tokens.add("root", NewToken(scope=Scope.ADMIN), digest("2"))
    after = time.time_ns() // 1_000_000
    assert is_id(first.id)
    assert (first.user, first.limits, first.revoked_at) == ("ann", NewToken(), None)
    assert before <= first.created_at <= after
    assert second.limits.scope is Scope.ADMIN
    assert await catalog.users.exists("root")
    assert await catalog.tokens.find(digest("1")) == (first, frozenset())
    assert await catalog.tokens.find(digest("2")) == (second, frozenset())
    assert await catalog.tokens.find(digest("3")) is None
    assert sorted(await catalog.tokens.list(), key=lambda token: token.user) == [first, second]


async def test_revoked_token_is_not_found_and_keeps_the_time_of_its_first_revocation(catalog):
    token = await catalog.tokens.add("ann", NewToken(), digest("1"))
    other = await catalog.tokens.add("ann", NewToken(), digest("2"))
    assert await catalog.tokens.revoke(token.id)
    assert await catalog.tokens.find(digest("1")) is None
    assert await catalog.tokens.find(digest("2")) == (other, frozenset())
    (revoked,) = [each for each in await catalog.tokens.list() if each.id == token.id]
    assert token.created_at <= revoked.revoked_at <= time.time_ns() // 1_000_000
    await asyncio.sleep(0.005)
    assert await catalog.tokens.revoke(token.id)
    assert revoked in await catalog.tokens.list()
    assert not await catalog.tokens.revoke(new_id())
