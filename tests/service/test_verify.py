"""How verification interprets what a store answers."""

from __future__ import annotations

from headwater.domain.errors import LocationInvalidError
from headwater.service.verify import Verification, _try_read
from tests.stores.memory import MemoryStore


class _ArchivingStore(MemoryStore):
    """A store whose first objects are archived."""

    async def read(self, key: str, limit: int, start: int = 0) -> bytes:
        if key.startswith("archived"):
            raise LocationInvalidError("The object is archived: restore it first", "InvalidObjectState")
        return b"x"


async def test_an_archived_object_does_not_decide_whether_objects_can_be_read() -> None:
    """One archived object that came first made canRead false."""
    result = Verification()
    await _try_read(_ArchivingStore([]), ["archived 1", "archived 2", "a.png"], result)
    assert (result.can_read, result.errors) == (True, {})
    result = Verification()
    await _try_read(_ArchivingStore([]), ["archived 1"], result)
    assert not result.can_read
    assert "archived" in result.errors["canRead"]
