"""The HTTP application: routes, errors, frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from headwater.api import datasets, datasources, files, health
from headwater.api.errors import error_response
from headwater.api.frame import Frame
from headwater.api.published import is_published
from headwater.domain.errors import (
    HeadwaterError,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    RouteNotOffered,
)
from headwater.service.headwater import Headwater
from headwater.web import docs

ROUTERS = (datasources.router, datasets.router, health.router)


def create_app(hw: Headwater) -> FastAPI:
    """Put the routes over a service that is open for as long as the application runs."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.headwater = hw
    for router in ROUTERS:
        app.include_router(router)
    for served in hw.stores.served:
        app.router.routes.append(files.route(served.folder, served.signer, error_response, served.hidden))
    app.router.routes += docs.routes(hw.settings.base_url)
    app.state.methods_of = _methods_of([*(route for router in ROUTERS for route in router.routes), *app.router.routes])
    app.add_exception_handler(HeadwaterError, _known)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_middleware(Frame)
    return app


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadwaterError)
    return error_response(request, error)


async def _unrouted(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such route, or not with this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = request.app.state.methods_of(request)
        return error_response(
            request, MethodNotAllowed(f"{request.method} is not offered here, only {', '.join(allow)}", allow)
        )
    if error.status_code != 404:
        return error_response(request, MalformedRequest(str(error.detail)))
    if is_published(request.scope["path"]):
        return error_response(
            request, RouteNotOffered("this route is part of the published API, and this server does not offer it")
        )
    return error_response(request, NotFound("there is nothing at this path; /docs shows what there is"))


def _methods_of(routes: Sequence[BaseRoute]) -> Callable[[Request], tuple[str, ...]]:
    """Make what tells which methods there are where one was asked for that is not."""

    def methods_of(request: Request) -> tuple[str, ...]:
        asked = {"type": "http", "path": request.scope["path"], "method": request.method}
        methods: set[str] = set()
        for route in routes:
            if isinstance(route, Route) and route.matches(asked)[0] is not Match.NONE:
                methods |= route.methods or set()
        return tuple(sorted(methods))

    return methods_of
