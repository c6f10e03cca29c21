"""1,000 interruptions of `new_samples` at random points while files arrive: none is lost.

Most are exceptions and broken connections in this process; some dozens are SIGKILLs of a consumer process. The server
is a real one, behind a proxy that breaks connections. Time is simulated by the modification times of files: a window
ends `settle` seconds before now, and each run's window ends ten seconds after that of the previous run, so nothing has
to wait.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3

import swagger_client
from headwater.testing.fault_proxy import CutShort, Fault, FaultProxy, Raw, Reset, Status
from headwater_client import new_samples
from swagger_client.api.datasources_api import DatasourcesApi
from tests.headwater_client import consumer
from tests.headwater_client.conftest import OLD, put
from tests.live import Live

pytestmark = pytest.mark.slow  # 1,000 interruptions

SEEDS = range(32)
EXCEPTIONS = 30
"""Interruptions for each seed."""

KILLS = 40
STEP = 10
"""Seconds between the ends of two windows."""

assert len(SEEDS) * EXCEPTIONS + KILLS == 1000


class Crash(Exception):
    """What interrupts a consumer."""


@dataclass
class World:
    """A folder that files arrive in, and the names that consumers have processed."""

    folder: Path
    random: random.Random
    end: int = OLD
    """Return the last second of the current window, or one or two seconds less."""
    arrived: list[str] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)
    interruptions: Counter[str] = field(default_factory=Counter)

    def arrive(self, seconds: int) -> None:
        """Add a file, at any position in the order of names."""
        name = f"{self.random.choice('abc')}/{self.random.getrandbits(40):010x}.png"
        self.arrived.append(put(self.folder, name, seconds=seconds))

    def tidy(self) -> None:
        """Remove most processed files: many old files only make the server slow."""
        for name in self.noted:
            if self.random.random() < 0.8 and (self.folder / name).exists():
                (self.folder / name).unlink()

    @property
    def settle(self) -> float:
        """Return the settle seconds of the current window. By the server's clock it can be one second less."""
        return time.time() - self.end

    def check(self) -> None:
        lost = sorted(set(self.arrived) - set(self.noted))
        assert lost == [], f"{len(lost)} of {len(self.arrived)} were never processed"
        assert sorted(self.noted) == sorted(self.arrived)


@pytest.fixture(scope="module")
def proxy(live: Live) -> Iterator[FaultProxy]:
    with FaultProxy(live.url) as running:
        yield running


@contextmanager
def client(host: str, token: str) -> Iterator[DatasourcesApi]:
    configuration = swagger_client.Configuration(host=host, api_key={"ApiKeyAuth": token})
    configuration.retries = 0
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasourcesApi(api_client)


def break_a_connection(proxy: FaultProxy, chance: random.Random) -> None:
    """Make the proxy break one of the next requests, before or after the server handles it."""
    broken: list[Fault] = [Reset(chance.randrange(200)), CutShort(chance.randrange(100)), Raw(b""), Status(503)]
    proxy.faults.clear()
    proxy.faults.extend(None for _ in range(chance.randrange(7)))
    proxy.faults.append(chance.choice(broken))


def consume(world: World, api: DatasourcesApi, dataset: str, way: str) -> bool:
    """Run once with this interruption; return whether the run succeeded anyway."""
    chance = world.random
    rows = chance.randrange(25) if way in ("row", "break") else -1
    with new_samples(api, dataset, settle=world.settle, attempts=1) as samples:
        assert samples.end <= world.end
        for number, sample in enumerate(samples):
            if (
                way != "none" and chance.random() < 0.1
            ):  # during the listing, files arrive whose time is one second after the window
                world.arrive(samples.end + 1 + chance.choice((0, 0, 1, 5)))
            if number == rows:
                if way == "break":
                    break
                raise Crash
            world.noted[sample.file_name] += 1
        if way == "end":
            raise Crash
    return samples.moved or samples.end < samples.begin


@pytest.mark.parametrize("seed", SEEDS)
def test_exceptions_and_broken_connections_lose_nothing(
    live: Live, bucket: Path, dataset: str, proxy: FaultProxy, seed: int
) -> None:
    world = World(bucket, random.Random(seed))
    with client(live.url, live.token) as direct, client(proxy.url, live.token) as by_proxy:
        while world.interruptions.total() < EXCEPTIONS:
            for _ in range(world.random.randrange(12)):
                world.arrive(world.end + world.random.randrange(1, STEP + 1))
            world.end += STEP
            for _ in range(world.random.randrange(1, 6)):
                if world.interruptions.total() == EXCEPTIONS:
                    break
                way = world.random.choice(("row", "row", "break", "end", "connection", "connection"))
                if way == "connection":
                    break_a_connection(proxy, world.random)
                try:
                    if consume(world, by_proxy if way == "connection" else direct, dataset, way):
                        world.tidy()
                        break  # it ended before the interruption
                    world.interruptions["break"] += 1
                except Crash:
                    world.interruptions[way] += 1
                except (swagger_client.OpenApiException, urllib3.exceptions.HTTPError):
                    world.interruptions["connection"] += 1
        finish(world, direct, dataset)
    report(world, f"seed {seed}")


def test_kills_lose_nothing(live: Live, bucket: Path, dataset: str, tmp_path: Path) -> None:
    world = World(bucket, random.Random(1000))
    notes = tmp_path / "notes"
    while world.interruptions.total() < KILLS:
        for _ in range(world.random.randrange(30)):
            world.arrive(world.end + world.random.randrange(1, STEP + 1))
        world.end += STEP
        for _ in range(world.random.randrange(1, 4)):
            if world.interruptions.total() == KILLS or not kill_one(world, live, dataset, notes):
                break
    world.noted.update(notes.read_text().splitlines())
    with client(live.url, live.token) as api:
        finish(world, api, dataset)
    report(world, "SIGKILL")


def kill_one(world: World, live: Live, dataset: str, notes: Path) -> bool:
    """Run a consumer and kill it; return False if it ended before."""
    command = [sys.executable, consumer.__file__, live.url, live.token, dataset, str(world.settle), str(notes)]
    path = os.pathsep.join(
        str(Path(module).parents[1]) for module in (swagger_client.__file__, live.__module__) if "/" in module
    )
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, bufsize=0)
    assert process.stdout is not None
    with process.stdout:
        chance = world.random
        for _ in range(chance.choice((1, 2, 2, 2, 2 + chance.randrange(40)))):
            if not process.stdout.readline():
                break
            if chance.random() < 0.2:
                world.arrive(world.end + chance.choice((1, 2, 5)))
        time.sleep(chance.choice((0, 0, 0.001, 0.003, 0.01)))
        process.send_signal(signal.SIGKILL)
    code = process.wait(30)
    assert code in (0, -signal.SIGKILL), "if it ended by itself, then well"
    killed = code != 0
    if killed:
        world.interruptions["SIGKILL"] += 1
    return killed


def finish(world: World, api: DatasourcesApi, dataset: str) -> None:
    """Run once over everything that has arrived, without an interruption."""
    world.end += 3 * STEP
    assert consume(world, api, dataset, "none")
    world.check()


def report(world: World, what: str) -> None:
    repeated = sum(world.noted.values()) - len(world.noted)
    print(f"{what}: {dict(world.interruptions)}; {len(world.arrived)} files, {repeated} processed again")
