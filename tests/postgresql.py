"""PostgreSQL as operators run it: servers that can be killed, standbys that take over, and PgBouncer in front."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.need import missing, need
from tests.servers import free_port, serving, stopped

START_SECONDS = 30.0

PASSWORD = "p%a/s#s?w@o:rd"
"""The password of the user `secured` of a `PostgresServer`."""

_USER = "pgserver"
"""The user of this machine that runs the servers if the tests run as root: neither program runs as root."""


class PostgresServer:
    """A PostgreSQL server on loopback that the test starts, stops and kills. Only `secured` has to give a password.

    Args:
        folder: its data folder, which does not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._standbys: list[PostgresServer] = []
        self.port = free_port()

    def create(self) -> None:
        """Create and start the server."""
        self._folder.mkdir(mode=0o700)
        self._run("initdb", "-D", str(self._folder), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=utf8")
        rules = self._folder / "pg_hba.conf"
        rules.write_text(f"host all secured all scram-sha-256\n{rules.read_text()}")
        self.start()
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE USER secured PASSWORD '{PASSWORD}'")

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://postgres@{self.address}/{database}"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        # The servers of this module hold nothing that must survive the machine.
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "port": self.port}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = (self._folder.parent / f"{self._folder.name}.log").open("ab")
        with log:
            program = str(_programs() / "postgres")
            command = [*_as_user(), program, "-D", str(self._folder), *arguments]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline, Path(log.name).read_text()
                time.sleep(0.05)

    def end(self, number: int = signal.SIGINT) -> None:
        """Stop the server: with SIGINT it disconnects everybody, with SIGQUIT it crashes."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_SECONDS)
            self._process = None

    @contextmanager
    def session(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """Yield a session of an operator, in which every statement is a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            yield connection

    @contextmanager
    def read_only(self, after: str) -> Iterator[None]:
        """Let sessions only read, those that are open included.

        Args:
            after: a statement that is executed first.
        """
        with self.session() as operator:
            operator.execute(after)

            def let_only_read(value: str) -> None:
                operator.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
                operator.execute("SELECT pg_reload_conf()")
                with psycopg.connect(self.url(), autocommit=True) as other:
                    while other.execute("SHOW default_transaction_read_only").fetchone() != (value,):
                        time.sleep(0.01)

            let_only_read("on")
            try:
                yield
            finally:
                let_only_read("off")

    def disconnect(self, database: str) -> None:
        """End all sessions in a database."""
        with self.session() as operator:
            query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
            assert operator.execute(query, [database]).fetchall()

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Stop all its processes in the middle of what they do: connections stay open, and nothing answers."""
        assert self._process is not None
        with stopped(self._process.pid):
            yield

    def create_standby(self) -> PostgresServer:
        """Create and start a server that follows this one and can only be read. It ends with this one."""
        folder = self._folder.with_name(f"standby-{len(self._standbys)}")
        folder.mkdir(mode=0o700)
        standby = PostgresServer(folder)
        self._standbys.append(standby)
        standby._run("pg_basebackup", "-D", str(folder), "-d", self.url(), "-R", "--checkpoint=fast", "--no-sync")
        standby.start()
        return standby

    def wait_for(self, standby: PostgresServer) -> None:
        """Wait until a standby has everything that this server has written."""
        with psycopg.connect(self.url()) as connection, psycopg.connect(standby.url(), autocommit=True) as follower:
            ((written,),) = connection.execute("SELECT pg_current_wal_lsn()::text").fetchall()
            deadline = time.monotonic() + START_SECONDS
            while follower.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [written]).fetchone() != (True,):
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def promote(self) -> None:
        """Make this standby the primary."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)

    def end_all(self) -> None:
        """Stop this server and its standbys."""
        for server in (self, *self._standbys):
            server.end(signal.SIGQUIT)

    def _run(self, program: str, *arguments: str) -> None:
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER)
        command = [*_as_user(), str(_programs() / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _as_user() -> Sequence[str]:
    """Return what runs a command as a user that may run PostgreSQL."""
    return [need("setpriv"), "--reuid", _USER, "--clear-groups"] if os.geteuid() == 0 else []


def _programs() -> Path:
    """Return the folder with PostgreSQL's programs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pgserver warns if XDG_RUNTIME_DIR is not set
        try:
            from pgserver import postgres_server, utils
        except Exception as error:  # anything can keep it from running here
            missing(f"PostgreSQL does not start on this machine: {error!r}")
    if os.geteuid() == 0:
        utils.ensure_user_exists(_USER)
        utils.ensure_prefix_permissions(postgres_server.POSTGRES_BIN_PATH)
    return Path(postgres_server.POSTGRES_BIN_PATH)


@contextmanager
def own_postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server that the test may do anything with."""
    with tempfile.TemporaryDirectory(prefix="headwater-pg-") as folder:
        Path(folder).chmod(0o755)  # for the user of the server
        server = PostgresServer(Path(folder, "primary"))
        try:
            server.create()
            yield server
        finally:
            server.end_all()


@contextmanager
def pooler(url: str, pool_mode: str = "transaction", **settings: object) -> Iterator[str]:
    """Run PgBouncer in front of a database with two connections; yield the URL of the database behind it.

    Args:
        url: the URL of the database.
        pool_mode: for how long a client keeps a connection to the server.
        settings: more settings of PgBouncer.
    """
    program = need("pgbouncer")
    server = psycopg.conninfo.conninfo_to_dict(url)
    with tempfile.TemporaryDirectory() as folder:

        def command(port: int) -> Sequence[str]:
            given = {
                "listen_addr": "127.0.0.1",
                "listen_port": port,
                "unix_socket_dir": "",
                "auth_type": "any",
                "pool_mode": pool_mode,
                "default_pool_size": 2,
                **settings,
            }
            target = f"* = host={server['host']} port={server.get('port', 5432)} user=postgres"
            lines = ["[databases]", target, "[pgbouncer]", *(f"{name} = {value}" for name, value in given.items())]
            file = Path(folder, "pgbouncer.ini")
            file.write_text("\n".join(lines))
            Path(folder).chmod(0o755)
            return [program, *(("-u", _USER) if os.geteuid() == 0 else ()), str(file)]

        with serving(command) as port:
            yield f"postgresql://postgres@127.0.0.1:{port}/{server['dbname']}"
