"""Egress rules: which addresses may be contacted for a datasource.

A user configures an endpoint, and this server connects to it. Without rules, a user could reach what only this machine
can reach. The rules apply to addresses, never to names, because a name can resolve to any address:

* link-local, metadata, multicast and unspecified addresses are never contacted;
* loopback, private, shared (carrier-grade NAT) and reserved addresses are contacted only if
  `HEADWATER_ALLOWED_ENDPOINTS` has the address, a network that contains it, or the host;
* for IPv6 forms that embed an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo), the IPv4 address counts.

The rules do not apply to endpoints of the operator (`HEADWATER_S3_ENDPOINT`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

import structlog

from headwater.domain.errors import LocationInvalidError, StartupError
from headwater.net.proxies import proxy_advice

SETTING = "HEADWATER_ALLOWED_ENDPOINTS"

_FIXED_HOSTS = frozenset(
    {
        "oauth2.googleapis.com",
        "www.googleapis.com",
        "accounts.google.com",
        "storage.googleapis.com",
        "s3.amazonaws.com",
        "sts.amazonaws.com",
    }
)
"""Hosts of providers that have no part which a user spells."""

log = structlog.get_logger(__name__)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class _Block(NamedTuple):
    kind: str
    never: bool
    networks: tuple[Network, ...]


def _networks(texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts.split())


# Not ipaddress.is_private and similar properties: those differ between Python releases.
# Sources: the IANA special-purpose registries (RFC 6890), and the providers' pages for metadata addresses.
# The first block that contains an address decides.
_BLOCKS = (
    _Block(
        "a metadata",
        True,
        _networks(
            # Of the large cloud providers; 169.254.169.254 belongs to the next block too.
            "169.254.169.254/32 fd00:ec2::/32 fd20:ce::254/128 168.63.129.16/32 192.0.0.192/32 100.100.100.200/32"
        ),
    ),
    _Block("a link-local", True, _networks("169.254.0.0/16 fe80::/10")),
    _Block("an unspecified", True, _networks("0.0.0.0/8 ::/128")),
    _Block("a multicast", True, _networks("224.0.0.0/4 255.255.255.255/32 ff00::/8")),
    _Block("a loopback", False, _networks("127.0.0.0/8 ::1/128")),
    _Block("a private", False, _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10")),
    _Block("a shared (carrier-grade NAT)", False, _networks("100.64.0.0/10")),
    _Block(
        "a reserved",
        False,
        _networks(
            "192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
            # IPv6 has only 2000::/3 for general use, and these parts of it are special.
            "2001::/23 2001:db8::/32 3fff::/20 ::/3 4000::/2 8000::/1"
        ),
    ),
)

_IPV4_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")


class Egress:
    """The egress rules of one server. Build it with `parse`."""

    def __init__(self, networks: Iterable[Network] = (), hosts: Iterable[str] = ()) -> None:
        self._networks = tuple(networks)
        self._hosts = frozenset(hosts)

    @classmethod
    def parse(cls, allowed: str) -> Egress:
        """Read the setting `HEADWATER_ALLOWED_ENDPOINTS`.

        Args:
            allowed: comma-separated host names, addresses and CIDR networks, each for all ports.

        Raises:
            StartupError: an entry is invalid; the text names it.
        """
        networks: list[Network] = []
        hosts: list[str] = []
        for entry in (part.strip() for part in allowed.split(",")):
            if not entry:
                continue
            network = _network(entry)
            if network is not None:
                networks.append(network)
                if (kind := _never_contacted(network)) is not None:
                    log.warning("allowed_endpoint_without_effect", entry=entry, reason=f"it is {kind} address")
                continue
            host = _normalize_host(entry)
            # If the last label has only digits, the entry is a mistyped address, not a name.
            if not re.fullmatch(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*", host) or host.rpartition(".")[2].isdecimal():
                raise StartupError(
                    f"{SETTING}: {entry!r} is not a host name, an address or a network such as 10.1.0.0/16 "
                    f"(all bits after the prefix must be zero). Entries have no scheme, port or path; "
                    f"every port is meant"
                )
            hosts.append(host)
        return cls(networks, hosts)

    def check(self, host: str, addresses: Sequence[str]) -> list[str]:
        """Return those addresses that may be contacted, in the given order.

        Args:
            host: the name or literal address in the endpoint.
            addresses: the numeric addresses that it resolves to; none if the name is unknown.

        Raises:
            LocationInvalidError: no address may be contacted. The text names the kind of a literal address. For a name,
                it is the same whether the name is unknown or forbidden, so that users cannot explore the operator's
                network; the log has the reason.
        """
        usable: list[str] = []
        refused: _Block | None = None
        for text in addresses:
            block = self._blocking(host, text)
            if block is None:
                usable.append(text)
            else:
                refused = refused or block
        if usable:
            return usable
        if refused is not None and _is_address(host):
            raise LocationInvalidError(f"The endpoint host {host!r} is {refused.kind} address. {_advice(refused)}")
        reason = f"it has {refused.kind} address" if refused else "it is unknown"
        log.info("endpoint_refused", host=host, reason=reason)
        advice = unknown_host_advice(
            host, f". If it is in a private network, the operator of this server can allow it with {SETTING}"
        )
        raise LocationInvalidError(
            f"The host {host!r} is not known to DNS, or its address may not be contacted{advice}"
        )

    def names(self, host: str) -> bool:
        """Return whether the setting has this host, or a network that contains this literal address.

        For hosts that are not storage, which are contacted only if they are well known or the operator allows it.
        """
        try:
            address = ip_address(host)
        except ValueError:
            return _normalize_host(host) in self._hosts
        return any(address in network for network in self._networks)

    def _blocking(self, host: str, text: str) -> _Block | None:
        # A scope ("%eth0") selects an interface and does not change the kind of address.
        address = ip_address(text.partition("%")[0])
        for effective in _effective_addresses(address):
            block = _block_of(effective)
            if block is None:
                continue
            if block.never or not self._allows(host, effective, address):
                return block
        return None

    def _allows(self, host: str, effective: Address, address: Address) -> bool:
        return (
            any(effective in network or address in network for network in self._networks)
            or _normalize_host(host) in self._hosts
        )


def unknown_host_advice(host: str, more: str = "") -> str:
    """Return the sentences for an error text that DNS does not know a host.

    Args:
        host: the host.
        more: what to add if somebody has spelled a part of it.
    """
    if advice := proxy_advice(host):
        return advice
    if _normalize_host(host) in _FIXED_HOSTS:
        return (
            ". This name is right: the operator of this server must check its DNS, and that it reaches the Internet "
            "without a proxy"
        )
    return f". Check how the endpoint, bucket or region is spelled{more}"


def _advice(refused: _Block) -> str:
    if refused.never:
        return f"Such addresses are never contacted for a datasource, whatever {SETTING} says"
    return f"The operator of this server can allow it with {SETTING}"


def _network(entry: str) -> Network | None:
    try:
        return ip_network(entry.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _never_contacted(network: Network) -> str | None:
    """Return the kind of a network of which no address is ever contacted; None for others."""
    for kind, never, blocks in _BLOCKS:
        if never and any(isinstance(network, type(each)) and network.subnet_of(each) for each in blocks):  # type: ignore[arg-type]  # of one version
            return kind
    return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _normalize_host(host: str) -> str:
    try:
        ascii_host = host.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_host = host
    return ascii_host.lower().removesuffix(".")


def _effective_addresses(address: Address) -> tuple[Address, ...]:
    """Return the addresses to check: the IPv4 addresses that an IPv6 address embeds, or the address itself."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64 or (address in _IPV4_COMPATIBLE and int(address) > 1):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return (address,)


def _block_of(address: Address) -> _Block | None:
    for block in _BLOCKS:
        if any(address in network for network in block.networks):
            return block
    return None
