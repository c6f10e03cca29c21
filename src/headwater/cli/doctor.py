"""`headwater doctor`: check an installation, and say what to do about what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import typer

from headwater.cli.output import EXIT_FAILURE, Json, print_json, text_of
from headwater.cli.running import which_catalog
from headwater.domain.errors import CatalogMissingError, HeadwaterError
from headwater.domain.text import visible

if TYPE_CHECKING:
    from headwater.service.doctor import Finding

_WIDTH = len("warning") + 2


def doctor(json: Json = False) -> None:
    """Check this installation.

    Checks the settings, the catalog and its key, the server, the clock, the JWT issuer, and whether datasources of the
    newest datasets can be listed. Nothing is changed. The exit code is 1 if there is a problem, and 0 if there are
    only warnings.
    """
    import asyncio

    from headwater.observability.logs import log_to_stderr

    log_to_stderr("ERROR")
    findings = asyncio.run(_run(shown=not json))
    problems = sum(finding.level == "problem" for finding in findings)
    if json:
        print_json([finding._asdict() for finding in findings])
    elif not problems:
        print("no problem was found")
    else:
        print(f"{problems} problem{'' if problems == 1 else 's'}")
    if problems:
        raise typer.Exit(EXIT_FAILURE)


async def _run(*, shown: bool) -> list[Finding]:
    findings = []
    async for finding in _findings():
        findings.append(finding)
        if shown:
            print(f"{finding.level:<{_WIDTH}}{visible(finding.subject)}: {visible(finding.text)}")
            sys.stdout.flush()
    return findings


async def _findings() -> AsyncIterator[Finding]:
    from headwater.cli.shared_settings import differences, find_other_catalog, settings_for_command
    from headwater.service.context import Setup, open_context
    from headwater.service.doctor import Finding, Level, check_catalog, check_environment, check_server
    from headwater.settings import unknown_setting_text, unknown_settings

    for name, similar in unknown_settings(os.environ):
        yield Finding(Level.WARNING, "settings", unknown_setting_text(name, similar))
    try:
        settings = settings_for_command(os.environ)
        for text in differences(os.environ, settings):
            yield Finding(Level.WARNING, "settings", text)
        if (other := find_other_catalog(settings)) is not None:
            yield Finding(Level.PROBLEM, "settings", other)
    except HeadwaterError as error:
        yield Finding(Level.PROBLEM, "settings", error.message)
        return
    for finding in check_environment(settings):
        yield finding
    async for finding in check_server(settings):
        yield finding
    try:
        async with open_context(settings, Setup.NOTHING) as ctx:
            async for finding in check_catalog(ctx):
                yield finding
    except CatalogMissingError as error:
        yield Finding(Level.PROBLEM, "catalog", f"{error.message}: {which_catalog(settings)}")
    except HeadwaterError as error:
        subject = "settings" if error.message.startswith("HEADWATER_") else "catalog"
        yield Finding(Level.PROBLEM, subject, text_of(error))
