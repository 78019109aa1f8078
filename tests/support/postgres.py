"""A real PostgreSQL for tests: the one that is named, else a throw-away server from the installed binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from services.embedded.broker import free_ports

VARIABLE = "KOUAN_TEST_POSTGRES_URL"
START_SECONDS = 60
ATTEMPTS = 3


class PostgresUnavailable(Exception):
    """No PostgreSQL is named and none can be started; the text says what to do."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL (`postgresql+psycopg://…`) of a server on which tests may create databases."""
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        yield named
        return
    binaries = find_binaries()
    user = _server_user()
    folder = Path(tempfile.mkdtemp(prefix="kouan-postgres-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        port = _start(binaries, folder, user)
        try:
            yield f"postgresql+psycopg://kouan@127.0.0.1:{port}/postgres"
        finally:
            _run([binaries / "pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop"], user, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """A new, empty database on that server, dropped afterwards; yields its URL."""
    name = f"kouan_{uuid.uuid4().hex[:16]}"
    base, _, _ = server_url.rpartition("/")
    with psycopg.connect(_plain(server_url), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield f"{base}/{name}"
    finally:
        with psycopg.connect(_plain(server_url), autocommit=True) as connection:
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


def _start(binaries: Path, folder: Path, user: str | None) -> int:
    data, log = folder / "data", folder / "server.log"
    initdb = [binaries / "initdb", "-D", data, "-U", "kouan", "-A", "trust", "-E", "UTF8", "--locale=C"]
    done = _run(initdb, user, folder)
    if done.returncode != 0:
        raise PostgresUnavailable(f"initdb 失败 / initdb failed:\n{done.stdout}{done.stderr}")
    for _ in range(ATTEMPTS):
        port = free_ports(1)[0]
        # fsync stays on: what the tests say about crashes must hold for the settings that people run.
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c max_connections=200"
        command = [binaries / "pg_ctl", "-D", data, "-l", log, "-o", options, "-t", str(START_SECONDS), "-w", "start"]
        if _run(command, user, folder).returncode == 0:
            return port
    end = "\n".join(log.read_text(errors="replace").splitlines()[-25:]) if log.exists() else ""
    raise PostgresUnavailable(f"PostgreSQL 未能启动 / PostgreSQL did not start:\n{end}")


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


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
