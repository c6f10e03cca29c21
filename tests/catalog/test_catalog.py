"""The catalog as a whole, on SQLite and PostgreSQL."""


async def test_ping_succeeds(catalog):
    await catalog.ping()
