"""The old and the new database of a service as one connection sees them, and the step from the old to the new."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from services.kit.cluster import group_members
from services.kit.database import Database, PostgresDatabase, SqliteDatabase
from services.kit.door import Service
from services.kit.failures import Fatal
from services.kit.migrate import migrate
from services.kit.store import table_of
from services.kit.tables import EffectRow, Inbox, Outbox, Parked, Position, Task

TAKEN_OVER = tuple(map(table_of, (Task, Position, Inbox, Parked, Outbox)))
"""Tables that no record topic tells of: who owned what, how far was read, what was taken in, what waits, what is
unsent."""


class NothingToCompare(Exception):
    """There is no database of the service, or one without its tables."""


class Running(Exception):
    """The service runs, or something else has its database open: it can't be put aside now."""


class Sides:
    """Both databases. `old` and `new` are what their tables are called by, `place` tells people where the new one is.

    All methods but `release` are called on the database's thread.
    """

    old: str
    new: str
    database: Database
    place: str
    switching = False

    def must_stand_still(self, bootstrap_servers: str) -> None:
        """From now on the new database is meant to replace the old one, which nobody else may use meanwhile.

        Raises:
            Running: somebody does.
        """
        self.switching = True

    def release(self) -> None:
        """Let others use the old database again."""

    def make(self) -> None:
        """Make the new database, with its tables and nothing in them."""
        raise NotImplementedError

    def open(self) -> None:
        """Begin to see the old database as it is at one moment; what is written from now on is seen as well."""
        raise NotImplementedError

    def close(self) -> None:
        """Give that up, and what was written since."""
        raise NotImplementedError

    def done(self) -> None:
        """Keep what was written since, safe on the disk."""
        raise NotImplementedError

    def take_over(self) -> None:
        """Between `open` and `switch`: copy what does not follow from the record topic."""
        for table in TAKEN_OVER:
            columns = ", ".join(column.name for column in table.columns)
            self.database.execute(
                f'INSERT INTO "{self.new}".{table.name} ({columns}) SELECT {columns} FROM "{self.old}".{table.name}'
            )
        # A worker that sleeps through the switch must not write on with what it remembers.
        self.database.execute(f'UPDATE "{self.new}".kit_task SET epoch = epoch + 1')
        effects = table_of(EffectRow)
        same = " AND ".join(f"n.{column.name} = o.{column.name}" for column in effects.primary_key.columns)
        self.database.execute(
            f'UPDATE "{self.new}".{effects.name} AS n SET attempts = o.attempts, next_ms = o.next_ms '
            f'FROM "{self.old}".{effects.name} AS o WHERE {same}'
        )

    def switch(self) -> str:
        """Instead of `done`: put the new database in the place of the old one, in one step that happens or does not.

        Returns where the old one is kept.
        Raises:
            Running: something else has the old database open.
        """
        raise NotImplementedError


class SqliteSides(Sides):
    """Two files. Whoever is killed at any moment leaves one of them whole under the name that the service opens."""

    old, new = "old", "main"

    def __init__(self, url: str, service: Service) -> None:
        self._service = service
        self._old = Path(make_url(url).database or "")
        self._new = self._old.with_suffix(".rebuilt.db")
        self._worker = SqliteDatabase(url, service.name)
        self.place = str(self._new)
        self.database = self._files = SqliteDatabase(f"sqlite:///{self._new}", f"the rebuilding of {service.name}")

    def must_stand_still(self, bootstrap_servers: str) -> None:
        super().must_stand_still(bootstrap_servers)
        self._must_exist()
        try:
            self._worker.lock()
        except Fatal as error:
            raise Running(str(error)) from error
        # Whoever was killed between the two names left the file in use under both.
        for kept in self._old.parent.glob(f"{self._old.stem}.replaced-*.db"):
            if kept.samefile(self._old):
                kept.unlink()

    def release(self) -> None:
        self._worker.close()

    def _must_exist(self) -> None:
        if not self._old.exists():
            raise NothingToCompare(f"there is no database file {self._old}; name its folder in KOUAN_DATA_DIR")

    def make(self) -> None:
        self._must_exist()
        self._files.lock()
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{self._new}{ending}").unlink(missing_ok=True)
        migrate(self.database.url, self._service.name, self._service.migrations)
        # Until it is complete the file is worth nothing, so nothing need survive a power cut.
        self.database.execute("PRAGMA synchronous=off")

    def open(self) -> None:
        self.database.execute("ATTACH DATABASE ? AS old", (f"file:{self._old.absolute()}?mode=ro",))
        self.database.execute("BEGIN")
        try:
            self.database.query("SELECT count(*) FROM old.kit_outbox")
        except sqlite3.OperationalError as error:
            raise NothingToCompare(f"{self._old} is no database of {self._service.name}: {error}") from error

    def close(self) -> None:
        self.database.execute("ROLLBACK")
        self.database.execute("DETACH DATABASE old")

    def done(self) -> None:
        self.database.execute("COMMIT")
        self.database.execute("DETACH DATABASE old")
        self.database.execute("PRAGMA synchronous=full")
        self.database.query("PRAGMA wal_checkpoint(TRUNCATE)")

    def switch(self) -> str:
        self.done()
        faults = self.database.query("PRAGMA quick_check(3)")
        if faults != [("ok",)]:
            raise Fatal(f"{self._new} came out damaged, and the database in use stays: {faults}. Check the disk")
        # Both must be whole in one file: what stood beside the old one would be taken for part of the new one.
        if self.database.query("PRAGMA journal_mode=delete") != [("delete",)]:
            raise Fatal(f"{self._new} is open elsewhere; close it and begin again")
        _flush(self._new)
        kept = self._old.with_name(f"{self._old.stem}.replaced-{_moment()}.db")
        try:
            with closing(sqlite3.connect(self._old, isolation_level=None)) as old:
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if old.execute("PRAGMA journal_mode=delete").fetchall() != [("delete",)]:
                    raise Running(f"{self._old} is open elsewhere")
                # Keeps out whoever would open the old file while its name passes on.
                old.execute("BEGIN EXCLUSIVE")
                os.link(self._old, kept)
                _flush(self._old.parent)
                os.replace(self._new, self._old)
                _flush(self._old.parent)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise Running(f"{self._old} is open elsewhere: {error}") from error
            raise
        self.place = str(self._old)
        return str(kept)


