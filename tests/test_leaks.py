"""Recognisable secrets are planted, everything is driven and fails, and they are looked for wherever text may stay.

Looked for in plain, URL-encoded, hexadecimal and base64 form, at each of its three alignments.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.domain.configs import SECRETS, VALID
from tests.jwks import AUDIENCE, Issuer, signing_key
from tests.live import Live, request, running
from tests.servers import free_port

pytestmark = pytest.mark.slow  # it starts a server and many commands

OPERATIONS = (
    *("", "all", "verify", "list", "list?useRedirectedReadUrl=true", "list/dnc?dncShards=3", "processedUntilTimestamp"),
    *(
        "list?relevantFilenamesFileName=.lightly/x.txt",
        "predictions/list?taskName=t",
        "metadata/list",
        "fileHEAD?fileName=a",
    ),
    *("predictions/file?fileName=abcd", "predictions/writeUrl?fileName=abcd", "embeddings/file?fileName=abcd"),
)


def plant(name: str) -> str:
    """Return a secret with characters that encodings change."""
    return f"Planted+{name}/{os.urandom(9).hex()}="


def forms(secret: str) -> set[bytes]:
    """Return the forms in which a secret is looked for."""
    data = secret.encode()
    found = {
        data,
        quote(secret, safe="").encode(),
        quote(secret).encode(),
        quote_plus(secret).encode(),
        data.hex().encode(),
    }
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + data)
            found.add(whole[-(-shift * 8 // 6) + 1 : len(data) * 4 // 3 - 1])  # what other bytes around do not change
    assert all(len(form) > 15 for form in found)
    return found


class Hunt:
    """What was planted, and what came out."""

    def __init__(self) -> None:
        self.plants: dict[str, str] = {}
        self.seen: list[tuple[str, bytes]] = []

    def plant(self, name: str) -> str:
        self.plants[name] = plant(name)
        return self.plants[name]

    def see(self, where: str, text: bytes | str) -> None:
        self.seen.append((where, text if isinstance(text, bytes) else text.encode()))

    def leaks(self) -> list[tuple[str, str]]:
        wanted = {name: forms(secret) for name, secret in self.plants.items()}
        return [
            (where, name)
            for where, text in self.seen
            for name, spelled in wanted.items()
            if any(form in text for form in spelled)
        ]


@contextmanager
def watching_processes(hunt: Hunt) -> Iterator[None]:
    """Collect the command lines of all processes while the block runs."""
    done = threading.Event()

    def watch() -> None:
        lines: set[bytes] = set()
        while not done.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    lines.add(file.read_bytes())
                except OSError:
                    continue
        hunt.see("command lines", b"\n".join(lines))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_the_hunt_finds_every_form() -> None:
    hunt = Hunt()
    secret = hunt.plant("x")
    for before in (b"", b"a", b"ab", b"abc"):
        for encode in (bytes, base64.b64encode, base64.urlsafe_b64encode, lambda data: data.hex().encode()):
            hunt.seen = [("here", encode(before + secret.encode() + b"after"))]
            assert hunt.leaks() == [("here", "x")]
    hunt.seen = [("here", b"?token=" + quote(secret, safe="").encode())]
    assert hunt.leaks() == [("here", "x")]


def test_no_secret_stays_anywhere(tmp_path: Path) -> None:
    hunt = Hunt()
    closed = f"http://127.0.0.1:{free_port()}"
    temporary = tmp_path / "tmp"
    (tmp_path / "files/camera").mkdir(parents=True)
    temporary.mkdir()
    metrics_token = f"metrics-{os.urandom(16).hex()}"
    key = base64.b64encode(os.urandom(32)).decode()
    hunt.plants |= {"metrics token": metrics_token, "secret key": key}
    settings = {
        **{f"{name}_endpoint": closed for name in ("s3", "sts", "gcs", "azure")},
        "allowed_endpoints": "127.0.0.1",
        "local_root": str(tmp_path / "files"),
        "metrics_token": metrics_token,
        "secret_key": f"k1:{key}",
        "jwt_audience": AUDIENCE,
    }
    with Issuer(signing_key("ES256", "one")) as issuer, pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(temporary))
        with running(tmp_path, jwt_issuer=issuer.url, **settings) as live, watching_processes(hunt):
            hunt.plants["token"] = live.token
            hunt.plants["JWT"] = issuer.token(issuer.keys[0]).rpartition(".")[2]
            drive(hunt, live, issuer, closed)
            hunt.see("metrics", request(live.url, path="/metrics", headers=bearer(metrics_token)).body)
            run_commands(hunt, live, tmp_path)
            log = live.log
    hunt.see("log", log.read_bytes())
    for folder in (tmp_path / "data", temporary, tmp_path / "files"):
        for file in folder.rglob("*"):
            if file.is_file():
                hunt.see(str(file), file.read_bytes())
    assert len(hunt.plants) > 10
    assert len(hunt.seen) > 150
    assert hunt.leaks() == []


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def drive(hunt: Hunt, live: Live, issuer: Issuer, closed: str) -> None:
    """Send every kind of secret over HTTP, where it belongs and where it does not."""
    for type_name, config in VALID.items():
        member = SECRETS.get(type_name)
        body: dict[str, Any] = dict(config)
        if member is not None:
            body[member] = hunt.plant(type_name)
            if type_name == "GCS":
                body[member] = json.dumps({"type": "service_account", "private_key": body[member], "token_uri": closed})
        if type_name == "OBS":
            body["obsEndpoint"] = closed
        dataset = live.configured(body)
        for operation in OPERATIONS:
            path = live.datasource(dataset, operation.partition("?")[0])
            query = [tuple(pair.split("=")) for pair in operation.partition("?")[2].split("&") if pair]
            hunt.see(f"GET {operation}", live.call("GET", path, query=query).body)
        if member is None:
            continue
        secret = body[member]
        for wrong in ({member: [secret]}, {"fullPath": 5}, {"type": secret}, {"purpose": secret}, {"id": secret}):
            hunt.see(f"PUT {wrong.keys()}", live.call("PUT", live.datasource(dataset), {**body, **wrong}).body)
        hunt.see("PUT broken", live.call("PUT", live.datasource(dataset), json.dumps(body)[:-3].encode()).body)
    unknown = hunt.plant("unknown token")
    for path in ("/v1/datasets", "/v1/headwater/whoami", "/v1/headwater/tokens", "/nowhere", "/files/a", "/metrics"):
        for headers in (bearer(unknown), {"Authorization": f"Basic {unknown}"}, bearer(f"{unknown}.x.y")):
            hunt.see(f"GET {path}", request(live.url, path=path, headers=headers).body)
        hunt.see(f"GET {path}", request(live.url, path=f"{path}?token={quote(unknown, safe='')}").body)
        hunt.see(
            f"GET {path}", request(live.url, path=f"{path}?signature={quote(unknown, safe='')}&publicToken=x").body
        )
    jwt = issuer.token(issuer.keys[0])
    hunt.plants["JWT"] = jwt.rpartition(".")[2]
    hunt.see("JWT", request(live.url, path="/v1/datasets", headers=bearer(jwt)).body)
    made = live.call("POST", "/v1/headwater/tokens", {"label": "made over HTTP"}).json["token"]
    hunt.plants["token made over HTTP"] = made
    hunt.see("tokens", live.call("GET", "/v1/headwater/tokens", token=made).body)
    hunt.see("label", live.call("POST", "/v1/headwater/tokens", {"label": 5, "token": made}).body)


def run_commands(hunt: Hunt, live: Live, folder: Path) -> None:
    """Run commands that read secrets, and those that print or write what is stored."""
    secret = hunt.plant("secret file")
    (folder / "secret").write_text(secret + "\n")
    options = ("--type", "S3", "--path", "s3://b/c", "--region", "eu-central-1", "--access-key-id", "id")
    live.headwater("dataset", "create", "by-command", "--user", "ada")
    commands = [
        ("datasource", "set", "by-command", *options, "--secret-file", str(folder / "secret")),
        ("datasource", "show", "by-command"),
        ("datasource", "verify", "by-command"),
        ("list", "by-command"),
        ("token", "list"),
        ("audit", "--limit", "1000", "--json"),
        ("doctor",),
        ("db", "check"),
        ("db", "export", str(folder / "export")),
        ("backup", str(folder / "backup")),
    ]
    for arguments in commands:
        done = subprocess.run(
            [sys.executable, "-m", "headwater", *arguments],
            env=live.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        hunt.see(" ".join(arguments[:2]), done.stdout + done.stderr)
    for name in ("export", "backup"):
        hunt.see(name, (folder / name).read_bytes())
        hunt.see(f"{name}, unpacked", gzip.decompress((folder / name).read_bytes()))
