"""PostgreSQL is restarted, crashes and runs out of disk under load; two workers wait and go on where they stood."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.support.disk import Disk, small_disk
from tests.support.history import Watch
from tests.support.ledger.load import load
from tests.support.ledger.running import running_ledger
from tests.support.ledger.surviving import must_hold_no_more, started
from tests.support.postgres import Server, connection_url, fresh_database, own_postgres

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.thorough, pytest.mark.timeout(600)]

SECONDS = 12
"""How long the load takes; faults strike within it."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_postgres() as one:
        yield one


@contextmanager
def two_workers_under_load(kafka: str, folder: Path, database_url: str, dice: random.Random) -> Iterator[None]:
    """A ledger with two workers and its load; when that is over, they must be the same two, and all must be right."""
    with running_ledger(kafka, folder, database_url) as ledger, Watch(ledger.history.database) as watch:
        workers = [started(ledger, label) for label in "ab"]
        assert watch.laid.wait(10)
        with load(ledger, dice, SECONDS):
            yield
        ledger.must_be_right(90)
        for worker, before in workers:
            must_hold_no_more(worker, before)
            assert "waiting for" in worker.log.read_text()
        assert watch.fell == []


@pytest.mark.parametrize(
    "end",
    [lambda server: server.stop("fast"), lambda server: server.stop("immediate"), Server.kill],
    ids=["stopped", "stopped without writing out", "killed"],
)
def test_postgresql_ends_twice_and_comes_back(
    kafka: str, tmp_path: Path, server: Server, dice: random.Random, end: Callable[[Server], None]
) -> None:
    with (
        fresh_database(server.url) as database,
        two_workers_under_load(kafka, tmp_path, database, dice),
    ):
        for _ in range(2):
            time.sleep(dice.uniform(1, 3))
            end(server)
            time.sleep(dice.uniform(0, 2))
            server.start()


def test_a_tablespace_of_postgresql_is_full_for_a_while(
    kafka: str, tmp_path: Path, server: Server, dice: random.Random
) -> None:
    """Statements are refused; the server itself goes on."""
    with (
        small_disk(48) as disk,
        database_on(server, disk) as database,
        two_workers_under_load(kafka, tmp_path, database, dice),
    ):
        time.sleep(dice.uniform(1, 2))
        disk.fill()
        time.sleep(4)
        disk.free()


def test_the_disk_of_postgresql_is_full_until_it_gives_up(kafka: str, tmp_path: Path, dice: random.Random) -> None:
    """Without room for its log the whole server ends, and is started by hand when there is room again."""
    with (
        small_disk(160) as disk,
        own_postgres(disk.folder) as server,
        fresh_database(server.url) as database,
        two_workers_under_load(kafka, tmp_path, database, dice),
    ):
        time.sleep(dice.uniform(1, 2))
        disk.fill()
        use_up_the_log(server)
        time.sleep(2)
        disk.free()
        if server.pid is None:
            server.start()


@contextmanager
def database_on(server: Server, disk: Disk) -> Iterator[str]:
    """A database of which all tables lie on a disk."""
    plain = connection_url(server.url)
    server.hand_over(disk.folder)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk.folder}'".encode())
        connection.execute("CREATE DATABASE on_a_small_disk TABLESPACE small")
    try:
        yield f"{server.url.rpartition('/')[0]}/on_a_small_disk"
    finally:
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("DROP DATABASE on_a_small_disk WITH (FORCE)")
            connection.execute("DROP TABLESPACE small")


def use_up_the_log(server: Server) -> None:
    """Write until the server's log has used what it keeps in reserve, and the server breaks its connections off."""
    plain = connection_url(server.url)
    deadline = time.monotonic() + 60
    with psycopg.connect(plain, autocommit=True) as connection:
        while not connection.closed:
            assert time.monotonic() < deadline, server.log()
            with suppress(psycopg.Error):
                # A message in the log takes no table to grow.
                connection.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000))")
