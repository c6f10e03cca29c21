"""Storage accounts of Azure, by name or by host."""

from __future__ import annotations

import re
from typing import NamedTuple

from headwater.domain.text import strip_pasted

PUBLIC_DOMAIN = "blob.core.windows.net"
"""What follows the account in the hosts of Azure's public cloud."""

CLOUD_DOMAINS = (PUBLIC_DOMAIN, "blob.core.usgovcloudapi.net", "blob.core.chinacloudapi.cn")
"""The same for all clouds: public, US Government, China."""

# "Storage account name" and "Storage account endpoints"; the last domain is that of accounts with a DNS zone.
_account = re.compile(
    r"([a-z0-9]{3,24})(?:\.(?:blob|dfs)\.(core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn))|"
    r"\.(z[0-9]{1,2})\.(?:blob|dfs)\.(storage\.azure\.net))?"
).fullmatch


class StorageAccount(NamedTuple):
    """A storage account.

    Attributes:
        name: its name.
        domain: what follows the name in its host; empty if only the name was given.
    """

    name: str
    domain: str

    @property
    def host(self) -> str:
        """The host; in the public cloud if only the name was given."""
        return f"{self.name}.{self.domain or PUBLIC_DOMAIN}"

    @property
    def authority(self) -> str:
        """What distinguishes the account from others, in one spelling: the name, and the domain of another cloud."""
        return self.name if self.domain in ("", PUBLIC_DOMAIN) else self.host


def parse_account(text: str) -> StorageAccount | None:
    """Return the account in a text; None if there is none.

    Args:
        text: a name, or the host or the URL of an account's Blob endpoint, such as
            `https://account.blob.core.chinacloudapi.cn/`.
    """
    text = strip_pasted(text)
    found = _account(re.sub(r"^https://([^/]+)/?$", r"\1", text.lower()) if "." in text else text)
    if found is None:
        return None
    name, cloud, zone, zone_domain = found.groups()
    if cloud:
        return StorageAccount(name, f"blob.{cloud}")
    return StorageAccount(name, f"{zone}.blob.{zone_domain}" if zone else "")
