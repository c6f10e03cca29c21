"""Real servers for tests: each a separate process on a free port of loopback, stopped by its id."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.need import missing, need
from tests.npm import npm_packages

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient
    from mypy_boto3_s3 import S3Client

KEY_ID = "test-key-id"
SECRET = "test-secret-access-key"  # rclone refuses very short ones

AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = base64.b64encode(b"test-key-id".ljust(64, b".")).decode()
"""The account key that `azurite` accepts."""


def free_port() -> int:
    """Return a port that was free a moment ago. Another process may take it: see `serving`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: Callable[[int], Sequence[str]], seconds: float = 30.0) -> Iterator[int]:
    """Run a server during the block, and yield its port.

    Args:
        command: returns the command line for a port.
        seconds: the time limit until it accepts connections.
    """
    for attempt in range(3):
        port = free_port()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command(port), stdout=output, stderr=subprocess.STDOUT)
            try:
                if _accepts(process, port, seconds):
                    yield port
                    return
            finally:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            output.seek(0)
            log = output.read().decode(errors="replace")[-2000:]
        # Usually another process took the port in the meantime: try another one.
        if attempt == 2:
            raise RuntimeError(f"{command(port)[0]} did not start: {log}")


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto as S3, STS and IAM without credential checks; yield its URL."""
    with serving(lambda port: [_script("moto_server"), "-H", "127.0.0.1", "-p", str(port)]) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def rclone_s3(directory: Path, key_id: str = KEY_ID, secret: str = SECRET) -> Iterator[str]:
    """Run `rclone serve s3`, which checks signatures and presigned URLs; yield its URL.

    Args:
        directory: its folders are the buckets. rclone caches directories, so that it notices files which other
            programs write only later (and with `--dir-cache-time 0s` it hangs).
        key_id: the id of its only access key.
        secret: the secret of that key.
    """
    with serving(
        lambda port: [
            _script("rclone"),
            *("serve", "s3", str(directory), "--addr", f"127.0.0.1:{port}"),
            *("--auth-key", f"{key_id},{secret}", "--config", ""),
        ]
    ) as port:
        yield f"http://127.0.0.1:{port}"


def _script(name: str) -> str:
    """Return the path of a program that pip installed for this interpreter, or that is on the PATH."""
    installed = Path(sysconfig.get_path("scripts")) / name
    if installed.exists():
        return str(installed)
    return need(name)


def _accepts(process: subprocess.Popen[bytes], port: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                # If another process has taken the port, this one ends within moments.
                time.sleep(0.05)
                return process.poll() is None
        except OSError:
            time.sleep(0.05)
    return False


@contextmanager
def s3_client(url: str) -> Iterator[S3Client]:
    """Yield a client of the vendor's SDK, which prepares the data for a store under test."""
    import boto3
    from botocore.config import Config

    client: S3Client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def azurite() -> Iterator[str]:
    """Run Azurite, which checks signatures and SAS tokens; yield its URL without the account."""
    program = _azurite()
    with serving(
        lambda port: [
            *("env", f"AZURITE_ACCOUNTS={AZURE_ACCOUNT}:{AZURE_KEY}", need("node"), str(program)),
            *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
            *("--inMemoryPersistence", "--disableTelemetry", "--silent", "--skipApiVersionCheck"),
        ]
    ) as port:
        yield f"http://127.0.0.1:{port}"


def _azurite() -> Path:
    """Return the program, in the version of `tests/azurite`."""
    return npm_packages(Path(__file__).parent / "azurite") / "azurite/dist/src/blob/main.js"


@contextmanager
def azure_client(url: str) -> Iterator[BlobServiceClient]:
    """Yield a client of the vendor's SDK, which prepares the data for a store under test."""
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient(f"{url}/{AZURE_ACCOUNT}", credential=AZURE_KEY, retry_total=0) as client:
        yield client


