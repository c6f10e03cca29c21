"""The server of `headwater serve`, in a thread of this process, with any application."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop
from starlette.types import ASGIApp

from headwater.web.server import Server


@contextmanager
def serving_app(app: ASGIApp, *, root_path: str = "") -> Iterator[int]:
    """Serve an application on loopback for the duration of the block, and yield the port.

    Args:
        app: the application.
        root_path: what the application is told that a proxy has removed from the beginning of paths.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = Server()
        server.config.root_path = root_path
        started = threading.Event()

        def run() -> None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.get_loop().call_soon(started.set)
                runner.run(server.run_on(listening, app, "started"))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert started.wait(30)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
