"""The configurations of docs/deployment.md#behind-a-reverse-proxy: each is run by the real program before a server."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live import Live, running
from tests.need import need
from tests.servers import free_port, serving
from tests.tls import write_certificate

pytestmark = pytest.mark.slow  # each test starts a proxy

PAGE = Path(__file__).parent.parent / "docs/deployment.md"

NAMES = sorted(["100%25.png", "a%2Fb.png", "a b+c#d?.png", "é & ;=.png", "plain.png", "two..dots.png", "x%2e%2e.png"])
"""Names that a proxy would change if it decoded and encoded paths again."""

TOKEN_LOGGED = re.compile(r"token=|signature=")


def _block(language: str, number: int = 0) -> str:
    """Return a block of the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)[number]


class Front:
    """A proxy before a server.

    Attributes:
        live: the server behind it.
        root: the URL of the server as clients see it.
        logs: the folder with all that the proxy has written.
    """

    def __init__(self, live: Live, root: str, logs: Path, certificate: Path) -> None:
        self.live, self.root, self.logs = live, root, logs
        self._tls = ssl.create_default_context(cafile=certificate)

    def send(self, url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
        """Send a request to an absolute URL, byte for byte."""
        parts = urlsplit(url)
        if parts.scheme == "https":
            connection: HTTPConnection = HTTPSConnection(parts.netloc, timeout=30, context=self._tls)
        else:
            connection = HTTPConnection(parts.netloc, timeout=30)
        try:
            connection.request(method, url[len(f"{parts.scheme}://{parts.netloc}") :], body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, path: str, method: str = "GET", body: bytes | None = None) -> bytes:
        """Call the API through the proxy; fail on an error."""
        mark = "&" if "?" in path else "?"
        status, answer = self.send(f"{self.root}{path}{mark}token={self.live.token}", method, body)
        assert status == 200, answer
        return answer


@contextmanager
def _front(folder: Path, root: str, command: Callable[[Path, int, int, Path], list[str]]) -> Iterator[Front]:
    """Run a proxy and a server behind it.

    Args:
        folder: for everything.
        root: the URL of the server as clients see it, with `{port}`.
        command: returns the command that runs the proxy, from a folder, its port, that of the server, a certificate.
    """
    files = folder / "files"
    files.mkdir()
    for name in NAMES:
        (files / name).write_bytes(name.encode())
    logs = folder / "proxy"
    logs.mkdir()
    certificate = write_certificate(folder / "server.pem")
    upstream = free_port()
    with serving(lambda port: command(logs, port, upstream, certificate)) as port:
        url = root.format(port=port)
        with running(folder, port=str(upstream), local_root=str(files), public_url=url) as live:
            yield Front(live, url, logs, certificate)


def _nginx(block: str) -> Callable[[Path, int, int, Path], list[str]]:
    def command(folder: Path, port: int, upstream: int, certificate: Path) -> list[str]:
        filled = block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;").replace("8000", str(upstream))
        key = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
        filled = filled.replace("# ssl_certificate …; ssl_certificate_key …;", key)
        assert filled.count(str(certificate)) == 2
        paths = "".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
            f"http {{ access_log {folder}/access.log; {paths}\n{filled} }}\n"
        )
        return [need("nginx"), "-e", f"{folder}/start.log", "-p", str(folder), "-c", str(config)]

    return command


def _caddy(folder: Path, port: int, upstream: int, certificate: Path) -> list[str]:
    """Caddy gets a certificate for a public name by itself; here the site is plain HTTP instead."""
    filled = _block("caddyfile").replace("data.example.com", f"http://127.0.0.1:{port}")
    config = folder / "Caddyfile"
    config.write_text("{\n admin off\n}\n" + filled.replace("8000", str(upstream)))
    home = [f"{name}={folder}" for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")]
    return [need("env"), *home, need("caddy"), "run", "--adapter", "caddyfile", "--config", str(config)]


def _check(front: Front) -> None:
    """List, read and write through the proxy; fail if a name or a byte changes, or if a token is logged."""
    live = front.live
    dataset = live.configured({"type": "LOCAL", "fullPath": ""})
    rows = live.rows(dataset)
    assert [row["fileName"] for row in rows] == NAMES
    assert {row["readUrl"].startswith(f"{front.root}/") for row in rows} == {True}
    for row in rows:
        assert front.send(row["readUrl"]) == (200, row["fileName"].encode())

    large = b"0123456789abcdef" * 200_000
    url = front.call(f"/v1/datasets/{dataset}/datasource/predictions/writeUrl?fileName=task/a%2520b.json").decode()
    assert front.send(url.strip('"'), "PUT", large) == (200, b"")
    url = front.call(f"/v1/datasets/{dataset}/datasource/predictions/file?fileName=task/a%2520b.json").decode()
    assert front.send(url.strip('"')) == (200, large)

    front.call(f"//v1/datasets/{dataset}/datasource/list")  # published clients double the first slash
    assert front.send(f"{front.root}/readyz")[0] == 200
    for log in front.logs.rglob("*.log"):
        assert not TOKEN_LOGGED.search(log.read_text())


def test_nginx(tmp_path: Path) -> None:
    """`merge_slashes` was in `location`, where nginx does not allow it: it did not start."""
    with _front(tmp_path, "https://127.0.0.1:{port}", _nginx(_block("nginx"))) as front:
        _check(front)


@pytest.mark.parametrize("number", [0, 1])
def test_nginx_passes_redirects_to_long_urls(tmp_path: Path, number: int) -> None:
    """The percent-encoded key in `Location` did not fit into nginx's buffer of 4 KB for headers: a 502."""
    root = "https://127.0.0.1:{port}" + ["", "/headwater"][number]
    name = "/".join(["ü" * 120] * 6) + ".png"
    with _front(tmp_path, root, _nginx(_block("nginx", number))) as front:
        file = tmp_path / "files" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"content")
        dataset = front.live.configured({"type": "LOCAL", "fullPath": ""})
        rows = front.live.rows(dataset, useRedirectedReadUrl=True)
        [url] = [row["readUrl"] for row in rows if row["fileName"] == name]
        assert front.send(url)[0] == 307


def test_nginx_under_a_path(tmp_path: Path) -> None:
    """Here the proxy decodes paths and encodes them again, to remove the prefix: names must stay as they are."""
    with _front(tmp_path, "https://127.0.0.1:{port}/headwater", _nginx(_block("nginx", 1))) as front:
        _check(front)


def test_caddy(tmp_path: Path) -> None:
    with _front(tmp_path, "http://127.0.0.1:{port}", _caddy) as front:
        _check(front)


def test_caddyfile_is_valid_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "Caddyfile").write_text(_block("caddyfile"))
    command = [need("caddy"), "adapt", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
