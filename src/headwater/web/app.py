"""The HTTP application: routes, errors, frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from headwater.domain.errors import (
    HeadwaterError,
    MalformedRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RouteNotOfferedError,
)
from headwater.service.context import ServiceContext
from headwater.web.api import datasets, datasources, health
from headwater.web.api.not_offered import is_published
from headwater.web.errors import error_response
from headwater.web.files import routes as files
from headwater.web.middleware import RequestMiddleware
from headwater.web.pages import docs

ROUTERS = (datasources.router, datasets.router, health.router)


def create_app(ctx: ServiceContext) -> FastAPI:
    """Put the routes over a service that is open for as long as the application runs."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.headwater = ctx
    for router in ROUTERS:
        app.include_router(router)
    for local_file_roots in ctx.stores.local_file_roots:
        app.router.routes.append(
            files.route(local_file_roots.folder, local_file_roots.signer, error_response, local_file_roots.hidden)
        )
    app.router.routes += docs.routes(ctx.settings.base_url)
    app.state.methods_of = _methods_of([*(route for router in ROUTERS for route in router.routes), *app.router.routes])
    app.add_exception_handler(HeadwaterError, _known)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_middleware(RequestMiddleware)
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
            request, MethodNotAllowedError(f"{request.method} is not offered here, only {', '.join(allow)}", allow)
        )
    if error.status_code != 404:
        return error_response(request, MalformedRequestError(str(error.detail)))
    if is_published(request.scope["path"]):
        return error_response(
            request, RouteNotOfferedError("this route is part of the published API, and this server does not offer it")
        )
    return error_response(request, NotFoundError("there is nothing at this path; /docs shows what there is"))


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
