"""One connection on one thread, for SQLite and PostgreSQL alike, and the wide statements that make batches fast.

A wide statement writes all rows of one table in one go: they travel as one JSON array, which the database takes apart
without Python's lock, on the second core. The tables are the SQLModel classes; the statements are derived from them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from sqlalchemy import JSON, BigInteger, Boolean, Integer, Table
from sqlalchemy.engine import make_url

from services.kit.failures import Fatal, Transient

T = TypeVar("T")

_SQLITE_TRANSIENT = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
)

_PRAGMAS = (
    "journal_mode=wal",
    "synchronous=full",
    "wal_autocheckpoint=10000",
    # Some builds of SQLite write zeros over what is deleted: each batch would write the outbox of the last one again.
    "secure_delete=off",
)

_PAGE_CACHE_MB = 64


class Database:
    """The connection of one worker. All methods but `run` and `submit` are called on the database's own thread."""

    dialect: str

    def __init__(self, url: str, service: str) -> None:
        self.url = url
        self.service = service
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """Queue work for the database's thread; it runs in the order of submission."""
        return self._thread.submit(self._sorted, work, *args)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Do work on the database's thread and wait for it without blocking the loop."""
        return await asyncio.wrap_future(self.submit(work, *args))

    def _sorted(self, work: Callable[..., T], *args: Any) -> T:
        """Do work; an error of the database that may pass becomes Transient, within a transaction or without."""
        try:
            return work(*args)
        except (sqlite3.Error, psycopg.Error) as error:
            if self.passes(error):
                raise Transient(f"{self.dialect}: {error}") from error
            raise

    def passes(self, error: Exception) -> bool:
        """Whether an error of the driver is one that time mends; a connection that is of no use any more is dropped."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Close the connection after the work that is queued."""
        await self.run(self.close)
        self._thread.shutdown(wait=False)

    def close(self) -> None:
        raise NotImplementedError

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement; returns how many rows it touched."""
        raise NotImplementedError

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one query."""
        raise NotImplementedError

    def transaction(self) -> Any:
        """Context manager: commits at its end, rolls back on any exception and sorts database errors."""
        raise NotImplementedError

    def rows(self, *types: str) -> str:
        """FROM item: one parameter, a JSON array of arrays as UTF-8 bytes, as rows `r` with columns c0, c1 … of types.

        Types are `text`, `bigint`, `boolean` or `json`.
        """
        raise NotImplementedError

    def upsert(self, table: Table, *, guard: str = "") -> str:
        """Wide insert-or-update of whole rows (all columns in order); `guard` is a condition on updating."""
        columns = [column.name for column in table.columns]
        keys = [column.name for column in table.primary_key.columns]
        updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
        condition = f" WHERE {guard}" if guard else ""
        return f"{self.insert(table)} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {updates}{condition}"

    def insert(self, table: Table, *, without: Sequence[str] = ()) -> str:
        """Wide insert of rows given as all columns in order, but for `without`."""
        columns = [column for column in table.columns if column.name not in without]
        names = ", ".join(column.name for column in columns)
        values = ", ".join(f"c{index}" for index in range(len(columns)))
        # SQLite would read a following ON CONFLICT as a join condition without the WHERE.
        return f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {self.rows(*map(kind_of, columns))} WHERE true"


def kind_of(column: Any) -> str:
    """How a column travels in a wide statement."""
    if isinstance(column.type, JSON):
        return "json"
    if isinstance(column.type, Boolean):
        return "boolean"
    return "bigint" if isinstance(column.type, Integer | BigInteger) else "text"


class SqliteDatabase(Database):
    """The embedded default: WAL, synchronous FULL, one worker under a file lock."""

    dialect = "sqlite"

    def __init__(self, url: str, service: str, page_cache_mb: int = _PAGE_CACHE_MB) -> None:
        super().__init__(url, service)
        self._page_cache_mb = page_cache_mb
        path = make_url(url).database
        if path is None:
            raise Fatal(f"the database URL {url} names no file; use sqlite:///path/to/file.db")
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None

    def lock(self) -> None:
        """Take the file lock that makes this the only worker on the file, or raise Fatal."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Fatal(
                f"another worker of {self.service} holds {self.path}; SQLite serves one worker, use PostgreSQL for more"
            ) from None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=10, uri=True
            )
            # A negative size counts in KiB, not in pages.
            for pragma in (*_PRAGMAS, f"cache_size={-1024 * self._page_cache_mb}"):
                self._connection.execute(f"PRAGMA {pragma}")
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connected().execute(sql, parameters).rowcount

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connected().execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            if self.passes(error):
                raise Transient(f"SQLite: {error}") from error
            raise

    def passes(self, error: Exception) -> bool:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_TRANSIENT

    def rows(self, *types: str) -> str:
        columns = ", ".join(f"value ->> {index} AS c{index}" for index, _ in enumerate(types))
        return f"(SELECT {columns} FROM json_each(CAST(? AS TEXT))) AS r"


class PostgresDatabase(Database):
    """PostgreSQL, for several workers a service; every service has a schema of its own in it."""

    dialect = "postgresql"

    def __init__(self, url: str, service: str) -> None:
        super().__init__(url, service)
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            plain = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(
                plain,
                autocommit=True,
                connect_timeout=5,
                # A worker that is stopped within a transaction must not keep its successor out for long.
                options=f"-c search_path={self.service} -c lock_timeout=10s -c idle_in_transaction_session_timeout=10s",
            )
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connected().execute(sql.replace("?", "%s"), parameters).rowcount

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connected().execute(sql.replace("?", "%s"), parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            with self._connected().transaction():
                yield
        except psycopg.Error as error:
            if self.passes(error):
                raise Transient(f"PostgreSQL: {error}") from error
            raise

    def passes(self, error: Exception) -> bool:
        # The server ends a connection with errors of many kinds, for instance after idling within a transaction.
        lost = self._connection is not None and (self._connection.broken or self._connection.closed)
        if lost:
            self.close()
        return lost or isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.errors.DiskFull)

    def rows(self, *types: str) -> str:
        columns = ", ".join(
            f"(value -> {index}) AS c{index}" if kind == "json" else f"(value ->> {index})::{kind} AS c{index}"
            for index, kind in enumerate(types)
        )
        return f"(SELECT {columns} FROM jsonb_array_elements(convert_from(?, 'UTF8')::jsonb)) AS r"


def open_database(url: str, service: str, page_cache_mb: int = _PAGE_CACHE_MB) -> SqliteDatabase | PostgresDatabase:
    """The database that a URL names: `sqlite:///…` or `postgresql://…`. `page_cache_mb`: of the SQLite file in memory.

    Raises:
        Fatal: the URL names another system.
    """
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        return SqliteDatabase(url, service, page_cache_mb)
    if backend == "postgresql":
        return PostgresDatabase(url, service)
    raise Fatal(f"KOUAN_DATABASE_URL names {backend}; sqlite and postgresql are supported")
