"""`headwater --help` is fast: this test limits what it imports; `make bench` measures how long it takes."""

from __future__ import annotations

import subprocess
import sys

SLOW: tuple[str, ...] = (
    "sqlalchemy",
    "alembic",
    "fastapi",
    "starlette",
    "uvicorn",
    "httpcore",
    "cryptography",
    "jwt",
    "pydantic",
)
SLOW += ("structlog", "yaml", "msgspec", "swagger_client", "asyncio", "platformdirs", "rich.console")


def test_help_imports_no_slow_module() -> None:
    script = (
        "import sys\nsys.argv = ['headwater', '--help']\nfrom headwater.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\nprint(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "headwater.cli.datasource" in loaded
    assert loaded & set(SLOW) == set()
