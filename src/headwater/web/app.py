"""The HTTP application: routes, error handlers and middleware."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from headwater.domain.errors import (
    HeadwaterError,
    MalformedRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RouteNotOfferedError,
)
from headwater.observability.work import Usage
from headwater.service.context import ServiceContext
from headwater.web.api import access, datasets, datasources, health
from headwater.web.api.metrics import MetricsPage
from headwater.web.api.not_offered import is_published
from headwater.web.errors import error_response
from headwater.web.files import routes as files
from headwater.web.middleware import RequestMiddleware
from headwater.web.pages import docs

ROUTERS = (datasources.router, datasets.router, access.router, health.router)


def create_app(ctx: ServiceContext, metrics: MetricsPage | None = None) -> FastAPI:
    """Return the application on a service, which must stay open while the application runs.

    Args:
        ctx: the service.
        metrics: what `/metrics` returns; None if there is no such route.
    """
    app = _bare_app()
    app.state.context = ctx
    for router in ROUTERS:
        app.include_router(router)
    if metrics is not None:
        metrics.add_to(app)
    for root in ctx.stores.local_file_roots:
        app.router.routes.append(files.route(root))
    app.router.routes += docs.routes(ctx.settings.base_url)
    app.state.routes = [*(route for router in ROUTERS for route in router.routes), *app.router.routes]
    return app


def create_metrics_app(metrics: MetricsPage) -> FastAPI:
    """Return an application that has only `/metrics`."""
    app = _bare_app()
    metrics.add_to(app)
    app.state.routes = app.router.routes
    return app


def file_usage(app: FastAPI) -> list[Usage]:
    """Return how many files the application is sending and receiving."""
    return [usage for route in app.router.routes if isinstance(route, files.FilesRoute) for usage in route.usage()]


def _bare_app() -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(HeadwaterError, _handle_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_middleware(RequestMiddleware)
    return app


async def _handle_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadwaterError)
    return error_response(request, error)


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    """Return the response to what the framework refuses: an unknown route, or a method that the route lacks."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = _methods_of(request)
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


def _methods_of(request: Request) -> tuple[str, ...]:
    """Return the methods that the path of a request can be used with."""
    scope = {"type": "http", "path": request.scope["path"], "method": request.method}
    methods: set[str] = set()
    for route in request.app.state.routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return tuple(sorted(methods))
