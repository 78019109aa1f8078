"""What was sent, what the topics and the database hold now, and whether the two fit.

What a publisher was told is compared with what came of it. Databases are read with their own drivers; `judge` decides.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.support.judge import Evidence, Judge
from tests.support.postgres import connection_url
from tests.support.records import Publisher, Topics


class Database:
    """Looks into the database of a service, whichever of the two it is; writes nothing but what `Watch` lays."""

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        self._schema = schema

    @property
    def dialect(self) -> str:
        return "sqlite" if self._url.startswith("sqlite:///") else "postgresql"

    def lay(self, statements: Iterable[str]) -> bool:
        """Run statements in one transaction; False where the file is not made yet."""
        if self.dialect == "postgresql":
            connection = self.connect()
            assert isinstance(connection, psycopg.Connection)
            with closing(connection), connection.transaction():
                for statement in statements:
                    connection.execute(statement)
            return True
        path = Path(self._url.removeprefix("sqlite:///"))
        if not path.exists():
            return False
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            for statement in statements:
                writer.execute(statement)
            writer.execute("COMMIT")
        return True

    def connect(self) -> sqlite3.Connection | psycopg.Connection[tuple[Any, ...]] | None:
        """A connection that only reads; None where the file is not made yet."""
        if self._url.startswith("sqlite:///"):
            path = Path(self._url.removeprefix("sqlite:///"))
            if not path.exists():
                return None
            return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        url = connection_url(self._url)
        return psycopg.connect(url, autocommit=True, options=f"-c search_path={self._schema}")

    def query(
        self, sql: str, connection: sqlite3.Connection | psycopg.Connection[tuple[Any, ...]] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of a query, on a connection that is given or on one of its own; none before the tables are made."""
        if connection is None:
            connection = self.connect()
            if connection is None:
                return []
            with closing(connection):
                return self.query(sql, connection)
        try:
            return connection.execute(sql).fetchall()  # type: ignore[call-overload]
        except psycopg.errors.UndefinedTable:
            return []
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise

    def count(self, table: str) -> int:
        rows = self.query(f"SELECT count(*) FROM {table}")
        return int(rows[0][0]) if rows else 0

    def positions(self) -> dict[tuple[str, int], int]:
        """The next offset to apply, by topic and partition."""
        return {
            (row[0], row[1]): row[2] for row in self.query("SELECT topic, partition, next_offset FROM kit_position")
        }


_WATCHED = {"kit_position": ("topic", "next_offset"), "kit_task": ("aggregate", "epoch")}
"""What may only grow: table, what a row is called beside its partition, value."""


class Watch:
    """Lets the database itself note whenever a stored position or epoch falls, however shortly it stays so.

    Triggers are laid as soon as the service has made its tables; `fell` tells what they noted.
    """

    def __init__(self, database: Database, every: float = 0.05) -> None:
        self._database = database
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._lay, daemon=True)
        self.laid = threading.Event()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    @property
    def fell(self) -> list[str]:
        """One sentence for each time that something fell; raises where nothing was watched."""
        assert self.laid.is_set(), "the tables to be watched were never made"
        rows = self._database.query("SELECT name, partition, before, after FROM watched ORDER BY name, partition")
        return [f"{name}[{partition}] went back from {before} to {after}" for name, partition, before, after in rows]

    def _lay(self) -> None:
        while not self._stop.is_set():
            with suppress(sqlite3.Error, psycopg.Error):
                if self._database.lay(_triggers(self._database.dialect)):
                    self.laid.set()
                    return
            self._stop.wait(self._every)


