"""Rebuilds a service's database from what it recorded itself, and compares it with the one in use.

What comes of it: a new database (`<service>.rebuilt.db` beside the SQLite file, on PostgreSQL the schema
`<service>_rebuilt`) with all that follows from the record topic: the states, their deadlines and claims, and the
effects that are open. An open effect counts no attempts there and is due at once, since no topic tells how often it was
tried.

What a service records and others must not read yet stands apart from the record topic, on an internal topic of its
own. How the two interleave no topic tells, so this is folded last, when the record topic has been folded to its end:
`evolve` meets it in the state that its key has come to, and leaves a state that has no use for it any more as it is.

What can't come from these topics, because it tells what was decided and not what was read: positions, the inbox,
parked inputs, epochs of tasks, and what is committed and not yet published. A causation id names the input that led to
an event, but not its source, and inputs that led to nothing leave no trace at all.

Where the new database is to replace the one in use (`switch`), the service has to stand still. These tables are taken
over in the transaction that compared both, and then the names change hands in one step (see `sides.py`); the service
goes on from there as if nothing had been. What was replaced is kept under a name with the time in it.

Otherwise the service may run meanwhile. The comparison sees the old database in one read transaction, opened between
two looks at the ends of the topic that show the same: then whatever was committed until that moment either stands on
the topic or in the outbox, and what the outbox holds is folded as if it had been published.
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
from typing import Any, NamedTuple

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.kit.cluster import topic_ids
from services.kit.comparing import Comparison, Differences
from services.kit.door import Service
from services.kit.failures import Fatal, Transient
from services.kit.folding import MOST_STATES, Fold
from services.kit.pages import Page, Pages
from services.kit.portions import Found, Portion, States
from services.kit.record_batch import records_in
from services.kit.records import StoredRecord
from services.kit.settings import Settings
from services.kit.sides import Sides, sides_of
from services.kit.store import table_of
from services.kit.tables import Claim, DeadlineRow, EffectRow
from services.kit.wiring import wire
from topics.definition import Catalogue, Kind, Topic

_STALLED_AFTER_S = 30.0
_PORTIONS_BETWEEN_COLLECTIONS = 20

Progress = Callable[[int, int], object]
"""Told how many records of how many are read."""

Ends = Mapping[TopicPartition, int]
Outbox = Mapping[str, Sequence[tuple[Any, ...]]]
"""By topic: what is committed and perhaps not published, as (target, records)."""


class Busy(Exception):
    """The service publishes without a pause: no moment was found at which topic and database can be compared."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was read, made and found. `unpublished` events stood in the outbox only; `seconds` is reading and folding,
    `rows` counts the rows of the new database by table. `database` is where the new one is, `replaced` where the one
    that was in use is kept, None if it still is in use."""

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
    replaced: str | None = None

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
    switch: bool = False,
    accept_differences: bool = False,
) -> Report:
    """Fold the record topic into a new database, replacing one made earlier, and compare it with the one in use.

    `shown` differences are kept in full, `most_states` held in memory for each aggregate, and for `patience` seconds a
    moment is looked for at which the service publishes nothing. With `switch` the new database replaces the one in
    use, if both are equal or `accept_differences` says that they need not be.

    Raises:
        Transient: broker or database do not answer.
        NothingToCompare: the service has no database yet.
        Busy: no such moment was found.
        Running: the service runs, so that its database can't be replaced.
        Fatal: topic and release do not fit each other.
    """
    url = settings.database_for(service.name)
    sides = sides_of(url, service)
    options = _Options(shown, most_states, patience, switch, accept_differences)
    try:
        with _all_for_speed():
            return await _Rebuild(service, settings, catalogue, sides, progress, options).run()
    except (KafkaError, OSError, psycopg.OperationalError, sqlite3.OperationalError) as error:
        raise Transient(f"{type(error).__name__}: {error}") from error


class _Options(NamedTuple):
    """What `rebuild` was asked for."""

    shown: int
    most_states: int
    patience: float
    switch: bool
    accept_differences: bool


class _Rebuild:
    """One rebuilding, from the first record to the report."""

    def __init__(
        self,
        service: Service,
        settings: Settings,
        catalogue: Catalogue,
        sides: Sides,
        progress: Progress,
        options: _Options,
    ) -> None:
        self._service = service
        self._servers = settings.bootstrap_servers
        self._topic: Topic = catalogue.record_topic_of(service.name)
        self._sides = sides
        self._database = sides.database
        apart = _topics_apart(service, catalogue)
        self._topics = (self._topic, *apart)
        self._fold = Fold(wire(service, catalogue), self._topic, self._database, options.most_states, apart)
        self._pages = Pages(self._servers, f"{service.name}-rebuild")
        self._progress = progress
        self._options = options
        self._places = [TopicPartition(one.name, number) for one in self._topics for number in range(one.partitions)]
        self._read: dict[TopicPartition, int] = dict.fromkeys(self._places, 0)
        self._pending: tuple[Portion, Future[Found]] | None = None
        self._writing: list[Future[None]] = []
        self._portions = 0
        self._comparing = False

    async def run(self) -> Report:
        await asyncio.to_thread(topic_ids, self._servers, {one.name: one.partitions for one in self._topics})
        try:
            if self._options.switch:
                await self._database.run(self._sides.must_stand_still, self._servers)
            await self._database.run(self._sides.make)
            await self._database.run(self._fold.prepare)
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._servers,
                client_id=f"{self._service.name}-rebuild",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
            )
            await consumer.start()
            try:
                await self._pages.start([one.name for one in self._topics])
                return await self._run(consumer)
            finally:
                await asyncio.wait_for(asyncio.gather(consumer.stop(), self._pages.stop()), 15)
        finally:
            self._sides.release()
            await self._database.stop()

    async def _run(self, consumer: AIOKafkaConsumer) -> Report:
        started = time.perf_counter()
        await self._check_beginnings(consumer)
        await self._fold_to(_of(self._topic, await consumer.end_offsets(self._places)))
        ends, outbox = await self._standstill(consumer)
        unpublished = 0
        for topic in self._topics:
            await self._fold_to(_of(topic, ends))
            unpublished += await self._database.run(self._fold_unpublished, topic, outbox[topic.name])
        folded = time.perf_counter()
        await self._database.run(self._fold.settle)
        differences, rows = await self._database.run(self._compare)
        switch = self._options.switch and (self._options.accept_differences or not differences.total)
        replaced = await self._database.run(self._switch if switch else self._sides.done)
        fold = self._fold
        return Report(
            fold.events, fold.repeats, fold.others, fold.strangers, unpublished,
            folded - started, time.perf_counter() - folded, rows, differences, self._sides.place, replaced,
        )  # fmt: skip

    async def _check_beginnings(self, consumer: AIOKafkaConsumer) -> None:
        for place, offset in (await consumer.beginning_offsets(self._places)).items():
            if offset:
                raise Fatal(
                    f"{place.topic}[{place.partition}] begins at offset {offset}: what stood before is gone, and "
                    "without it nothing can be rebuilt. Restore the topic; its events are to be kept for ever"
                )

    # Reading

    async def _fold_to(self, ends: Ends) -> None:
        """Fold each partition from where it was left to where it ended, one after the other."""
        total = sum({**self._read, **ends}.values())
        for place, end in ends.items():
            if self._read[place] < end:
                # A key stands in one partition only, and writing finds out where that does not hold.
                self._fold.begin(fresh=self._read[place] == 0 and place.topic == self._topic.name)
                await self._fold_partition(place, end, total)
                await self._fold_pending()
                for states in self._fold.states:
                    await self._write(states, 0)
        await self._written(0)

    async def _fold_partition(self, place: TopicPartition, end: int, total: int) -> None:
        while self._read[place] < end:
            try:
                page = await asyncio.wait_for(self._pages.page(place, self._read[place], end), _STALLED_AFTER_S)
            except TimeoutError:
                raise Transient(
                    f"nothing came from {place.topic}[{place.partition}] for {_STALLED_AFTER_S:.0f} s"
                ) from None
            await self._advance(self._fold.read(page if isinstance(page, Page) else page.records))
            self._read[place] = page.next
            self._progress(sum(self._read.values()), total)

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

    def _open(self) -> Outbox:
        """See the old database as it is now; returns what its outbox holds for the topics that are folded."""
        self._sides.open()
        self._comparing = True
        self._check_release()
        select = f'SELECT target, records FROM "{self._sides.old}".kit_outbox WHERE topic = ? ORDER BY seq'
        return {one.name: self._database.query(select, (one.name,)) for one in self._topics}

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

    def _fold_unpublished(self, topic: Topic, outbox: Sequence[tuple[Any, ...]]) -> int:
        """Fold what is committed and perhaps not published; returns how many events the topic did not have."""
        before = self._fold.events - self._fold.repeats
        self._fold.begin(fresh=False)
        for target, batch in outbox:
            portion = self._fold.read([StoredRecord(topic.name, target, -1, 0, *one) for one in records_in(batch)])
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
        comparison = Comparison(self._database, self._sides.old, self._sides.new, self._options.shown)
        rows = {}
        for states in self._fold.states:
            table = states.rows.table
            rows[table.name] = comparison.compare(table, without=("version",))
        for cls in (DeadlineRow, Claim):
            rows[table_of(cls).name] = comparison.compare(table_of(cls))
        rows[table_of(EffectRow).name] = comparison.compare(table_of(EffectRow), without=("attempts", "next_ms"))
        return comparison.differences, rows

    def _switch(self) -> str:
        self._sides.take_over()
        return self._sides.switch()

    # Comparing like with like

    async def _standstill(self, consumer: AIOKafkaConsumer) -> tuple[Ends, Outbox]:
        """Find a moment at which nothing is published and see the old database as it is then; returns where the topics
        end, and what its outbox holds."""
        give_up = time.monotonic() + self._options.patience
        while True:
            before = await consumer.end_offsets(self._places)
            outbox = await self._database.run(self._open)
            after = await consumer.end_offsets(self._places)
            if before == after:
                return before, outbox
            await self._database.run(self._close)
            if time.monotonic() > give_up:
                raise Busy(
                    f"{self._service.name} kept publishing to {self._topic.name} for {self._options.patience:.0f} s"
                )
            # What came meanwhile is folded outside the transaction, so that the next moment has little to catch up on.
            await self._fold_to(_of(self._topic, after))


def _topics_apart(service: Service, catalogue: Catalogue) -> tuple[Topic, ...]:
    """The internal topics on which a service keeps part of its record."""
    recorded = {cls.TYPE for aggregate in service.aggregates for cls in aggregate.records}
    return tuple(
        topic
        for topic in catalogue.topics.values()
        if topic.kind is Kind.INTERNAL and service.name in topic.writers and not recorded.isdisjoint(topic.events)
    )


def _of(topic: Topic, ends: Ends) -> Ends:
    """Of the ends of all topics those of one."""
    return {place: end for place, end in ends.items() if place.topic == topic.name}


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
