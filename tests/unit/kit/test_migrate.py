"""A migration that is cut short leaves nothing behind that would keep the next one from being made."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from services.kit.database import SqliteDatabase
from services.kit.failures import Transient
from services.kit.migrate import migrate

MIGRATIONS = "tests.support.ledger.migrations"


class CutShort(Exception):
    """What happens in the middle of a migration."""


@contextmanager
def before_each_statement(do: Any) -> Iterator[None]:
    def listen(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        do(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", listen)


def statements_of(url: str) -> list[str]:
    seen: list[str] = []
    with before_each_statement(seen.append):
        migrate(url, "ledger", MIGRATIONS)
    return [one for one in seen if "CREATE" in one or "INSERT" in one]


def cut_short(url: str, at: str) -> None:
    def strike(statement: str) -> None:
        if statement == at:
            raise CutShort

    with before_each_statement(strike), pytest.raises(CutShort):
        migrate(url, "ledger", MIGRATIONS)


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_on_sqlite_a_migration_that_was_cut_short_anywhere_is_made_from_its_beginning(tmp_path: Path) -> None:
    statements = statements_of(f"sqlite:///{tmp_path / 'whole.db'}")
    whole = tables_of(tmp_path / "whole.db")
    path = tmp_path / "cut.db"
    for statement in statements:
        cut_short(f"sqlite:///{path}", statement)
        assert tables_of(path) == set(), statement
    migrate(f"sqlite:///{path}", "ledger", MIGRATIONS)

    assert len(statements) > 10
    assert tables_of(path) == whole


def test_a_database_that_time_does_not_mend_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE kit_task (anything TEXT)")

    with pytest.raises(Exception, match="already exists") as raised:
        migrate(f"sqlite:///{path}", "ledger", MIGRATIONS)
    assert not isinstance(raised.value, Transient)


def test_a_database_that_another_process_is_writing_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient):
            migrate(f"sqlite:///{path}?timeout=0.1", "ledger", MIGRATIONS)


def test_a_second_worker_on_a_sqlite_file_is_refused_before_it_migrates(tmp_path: Path) -> None:
    first = SqliteDatabase(f"sqlite:///{tmp_path / 'ledger.db'}", "ledger")
    first.lock()
    try:
        second = subprocess.run(
            [sys.executable, "-m", "tests.support.ledger.worker"],
            env={**os.environ, "KOUAN_DATA_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        first.close()

    assert second.returncode != 0
    assert "SQLite serves one worker" in second.stderr
    assert not first.path.exists()
