"""Reading the feed. Functions are called on the thread of the database that they are given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from services.gateway.cursors import Head
from services.kit.database import Database

PAGE_BYTES: Final = 4 * 1024 * 1024
"""A page ends where its events have so many bytes, however few they are."""

CASE_LIMIT: Final = 2000
"""The most events that are shown of one case: its last ones."""

_CHUNK: Final = 50


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose eyes: a unit, or None for a headquarters, which sees all; and the types asked for, () for all.

    A type stands for all that begins with it: `loan`, `loan.disbursed`, `loan.disbursed.v1`. `barred` is the mark by
    which an audience withholds an event from a headquarters.
    """

    unit: str | None
    types: tuple[str, ...] = ()
    barred: str = ""

    def is_among(self, audience: Collection[str]) -> bool:
        """Whether an event with this audience may be shown."""
        return self.barred not in audience if self.unit is None else self.unit in audience

    def asks_for(self, event_type: str) -> bool:
        """Whether the reader wants events of this type."""
        return not self.types or any(event_type == kind or event_type.startswith(f"{kind}.") for kind in self.types)


@dataclass(frozen=True, slots=True)
class Item:
    """One event of the feed: its number, its type, and itself as JSON on one line."""

    seq: int
    type: str
    event: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order, and the number up to which everything was looked at."""

    items: Sequence[Item]
    reached: int


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a case, with the place on the topics where it stands."""

    seq: int
    source: str
    id: str
    type: str
    time: str
    topic: str
    partition: int
    offset: int
    event: str


def read_head(database: Database) -> Head:
    """How far the feed reaches."""
    return Head(*database.query("SELECT name, last_seq, floor_seq FROM gateway_head")[0])


def read_page(database: Database, reader: Reader, after: int, limit: int) -> Page:
    """The next events that a reader may see and asks for."""
    last = read_head(database).last
    items: list[Item] = []
    size = 0
    while len(items) < limit and size < PAGE_BYTES:
        chunk = _read(database, reader, after, last, min(_CHUNK, limit - len(items)))
        items += chunk
        size += sum(len(item.event) for item in chunk)
        if not chunk:
            return Page(items, max(after, last))
        after = chunk[-1].seq
    return Page(items, after)


def read_new(database: Database, after: int, last: int) -> list[tuple[Item, frozenset[str]]]:
    """Events with their audience, in order, between two numbers."""
    items = _read(database, Reader(None), after, last, last - after)
    units: dict[int, list[str]] = {item.seq: [] for item in items}
    for unit, seq in database.query("SELECT unit, seq FROM gateway_audience WHERE seq > ? AND seq <= ?", (after, last)):
        units[seq].append(unit)
    return [(item, frozenset(units[item.seq])) for item in items]


def read_case(database: Database, reader: Reader, case_id: str) -> tuple[Head, list[Told]]:
    """What a reader may see of a case, in the order of the feed, and how far the feed reached at that moment."""
    head = read_head(database)
    among, unit = ("NOT IN", reader.barred) if reader.unit is None else ("IN", reader.unit)
    rows = database.query(
        "SELECT seq, source, id, type, time, topic, topic_partition, topic_offset, event FROM gateway_feed"
        f" WHERE case_id = ? AND seq <= ? AND seq {among} (SELECT seq FROM gateway_audience WHERE unit = ?)"
        f" ORDER BY seq DESC LIMIT {CASE_LIMIT}",
        (case_id, head.last, unit),
    )
    return head, [Told(*row) for row in reversed(rows)]


def seq_at(database: Database, moment_ms: int) -> int:
    """The number of the newest event that entered the feed before a moment (milliseconds since 1970)."""
    rows = database.query("SELECT max(seq) FROM gateway_feed WHERE taken_ms < ?", (moment_ms,))
    return int(rows[0][0] or read_head(database).floor)


def release_overdue(database: Database, before_ms: int, limit: int = 1000) -> int:
    """Let what was taken before a moment, and still waits for its case, into the feed for nobody's eyes but those that
    see all; returns how many events."""
    with database.transaction():
        waiting = database.query(
            "SELECT entry FROM gateway_feed WHERE seq IS NULL AND taken_ms < ? ORDER BY entry LIMIT ?",
            (before_ms, limit),
        )
        if waiting:
            [(last,)] = database.query(
                "UPDATE gateway_head SET last_seq = last_seq + ? RETURNING last_seq", (len(waiting),)
            )
            for seq, (entry,) in enumerate(waiting, last - len(waiting) + 1):
                database.execute("UPDATE gateway_feed SET seq = ? WHERE entry = ?", (seq, entry))
        return len(waiting)


def forget(database: Database, before_ms: int, limit: int = 1000) -> int:
    """Drop events from the start of the feed that were taken before a moment; returns how many."""
    with database.transaction():
        rows = database.query(
            "SELECT seq, taken_ms FROM gateway_feed WHERE seq > (SELECT floor_seq FROM gateway_head)"
            " ORDER BY seq LIMIT ?",
            (limit,),
        )
        old = [seq for seq, taken_ms in rows if taken_ms < before_ms]
        # From the start only: a number that is kept never lies below one that is forgotten.
        kept = next((seq for seq, taken_ms in rows if taken_ms >= before_ms), None)
        floor = max((seq for seq in old if kept is None or seq < kept), default=None)
        if floor is None:
            return 0
        database.execute("UPDATE gateway_head SET floor_seq = ?", (floor,))
        database.execute("DELETE FROM gateway_audience WHERE seq <= ?", (floor,))
        return database.execute("DELETE FROM gateway_feed WHERE seq <= ?", (floor,))


def _read(database: Database, reader: Reader, after: int, last: int, limit: int) -> list[Item]:
    wanted = " OR ".join("(f.type = ? OR substr(f.type, 1, ?) = ?)" for _ in reader.types)
    types = [value for kind in reader.types for value in (kind, len(kind) + 1, f"{kind}.")]
    clause = f" AND ({wanted})" if wanted else ""
    if reader.unit is None:
        rows = database.query(
            "SELECT f.seq, f.type, f.event FROM gateway_feed f"
            f" WHERE f.seq > ? AND f.seq <= ?{clause}"
            " AND NOT EXISTS (SELECT 1 FROM gateway_audience b WHERE b.unit = ? AND b.seq = f.seq)"
            " ORDER BY f.seq LIMIT ?",
            (after, last, *types, reader.barred, limit),
        )
    else:
        rows = database.query(
            "SELECT f.seq, f.type, f.event FROM gateway_audience a JOIN gateway_feed f ON f.seq = a.seq"
            f" WHERE a.unit = ? AND a.seq > ? AND a.seq <= ?{clause} ORDER BY a.seq LIMIT ?",
            (reader.unit, after, last, *types, limit),
        )
    return [Item(seq, kind, event.encode()) for seq, kind, event in rows]