class PostgresSides(Sides):
    """Two schemas of one database, renamed in one transaction."""

    def __init__(self, url: str, service: Service) -> None:
        self._service = service
        self.old, self.new = service.name, f"{service.name}_rebuilt"
        self.place = f"PostgreSQL schema {self.new}"
        self.database = PostgresDatabase(url, self.new)

    def must_stand_still(self, bootstrap_servers: str) -> None:
        super().must_stand_still(bootstrap_servers)
        members = group_members(bootstrap_servers, self.old)
        if members:
            raise Running(f"{members} workers are members of the group {self.old}")

    def make(self) -> None:
        query = self.database.query
        if query("SELECT to_regclass(?)", (f'"{self.old}".kit_outbox',)) == [(None,)]:
            raise NothingToCompare(f"the database has no schema {self.old} with the tables of a service")
        if query("SELECT pg_try_advisory_lock(hashtext(?))", (f"kouan/rebuild/{self.old}",)) == [(False,)]:
            raise Fatal(f"{self.old} is being rebuilt already; wait until that has ended")
        self.database.execute(f'DROP SCHEMA IF EXISTS "{self.new}" CASCADE')
        migrate(self.database.url, self.new, self._service.migrations)
        self.database.execute("SET synchronous_commit = off")
        # While the comparison waits for the broker, its transaction is idle.
        self.database.execute("SET idle_in_transaction_session_timeout = 0")

    def open(self) -> None:
        self.database.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        if self.switching:
            # Every transaction of a worker begins with this table: one that starts now waits, one that slept is fenced
            # by the epoch when it wakes. The lock of `migrate` keeps the tables as they are.
            self.database.execute(f'LOCK TABLE "{self.old}".kit_task IN ACCESS EXCLUSIVE MODE')
            if self.database.query("SELECT pg_try_advisory_xact_lock(hashtext(?))", (f"kouan/{self.old}",)) != [
                (True,)
            ]:
                raise Running(f"a worker of {self.old} is migrating it")
        self.database.query(f'SELECT count(*) FROM "{self.old}".kit_outbox')

    def close(self) -> None:
        self.database.execute("ROLLBACK")

    def done(self) -> None:
        self.database.execute("SET LOCAL synchronous_commit = on")
        self.database.execute("COMMIT")

    def take_over(self) -> None:
        super().take_over()
        self.database.query(
            f"SELECT setval(pg_get_serial_sequence('\"{self.new}\".kit_outbox', 'seq'), "
            f'greatest(1, (SELECT max(seq) FROM "{self.new}".kit_outbox)))'
        )

    def switch(self) -> str:
        kept = f"{self.old}_replaced_{_moment()}"
        self.database.execute(f'ALTER SCHEMA "{self.old}" RENAME TO "{kept}"')
        self.database.execute(f'ALTER SCHEMA "{self.new}" RENAME TO "{self.old}"')
        self.done()
        self.place = f"PostgreSQL schema {self.old}"
        return f"PostgreSQL schema {kept}"


def sides_of(url: str, service: Service) -> Sides:
    """Both databases of a service, by the URL of the one in use."""
    return (SqliteSides if make_url(url).get_backend_name() == "sqlite" else PostgresSides)(url, service)


def _moment() -> str:
    """The time (UTC) as part of a name."""
    return datetime.now(UTC).strftime("%Y%m%d_%H%M%S_%f")


def _flush(path: Path) -> None:
    """Let a file, or the names in a folder, survive a power cut."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
