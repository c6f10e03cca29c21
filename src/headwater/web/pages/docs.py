"""The documentation of the API: `/openapi.json` for programs, `/docs` for people.

Nothing is loaded from another host. All URLs in the page are relative, so that it works behind a reverse proxy that
adds a path prefix.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from headwater import contract

_HERE = Path(__file__).parent

_PAGE_HEADERS = {
    # Swagger UI sets style attributes and shows images from data: URLs; everything else comes from the same origin.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "no-referrer",
}


def routes(public_url: str) -> list[BaseRoute]:
    """Return the routes of `/openapi.json`, `/docs` and the assets of that page, and of `/` for browsers.

    Args:
        public_url: the absolute URL at which clients reach this server, for `servers` in the document.

    Raises:
        FileNotFoundError: the contract or an asset is missing from the installation.
    """
    document = contract.document()
    document["servers"] = [{"url": public_url.rstrip("/")}]
    assets = {
        "swagger-ui-bundle.js": (_swagger_ui() / "swagger-ui-bundle.js", "text/javascript"),
        "swagger-ui.css": (_swagger_ui() / "swagger-ui.css", "text/css"),
        "docs.js": (_HERE / "docs.js", "text/javascript"),
        "docs.css": (_HERE / "docs.css", "text/css"),
        "favicon.svg": (_HERE / "favicon.svg", "image/svg+xml"),
    }
    return [
        Route("/openapi.json", _static(json.dumps(document, ensure_ascii=False).encode(), "application/json", {})),
        Route("/docs", _static((_HERE / "docs.html").read_bytes(), "text/html", _PAGE_HEADERS)),
        Route("/", _redirect_browser_to_docs),
        Route("/docs/", _redirect_to_docs),
        *(
            Route(f"/docs/assets/{name}", _static(path.read_bytes(), media_type, {}))
            for name, (path, media_type) in assets.items()
        ),
    ]


def _swagger_ui() -> Path:
    # Do not import the package: its module registers routes.
    spec = find_spec("fastapi_swagger")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package fastapi-swagger is missing: the installation is incomplete")
    return Path(spec.origin).parent / "resources"


def _static(body: bytes, media_type: str, headers: Mapping[str, str]) -> Callable[[Request], Awaitable[Response]]:
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"Cache-Control": "no-cache", "ETag": etag, "X-Content-Type-Options": "nosniff", **headers}

    async def endpoint(request: Request) -> Response:
        if etag in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    return endpoint


async def _redirect_browser_to_docs(request: Request) -> Response:
    if "text/html" not in request.headers.get("Accept", ""):
        raise HTTPException(404)
    return RedirectResponse("docs", status_code=307, headers={"Vary": "Accept"})


async def _redirect_to_docs(_: Request) -> Response:
    return RedirectResponse("../docs", status_code=308)
