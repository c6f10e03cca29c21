"""The documentation pages, also behind a path prefix."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from headwater import contract
from headwater.web.pages import docs

PUBLIC_URL = "https://headwater.example.com/data"
TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "json": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    routes = docs.routes(PUBLIC_URL + "/")
    app = Starlette(routes=[*routes, Mount("/some/prefix", routes=routes)])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        instance = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
        thread = threading.Thread(target=instance.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not instance.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            instance.should_exit = True
            thread.join()


@pytest.fixture(params=["", "/some/prefix"])
def base(server: str, request: pytest.FixtureRequest) -> str:
    return f"{server}{request.param}"


def test_page_and_its_assets_are_served(base: str) -> None:
    page = httpx.get(f"{base}/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = addresses(page.text)
    assert len(links) == 6
    for link in links:
        assert urlsplit(link)[:2] == ("", "")
        assert not link.startswith("/")
        loaded = httpx.get(urljoin(f"{base}/docs", link))
        assert loaded.status_code == 200, link
        assert loaded.content
        assert loaded.headers["content-type"].split(";")[0] == TYPES[link.rpartition(".")[2]]
        assert loaded.headers["x-content-type-options"] == "nosniff"


def test_nothing_is_loaded_from_another_host(base: str) -> None:
    page = httpx.get(f"{base}/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy
    assert "//" not in page.headers["content-security-policy"]
    assert not inline_scripts(page.text)
    for style in ("swagger-ui.css", "docs.css"):
        text = httpx.get(f"{base}/docs/assets/{style}").text
        assert "@import" not in text
        assert all(part.lstrip("\"'").startswith("data:") for part in text.split("url(")[1:])


def test_trailing_slash_redirects_to_the_page(base: str) -> None:
    answer = httpx.get(f"{base}/docs/")
    assert answer.status_code == 308
    assert urljoin(f"{base}/docs/", answer.headers["location"]) == f"{base}/docs"


def test_root_leads_browsers_to_the_page(base: str) -> None:
    """People who opened the URL of the server saw the JSON of a 404."""
    answer = httpx.get(f"{base}/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.status_code == 307
    assert urljoin(f"{base}/", answer.headers["location"]) == f"{base}/docs"
    assert httpx.get(f"{base}/").status_code == 404, "programs"


def test_document_is_the_contract_with_the_public_url(base: str) -> None:
    answer = httpx.get(f"{base}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {**contract.document(), "servers": [{"url": PUBLIC_URL}]}


def test_unchanged_document_is_304(base: str) -> None:
    first = httpx.get(f"{base}/openapi.json")
    again = httpx.get(f"{base}/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content
    changed = httpx.get(f"{base}/openapi.json", headers={"If-None-Match": '"something-else"'})
    assert changed.status_code == 200


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_script = tag == "script"
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]
        self.inline += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self.in_script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.in_script = False


def addresses(text: str) -> list[str]:
    page = Page()
    page.feed(text)
    return page.addresses


def inline_scripts(text: str) -> list[str]:
    page = Page()
    page.feed(text)
    return page.inline
