"""A real PostgreSQL for tests: the one that is named, else a throw-away server from the installed binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from services.embedded.broker import free_ports

VARIABLE = "KOUAN_TEST_POSTGRES_URL"
START_SECONDS = 60
ATTEMPTS = 3
_HOME = "kouan-postgres-"
"""How the folders of servers are called; the number of the process that started it follows."""


class PostgresUnavailable(Exception):
    """No PostgreSQL is named and none can be started; the text says what to do."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL (`postgresql+psycopg://…`) of a server on which tests may create databases."""
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        yield named
        return
    with own_postgres() as server:
        yield server.url


@contextmanager
def own_postgres(folder: Path | None = None) -> Iterator[Server]:
    """A server of the test's own, to be stopped, killed and started again; its data go into `folder`, if given."""
    binaries, user = find_binaries(), _server_user()
    _end_orphans(binaries, user)
    home = Path(tempfile.mkdtemp(prefix=f"{_HOME}{os.getpid()}-"))
    try:
        server = Server(binaries, home, (folder or home) / "data", user)
        server.hand_over(home)
        server.hand_over(folder or home)
        server.create()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)


class Server:
    """One PostgreSQL server: where it is, and how it ends and begins. Its port stays the same."""

    def __init__(self, binaries: Path, home: Path, data: Path, user: str | None) -> None:
        self._binaries = binaries
        self._home = home
        self._data = data
        self._user = user
        self._port = 0

    @property
    def url(self) -> str:
        """`postgresql+psycopg://…` of its database `postgres`."""
        return f"postgresql+psycopg://kouan@127.0.0.1:{self._port}/postgres"

    @property
    def pid(self) -> int | None:
        """The number of its first process; None while it does not run."""
        try:
            number = int((self._data / "postmaster.pid").read_text().split()[0])
            os.kill(number, 0)
        except (OSError, ValueError, IndexError):
            return None
        return number

    def hand_over(self, folder: Path) -> None:
        """Let the user as whom it runs write in a folder."""
        if self._user is not None:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)

    def create(self) -> None:
        """Make its data folder and start it, on a port that nobody has."""
        initdb = [self._binaries / "initdb", "-D", self._data, "-U", "kouan", "-A", "trust", "-E", "UTF8", "--locale=C"]
        done = _run(initdb, self._user, self._home)
        if done.returncode != 0:
            raise PostgresUnavailable(f"initdb 失败 / initdb failed:\n{done.stdout}{done.stderr}")
        for _ in range(ATTEMPTS):
            self._port = free_ports(1)[0]
            if self._begun():
                return
        raise PostgresUnavailable(f"PostgreSQL 未能启动 / PostgreSQL did not start:\n{self.log()}")

    def start(self) -> None:
        """Start it again and wait until it answers."""
        assert self._begun(), self.log()

    def stop(self, mode: str) -> None:
        """End it `fast` (connections are broken off, data written out) or `immediate` (as a crash: recovers later)."""
        _run([self._binaries / "pg_ctl", "-D", self._data, "-m", mode, "-w", "stop"], self._user, self._home)

    def kill(self) -> None:
        """Kill its first process (SIGKILL), and wait until the others, who notice it, are gone as well."""
        first = self.pid
        assert first is not None, self.log()
        group = _children(first)
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + START_SECONDS
        while any(Path(f"/proc/{each}").exists() for each in (first, *group)):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def log(self) -> str:
        """The last lines that it wrote."""
        log = self._home / "server.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-25:]) if log.exists() else ""

    def _begun(self) -> bool:
        # fsync stays on: what the tests say about crashes must hold for the settings that people run.
        options = (
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._home} "
            "-c max_connections=200"
        )
        pg_ctl = [self._binaries / "pg_ctl", "-D", self._data, "-l", self._home / "server.log", "-o", options]
        return _run([*pg_ctl, "-t", str(START_SECONDS), "-w", "start"], self._user, self._home).returncode == 0


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """A new, empty database on that server, dropped afterwards; yields its URL."""
    name = f"kouan_{uuid.uuid4().hex[:16]}"
    base, _, _ = server_url.rpartition("/")
    with psycopg.connect(connection_url(server_url), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield f"{base}/{name}"
    finally:
        with psycopg.connect(connection_url(server_url), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def find_binaries() -> Path:
    """The folder with `initdb` and `pg_ctl`: on the path, or the newest of Debian's versions."""
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise PostgresUnavailable(
        "本机没有 PostgreSQL：请 apt-get install postgresql，或用 KOUAN_TEST_POSTGRES_URL 指定一个服务器。\n"
        "PostgreSQL is not installed: apt-get install postgresql, or name a server in KOUAN_TEST_POSTGRES_URL."
    )


def _candidates() -> Iterator[Path]:
    found = shutil.which("initdb")
    if found is not None:
        yield Path(found).resolve().parent
    versions = [each for each in Path("/usr/lib/postgresql").glob("*") if each.name.isdigit()]
    for version in sorted(versions, key=lambda each: int(each.name), reverse=True):
        yield version / "bin"


def _server_user() -> str | None:
    # PostgreSQL refuses to run as root; the package brings a user of its own.
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise PostgresUnavailable("没有可运行 PostgreSQL 的普通用户 / no unprivileged user to run PostgreSQL as")


def _end_orphans(binaries: Path, user: str | None) -> None:
    """End the servers whose test runs were killed before they could do it themselves, and remove what they wrote."""
    for home in Path(tempfile.gettempdir()).glob(f"{_HOME}*-*"):
        owner = home.name.removeprefix(_HOME).partition("-")[0]
        if owner.isdigit() and not _exists(int(owner)):
            Server(binaries, home, home / "data", user).stop("immediate")
            shutil.rmtree(home, ignore_errors=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _run(command: list[str | Path], user: str | None, folder: Path) -> subprocess.CompletedProcess[str]:
    # The server inherits what pg_ctl holds open, so the output goes to a file: a pipe would never end.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            command,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")


def connection_url(url: str) -> str:
    """The URL of a database as PostgreSQL's own clients take it, without the name of a driver."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def end_connections(url: str) -> int:
    """Let PostgreSQL end all other connections to a database, whatever they are at; returns how many there were."""
    with psycopg.connect(connection_url(url), autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(ended.fetchall())
