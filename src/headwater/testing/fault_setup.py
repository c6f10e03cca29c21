"""What the fault suite needs from the author of a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Protocol

import pytest

from headwater.domain.errors import StoreError
from headwater.domain.objects import Key, StorePage
from headwater.net.transport import Transport
from headwater.stores.base import Store
from headwater.testing.fault_proxy import Fault, FaultProxy, Request, Status

KEYS = tuple(f"{number:02}.jpg" for number in range(12))
"""What the bucket behind the faulty server holds."""


class FaultyServer(Protocol):
    """A server with faults, such as a `FaultProxy`."""

    faults: deque[Fault | None]
    """What happens to the next requests for objects, one entry each; None is a normal response."""

    @property
    def url(self) -> str:
        """The address of the server."""

    @property
    def requests(self) -> list[Request]:
        """The requests for objects so far."""


class FaultSetup(ABC):
    """A server with faults, the store under test on it, and facts about the provider.

    Args:
        server: serves a bucket that holds `KEYS`. Requests other than those for objects, such as one for an access
            token, must be done already.
        transport: may contact 127.0.0.1.
    """

    protocol: ClassVar[str]
    """What error texts call the provider's protocol."""

    endpoint_label: ClassVar[str]
    """What error texts call the setting or member that holds the endpoint."""

    busy: ClassVar[Status]
    """The provider's response when it is overloaded."""

    busy_message: ClassVar[str]
    """A regular expression for what the error text says about `busy`."""

    internal_error: ClassVar[Status] = Status(500)
    """The provider's response when it fails."""

    page_offsets: ClassVar[tuple[int, int]]
    """Two offsets in the body of a list page of five objects, in ascending order."""

    max_list_body_bytes: ClassVar[int]
    """The longest list page that the store reads."""

    write_method: ClassVar[str] = "PUT"
    """The HTTP method of the request that writes an object."""

    checks_key_order: ClassVar[bool] = True
    """Whether the provider lists by UTF-8 bytes, so that a page in another order is an error."""

    def __init__(self, server: FaultyServer, transport: Transport) -> None:
        self.server = server
        self.transport = transport

    @abstractmethod
    def open(self, url: str, *, root: str = "", transport: Transport | None = None) -> Store:
        """Open the store on an endpoint.

        Args:
            url: the endpoint: that of `server`, or of another server.
            root: the folder of the datasource, empty or ending in `/`.
            transport: used instead of the usual one.
        """

    @abstractmethod
    def list_body(self, keys: Sequence[Key]) -> bytes:
        """Return the body of the last list page of a listing, with these keys in this order."""

    async def list_from(
        self, response: Status | bytes, *, root: str = "", prefix: str = "", after: Key | None = None
    ) -> StorePage:
        """Return a page of ten objects from a server that answers all requests with this response or body."""
        status = response if isinstance(response, Status) else Status(200, response)
        with FaultProxy(respond=lambda _: status) as server:
            return await self.open(server.url, root=root).list_page(prefix, after, 10)

    async def error_from(self, response: Status | bytes, *, root: str = "", prefix: str = "") -> StoreError:
        """Return the error of a listing from a server that answers all requests with this response or body."""
        with pytest.raises(StoreError) as error:
            await self.list_from(response, root=root, prefix=prefix)
        return error.value
