"""Storage that the operator provides (`HEADWATER_MANAGED_STORE`): a separate area for each dataset.

    file:///folder · s3://bucket/path · gs://bucket/path · az://container/path

The area of a dataset is a folder there, named after the dataset's id. Users never name it, so no configuration can lead
to the area of another dataset.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from headwater.domain.errors import CredentialsRefusedError, StartupError
from headwater.domain.location import split_bucket
from headwater.net.refreshing import RefreshingCache
from headwater.net.transport import Transport
from headwater.settings import Settings
from headwater.stores.azure.container import Members, azure_container
from headwater.stores.azure.server_account import azure_account
from headwater.stores.azure.signing import SharedKey, parse_credentials
from headwater.stores.azure.store import AzureStore
from headwater.stores.base import Store
from headwater.stores.error_mapping import ConfigLabels
from headwater.stores.local.runtime import LocalFileRoot
from headwater.stores.local.store import LocalStore
from headwater.stores.s3.bucket import DEFAULT_REGION, aws_bucket, endpoint_bucket
from headwater.stores.s3.own_identity import OwnIdentity
from headwater.stores.s3.sigv4 import Credentials
from headwater.stores.s3.store import OPERATOR_ENDPOINT, S3Store
from headwater.stores.server_credentials import SETTING, google_key_file

_SCHEMES = ("file", "s3", "gs", "az")
_EXPECTED = f"{SETTING}: expected file:///folder, s3://bucket/path, gs://bucket/path or az://container/path"


class ManagedLocation(NamedTuple):
    """The location of all areas: a folder on this server (`file`), or a path in a bucket or container.

    Attributes:
        scheme: `file`, `s3`, `gs` or `az`.
        bucket: the bucket or container; empty for a folder.
        path: empty, or ends in `/`.
    """

    scheme: str
    bucket: str
    path: str

    @classmethod
    def parse(cls, setting: str) -> ManagedLocation:
        """Return the location in the setting.

        Raises:
            StartupError: the setting is invalid.
        """
        found = re.fullmatch(r"([a-z0-9]+)://([^/?#]*)(/.*)?", setting.strip(), re.DOTALL)
        if found is None or found[1] not in _SCHEMES or urlsplit(setting).query or "#" in setting:
            raise StartupError(_EXPECTED)
        scheme, bucket, rest = found[1], found[2], found[3] or "/"
        if scheme == "file":
            path = unquote(rest)
            if bucket or path == "/" or "\0" in path:
                raise StartupError(f"{_EXPECTED}; a folder is absolute, such as file:///srv/managed, and not the root")
            return cls(scheme, "", path.rstrip("/") + "/")
        if not bucket:
            raise StartupError(f"{_EXPECTED}; the name of the bucket or container is missing")
        bucket, prefix = split_bucket(bucket + rest)
        prefix = prefix.strip("/")
        return cls(scheme, bucket, f"{prefix}/" if prefix else "")

    @property
    def folder(self) -> Path | None:
        """The folder on this server; None for other schemes."""
        return Path(self.path) if self.scheme == "file" else None


class ManagedStores:
    """Opens the areas of datasets.

    Args:
        location: the location of all areas.
        settings: the operator's endpoints.
        file_root: serves their files, if the location is a folder on this server.
        transport: sends the requests.
        sessions: keeps this server's own AWS credentials.
        tokens: keeps access tokens of Google.
    """

    def __init__(
        self,
        location: ManagedLocation,
        settings: Settings,
        file_root: LocalFileRoot | None,
        transport: Transport,
        sessions: RefreshingCache[Credentials],
        tokens: RefreshingCache[str],
    ) -> None:
        self._location = location
        self._settings = settings
        self._file_root = file_root
        self._transport = transport
        self._sessions = sessions
        self._tokens = tokens
        self._aws = OwnIdentity(sessions)
        self._google_key_file = _read_google_key_file(location)

    def open(self, dataset_id: str) -> Store:
        """Open the area of a dataset. Its folder is created on first use.

        Raises:
            StoreError: this server's environment lacks the credentials, or the location is invalid.
        """
        if self._file_root is not None:
            return LocalStore(self._file_root, dataset_id, create=True)
        prefix = f"{self._location.path}{dataset_id}/"
        openers = {"s3": self._in_s3, "gs": self._in_gcs, "az": self._in_azure}
        return openers[self._location.scheme](self._location.bucket, prefix)

    def _in_s3(self, bucket: str, prefix: str) -> Store:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
        endpoint = self._settings.s3_endpoint
        if endpoint:
            s3_bucket = endpoint_bucket(endpoint, OPERATOR_ENDPOINT, bucket, region, is_operator_endpoint=True)
        else:
            s3_bucket = replace(aws_bucket(bucket, region, SETTING), is_operator_endpoint=True)
        credentials = "the server's AWS credentials"
        labels = ConfigLabels(
            "S3",
            credentials,
            credentials,
            OPERATOR_ENDPOINT if endpoint else SETTING,
            region=None if endpoint else "AWS_REGION",
            path=SETTING,
        )
        return S3Store(self._transport, s3_bucket, prefix, self._aws, labels)

    def _in_gcs(self, bucket: str, prefix: str) -> Store:
        from headwater.stores.gcs.bucket import gcs_bucket
        from headwater.stores.gcs.credentials import read_key_file  # google-auth takes a while to load
        from headwater.stores.gcs.store import GcsStore

        labels = ConfigLabels("GCS", "the service account", "GOOGLE_APPLICATION_CREDENTIALS", SETTING, path=SETTING)
        key_file = read_key_file(
            self._google_key_file or google_key_file(), labels.secret_access_key, self._transport.egress
        )
        address = gcs_bucket(bucket, self._settings.gcs_endpoint, SETTING)
        return GcsStore(self._transport, address, prefix, key_file, self._tokens, labels)

    def _in_azure(self, container: str, prefix: str) -> Store:
        account, endpoint = azure_account(), self._settings.azure_endpoint
        address = replace(
            azure_container(account.name, container, endpoint, Members("AZURE_STORAGE_ACCOUNT", SETTING)),
            is_operator_endpoint=True,
        )
        credentials = parse_credentials(address.account, account.key, "AZURE_STORAGE_KEY")
        if not isinstance(credentials, SharedKey):
            raise CredentialsRefusedError(
                f"{SETTING}: AZURE_STORAGE_KEY must be the account's key. URLs with a SAS token would open the areas "
                f"of all datasets"
            )
        labels = ConfigLabels("Azure", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", SETTING, path=SETTING)
        return AzureStore(self._transport, address, prefix, credentials, labels)


def _read_google_key_file(location: ManagedLocation) -> str | None:
    """Return the key file, read once at start; None if it is not needed or cannot be read."""
    if location.scheme != "gs":
        return None
    try:
        return google_key_file()
    except CredentialsRefusedError:
        return None
