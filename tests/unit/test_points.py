"""Faults strike where their names say, once, and not elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.kit.database import PostgresDatabase, SqliteDatabase
from services.kit.failures import Transient
from tests.support.points import HOW, POINTS, after_commit, after_statement, before_commit, lay

WRITE = "INSERT INTO kit_task"


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in (SqliteDatabase, PostgresDatabase):
        for name in ("execute", "query", "transaction"):
            monkeypatch.setattr(cls, name, getattr(cls, name))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    one = SqliteDatabase(f"sqlite:///{tmp_path / 'points.db'}", "ledger")
    one.execute("CREATE TABLE kit_task (number INTEGER)")
    one.execute("CREATE TABLE other (number INTEGER)")
    yield one
    one.close()


def seen_by_others(database: SqliteDatabase, table: str = "kit_task") -> int:
    with closing(sqlite3.connect(database.path)) as other:
        return int(other.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def write(database: SqliteDatabase, *tables: str) -> None:
    with database.transaction():
        for table in tables:
            database.execute(f"INSERT INTO {table} VALUES (1)")


def test_before_a_commit_all_is_said_and_nothing_is_to_be_seen(database: SqliteDatabase) -> None:
    seen: list[int] = []
    before_commit(WRITE, lambda: seen.append(seen_by_others(database)), 2)
    for tables in (("kit_task",), ("other",), ("kit_task", "other"), ("kit_task",)):
        write(database, *tables)

    # The second transaction with such a statement: of the first there is a row, of itself none.
    assert seen == [1]
    assert seen_by_others(database) == 3


def test_after_a_commit_all_of_it_is_to_be_seen(database: SqliteDatabase) -> None:
    seen: list[int] = []
    after_commit(WRITE, lambda: seen.append(seen_by_others(database)), 2)
    for _ in range(3):
        write(database, "kit_task", "other")

    assert seen == [2]


def test_after_a_statement_comes_before_the_next_one(database: SqliteDatabase) -> None:
    struck: list[int] = []
    after_statement(WRITE, lambda: struck.append(database.query("SELECT count(*) FROM other")[0][0]), 1)
    write(database, "other", "kit_task", "other")

    assert struck == [1]


def test_what_is_refused_before_its_commit_is_rolled_back_and_can_be_done_again(database: SqliteDatabase) -> None:
    lay("refuse-before-claim:1")
    with pytest.raises(Transient):
        write(database, "kit_task")
    write(database, "kit_task")

    assert seen_by_others(database) == 1


def test_no_fault_changes_nothing_and_one_that_does_not_exist_is_no_fault() -> None:
    before = SqliteDatabase.execute
    lay("none")

    assert SqliteDatabase.execute is before
    with pytest.raises(KeyError):
        lay("kill-nowhere:1")
    assert {"kill", "stop", "refuse", "cut"} == HOW.keys()
    assert len(POINTS) > 25
