"""A hop's database in which many events stand: the rows that the kit keeps of them, written by SQL in bulk.

Of an applied input the kit keeps for good its row in the inbox and the state of its key; its outbox is empty again once
all is confirmed. Tasks, positions and deadlines do not become more with the events of the hop.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from services.kit.migrate import migrate
from tests.benchmarks.hop import build

FILE = "hop.db"
CHUNK = 500_000
SOURCE = "//commerce/manzhouli"
BODY_BYTES = 440
"""About as many as a referral has; they stand in the digest's upper half."""

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :end)"
_HIGH = {False: "i", True: "random()"}
_INBOX = f"""
{_NUMBERS}, ids AS (SELECT printf('%016x', {{high}}) AS h, printf('%016x', random() & 0x3fffffffffffffff) AS l FROM n)
INSERT INTO kit_inbox (source, id, digest, outcome)
SELECT '{SOURCE}', substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-' || substr(h, 13, 4) || '-' || substr(l, 1, 4) || '-'
    || substr(l, 5), ({BODY_BYTES} << 32) | (random() & 0xffffffff), 1 FROM ids
"""
_STATES = f"""
{_NUMBERS} INSERT INTO hop_scored (key, version, score, eligible, amount, zone)
SELECT printf('R%08d', i), 1, 12 + 12 * (i % 3), 1, printf('%d.00', 1000 * (1 + abs(random()) % 9999)), 'manzhouli'
FROM n
"""
_FEW = 64
"""A table with fewer rows than this holds something else than events."""


def fill(file: Path, count: int, *, first: int = 0, scattered: bool = False) -> None:
    """Make a database in which so many events stand, their numbers from `first`; their ids `scattered` or rising."""
    file.parent.mkdir(parents=True, exist_ok=True)
    migrate(f"sqlite:///{file.absolute()}", "hop", build().migrations)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in ("journal_mode = wal", "synchronous = OFF", "cache_size = -2000000"):
            connection.execute(f"PRAGMA {pragma}")
        for start in range(first, first + count, CHUNK):
            chunk = {"first": start, "end": min(start + CHUNK, first + count)}
            connection.execute("BEGIN")
            connection.execute(_INBOX.format(high=_HIGH[scattered]), chunk)
            connection.execute(_STATES, chunk)
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def copy_to_disk(source: Path, target: Path) -> None:
    """Copy a database that nobody has open, and wait until the copy is on the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def shapes(file: Path) -> dict[str, list[tuple[int | str, ...]]]:
    """What the rows of each table that grows with the events look like: of each column its name, its types, and how
    long its texts are (of amounts, which vary, any length)."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, list[tuple[int | str, ...]]] = {}
        for table in sorted(tables):
            ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}")
            if rows < _FEW:
                continue
            found[table] = []
            for _, name, *_ in connection.execute(f"PRAGMA table_info({table})"):
                types = connection.execute(f"SELECT DISTINCT typeof({name}) FROM {table} ORDER BY 1").fetchall()
                found[table].append((name, *(kind for (kind,) in types), _length(connection, table, name)))
        return found


def _length(connection: sqlite3.Connection, table: str, column: str) -> int | str:
    """How long a column's texts are, and into how many bytes its numbers fit; "any" where they are not alike."""
    text = f"length(CASE typeof({column}) WHEN 'integer' THEN printf('%x', {column} >> 32) ELSE {column} END)"
    lengths = [length for (length,) in connection.execute(f"SELECT DISTINCT {text} FROM {table}")]
    return lengths[0] if len(lengths) == 1 else "any"