def _triggers(dialect: str) -> list[str]:
    statements = ["CREATE TABLE watched (name TEXT, partition BIGINT, before BIGINT, after BIGINT)"]
    for table, (name, value) in _WATCHED.items():
        note = f"INSERT INTO watched VALUES (NEW.{name}, NEW.partition, OLD.{value}, NEW.{value});"
        head = f"CREATE TRIGGER watch_{table} AFTER UPDATE ON {table} FOR EACH ROW WHEN (NEW.{value} < OLD.{value})"
        if dialect == "sqlite":
            statements.append(f"{head} BEGIN {note} END")
        else:
            body = f"BEGIN {note} RETURN NULL; END"
            statements.append(f"CREATE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
            statements.append(f"{head} EXECUTE FUNCTION note_{table}()")
    return statements


@dataclass(slots=True)
class History:
    """Everything that one test made happen to a ledger: where it stands, and what its publishers sent."""

    bootstrap_servers: str
    name: str
    database: Database
    letters: Path
    publishers: list[Publisher] = field(default_factory=list)
    letters_once: bool = False
    quiet_at: datetime | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(f"{self.name}.{topic}" for topic in ("accounts", "entries", "clerks"))

    def publisher(self, **settings: Any) -> Publisher:
        """A new publisher whose records this history knows."""
        one = Publisher(self.bootstrap_servers, **settings)
        self.publishers.append(one)
        return one

    def wait_until_quiet(self, seconds: float = 60) -> list[str]:
        """Wait until everything on the input topics is applied and published; what is still open after that time."""
        deadline = time.monotonic() + seconds
        topics = Topics(self.bootstrap_servers)
        while True:
            now = datetime.now(UTC)
            open_ends = self._open(topics, now)
            if not open_ends:
                self.quiet_at = now
            if not open_ends or time.monotonic() > deadline:
                return open_ends
            time.sleep(0.1)

    def _open(self, topics: Topics, now: datetime) -> list[str]:
        positions = self.database.positions()
        ends = topics.ends((*self.inputs, f"{self.name}.redrive"))
        overdue = self.database.query(f"SELECT count(*) FROM kit_deadline WHERE due_ms < {now.timestamp() * 1000:.0f}")
        # The outbox comes last: whatever is applied, due or told of leads to something in it.
        left = {table: self.database.count(table) for table in ("kit_effect", "kit_outbox")}
        return open_ends(positions, ends, overdue[0][0] if overdue else 0, left)

    def check(self) -> list[str]:
        """Every violation of the promise; none when all is as it should be. Wait until it is quiet before."""
        return Judge(self.evidence()).found()

    def evidence(self) -> Evidence:
        """What topics, database and letters hold now."""
        names = ("accounts", "entries", "clerks", "events", "dead-letters", "redrive")
        read = Topics(self.bootstrap_servers).read(f"{self.name}.{name}" for name in names)
        query = self.database.query
        clerks = query("SELECT key, names FROM ledger_clerk")
        waiting = query("SELECT topic, partition, record_offset FROM kit_parked")
        lines = self.letters.read_text(encoding="utf-8").splitlines() if self.letters.exists() else []
        return Evidence(
            name=self.name,
            sent=[one for publisher in self.publishers for one in publisher.sent],
            read={name: read[f"{self.name}.{name}"] for name in names},
            accounts=query("SELECT key, name, balance, entries, letters, closed FROM ledger_account"),
            clerks=[(key, json.loads(said) if isinstance(said, str) else said) for key, said in clerks],
            parked=[(row[0], row[1], row[2]) for row in waiting],
            written=[line.split("\t")[0] for line in lines],
            letters_once=self.letters_once,
            quiet_at=self.quiet_at,
        )


def open_ends(
    positions: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int], overdue: int, left: Mapping[str, int]
) -> list[str]:
    """What is not applied, not fired and not published: by places, number of deadlines, and numbers of rows."""
    found = [
        f"{place[0]}[{place[1]}] is applied up to {positions.get(place, 0)} of {end}"
        for place, end in ends.items()
        if positions.get(place, 0) != end
    ]
    found += [f"{number} rows in {table} do not go away" for table, number in left.items() if number]
    return [*found, f"{overdue} deadlines are overdue"] if overdue else found
