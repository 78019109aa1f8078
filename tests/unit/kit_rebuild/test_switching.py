"""Putting a rebuilt database in the place of the one in use, and being killed at any moment of it."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.engine import create_engine

from services.kit import sides as sides_module
from services.kit.database import Database, PostgresDatabase, SqliteDatabase, open_database
from services.kit.migrate import migrate
from services.kit.sides import TAKEN_OVER, Running, Sides, sides_of
from services.kit.store import table_of
from services.kit.tables import Claim, DeadlineRow, EffectRow
from services.registry import SERVICES
from services.registry import build as build_service
from tests.support.ledger import build

OLD, NEW = 37, 36
"""The balance by which the databases are told apart."""

SERVICE = build("ledger")
OLD_ROWS = (
    "INSERT INTO ledger_account (key, version, name, balance, entries, letters, closed) "
    f"VALUES ('a1', 9, 'n', {OLD}, 1, 0, false)",
    "INSERT INTO kit_task VALUES ('account', 2, 5)",
    "INSERT INTO kit_position VALUES ('ledger.entries', 2, 480, 'topic-id')",
    "INSERT INTO kit_inbox VALUES ('//bank/exim', 'e1', 77, 1), ('//bank/exim', 'e2', 78, 2)",
    "INSERT INTO kit_outbox (aggregate, partition, topic, target, records) VALUES ('account', 2, 'ledger.events', 2, "
    "'batch one'), ('account', 2, 'ledger.events', 2, 'batch two')",
    "INSERT INTO kit_parked VALUES ('ledger.entries', 2, 479, 'account', 'a7', 1700, 'no account', 'record')",
    "INSERT INTO kit_effect VALUES ('account', 'letter', 'a1-1', 2, 'a1', 'id', '{}', 'a1', 'trace', 1, 4, 99)",
)
NEW_ROWS = (
    "INSERT INTO ledger_account (key, version, name, balance, entries, letters, closed) "
    f"VALUES ('a1', 1, 'n', {NEW}, 1, 0, false)",
    "INSERT INTO kit_effect VALUES ('account', 'letter', 'a1-1', 2, 'a1', 'id', '{}', 'a1', 'trace', 1, 0, 0)",
)
TAKEN = "kit_position", "kit_inbox", "kit_parked", "kit_outbox"

Cut = Callable[[Callable[[], None]], None]
"""Lays a blow at a moment of the switch."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database in use, of a ledger that stands still."""
    if request.param == "postgresql":
        name = str(request.getfixturevalue("postgres_database"))
    else:
        name = f"sqlite:///{tmp_path}/ledger.db"
    migrate(name, "ledger", SERVICE.migrations)
    with opened(name) as database:
        for sql in OLD_ROWS:
            database.execute(sql)
    return name


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """The database that the service would open now."""
    database = open_database(url, "ledger")
    try:
        yield database
    finally:
        database.close()


def made(url: str) -> Sides:
    """A rebuilt database beside the one in use, to be switched to."""
    sides = sides_of(url, SERVICE)
    if sides.database.dialect == "sqlite":
        sides.must_stand_still("")
    sides.switching = True
    sides.make()
    for sql in NEW_ROWS:
        sides.database.execute(sql)
    return sides


def switched(url: str) -> str:
    sides = made(url)
    try:
        sides.open()
        sides.take_over()
        return sides.switch()
    finally:
        sides.database.close()
        sides.release()


def balance(url: str) -> int:
    with opened(url) as database:
        ((found,),) = database.query("SELECT balance FROM ledger_account")
        return int(found)


def test_what_no_topic_tells_is_taken_over_and_older_owners_are_shut_out(url: str) -> None:
    with opened(url) as database:
        before = {name: database.query(f"SELECT * FROM {name}") for name in TAKEN}
    switched(url)
    assert balance(url) == NEW
    with opened(url) as database:
        assert {name: database.query(f"SELECT * FROM {name}") for name in TAKEN} == before
        assert database.query("SELECT epoch FROM kit_task") == [(6,)]
        assert database.query("SELECT attempts, next_ms FROM kit_effect") == [(4, 99)]
        # What goes into the outbox next comes behind what was taken over.
        assert database.query(
            "INSERT INTO kit_outbox (aggregate, partition, topic, target, records) "
            "VALUES ('account', 2, 'ledger.events', 2, 'batch three') RETURNING seq"
        ) == [(3,)]


def test_the_replaced_database_is_kept_whole(url: str, tmp_path: Path) -> None:
    kept = switched(url)
    if url.startswith("sqlite"):
        assert balance(f"sqlite:///{kept}") == OLD
        assert {one.name for one in tmp_path.glob("ledger*.db*")} == {"ledger.db", Path(kept).name}
        return
    other = PostgresDatabase(url, kept.removeprefix("PostgreSQL schema "))
    assert other.query("SELECT balance FROM ledger_account") == [(OLD,)]
    other.close()


def test_one_switch_can_follow_another(url: str) -> None:
    first = switched(url)
    with opened(url) as database:
        database.execute(f"UPDATE ledger_account SET balance = {OLD}")
    assert switched(url) != first
    assert balance(url) == NEW