class GuardedAws:
    """moto with authentication: S3, STS and IAM check signatures, sessions, policies and external ids.

    It returns 500 for every presigned URL, and its sessions do not expire.
    """

    ACCOUNT = "123456789012"

    def __init__(self, url: str) -> None:
        import boto3

        self.url = url
        self._number = 0
        # moto accepts these three requests without authentication.
        first = boto3.client("iam", endpoint_url=url, **_keys(KEY_ID, SECRET))
        first.create_user(UserName="admin")
        key = first.create_access_key(UserName="admin")["AccessKey"]
        first.put_user_policy(UserName="admin", PolicyName="all", PolicyDocument=json.dumps(_allow(["*"])))
        first.close()
        self._admin = _keys(key["AccessKeyId"], key["SecretAccessKey"])
        self._iam = boto3.client("iam", endpoint_url=url, **self._admin)
        self.s3: S3Client = boto3.client("s3", endpoint_url=url, **self._admin)

    def close(self) -> None:
        """Close the connections of the administrator."""
        self._iam.close()
        self.s3.close()

    def bucket(self) -> str:
        """Make a bucket."""
        name = self._name("bucket")
        self.s3.create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str) -> list[str]:
        """Return all keys of a bucket."""
        return [found["Key"] for found in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def user(self, policy: Mapping[str, Any] | Sequence[str]) -> AwsUser:
        """Make a user with a policy, or with one that allows these actions."""
        name = self._name("user")
        self._iam.create_user(UserName=name)
        key = self._iam.create_access_key(UserName=name)["AccessKey"]
        self._iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=_document(policy))
        return AwsUser(f"arn:aws:iam::{self.ACCOUNT}:user/{name}", key["AccessKeyId"], key["SecretAccessKey"])

    def role(self, policy: Mapping[str, Any] | Sequence[str], trust: Mapping[str, Any]) -> str:
        """Make a role with a policy and a trust policy, and return its ARN."""
        name = self._name("role")
        self._iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        self._iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_document(policy))
        return f"arn:aws:iam::{self.ACCOUNT}:role/{name}"

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._number}"


class AwsUser(NamedTuple):
    """A user of `GuardedAws`, with an access key."""

    arn: str
    key_id: str
    secret: str

    def environ(self, folder: Path) -> dict[str, str]:
        """Return the variables that make this user the identity of a process, and hide others of this machine."""
        return {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(folder / "no-aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-aws-credentials"),
        }


def trust(user: AwsUser, external_id: str) -> dict[str, Any]:
    """Return a trust policy that lets this user assume the role with the external id."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": user.arn},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
            }
        ],
    }


@contextmanager
def guarded_aws() -> Iterator[GuardedAws]:
    """Run moto with authentication."""
    with serving(
        lambda port: [
            *("env", "INITIAL_NO_AUTH_ACTION_COUNT=3", _script("moto_server")),
            *("-H", "127.0.0.1", "-p", str(port)),
        ]
    ) as port:
        guarded = GuardedAws(f"http://127.0.0.1:{port}")
        try:
            yield guarded
        finally:
            guarded.close()


def _keys(key_id: str, secret: str) -> dict[str, Any]:
    return {"region_name": "us-east-1", "aws_access_key_id": key_id, "aws_secret_access_key": secret}


def _allow(actions: Sequence[str]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def _document(policy: Mapping[str, Any] | Sequence[str]) -> str:
    return json.dumps(policy if isinstance(policy, Mapping) else _allow(policy))


@contextmanager
def stopped(main: int) -> Iterator[None]:
    """Stop a server and its children in the middle of what they do: connections stay open, and nothing answers.

    Args:
        main: the id of the process that has started the others.
    """
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    pids = [main, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # it was about to end
                os.kill(pid, signal.SIGCONT)


@contextmanager
def postgres_server() -> Iterator[Callable[[str], str]]:
    """Run PostgreSQL; yield a function that returns the URL of a database by its name."""
    import psycopg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pgserver warns if XDG_RUNTIME_DIR is not set
        try:
            import pgserver

            server = pgserver.get_server(tempfile.mkdtemp(prefix="headwater-pg-"), cleanup_mode="delete")
        except Exception as error:  # anything can keep it from running here
            missing(f"PostgreSQL does not start on this machine: {error!r}")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri
    finally:
        server.cleanup()


@contextmanager
def postgres_database(uri_of: Callable[[str], str]) -> Iterator[str]:
    """Yield the URL of an empty database that exists during the block."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(uri_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield uri_of(name)
    finally:
        # Another connection: the server may have been restarted.
        with psycopg.connect(uri_of("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
