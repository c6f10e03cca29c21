"""The address of a container of Azure Blob Storage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from headwater.domain.errors import LocationInvalidError
from headwater.net.urls import Origin, encode_path, parse_endpoint

# "Storage account name", "Naming and Referencing Containers, Blobs, and Metadata".
_account_name = re.compile(r"[a-z0-9]{3,24}").fullmatch
_container_name = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*|\$root|\$web|\$logs").fullmatch


class Members(NamedTuple):
    """What error texts call the members or settings that hold the names of the account and the container."""

    account: str = "accountName"
    path: str = "fullPath"


_DATASOURCE = Members()


@dataclass(frozen=True, slots=True)
class AzureContainer:
    """A container and its address.

    Attributes:
        account: the name of the storage account.
        name: the container's name.
        origin: where requests go.
        path: what precedes `/blob` in a request, percent-encoded.
        is_operator_endpoint: the operator of this server configured the endpoint, so that egress rules do not apply.
    """

    account: str
    name: str
    origin: Origin
    path: str
    is_operator_endpoint: bool

    @property
    def has_account_host(self) -> bool:
        """Whether the host name is derived from the account's name, as at Azure."""
        return self.origin.host == _host(self.account)


def azure_container(account: str, container: str, members: Members = _DATASOURCE) -> AzureContainer:
    """Return a container at Azure.

    Raises:
        LocationInvalidError: account or container cannot have this name; the text names the member.
    """
    _check(account, container, members)
    origin = Origin("https", _host(account), 443)
    return AzureContainer(account, container, origin, f"/{encode_path(container)}", is_operator_endpoint=False)


def endpoint_container(
    endpoint: str, member: str, account: str, container: str, members: Members = _DATASOURCE
) -> AzureContainer:
    """Return a container at an endpoint of the operator, with the account as the first part of the path.

    Args:
        endpoint: the URL.
        member: the setting that holds it, for the error text.
        account: the account's name.
        container: the container's name.
        members: what holds these names, for the error text.

    Raises:
        LocationInvalidError: the endpoint is not a URL, or account or container cannot have this name.
    """
    _check(account, container, members)
    origin, base = parse_endpoint(endpoint, member)
    return AzureContainer(
        account, container, origin, f"{base}/{account}/{encode_path(container)}", is_operator_endpoint=True
    )


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
