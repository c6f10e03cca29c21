"""`headwater serve`: open the socket, run the server, stop it."""

from __future__ import annotations

import inspect
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.access import is_folder
from headwater.domain.errors import StartupError
from headwater.environment import is_service_link
from headwater.settings import SPECS, WILDCARDS, Settings, Spec, unknown_settings

if TYPE_CHECKING:
    import asyncio

    from headwater.service.context import ServiceContext


def serve(**options: Any) -> None:
    """Run the server until SIGTERM or Ctrl-C. Requests in flight are finished first.

    Each option sets what the environment variable of the same name sets.
    """
    import asyncio

    scheme, _, rest = (options.get("database_url") or "").partition("://")
    if scheme != "sqlite" and ("@" in rest or "password" in rest):
        raise StartupError(
            "--database-url: holds a password, which the list of processes would show; set HEADWATER_DATABASE_URL"
        )
    settings = Settings.load(**options)
    with ExitStack() as opened:
        listening = opened.enter_context(closing(_listen(settings.host, settings.port, "")))
        metrics = None
        if settings.metrics_port is not None:
            metrics = opened.enter_context(closing(_listen(settings.metrics_host, settings.metrics_port, "METRICS_")))
        runner = opened.enter_context(asyncio.Runner(loop_factory=_loop_factory()))
        runner.run(_serve(settings.listening_on(listening.getsockname()[1]), listening, metrics))


def _option(spec: Spec) -> inspect.Parameter:
    def parse(text: str) -> Any:
        try:
            return spec.convert(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    option = typer.Option(
        "--" + spec.name.replace("_", "-"),
        help=f"{spec.help} [{spec.env}; default: {spec.default}]",
        metavar=spec.type.__name__.upper() if spec.type is int else "TEXT",
        show_default=False,
        parser=parse,
    )
    return inspect.Parameter(
        spec.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[spec.type | None, option]
    )


# These have no option: the list of processes shows arguments.
_WITHOUT_OPTION = {"secret_key", "metrics_token"}
_PARAMETERS = [_option(spec) for spec in SPECS if spec.name not in _WITHOUT_OPTION]
serve.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]  # what inspect.signature reads
serve.__annotations__ = {parameter.name: parameter.annotation for parameter in _PARAMETERS}


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the factory of uvloop's event loop; None if the platform does not have uvloop."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _listen(host: str, port: int, prefix: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that were made with the number of the protocol. Without TCP_NODELAY,
    # every response on a kept-alive connection waits 40 ms for the client's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise StartupError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            f"choose another with HEADWATER_{prefix}HOST and HEADWATER_{prefix}PORT"
        ) from None
    return listening


async def _serve(settings: Settings, listening: socket.socket, metrics: socket.socket | None) -> None:
    from headwater.cli.monitoring import metrics_url, monitored_app
    from headwater.net.proxies import warn_about_proxies
    from headwater.observability.logs import log_to_stderr
    from headwater.observability.tracing import traced
    from headwater.service.audit import sweep_audit
    from headwater.service.context import open_context
    from headwater.service.feed import sweep_feeds
    from headwater.service.keys import follow_key_file
    from headwater.service.leftovers import sweep_leftovers
    from headwater.web.server import Server

    log_to_stderr("INFO")
    _log_variables()
    warn_about_proxies()
    server = Server(settings.trusted_proxies)
    with server.ended_by_signals():
        async with open_context(settings) as ctx:
            _share_settings(settings)
            _warn_about_network_disk(settings)
            _warn_about_group(settings)
            ctx.background.start("follow key file", follow_key_file(ctx))
            ctx.background.start("sweep feeds", sweep_feeds(ctx))
            ctx.background.start("sweep leftovers", sweep_leftovers(ctx))
            ctx.background.start("sweep audit", sweep_audit(ctx))
            message = await _greeting(ctx, None if metrics is None else metrics_url(metrics))
            async with traced(os.environ), monitored_app(ctx, server, metrics) as app:
                await server.run_on(listening, app, message)


def _log_variables() -> None:
    """Log variables that look like settings of this server but are none."""
    import structlog

    log = structlog.get_logger(__name__)
    links = [name for name, value in sorted(os.environ.items()) if is_service_link(name, value)]
    if links:
        log.info("service_variables_ignored", variables=links)
    for name, similar in unknown_settings(os.environ):
        log.warning("setting_unknown", variable=name, similar=similar)


def _share_settings(settings: Settings) -> None:
    import structlog

    from headwater.cli.shared_settings import share_settings

    try:
        share_settings(settings)
    except OSError as error:
        log = structlog.get_logger(__name__)
        log.warning("settings_not_shared", reason=f"{error.filename}: {error.strerror}")


def _warn_about_network_disk(settings: Settings) -> None:
    """Log if the catalog is on a network file system: SQLite's locks and its write-ahead log need a local disk."""
    import structlog

    from headwater.stores.local.inodes import NETWORK, file_system_of

    if settings.sqlite_file is None:
        return
    folder = os.open(settings.sqlite_file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = file_system_of(folder)
    except OSError:
        return  # it is only a warning
    finally:
        os.close(folder)
    if found in NETWORK:
        log = structlog.get_logger(__name__)
        log.warning("catalog_on_network_disk", folder=str(settings.sqlite_file.parent), file_system=found.decode())


def _warn_about_group(settings: Settings) -> None:
    """Log if a group may open the key file: its members can decrypt the secrets of a catalog."""
    import structlog

    from headwater.service.context import key_file

    file = key_file(settings)
    if settings.secret_key is None and file.stat().st_mode & 0o070:
        log = structlog.get_logger(__name__)
        log.warning("key_file_readable_by_group", file=str(file), mode=f"{file.stat().st_mode & 0o777:04o}")


async def _greeting(ctx: ServiceContext, metrics: str | None) -> str:
    """Return what is printed at start: the URLs of the server and, if there is no valid token, how to create one."""
    from headwater import __version__

    settings = ctx.settings
    url = settings.listening_url
    lines = [f"Headwater {__version__} listens on {url} (the API's documentation: {url}/docs)"]
    if metrics is not None:
        lines.append(f"Metrics: {metrics}")
    if settings.base_url != url or settings.host in WILDCARDS:
        lines.append(f"Read URLs begin with {settings.base_url}, as set by HEADWATER_PUBLIC_URL")
    if settings.host in WILDCARDS and settings.public_url is None:
        lines[-1] = f"Read URLs begin with {url}, which works only on this machine: set HEADWATER_PUBLIC_URL"
    if settings.mount_root is not None and not is_folder(settings.mount_root):
        lines.append(f"HEADWATER_LOCAL_ROOT is not a folder at present: {settings.mount_root}")
    from headwater.stores.managed import ManagedLocation

    managed = ManagedLocation.parse(settings.managed_store).folder if settings.managed_store else None
    if managed is not None and not is_folder(managed):
        lines.append(f"HEADWATER_MANAGED_STORE is not a folder at present: {managed}")
    if not any(token.is_usable(int(time.time() * 1000)) for token in await ctx.catalog.tokens.list()):
        lines.append("There is no valid token. Create one with the data folder, database and secrets of this server:")
        folder = f"HEADWATER_DATA_DIR={shlex.quote(str(settings.folder))} " if settings.data_dir is not None else ""
        # The URL may hold a password.
        database = "HEADWATER_DATABASE_URL=… " if settings.database_url is not None else ""
        lines.append(f"  {folder}{database}{sys.argv[0]} token create --user NAME")
    return "\n".join(lines)
