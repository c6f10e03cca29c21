"""`headwater watermark`, run as a user runs it."""

from __future__ import annotations

import json

import pytest

from tests.cli.commands import LOCAL, make_dataset, run_command


@pytest.mark.slow
def test_watermark_is_set_and_printed(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    assert "no datasource" in run_command(environ, "watermark", "set", dataset, "5", code=3)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    run_command(environ, "watermark", "set", dataset, "2020-01-01T00:00:00Z")
    assert run_command(environ, "watermark", "get", dataset) == "1577836800"
    assert json.loads(run_command(environ, "watermark", "get", dataset, "--json")) == {
        "processedUntilTimestamp": 1577836800
    }
    for wrong in ("tomorrow", "1577836800000", "-5"):
        run_command(environ, "watermark", "set", dataset, "--", wrong, code=2)
    assert run_command(environ, "watermark", "get", dataset) == "1577836800"
