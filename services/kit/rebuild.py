"""Rebuilds a service's database from its own record topic, and compares it with the one in use.

What comes of it: a new database (`<service>.rebuilt.db` beside the SQLite file, on PostgreSQL the schema
`<service>_rebuilt`) with all that follows from the record topic: the states, their deadlines and claims, and the
effects that are open. An open effect counts no attempts there and is due at once, since no topic tells how often it was
tried.

What can't come from the record topic, because it tells what was decided and not what was read: positions, the inbox,
parked inputs, epochs of tasks, and what is committed and not yet published. A causation id names the input that led to
an event, but not its source, and inputs that led to nothing leave no trace at all. Whoever wants to go on from the new
database takes kit_task, kit_position, kit_inbox, kit_parked and kit_outbox over from the database in use, while the
service stands still.

The service may run meanwhile. The comparison sees the old database in one read transaction, opened between two looks at
the ends of the topic that show the same: then whatever was committed until that moment either stands on the topic or in
the outbox, and what the outbox holds is folded as if it had been published.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy.engine import make_url

from services.kit.cluster import topic_ids
from services.kit.comparing import Comparison, Differences
from services.kit.database import Database, PostgresDatabase, SqliteDatabase
from services.kit.door import Service
from services.kit.failures import Fatal, Transient
from services.kit.folding import MOST_STATES, Fold, Found, Portion, States
from services.kit.migrate import migrate
from services.kit.reading import StoredRecord
from services.kit.record_batch import records_in
from services.kit.settings import Settings
from services.kit.store import table_of
from services.kit.tables import Claim, DeadlineRow, EffectRow
from services.kit.wiring import wire
from topics.definition import Catalogue, Topic

_RECORDS = 5_000
_STALLED_AFTER_S = 30.0
_PORTIONS_BETWEEN_COLLECTIONS = 20
_FETCH_BYTES = 4 * 1024 * 1024

Progress = Callable[[int, int], object]
"""Told how many records of how many are read."""


class Busy(Exception):
    """The service publishes without a pause: no moment was found at which topic and database can be compared."""


class NothingToCompare(Exception):
    """There is no database of the service, or one without its tables."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was read, made and found. `unpublished` events stood in the outbox only; `seconds` is reading and folding,
    `rows` counts the rows of the new database by table."""

    events: int
    repeats: int
    others: int
    strangers: int
    unpublished: int
    seconds: float
    compare_seconds: float
    rows: Mapping[str, int]
    differences: Differences
    database: str

    @property
    def rate(self) -> float:
        """Events a second, reading and folding."""
        return self.events / self.seconds if self.seconds else 0.0


async def rebuild(
    service: Service,
    settings: Settings,
    catalogue: Catalogue,
    *,
    progress: Progress = lambda done, total: None,
    shown: int = 50,
    most_states: int = MOST_STATES,
    patience: float = 15.0,
) -> Report:
    """Fold the record topic into a new database, replacing one made earlier, and compare it with the one in use.

    `shown` differences are kept in full, `most_states` held in memory for each aggregate, and for `patience` seconds a
    moment is looked for at which the service publishes nothing.

    Raises:
        Transient: broker or database do not answer.
        NothingToCompare: the service has no database yet.
        Busy: no such moment was found.
        Fatal: topic and release do not fit each other.
    """
    url = settings.database_for(service.name)
    sides = (_Sqlite if make_url(url).get_backend_name() == "sqlite" else _Postgres)(url, service)
    try:
        with _all_for_speed():
            return await _Rebuild(service, settings, catalogue, sides, progress, shown, most_states, patience).run()
    except (KafkaError, OSError, psycopg.OperationalError, sqlite3.OperationalError) as error:
        raise Transient(f"{type(error).__name__}: {error}") from error


class _Sides:
    """The old and the new database of a service as one connection sees them."""

    old: str
    new: str
    database: Database
    place: str

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


class _Sqlite(_Sides):
    old, new = "old", "main"

    def __init__(self, url: str, service: Service) -> None:
        self._service = service
        self._old = Path(make_url(url).database or "")
        self._new = self._old.with_suffix(".rebuilt.db")
        self.place = str(self._new)
        self.database = self._files = SqliteDatabase(f"sqlite:///{self._new}", f"the rebuilding of {service.name}")

    def make(self) -> None:
        if not self._old.exists():
            raise NothingToCompare(f"there is no database file {self._old}; name its folder in KOUAN_DATA_DIR")
        self._files.lock()
        for ending in ("", "-wal", "-shm"):
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


class _Postgres(_Sides):
    def __init__(self, url: str, service: Service) -> None:
        self._service = service
        self.old, self.new = service.name, f"{service.name}_rebuilt"
        self.place = f"PostgreSQL schema {self.new}"
        self.database = PostgresDatabase(url, self.new)

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
        self.database.query(f'SELECT count(*) FROM "{self.old}".kit_outbox')

    def close(self) -> None:
        self.database.execute("ROLLBACK")

    def done(self) -> None:
        self.database.execute("SET LOCAL synchronous_commit = on")
        self.database.execute("COMMIT")


class _Rebuild:
    """One rebuilding, from the first record to the report."""

    def __init__(
        self,
        service: Service,
        settings: Settings,
        catalogue: Catalogue,
        sides: _Sides,
        progress: Progress,
        shown: int,
        most_states: int,
        patience: float,
    ) -> None:
        self._service = service
        self._servers = settings.bootstrap_servers
        self._topic: Topic = catalogue.record_topic_of(service.name)
        self._sides = sides
        self._database = sides.database
        self._fold = Fold(wire(service, catalogue), self._topic, self._database, most_states)
        self._progress = progress
        self._shown = shown
        self._patience = patience
        self._places = [TopicPartition(self._topic.name, number) for number in range(self._topic.partitions)]
        self._read: dict[TopicPartition, int] = dict.fromkeys(self._places, 0)
        self._pending: tuple[Portion, Future[Found]] | None = None
        self._writing: list[Future[None]] = []
        self._portions = 0
        self._comparing = False

    async def run(self) -> Report:
        await asyncio.to_thread(topic_ids, self._servers, {self._topic.name: self._topic.partitions})
        try:
            await self._database.run(self._sides.make)
            await self._database.run(self._fold.prepare)
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._servers,
                client_id=f"{self._service.name}-rebuild",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                max_partition_fetch_bytes=_FETCH_BYTES,
            )
            await consumer.start()
            try:
                return await self._run(consumer)
            finally:
                await asyncio.wait_for(consumer.stop(), 15)
        finally:
            await self._database.stop()

    async def _run(self, consumer: AIOKafkaConsumer) -> Report:
        started = time.perf_counter()
        await self._check_beginnings(consumer)
        await self._fold_to(consumer, await consumer.end_offsets(self._places))
        outbox = await self._standstill(consumer)
        folded = time.perf_counter()
        unpublished = await self._database.run(self._fold_unpublished, outbox)
        await self._database.run(self._fold.settle)
        differences, rows = await self._database.run(self._compare)
        await self._database.run(self._sides.done)
        fold = self._fold
        return Report(
            fold.events, fold.repeats, fold.others, fold.strangers, unpublished,
            folded - started, time.perf_counter() - folded, rows, differences, self._sides.place,
        )  # fmt: skip

    async def _check_beginnings(self, consumer: AIOKafkaConsumer) -> None:
        for place, offset in (await consumer.beginning_offsets(self._places)).items():
            if offset:
                raise Fatal(
                    f"{place.topic}[{place.partition}] begins at offset {offset}: what stood before is gone, and "
                    "without it nothing can be rebuilt. Restore the topic; its events are to be kept for ever"
                )

    # Reading

    async def _fold_to(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> None:
        """Fold each partition from where it was left to where it ended, one after the other."""
        total = sum(ends.values())
        for place in self._places:
            if self._read[place] < ends[place]:
                # A key stands in one partition only, and writing finds out where that does not hold.
                self._fold.begin(fresh=self._read[place] == 0)
                await self._fold_partition(consumer, place, ends[place], total)
                await self._fold_pending()
                for states in self._fold.states:
                    await self._write(states, 0)
        await self._written(0)

    async def _fold_partition(self, consumer: AIOKafkaConsumer, place: TopicPartition, end: int, total: int) -> None:
        consumer.assign([place])
        consumer.seek(place, self._read[place])
        heard = time.monotonic()
        while self._read[place] < end:
            fetched = await consumer.getmany(timeout_ms=500, max_records=_RECORDS)
            for records in fetched.values():
                await self._advance(self._fold.read(record for record in records if record.offset < end))
                heard = time.monotonic()
            # Where a partition ends with marks of transactions, the position gets there without a record.
            self._read[place] = min(await consumer.position(place), end)
            self._progress(sum(self._read.values()), total)
            if time.monotonic() - heard > _STALLED_AFTER_S:
                raise Transient(f"nothing came from {place.topic}[{place.partition}] for {_STALLED_AFTER_S:.0f} s")

    async def _advance(self, portion: Portion) -> None:
        """While the database looks a portion up, the next is fetched and decoded; the one before is folded first."""
        await self._fold_pending()
        # States may have been handed over since the portion was decoded.
        self._fold.note_absent(portion)
        self._pending = (portion, self._database.submit(self._look_up, portion))
        self._portions += 1
        if self._portions % _PORTIONS_BETWEEN_COLLECTIONS == 0:
            gc.collect(1)

    async def _fold_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        portion, found = pending
        self._fold.apply(portion, await asyncio.wrap_future(found))
        for states in self._fold.overflowing():
            await self._write(states, self._fold.half)

    async def _write(self, states: States, most: int) -> None:
        new, changed = self._fold.hand_over(states, most)
        if new or changed:
            await self._written(1)
            self._writing.append(self._database.submit(self._write_rows, states, new, changed))

    async def _written(self, most: int) -> None:
        """Wait until no more than so many writes are under way: what waits for the database takes memory."""
        while len(self._writing) > most:
            await asyncio.wrap_future(self._writing.pop(0))

    # On the database's thread

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction of its own, or the one in which both databases are being compared."""
        if self._comparing:
            yield
        else:
            with self._database.transaction():
                yield

    def _look_up(self, portion: Portion) -> Found:
        with self._transaction():
            return self._fold.look_up(portion)

    def _write_rows(self, states: States, new: Sequence[tuple[Any, ...]], changed: Sequence[tuple[Any, ...]]) -> None:
        with self._transaction():
            self._fold.write(states, new, changed)

    def _open(self) -> list[tuple[int, bytes]]:
        """See the old database as it is now; returns what its outbox holds for the record topic."""
        self._sides.open()
        self._comparing = True
        self._check_release()
        return [
            (target, records)
            for target, records in self._database.query(
                f'SELECT target, records FROM "{self._sides.old}".kit_outbox WHERE topic = ? ORDER BY seq',
                (self._topic.name,),
            )
        ]

    def _close(self) -> None:
        self._sides.close()
        self._comparing = False

    def _check_release(self) -> None:
        old, new = (
            self._database.query(f'SELECT version_num FROM "{side}".alembic_version ORDER BY version_num')
            for side in (self._sides.old, self._sides.new)
        )
        if old != new:
            raise Fatal(
                f"the database in use is at {_listed(old)}, this release at {_listed(new)}: they can't be compared. "
                f"Rebuild with the release that {self._service.name} runs, or let this one's worker migrate it"
            )

    def _fold_unpublished(self, outbox: Sequence[tuple[int, bytes]]) -> int:
        """Fold what is committed and perhaps not published; returns how many events the topic did not have."""
        before = self._fold.events - self._fold.repeats
        self._fold.begin(fresh=False)
        for target, batch in outbox:
            portion = self._fold.read(StoredRecord(self._topic.name, target, -1, 0, *one) for one in records_in(batch))
            self._fold.note_absent(portion)
            known = self._fold.repeats
            self._fold.apply(portion, self._fold.look_up(portion))
            # That they were published already is no repeat on the topic.
            self._fold.events -= self._fold.repeats - known
            self._fold.repeats = known
        for states in self._fold.states:
            self._fold.write(states, *self._fold.hand_over(states, 0))
        return self._fold.events - self._fold.repeats - before

    def _compare(self) -> tuple[Differences, dict[str, int]]:
        comparison = Comparison(self._database, self._sides.old, self._sides.new, self._shown)
        rows = {}
        for states in self._fold.states:
            table = states.rows.table
            rows[table.name] = comparison.compare(table, without=("version",))
        for cls in (DeadlineRow, Claim):
            rows[table_of(cls).name] = comparison.compare(table_of(cls))
        rows[table_of(EffectRow).name] = comparison.compare(table_of(EffectRow), without=("attempts", "next_ms"))
        return comparison.differences, rows

    # Comparing like with like

    async def _standstill(self, consumer: AIOKafkaConsumer) -> list[tuple[int, bytes]]:
        """Find a moment at which nothing is published; see the old database as it is then, and read up to there."""
        give_up = time.monotonic() + self._patience
        while True:
            before = await consumer.end_offsets(self._places)
            outbox = await self._database.run(self._open)
            after = await consumer.end_offsets(self._places)
            if before == after:
                await self._fold_to(consumer, before)
                return outbox
            await self._database.run(self._close)
            if time.monotonic() > give_up:
                raise Busy(f"{self._service.name} kept publishing to {self._topic.name} for {self._patience:.0f} s")
            # What came meanwhile is folded outside the transaction, so that the next moment has little to catch up on.
            await self._fold_to(consumer, after)


@contextmanager
def _all_for_speed() -> Iterator[None]:
    """Automatic collection would walk all states at hand again and again; `_advance` collects what is young."""
    enabled, interval = gc.isenabled(), sys.getswitchinterval()
    # The database's thread needs the lock for moments only: at the default of 5 ms it would wait longer than it works.
    sys.setswitchinterval(0.0001)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)
        if enabled:
            gc.enable()


def _listed(rows: Sequence[tuple[Any, ...]]) -> str:
    return ", ".join(str(row[0]) for row in rows) or "no revision"
