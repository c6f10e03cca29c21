"""The address of a container of Azure Blob Storage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from headwater.domain.azure_account import CLOUD_DOMAINS, PUBLIC_DOMAIN, StorageAccount, parse_account
from headwater.domain.errors import LocationInvalidError
from headwater.net.urls import Origin, encode_path, parse_endpoint

OPERATOR_ENDPOINT = "HEADWATER_AZURE_ENDPOINT"

# "Naming and Referencing Containers, Blobs, and Metadata".
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
        return self.origin.host.startswith(f"{self.account}.")


def azure_container(
    account: str, container: str, operator_endpoint: str | None = None, members: Members = _DATASOURCE
) -> AzureContainer:
    """Return a container.

    Args:
        account: the name of the storage account, or its host.
        container: the container's name.
        operator_endpoint: where an account is of which only the name is given, from `HEADWATER_AZURE_ENDPOINT`: a cloud
            of Azure, the endpoint of this account, or an endpoint with the account as the first part of the path. None
            is Azure's public cloud.
        members: what holds the names, for error texts.

    Raises:
        LocationInvalidError: account or container cannot have this name, or the endpoint is invalid; the text names
            the member or setting.
    """
    found = parse_account(account)
    if found is None:
        raise LocationInvalidError(
            f"{members.account}: expected the name of a storage account, which has 3 to 24 lower-case letters and "
            f"digits; in another cloud than {PUBLIC_DOMAIN}, with its host, such as "
            f"{' or '.join(f'account.{domain}' for domain in CLOUD_DOMAINS[1:])}"
        )
    if not _container_name(container):
        raise LocationInvalidError(
            f"{members.path}: expected container/path, where the container has 3 to 63 lower-case letters, digits and "
            f"single hyphens between them"
        )
    if found.domain or operator_endpoint is None:
        origin, base, is_operator_endpoint = Origin("https", found.host, 443), "", False
    else:
        origin, base = _at_endpoint(found, operator_endpoint)
        is_operator_endpoint = True
    return AzureContainer(found.name, container, origin, f"{base}/{encode_path(container)}", is_operator_endpoint)


def _at_endpoint(account: StorageAccount, endpoint: str) -> tuple[Origin, str]:
    """Return the origin of the operator's endpoint, and what precedes the container in paths."""
    origin, base = parse_endpoint(endpoint, OPERATOR_ENDPOINT)
    if origin.host in CLOUD_DOMAINS:
        return origin._replace(host=f"{account.name}.{origin.host}"), base
    if origin.host.startswith(f"{account.name}.blob."):
        return origin, base
    if (other := parse_account(origin.host)) is not None and other.domain:
        raise LocationInvalidError(
            f"{OPERATOR_ENDPOINT}: this is the endpoint of one account, and the datasource is in another. The operator "
            f"of this server sets https://{other.domain} for all accounts of this cloud"
        )
    return origin, base if base.endswith(f"/{account.name}") else f"{base}/{account.name}"
