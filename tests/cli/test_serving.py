"""`headwater serve`: what keeps it from starting, and what it prints at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import run_command
from tests.live import Live, environ_for, running

pytestmark = pytest.mark.slow  # each test starts several processes


def test_serve_refuses_a_password_in_an_argument(tmp_path: Path) -> None:
    out = run_command(environ_for(tmp_path), "serve", "--database-url", "postgresql://u:hidden@h/d", code=6)
    assert "HEADWATER_DATABASE_URL" in out
    assert "hidden" not in out
    out = run_command(
        environ_for(tmp_path), "serve", "--database-url", "postgresql://h/d?user=u&password=hidden", code=6
    )
    assert "hidden" not in out


def test_serve_names_the_setting_of_a_port_in_use(live: Live, tmp_path: Path) -> None:
    out = run_command(environ_for(tmp_path, port=live.url.rsplit(":", 1)[1]), "serve", code=6)
    assert "HEADWATER_PORT" in out


def test_serve_explains_how_to_create_the_first_token(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        assert live.process.stdout is not None
        live.process.stdout.readline()
        line = live.process.stdout.readline()
        assert "token create --user" in line
        assert f"HEADWATER_DATA_DIR={tmp_path / 'data'} " in line
    with running(tmp_path) as live:
        pass
