"""Where a container of Azure Blob Storage answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from headwater.domain.errors import LocationInvalidError
from headwater.net.transport import Origin, parse_endpoint
from headwater.stores.s3.sigv4 import encode_path

# "Storage account name", "Naming and Referencing Containers, Blobs, and Metadata".
_account_name = re.compile(r"[a-z0-9]{3,24}").fullmatch
_container_name = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*|\$root|\$web|\$logs").fullmatch


class Members(NamedTuple):
    """What holds the names of account and container, as error texts call it."""

    account: str = "accountName"
    path: str = "fullPath"


_DATASOURCE = Members()


@dataclass(frozen=True, slots=True)
class AzureContainer:
    """A container and its address.

    `path` is what precedes `/blob` in a request, percent-encoded. `operator` says that the operator of this server
    named the endpoint.
    """

    account: str
    container: str
    origin: Origin
    path: str
    operator: bool

    @property
    def at_azure(self) -> bool:
        """Whether the host's name is made of the account's."""
        return self.origin.host == _host(self.account)


def azure_container(account: str, container: str, members: Members = _DATASOURCE) -> AzureContainer:
    """A container at Azure.

    Raises:
        LocationInvalidError: account or container cannot have this name; the text names the member.
    """
    _check(account, container, members)
    origin = Origin("https", _host(account), 443)
    return AzureContainer(account, container, origin, f"/{encode_path(container)}", operator=False)


def endpoint_place(
    endpoint: str, member: str, account: str, container: str, members: Members = _DATASOURCE
) -> AzureContainer:
    """A container at an endpoint of the operator's, with the account as the first part of the path.

    Args:
        endpoint: the URL.
        member: the setting that holds it, for the error text.
        account: its name.
        container: its name.
        members: what holds those two.

    Raises:
        LocationInvalidError: the endpoint is no URL, or account or container cannot have this name.
    """
    _check(account, container, members)
    origin, base = parse_endpoint(endpoint, member)
    return AzureContainer(account, container, origin, f"{base}/{account}/{encode_path(container)}", operator=True)


def _host(account: str) -> str:
    return f"{account}.blob.core.windows.net"


def _check(account: str, container: str, members: Members) -> None:
    if not _account_name(account):
        raise LocationInvalidError(
            f"{members.account}: expected the name of a storage account: 3 to 24 lower-case letters and digits, "
            f"without '.blob.core.windows.net'"
        )
    if not _container_name(container):
        raise LocationInvalidError(
            f"{members.path}: expected container/path, where the container has 3 to 63 lower-case letters, digits and "
            f"single hyphens between them"
        )
