"""`headwater secrets rotate` beside running servers, and when it is killed."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import FOLLOW_SECONDS, Keyring
from tests.catalog.values import KEY_TEXT
from tests.cli.commands import run_command
from tests.domain.configs import VALID
from tests.live import Live, command, environ_for, fetch, start
from tests.service.test_backup import make, secrets_in, settings_of

SECRETS = 20_000
"""So many that a command can be killed in the middle."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, Live]]:
    """Two servers on one data folder, with many secrets."""
    folder = tmp_path_factory.mktemp("rotation")
    files = folder / "files"
    files.mkdir()
    for number in range(12):
        (files / f"{number:02}.png").write_bytes(b"x")
    environ = environ_for(folder / "data", local_root=str(files), page_size="2", allowed_endpoints="127.0.0.0/8")
    token = run_command(environ, "token", "create", "--user", "ada")
    running = [start(environ, folder) for _ in range(2)]
    for each in running:
        each.token = token
    _add_secrets(folder / "data")
    yield running[0], running[1]
    for each in running:
        assert each.stop() == 0, each.log.read_text()


def _add_secrets(folder: Path) -> None:
    """Add datasets with a secret each, as fast as possible."""
    keyring = Keyring.load_or_create(folder / "secret.key")
    ids = [f"{number:024x}" for number in range(SECRETS)]
    config = '{"type":"S3","full_path":"s3://b/p","region":"eu-central-1","access_key_id":"k"}'
    database = sqlite3.connect(folder / "headwater.db")
    with database:
        database.executemany(
            "INSERT INTO datasets (id, owner, name, type, creator, every_file, created_at, modified_at) "
            "VALUES (?, 'ada', ?, 'Images', 'UNKNOWN', 0, 1, 1)",
            ((each, f"set {each}") for each in ids),
        )
        database.executemany(
            "INSERT INTO datasources (id, dataset_id, purpose, config, secret) VALUES (?, ?, 'INPUT_OUTPUT', ?, ?)",
            ((each, each, config, keyring.encrypt(f"secret of {each}", each)) for each in ids),
        )
    database.close()


def _keys_in_use(data: Path) -> dict[str, int]:
    database = sqlite3.connect(f"file:{data}/headwater.db?mode=ro", uri=True)
    query = "SELECT substr(secret, 1, instr(secret, ':') - 1), count(*) FROM datasources WHERE secret IS NOT NULL"
    found = dict(database.execute(f"{query} GROUP BY 1").fetchall())
    database.close()
    return found


