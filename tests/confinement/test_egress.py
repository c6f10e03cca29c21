"""No vector of `egress_vectors.py` makes a real server connect to an address that it must not contact.

The server runs in name spaces of its own (`inside.py`): every address leads to a listener that counts connections, and
names resolve to what an attacker likes. A connection that is made late counts for the next vector.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.confinement.egress_vectors import GUARDED, NAMES, NEVER, PUBLIC, VECTORS, Vector
from tests.confinement.inside import FLIP, FLIP_ADDRESSES
from tests.need import missing, need

pytestmark = pytest.mark.slow

ENTER = """
ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo &&
mount --bind "$1/hosts" /etc/hosts && shift && exec "$@"
"""


class Inside:
    """The process in the name spaces, with its server (`inside.py`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._done: dict[tuple[str, str], dict[str, Any]] = {}

    def tried(self, server: str, what: str) -> dict[str, Any]:
        """Try a vector, unless that was done before; return what happened."""
        if (server, what) not in self._done:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps([server, what]) + "\n")
            self._process.stdin.flush()
            self._done[server, what] = json.loads(self._process.stdout.readline())
        return self._done[server, what]


@pytest.fixture(scope="session")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    if os.geteuid() != 0:
        missing("only root may make a network in which all addresses are local")
    need("ip")
    folder = tmp_path_factory.mktemp("egress")
    lines = [f"{address} {name}" for name, addresses in NAMES.items() for address in addresses]
    lines += ["127.0.0.1 localhost", "::1 localhost", f"{FLIP_ADDRESSES[0]} {FLIP}", ""]
    (folder / "hosts").write_text("\n".join(lines))
    command = [sys.executable, "-m", "tests.confinement.inside", str(folder)]
    with subprocess.Popen(
        [need("unshare"), "--net", "--mount", "sh", "-c", ENTER, "sh", str(folder), *command],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Inside(process)
    assert process.returncode == 0


def test_the_table_is_long_and_its_ids_differ() -> None:
    assert len({vector.id for vector in VECTORS}) == len(VECTORS) > 200


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector.id) for vector in VECTORS])
def test_nothing_is_contacted(inside: Inside, vector: Vector) -> None:
    tried = inside.tried("default", vector.id)
    allowed = [PUBLIC] if vector.may_reach_public else []
    assert [address for address, _ in tried["reached"] if address not in allowed] == []
    assert tried["put"] in (200, 400)
    assert tried.get("verify", 200) == 200
    assert tried.get("list", 400) in (200, 400, 503)
    if not allowed and vector.config["type"] != "LOCAL" and tried["put"] == 200:
        assert '"canList":false' in tried["texts"][0]
        assert tried["list"] != 200


@pytest.mark.parametrize("address", NEVER)
def test_no_setting_allows_some_addresses(inside: Inside, address: str) -> None:
    assert inside.tried("open", f"never {address}")["reached"] == []


def test_the_listener_notices_connections(inside: Inside) -> None:
    """With a setting that allows them, the same requests reach the listener at each address that TCP can reach."""
    not_reached = {each for each in GUARDED if not inside.tried("open", f"guarded {each}")["reached"]}
    assert not_reached == set()
    assert inside.tried("default", "name of both")["reached"]


def test_name_that_changes_between_check_and_use_leads_nowhere_else(inside: Inside) -> None:
    """DNS rebinding: the address that was judged is the one that is connected to."""
    tried = inside.tried("default", FLIP)
    assert {address for address, _ in tried["reached"]} == {PUBLIC}
    assert tried["refused"] > 0
