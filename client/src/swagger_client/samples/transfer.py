"""Earlier import path of `headwater_client.transfer`."""

from headwater_client.transfer import CHUNK_BYTES as CHUNK
from headwater_client.transfer import CONNECT_TIMEOUT_SECONDS as CONNECT_TIMEOUT
from headwater_client.transfer import MAX_REDIRECTS as MOST_REDIRECTS
from headwater_client.transfer import MAX_RENEWALS as MOST_RENEWALS
from headwater_client.transfer import DownloadStoppedError as Stopped
from headwater_client.transfer import RenewUrl as Renew
from headwater_client.transfer import TransferError, transfer
from headwater_client.transfer import TransferOptions as Options
from headwater_client.transfer import is_storage_full as is_full

__all__ = [
    "CHUNK",
    "CONNECT_TIMEOUT",
    "MOST_REDIRECTS",
    "MOST_RENEWALS",
    "Options",
    "Renew",
    "Stopped",
    "TransferError",
    "is_full",
    "transfer",
]