# Killed at any moment


def at_statement(beginning: str) -> Cut:
    """Before a statement."""

    def lay(blow: Callable[[], None]) -> None:
        def struck(whole: Callable[..., Any]) -> Callable[..., Any]:
            def one(self: Any, sql: str, parameters: Any = ()) -> Any:
                if sql.startswith(beginning):
                    blow()
                return whole(self, sql, parameters)

            return one

        for cls in (SqliteDatabase, PostgresDatabase):
            for name in ("execute", "query"):
                setattr(cls, name, struck(getattr(cls, name)))

    return lay


def around(owner: Any, name: str, *, after: bool) -> Cut:
    """Before or after a call."""

    def lay(blow: Callable[[], None]) -> None:
        whole = getattr(owner, name)

        def one(*arguments: Any) -> Any:
            answer = whole(*arguments) if after else None
            blow()
            return answer

        setattr(owner, name, one)

    return lay


SQLITE = [
    pytest.param(at_statement('UPDATE "main".kit_task'), OLD, id="while tables are taken over"),
    pytest.param(at_statement("COMMIT"), OLD, id="before the commit"),
    pytest.param(at_statement("PRAGMA quick_check"), OLD, id="after the commit"),
    pytest.param(around(sides_module, "_flush", after=True), OLD, id="when the new file is whole"),
    pytest.param(around(os, "link", after=False), OLD, id="before the old file has its second name"),
    pytest.param(around(os, "link", after=True), OLD, id="when the old file has two names"),
    pytest.param(around(os, "replace", after=False), OLD, id="before the name changes hands"),
    pytest.param(around(os, "replace", after=True), NEW, id="after the name changed hands"),
]
POSTGRES = [
    pytest.param(at_statement('UPDATE "ledger_rebuilt".kit_task'), OLD, id="while tables are taken over"),
    pytest.param(at_statement('ALTER SCHEMA "ledger" '), OLD, id="before the old schema is renamed"),
    pytest.param(at_statement('ALTER SCHEMA "ledger_rebuilt"'), OLD, id="between the two names"),
    pytest.param(at_statement("COMMIT"), OLD, id="before the commit"),
    pytest.param(around(sides_module.PostgresSides, "done", after=True), NEW, id="after the commit"),
]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("cut", "left"), SQLITE)
def test_a_switch_of_files_that_is_killed_leaves_one_of_both_in_use_and_can_be_done_again(
    url: str, cut: Cut, left: int
) -> None:
    _killed_and_done_again(url, cut, left)


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("cut", "left"), POSTGRES)
def test_a_switch_of_schemas_that_is_killed_leaves_one_of_both_in_use_and_can_be_done_again(
    url: str, cut: Cut, left: int
) -> None:
    _killed_and_done_again(url, cut, left)


def _killed_and_done_again(url: str, cut: Cut, left: int) -> None:
    child = os.fork()
    if not child:
        cut(lambda: os.kill(os.getpid(), signal.SIGKILL))
        switched(url)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "it was not killed where it should have been"
    assert balance(url) == left
    with opened(url) as database:
        assert len(database.query("SELECT * FROM kit_inbox")) == 2
        assert database.query("SELECT epoch FROM kit_task") == [(5 if left == OLD else 6,)]
    kept = switched(url)
    assert balance(url) == NEW
    if url.startswith("sqlite"):
        names = [one for one in Path(kept).parent.glob("ledger.*db") if one.samefile(kept)]
        assert names == [Path(kept)]


# Kept from it


@pytest.fixture
def file(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/ledger.db"
    migrate(url, "ledger", SERVICE.migrations)
    with opened(url) as database:
        for sql in OLD_ROWS:
            database.execute(sql)
    return url


def test_a_worker_on_the_file_is_not_robbed_of_it(file: str) -> None:
    worker = SqliteDatabase(file, "ledger")
    worker.lock()
    with pytest.raises(Running, match="another worker of ledger"):
        switched(file)
    worker.close()
    switched(file)
    assert balance(file) == NEW


def test_a_file_that_somebody_reads_stays_in_use(file: str) -> None:
    with closing(sqlite3.connect(file.removeprefix("sqlite:///"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM kit_inbox").fetchall()
        with pytest.raises(Running, match="open elsewhere"):
            switched(file)
    assert balance(file) == OLD


def test_the_lock_of_the_worker_is_free_again_after_a_switch(file: str, tmp_path: Path) -> None:
    switched(file)
    with (tmp_path / "ledger.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("name", SERVICES)
def test_every_table_of_a_service_is_rebuilt_or_taken_over(name: str, tmp_path: Path) -> None:
    service = build_service(name)
    url = f"sqlite:///{tmp_path}/{name}.db"
    migrate(url, name, service.migrations)
    engine = create_engine(url)
    tables = set(inspect(engine).get_table_names())
    engine.dispose()
    rebuilt = {table_of(one.table).name for one in service.aggregates}
    rebuilt |= {table_of(cls).name for cls in (DeadlineRow, Claim, EffectRow)}
    assert tables - {"alembic_version"} == rebuilt | {table.name for table in TAKEN_OVER}