class Users:
    """Threads that use two servers in turn. A listing goes from one to the other with each page."""

    def __init__(self, servers: tuple[Live, Live]) -> None:
        self.servers = servers
        self.obs = [servers[0].configured({**VALID["OBS"], "fullPath": f"bucket/{number}"}) for number in range(4)]
        self.local = servers[0].configured({"type": "LOCAL", "fullPath": ""})
        self.acknowledged = dict.fromkeys(self.obs, "")
        self.wrong: list[object] = []
        self.answers = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._put, self._get, self._list)]

    def __enter__(self) -> Users:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    def _check(self, status: int, body: bytes) -> None:
        self.answers += 1
        if status != 200:
            self.wrong.append((status, body))

    def _put(self) -> None:
        for number, dataset in enumerate(itertools.cycle(self.obs)):
            if self._stop.is_set():
                return
            server = self.servers[number // 4 % 2]
            changed = {**VALID["OBS"], "fullPath": f"bucket/{self.obs.index(dataset)}", "thumbSuffix": f"{number}"}
            answer = server.call("PUT", server.datasource(dataset), {**changed, "obsSecretAccessKey": "********"})
            self._check(answer.status, answer.body)
            self.acknowledged[dataset] = f"{number}"

    def _get(self) -> None:
        while not self._stop.is_set():
            for server in self.servers:
                answer = server.call("GET", server.datasource(f"{os.getpid() * 7919 % SECRETS:024x}"))
                self._check(answer.status, answer.body)

    def _list(self) -> None:
        while not self._stop.is_set():
            query: dict[str, str] = {}
            for server in itertools.cycle(self.servers):
                answer = server.call("GET", server.datasource(self.local, "list"), query=query)
                self._check(answer.status, answer.body)
                if answer.status != 200:
                    break
                for row in answer.json["data"]:
                    url = row["readUrl"].replace(self.servers[0].url, server.url)
                    read = fetch(url.replace(self.servers[1].url, server.url))
                    self._check(read.status, read.body)
                if not answer.json["hasMore"]:
                    break
                query = {"cursor": answer.json["cursor"]}


@pytest.mark.slow
def test_key_is_rotated_while_servers_are_used(servers: tuple[Live, Live]) -> None:
    """Killed in the middle, run again, and then forgetting the old keys; users notice nothing but the last."""
    server, other = servers
    data = Path(server.environ["HEADWATER_DATA_DIR"])
    (old,) = _keys_in_use(data)
    first = next(iter(server.pages(dataset := server.configured({"type": "LOCAL", "fullPath": ""}))))
    with Users(servers) as users:
        _kill_in_the_middle(server.environ, data)
        in_between = _keys_in_use(data)
        assert len(in_between) == 2, "it was not killed in the middle"
        done = json.loads(server.headwater("secrets", "rotate", "--json"))
        assert (done["isNew"], done["failed"]) == (False, [])
        assert done["others"] == [old]
        assert list(_keys_in_use(data)) == [done["key"]]
        for each in servers:  # what was handed out before
            answer = each.call("GET", each.datasource(dataset, "list"), query={"cursor": first["cursor"]})
            assert answer.status == 200
        assert fetch(first["data"][0]["readUrl"]).status == 200
        time.sleep(FOLLOW_SECONDS)
    assert users.wrong == []
    assert users.answers > 50

    forgotten = json.loads(server.headwater("secrets", "rotate", "--forget-old", "--json"))
    assert forgotten["isNew"]
    assert forgotten["forgotten"] == [done["key"], old]
    time.sleep(FOLLOW_SECONDS + 0.5)
    with Users(servers) as again:
        for each in servers:
            answer = each.call("GET", each.datasource(dataset, "list"), query={"cursor": first["cursor"]})
            assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
        assert fetch(first["data"][0]["readUrl"]).status == 403
    assert again.wrong == []
    for each in (server, other):
        for user in (users, again):
            for obs, suffix in user.acknowledged.items():
                assert each.call("GET", each.datasource(obs)).json.get("thumbSuffix", "") == suffix
        assert each.log.read_text().count('"keys_changed"') >= 2
    asyncio.run(_check_secrets(data))


def _kill_in_the_middle(environ: dict[str, str], data: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "headwater", "secrets", "rotate"], env=environ)
    while len(_keys_in_use(data)) < 2:
        assert process.poll() is None, "it was done too early"
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL


async def _check_secrets(data: Path) -> None:
    catalog = await Catalog.open(f"sqlite:///{data}/headwater.db", Keyring.load_or_create(data / "secret.key"))
    for number in range(0, SECRETS, 997):
        dataset_id = f"{number:024x}"
        assert (await catalog.datasources.list(dataset_id))[0].config.secret == f"secret of {dataset_id}"
    await catalog.close()


def test_key_in_a_setting_is_rotated_in_steps_that_the_command_says(tmp_path: Path) -> None:
    environ = environ_for(tmp_path / "data", secret_key=KEY_TEXT)
    settings = settings_of(tmp_path / "data", secret_key=KEY_TEXT)
    make(settings)
    steps = run_command(environ, "secrets", "rotate", code=1)
    assert "HEADWATER_SECRET_KEY" in steps
    assert "OLD,NEW" in steps
    assert KEY_TEXT not in steps
    new = run_command(environ, "secrets", "new-key")
    make(settings_of(tmp_path / "data", secret_key=f"{KEY_TEXT},{new}"), "dogs")
    assert list(_keys_in_use(tmp_path / "data")) == ["test"]
    done = command({**environ, "HEADWATER_SECRET_KEY": f"{new},{KEY_TEXT}"}, "secrets", "rotate")
    assert done.returncode == 0
    assert "encrypted 2 secrets again" in done.stderr
    assert secrets_in(settings_of(tmp_path / "data", secret_key=new)) == {"cats": "of cats", "dogs": "of dogs"}


def test_secret_that_no_key_decrypts_is_named_and_the_old_key_kept(tmp_path: Path) -> None:
    """Without the old key, no server would start any more: it is named in the secret."""
    settings = settings_of(tmp_path / "data")
    altered = make(settings)
    make(settings, "dogs")
    (old,) = Keyring.load_or_create(tmp_path / "data/secret.key").ids
    database = sqlite3.connect(tmp_path / "data/headwater.db", isolation_level=None)
    database.execute("UPDATE datasources SET secret = ? WHERE dataset_id = ?", (f"{old}:AAAA", altered))
    database.close()
    assert altered in run_command(environ_for(tmp_path / "data"), "secrets", "rotate", "--forget-old", code=1)
    assert old in Keyring.load_or_create(tmp_path / "data/secret.key").ids
    assert len(_keys_in_use(tmp_path / "data")) == 2
