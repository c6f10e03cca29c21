"""This server's own storage account."""

from __future__ import annotations

import pytest

from headwater.domain.errors import CredentialsRefusedError
from headwater.stores.azure.server_account import azure_account

CONNECTION = "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=test-key==;EndpointSuffix="


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        ("core.windows.net", "acct"),
        ("", "acct"),
        ("core.usgovcloudapi.net", "acct.blob.core.usgovcloudapi.net"),
        ("core.chinacloudapi.cn", "acct.blob.core.chinacloudapi.cn"),
    ],
)
def test_a_connection_string_names_the_cloud(suffix: str, name: str) -> None:
    """`EndpointSuffix` was ignored: areas of an account in another cloud were looked for in the public one."""
    account = azure_account({"AZURE_STORAGE_CONNECTION_STRING": CONNECTION + suffix})
    assert account == (name, "test-key==")
    assert "test-key" not in repr(account)


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(CredentialsRefusedError, match="AZURE_STORAGE_KEY"):
        azure_account({"AZURE_STORAGE_ACCOUNT": "acct"})
