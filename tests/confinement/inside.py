"""Try all egress vectors with a real server, in a network name space in which every address leads to one listener.

`test_egress.py` runs `python -m tests.confinement.inside FOLDER`, and tells it what to try.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.confinement.egress_vectors import ANSWERS, PUBLIC, VECTORS, Vector, obs
from tests.fuzz.server import private_key
from tests.live import Live, running

PORTS = (80, 443, 8333, 8444)
PORT, OTHER = 8333, 8444

HOSTS = Path("/etc/hosts")
FLIP = "flip.test"
FLIP_ADDRESSES = (f"{PUBLIC:9}", "127.0.0.1")
"""Of the same length, so that the file can be changed in place while resolvers read it."""

OPEN = "0.0.0.0/0, ::/0"
BY_ID = {vector.id: vector for vector in VECTORS}


class Listener:
    """Accepts connections to all addresses, and remembers at which addresses.

    Attributes:
        reached: address and port of each connection.
        answer: how to answer as a store: a key of `ANSWERS`; empty for a 404.
    """

    def __init__(self) -> None:
        self.reached: list[tuple[str, int]] = []
        self.answer = ""
        self._told = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen during the block."""
        servers = [_server(self, family, port) for family in (socket.AF_INET, socket.AF_INET6) for port in PORTS]
        for server in servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()

    def newly_reached(self) -> list[tuple[str, int]]:
        """Return what was reached since the last call, in order and without repetitions."""
        found = self.reached[self._told :]
        self._told += len(found)
        return sorted(set(found))

    def response(self) -> bytes:
        """Return the response of the store."""
        status, headers, body = ANSWERS.get(self.answer, ("404 Not Found", {}, ""))
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
        lines += ["Connection: close", f"Content-Length: {len(body.encode())}"]
        return filled("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _server(listener: Listener, family: socket.AddressFamily, port: int) -> socketserver.ThreadingTCPServer:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            address, reached_port = self.request.getsockname()[:2]
            listener.reached.append((address, reached_port))
            if reached_port == PORT:
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(listener.response())

    class Server(socketserver.ThreadingTCPServer):
        address_family = family
        allow_reuse_address = True
        daemon_threads = True

        def server_bind(self) -> None:
            if family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            super().server_bind()

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is none of our business."""

    return Server(("" if family == socket.AF_INET else "::", port), Handler)


def filled(text: str) -> str:
    """Return a text with the ports of the listener and a private key in it."""
    text = text.replace("{port}", str(PORT)).replace("{other}", str(OTHER))
    return text.replace("{key}", json.dumps(private_key())[1:-1]) if "{key}" in text else text


def try_vector(live: Live, listener: Listener, vector: Vector) -> dict[str, Any]:
    """Put the datasource, verify and list it; return the responses and which addresses were reached."""
    listener.answer = vector.answer
    config = {member: filled(value) for member, value in vector.config.items()}
    dataset = live.dataset()
    put = live.call("PUT", live.datasource(dataset), config)
    tried: dict[str, Any] = {"put": put.status, "texts": [put.text] if put.body else []}
    if put.status == 200:
        for operation in ("verify", "list"):
            answer = live.call("GET", live.datasource(dataset, operation))
            tried[operation] = answer.status
            tried["texts"].append(answer.body.decode())
    live.call("DELETE", f"/v1/datasets/{dataset}")
    tried["reached"] = listener.newly_reached()
    return tried


def flip_a_name(live: Live, listener: Listener) -> dict[str, Any]:
    """Verify and list while a name changes all the time between an address that is allowed and one that is not."""
    text = HOSTS.read_text()
    at = text.index(FLIP) - len(FLIP_ADDRESSES[0]) - 1
    is_over = threading.Event()

    def flip() -> None:
        with HOSTS.open("r+b") as file:
            number = 0
            while not is_over.wait(0.0007):
                number += 1
                os.pwrite(file.fileno(), FLIP_ADDRESSES[number % 2].encode(), at)

    dataset = live.configured(obs(filled(f"http://{FLIP}:{{port}}")))
    flipping = threading.Thread(target=flip)
    flipping.start()
    refused = 0
    for _ in range(60):
        answer = live.call("GET", live.datasource(dataset, "list"))
        refused += b"may not be contacted" in answer.body
    is_over.set()
    flipping.join()
    return {"reached": listener.newly_reached(), "refused": refused}


class Inside:
    """Servers with the default rules (`default`), and with a setting that allows all it can (`open`), when needed."""

    def __init__(self, folder: Path, listener: Listener, stack: ExitStack) -> None:
        self._folder = folder
        self._listener = listener
        self._stack = stack
        self._servers: dict[str, Live] = {}

    def server(self, name: str) -> Live:
        """Return a server, which is started when it is first needed."""
        if name not in self._servers:
            place = self._folder / name
            place.mkdir()
            allowed = OPEN if name == "open" else ""
            server = running(place, local_root=str(self._folder), allowed_endpoints=allowed)
            self._servers[name] = self._stack.enter_context(server)
        return self._servers[name]

    def answer(self, order: list[str]) -> dict[str, Any]:
        """Do what a line of the input says; return what happened."""
        name, what = order
        live = self.server(name)
        if what == FLIP:
            return flip_a_name(live, self._listener)
        return try_vector(live, self._listener, BY_ID[what])


def main() -> None:
    """Read lines from the standard input, each `[server, id of a vector]` in JSON, and print what happened."""
    folder = Path(sys.argv[1])
    (folder / "files").mkdir()
    (folder / "files" / "a.png").touch()
    listener = Listener()
    with ExitStack() as stack:
        stack.enter_context(listener.listening())
        inside = Inside(folder, listener, stack)
        for line in sys.stdin:
            print(json.dumps(inside.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
