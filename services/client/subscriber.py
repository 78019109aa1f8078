"""Reacting to events from synchronous Python: keeps its place, drops repeats, gives typed events."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaConfigurationError, KafkaError, LogTruncationError, OffsetOutOfRangeError
from sqlalchemy import Connection, Engine

from schemas.loading import load_contracts
from services.client.delivery import reason_of, require_settings
from services.client.place import Ident, Place, PlaceLost, Spot
from services.client.receiving import Received, Skipped, reused, sort_out

log = logging.getLogger(__name__)

_LOOK_FOR_PARTITIONS_S: Final = 5.0
_FORGET_EVERY_S: Final = 3600.0
_POLL_MS: Final = 250
_ANSWER_WITHIN_MS: Final = 5_000
_TRY_AGAIN_S: Final = 1.0


@dataclass(slots=True)
class Counts:
    """What a subscriber did since it was made."""

    handled: int = 0
    repeated: int = 0
    skipped: int = 0


Ranges = dict[Spot, tuple[int, int]]
"""What each partition holds: its first offset, and the one after its last."""

Handler = Callable[[Sequence[Received], Connection], None]
SkippedHandler = Callable[[Skipped, Connection], None]


class Subscriber:
    """Reads whole topics, from their beginning, in one process, and keeps its place in a database.

    One transaction a batch holds the new place, the ids of its events and all that the handler writes through the
    connection it is given: each event has exactly one effect there, whatever is killed. What a handler does elsewhere
    (a mail, a call) may be done again after a crash.

    A second process under the same name takes over: the first one's next batch is rolled back and raises `Superseded`.

    Args:
        bootstrap_servers: `host:port`, several separated by commas.
        name: of the reader; its place is kept under it.
        topics: what is read, each with all its partitions, those included that are added later.
        place: SQLAlchemy URL or Engine of a SQLite or PostgreSQL database; by default the file `<name>.db`. A SQLite
            engine of the caller's has to begin its transactions with `BEGIN IMMEDIATE`.
        batch_size: so many records at most go into one transaction.
        keep_ids: so long a repeat is recognised, counted from when the event was read; older ids are forgotten.
        on_skipped: called, within the transaction, for each record that is left out; it is logged and counted anyway.
        kafka: settings of kafka-python's consumer, such as `security_protocol`, `ssl_cafile`, `sasl_mechanism`.

    Raises:
        ValueError: a name, a topic, a database or a setting that can't be.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        name: str,
        topics: Collection[str],
        *,
        place: str | Engine | None = None,
        batch_size: int = 500,
        keep_ids: timedelta = timedelta(days=30),
        on_skipped: SkippedHandler | None = None,
        **kafka: Any,
    ) -> None:
        if not topics or isinstance(topics, str):
            raise ValueError("name the topics to read, as a list")
        require_settings(kafka, KafkaConsumer.DEFAULT_CONFIG)
        load_contracts()
        self._servers = bootstrap_servers
        self._topics = sorted(set(topics))
        self._place = Place(name, place)
        self._batch_size = batch_size
        self._keep_ids_s = keep_ids.total_seconds()
        self._on_skipped = on_skipped
        self._kafka = kafka
        self._positions: dict[Spot, int] = {}
        self.counts = Counts()

    def __repr__(self) -> str:
        return f"Subscriber({self._servers!r}, {self._place.name!r}, {self._topics!r})"

    def run(self, handle: Handler, *, until: threading.Event | None = None) -> None:
        """Give batches of new events to `handle`, in order of each partition, until `until` is set (within a second).

        `handle(events, connection)` is called within the transaction; what it raises rolls the batch back and is raised
        here, and the next run begins with the same events. While no broker answers, this waits.

        Raises:
            Superseded: another process has taken the place over.
            PlaceLost: a topic no longer holds what was to be read next.
            KafkaError: the broker refuses, for want of rights for instance.
        """
        until = until or threading.Event()
        self._positions = self._place.take_over()
        try:
            while not until.is_set():
                consumer = self._connected(until)
                if consumer is not None:
                    try:
                        self._read(consumer, handle, until)
                    finally:
                        _close(consumer)
        finally:
            self._place.close()

    # Reading

    def _read(self, consumer: Any, handle: Handler, until: threading.Event) -> None:
        """Read until `until`, or until the topics have got more partitions, for which it is begun again."""
        assigned = len(consumer.assignment())
        looked, forgot = time.monotonic(), -_FORGET_EVERY_S
        while not until.is_set():
            now = time.monotonic()
            if now - forgot > _FORGET_EVERY_S:
                self._place.forget(self._keep_ids_s)
                forgot = now
            if now - looked > _LOOK_FOR_PARTITIONS_S:
                if sum(len(consumer.partitions_for_topic(topic)) for topic in self._topics) > assigned:
                    return
                looked = now
            records = self._polled(consumer, until)
            if records:
                self._apply(records, handle)

    def _polled(self, consumer: Any, until: threading.Event) -> list[Any]:
        try:
            found = consumer.poll(timeout_ms=_POLL_MS, max_records=self._batch_size)
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            spot, next = self._first_lost(error)
            raise PlaceLost(self._place.name, spot, next, reason_of(error)) from error
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("reading from %s failed, trying again: %s", self._servers, reason_of(error))
            for (topic, partition), next in self._positions.items():
                consumer.seek(TopicPartition(topic, partition), next)
            until.wait(_TRY_AGAIN_S)
            return []
        return [record for records in found.values() for record in records]

    def _first_lost(self, error: Any) -> tuple[Spot, int]:
        told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        spots = [(partition.topic, partition.partition) for partition in told] or list(self._positions)
        return spots[0], self._positions[spots[0]]

    # Applying

    def _apply(self, records: Sequence[Any], handle: Handler) -> None:
        """One batch: place, ids, and what the handler writes, or nothing of it."""
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        events, skipped = sort_out(records)
        with self._place.transaction() as connection:
            self._place.advance(connection, ends)
            seen = self._place.seen(connection, {one.ident for one, _ in events})
            fresh: list[Received] = []
            added: dict[Ident, int] = {}
            for one, digest in events:
                known = seen.get(one.ident)
                if known is None:
                    seen[one.ident] = added[one.ident] = digest
                    fresh.append(one)
                elif known != digest:
                    skipped.append(reused(one))
            self._place.remember(connection, added)
            for record in skipped:
                self._report(record, connection)
            if fresh:
                handle(fresh, connection)
        self._positions.update(ends)
        self.counts.handled += len(fresh)
        self.counts.skipped += len(skipped)
        self.counts.repeated += len(records) - len(fresh) - len(skipped)

    def _report(self, skipped: Skipped, connection: Connection) -> None:
        log.warning(
            "%s partition %s offset %s is left out: %s (%s)",
            *(skipped.topic, skipped.partition, skipped.offset, skipped.text, skipped.code),
        )
        if self._on_skipped is not None:
            self._on_skipped(skipped, connection)

    # Connecting

    def _connected(self, until: threading.Event) -> Any:
        """A consumer of all partitions, at its place; None when `until` was set before there was one.

        The client's calls can't be interrupted while no broker answers, so they run on a thread of their own.
        """
        while not until.is_set():
            attempt = _Attempt(self._connect, until)
            attempt.start()
            while attempt.is_alive() and not until.is_set():
                attempt.join(0.1)
            found = attempt.taken()
            if found is not None:
                return self._take_place(*found)
            if until.is_set():
                break
            if isinstance(attempt.error, KafkaConfigurationError):
                raise ValueError(f"the Kafka client can't be set so: {attempt.error}") from None
            if not (isinstance(attempt.error, OSError) or getattr(attempt.error, "retriable", False)):
                raise attempt.error
            log.warning("%s can't be read yet, trying again: %s", self._servers, reason_of(attempt.error))
            until.wait(_TRY_AGAIN_S)
        return None

    def _connect(self) -> tuple[Any, Ranges]:
        """A consumer, and what all partitions hold: the first offset and the one after the last."""
        settings = {
            "client_id": f"kouan-{self._place.name}",
            "bootstrap_timeout_ms": _ANSWER_WITHIN_MS,
            "metadata_max_age_ms": int(_LOOK_FOR_PARTITIONS_S * 1000),
            **self._kafka,
            # The place is kept in the database, and only there; it never jumps.
            "group_id": None,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
        }
        consumer = KafkaConsumer(bootstrap_servers=self._servers.split(","), **settings)
        try:
            partitions = [
                TopicPartition(topic, partition)
                for topic in self._topics
                for partition in consumer.partitions_for_topic(topic) or _missing(topic)
            ]
            firsts = consumer.beginning_offsets(partitions, timeout_ms=_ANSWER_WITHIN_MS)
            ends = consumer.end_offsets(partitions, timeout_ms=_ANSWER_WITHIN_MS)
        except BaseException:
            _close(consumer)
            raise
        return consumer, {one: (firsts[one], ends[one]) for one in partitions}

    def _take_place(self, consumer: Any, ranges: Ranges) -> Any:
        """Assign all partitions at what is read next, after a check that each still holds it."""
        read_before = {topic for topic, _ in self._positions}
        for spot, next in self._positions.items():
            if spot[0] in self._topics and spot not in ranges:
                _close(consumer)
                raise PlaceLost(self._place.name, spot, next, "there is no such partition any more")
        begun: dict[Spot, int] = {}
        for spot, (first, end) in ranges.items():
            # Of a topic that grew, the new partitions are read whole; of one that is new here, what there is of it.
            next = self._positions.get(spot, 0 if spot[0] in read_before else first)
            if not first <= next <= end:
                _close(consumer)
                raise PlaceLost(self._place.name, spot, next, f"it holds {first} to {end}")
            if spot not in self._positions:
                begun[spot] = next
        self._place.begin(begun)
        self._positions.update(begun)
        consumer.assign(list(ranges))
        for spot in ranges:
            consumer.seek(TopicPartition(*spot), self._positions[spot])
        return consumer


class _TopicMissing(OSError):
    """The cluster has no such topic yet."""


def _missing(topic: str) -> Iterable[int]:
    raise _TopicMissing(f"topic {topic} is not there; `kouan topics apply` creates it")


def _close(consumer: Any) -> None:
    consumer.close(autocommit=False, timeout_ms=500)


class _Attempt(threading.Thread):
    """One attempt to connect; a consumer that comes too late is closed."""

    def __init__(self, connect: Callable[[], tuple[Any, Ranges]], until: threading.Event) -> None:
        super().__init__(name="connect to Kafka", daemon=True)
        self._connect = connect
        self._until = until
        self._lock = threading.Lock()
        self._found: tuple[Any, Ranges] | None = None
        self.error: BaseException = OSError("stopped")

    def run(self) -> None:
        try:
            found = self._connect()
        except BaseException as error:
            self.error = error
            return
        with self._lock:
            if not self._until.is_set():
                self._found = found
                return
        _close(found[0])

    def taken(self) -> tuple[Any, Ranges] | None:
        """The consumer and what it may read, if the attempt came to that."""
        with self._lock:
            return self._found
