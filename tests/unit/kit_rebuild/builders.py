"""A ledger's own events as records, and databases to fold them into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from uuid import UUID

from schemas.codec import to_binary
from schemas.envelope import Event, Payload
from services.kit.database import SqliteDatabase
from services.kit.folding import MOST_STATES, Fold
from services.kit.migrate import migrate
from services.kit.records import StoredRecord
from services.kit.wiring import wire
from tests.support.ledger import PARTITIONS, build, catalogue
from topics.partitioning import partition_of

NOON = datetime(2026, 3, 23, 12, 0, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_numbers = count(1)


def record(key: str, payload: Payload, *, source: str = "//kouan/ledger", partition: int | None = None) -> StoredRecord:
    """An event of the ledger as it stands on its topic, under an id of its own."""
    number = next(_numbers)
    event = Event(str(UUID(int=number)), source, payload.TYPE, NOON, key, payload, key, f"cause-{number}", TRACE)
    raw, value, headers = to_binary(event)
    place = partition_of(raw, PARTITIONS) if partition is None else partition
    return StoredRecord("ledger.events", place, number, 0, raw, value, headers)


@contextmanager
def database(file: Path) -> Iterator[SqliteDatabase]:
    """A new database with the ledger's tables."""
    one = SqliteDatabase(f"sqlite:///{file}", "ledger")
    migrate(one.url, "ledger", build().migrations)
    try:
        yield one
    finally:
        one.close()


class Folding:
    """A fold that is given records as they come, with everything on this thread."""

    def __init__(self, into: SqliteDatabase, most_states: int = MOST_STATES) -> None:
        self.database = into
        known = catalogue()
        self.fold = Fold(wire(build(), known), known.record_topic_of("ledger"), into, most_states)
        self.fold.prepare()

    def take(self, *records: StoredRecord, fresh: bool = False) -> None:
        """Fold records as one portion; afterwards too many states are written, as always."""
        self.fold.begin(fresh=fresh)
        portion = self.fold.read(records)
        self.fold.note_absent(portion)
        self.fold.apply(portion, self.fold.look_up(portion))
        for states in self.fold.overflowing():
            self.fold.write(states, *self.fold.hand_over(states, self.fold.half))

    def finish(self) -> None:
        """Write what is in memory and what follows from it."""
        for states in self.fold.states:
            self.fold.write(states, *self.fold.hand_over(states, 0))
        self.fold.settle()
