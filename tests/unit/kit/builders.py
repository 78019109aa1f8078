"""A desk at which records are read and decided, without broker and database: given, when, then."""

from __future__ import annotations

import marshal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from schemas.codec import to_binary
from schemas.envelope import Event, Payload
from services.kit.asides import Limits
from services.kit.batch import Batch, TaskId
from services.kit.deciding import Decider
from services.kit.reading import Item, Reader
from services.kit.record_batch import records_in
from services.kit.records import StoredRecord
from services.kit.task import Task
from services.kit.wiring import wire
from tests.support.ledger import (
    PARTITIONS,
    AccountRequested,
    ClerkNamed,
    EntryMade,
    build,
    catalogue,
)
from topics.partitioning import partition_of

NOON = datetime(2026, 3, 23, 12, 0, tzinfo=UTC)
TOPICS = {AccountRequested: "ledger.accounts", EntryMade: "ledger.entries", ClerkNamed: "ledger.clerks"}


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the consumer gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Out:
    """One message that a batch sends, with what its headers say."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @property
    def kind(self) -> str:
        return self.headers.get("ce_type", b"").decode().removeprefix("ledger.").removesuffix(".v1")

    @property
    def id(self) -> str:
        return self.headers["ce_id"].decode()

    def text(self, name: str) -> str:
        return self.headers[name].decode()


class Desk:
    """The ledger's reader and decider with all tasks owned. What a batch took in is remembered, as the inbox would.

    `account` replaces parts of the ledger's first aggregate.
    """

    def __init__(self, *, park_limit: int = 100, unexpected: int = 5, **account: Any) -> None:
        service = build()
        first, *others = service.aggregates
        self.wiring = wire(replace(service, aggregates=(replace(first, **account), *others)), catalogue())
        self.tasks = {
            TaskId(name, number): Task(1, 1000) for name in self.wiring.aggregates for number in range(PARTITIONS)
        }
        self.reader = Reader(self.wiring, self.tasks)
        limits = Limits(park_limit, unexpected)
        self.decider = Decider(self.wiring, self.tasks, self.wiring.service.context(), limits)
        self.seen: dict[tuple[str, str], tuple[int, int]] = {}
        self.holders: dict[str, dict[str, str]] = {}
        self.parked: dict[tuple[str, int, int], tuple[Any, ...]] = {}
        self.now_ms = int(NOON.timestamp() * 1000)
        self._offsets: Counter[tuple[str, int]] = Counter()

    # Given

    def record(
        self,
        payload: Payload,
        key: str = "a1",
        *,
        id: str | None = None,
        source: str = "//bank/exim-nmg",
        time: datetime = NOON,
        topic: str | None = None,
        partition: int | None = None,
        **envelope: Any,
    ) -> Record:
        """An event as a record on its topic, on its key's partition unless told otherwise."""
        topic = topic or TOPICS[type(payload)]
        number = sum(self._offsets.values())
        event = Event(id or f"id-{number}", source, payload.TYPE, time, key, payload, **envelope)
        raw, value, headers = to_binary(event)
        return self.raw(topic, raw, value, headers, partition)

    def raw(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> Record:
        """Bytes as a record."""
        place = partition_of(key or b"", PARTITIONS) if partition is None else partition
        offset = self._offsets[topic, place]
        self._offsets[topic, place] += 1
        return Record(topic, place, offset, self.now_ms, key, value, tuple(headers))

    # When

    def read(self, *records: Record) -> list[Item]:
        return [item for record in records for item in self.reader.read(record.topic, record.partition, [record], {})]

    def take(self, *records: Record) -> Batch:
        """Read and decide records as one batch, and remember what was taken in."""
        return self.decide(self.read(*records))

    def decide(self, items: list[Item]) -> Batch:
        batch = self.decider.decide(items, self.holders, self.seen, self.now_ms)
        for source, id, digest, outcome in batch.inbox:
            self.seen[source, id] = (digest, outcome)
        for source, id, digest in batch.redriven:
            self.seen[source, id] = (digest, 1)
        for row in batch.parked:
            self.parked[row[:3]] = row
        for place in batch.unparked:
            del self.parked[place]
        return batch

    def unpark(self, key: str = "a1", *, expired: bool = False) -> Batch:
        """Try what is parked under a key once more."""
        task = self.task(key)
        rows = [marshal.loads(row[7]) for _, row in sorted(self.parked.items()) if row[4] == key]
        return self.decide(self.reader.unpark(task, [StoredRecord(*row) for row in rows], expired=expired))

    # Then

    def task(self, key: str, aggregate: str = "account") -> TaskId:
        return next(task for task in self.tasks if task == TaskId(aggregate, partition_of(key.encode(), PARTITIONS)))

    def state(self, key: str = "a1", aggregate: str = "account") -> Any:
        entry = self.tasks[self.task(key, aggregate)].cache.get(key)
        return entry.state if entry else None


def sent(batch: Batch) -> list[Out]:
    """All messages of a batch, in order within each target."""
    return [
        Out(target.topic, target.partition, key, value, dict(headers))
        for (_, target), packs in batch.packs.items()
        for pack in packs
        for key, value, headers in records_in(pack.build(0))
    ]


def kinds(batch: Batch) -> list[str]:
    return [one.kind for one in sent(batch) if one.topic == "ledger.events"]


def dead(batch: Batch) -> list[Out]:
    return [one for one in sent(batch) if one.topic == "ledger.dead-letters"]


def reasons(batch: Batch) -> list[str]:
    return [one.text("kouan_reason") for one in dead(batch)]


def opened(key: str = "a1", name: str | None = None) -> AccountRequested:
    return AccountRequested(name=name or f"name of {key}")
