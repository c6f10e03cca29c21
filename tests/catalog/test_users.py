"""Users in the catalog, on SQLite and PostgreSQL."""

from tests.catalog.values import add_user


async def test_users_are_listed_by_name_and_made_once(catalog):
    assert not await catalog.users.exists("ann")
    await add_user(catalog, "ann")
    await add_user(catalog, "ann")
    await add_user(catalog, "https://issuer.example.com/|sub'\"%s:x")
    assert await catalog.users.exists("ann")
    assert await catalog.users.exists("https://issuer.example.com/|sub'\"%s:x")
    assert not await catalog.users.exists("Ann")
    assert await catalog.users.list() == ["ann", "https://issuer.example.com/|sub'\"%s:x"]
