"""From raw records to items: decoded, checked for their side and place, and not yet decided.

Nothing here needs the state, so that it can go on while the batch before is being stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from schemas.codec import DecodeError, PayloadError, decode
from schemas.envelope import Event
from services.kit.batch import TaskId
from services.kit.door import Deadline, EffectResult, Malformed
from services.kit.ids import digest_of, output_stem
from services.kit.partitioning import partition_of
from services.kit.task import Task
from services.kit.wiring import Inlet, Wiring

DEAD_LETTER_SOURCE = "dead-letter"
"""The inbox's source of dead letters; no event can have it, because every topic asks for one that begins with //."""

OWN_HEADERS = "kouan_"
"""What the kit adds to dead letters begins so, and is taken off when they are sent round again."""


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Record(Protocol):
    """A Kafka record as the consumer gives it; headers may hold None values."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class StoredRecord:
    """A record taken out of the database, where it was parked."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @classmethod
    def packed(cls, record: Record) -> tuple[Any, ...]:
        """The record as plain values that can be packed."""
        headers = [(name, value) for name, value in record.headers]
        return (record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, headers)


class _Usual:
    """What most items are: not on a special way."""

    special = False
    error: tuple[str, str] | None = None
    misplaced = False
    parked = False
    expired = False
    redrives: str | None = None
    fired: Deadline | None = None
    closes: tuple[str, str, str] | None = None


class Item(_Usual):
    """One input on its way to a decision.

    `event` is None where it could not be decoded, `error` (code, text) says that it is a dead letter already. `decide`
    is None where nothing of this service asks for it. `special` is true of all but fresh records of good form. `known`
    says that source and id go into the inbox; `misplaced` records are sent on, not decided; `parked` ones come out of
    the database, the last time if `expired`. `redrives` is the id of the dead letter that is sent round again, `fired`
    the deadline that fell due, `closes` the effect that is settled.
    """

    # What is rare lives in the base's __dict__, which most items never fill: making items is on the hot path.
    __slots__ = ("decide", "digest", "event", "inlet", "known", "record", "task")

    def __init__(self, task: TaskId, inlet: Inlet | None, record: Record | None) -> None:
        self.task = task
        self.inlet = inlet
        self.record = record
        self.event: Event[Any] | None = None
        self.decide: Callable[[Any, Event[Any], Any], Any] | None = None
        self.digest = 0
        self.known = True


class Reader:
    """Makes items of what came in, for one service."""

    def __init__(self, wiring: Wiring, tasks: Mapping[TaskId, Task]) -> None:
        self._wiring = wiring
        self._tasks = tasks
        self._accepted: dict[str, set[str]] = {name: set() for name in wiring.inlets}

    def read(self, topic: str, partition: int, records: Iterable[Record]) -> list[Item]:
        """Items of one topic partition's records, in order."""
        inlet = self._wiring.inlets[topic]
        task = TaskId(inlet.aggregate, partition)
        if inlet.redrive:
            return [self._redriven(task, inlet, record) for record in records]
        return [self._item(task, inlet, record, record.headers) for record in records]

    def unpark(self, task: TaskId, records: Iterable[StoredRecord], *, expired: bool) -> list[Item]:
        """Items of parked records, to be tried once more; `expired` ones are not parked again."""
        items = []
        for record in records:
            item = self._item(task, self._wiring.inlets[record.topic], record, record.headers)
            item.parked, item.expired, item.special = True, expired, True
            items.append(item)
        return items

    def deadline(self, task: TaskId, key: str, name: str, due: Deadline, due_ms: int) -> Item:
        """The item of a deadline that fell due."""
        aggregate = self._wiring.aggregates[task.aggregate]
        item = Item(task, None, None)
        source = f"{self._wiring.source}/deadlines"
        item.event = Event(f"{key}/{name}/{due_ms}", source, "deadline", due.due, key, due, key)
        item.fired, item.special = due, True
        item.decide = aggregate.due
        return item

    def effect(self, task: TaskId, name: str, result: EffectResult, event: Event[Any]) -> Item:
        """The item of an effect's result; `event` is an envelope with id, time, subject and trace of the effect."""
        item = Item(task, None, None)
        item.event = event
        event.data = result
        item.closes, item.special = (task.aggregate, name, result.effect_id), True
        item.decide = next(
            effect.result for effect in self._wiring.aggregates[task.aggregate].effects if effect.name == name
        )
        return item

    def _item(self, task: TaskId, inlet: Inlet, record: Record, headers: Sequence[tuple[str, bytes]]) -> Item:
        item = Item(task, inlet, record)
        key, value = record.key, record.value
        event: Event[Any]
        try:
            event = decode(key, value, headers, inlet.known)
            item.decide = inlet.decides.get(event.type)
        except PayloadError as error:
            event = cast("Event[Any]", error.event)
            route = inlet.routes.get(event.type)
            if route is not None and route.malformed is not None:
                event.data = Malformed(error.body, error.faults)
                item.decide = route.malformed
            elif route is not None:
                item.error = ("schema", str(error)[:2000])
        except DecodeError as error:
            return self._undecodable(item, error)
        item.event = event
        if event.source not in self._accepted[inlet.topic.name] and not self._accepts(inlet, event.source):
            # The id is not taken in: a stranger must not be able to use up an id of the source he pretends to be.
            item.known, item.special = False, True
            item.error = ("wrong-source", f"source {event.source!r} may not write {inlet.topic.name}")
            return item
        # A decoded event has both key and value.
        item.digest = digest_of(key, value)  # type: ignore[arg-type]
        if item.decide is None or item.error is not None:
            item.special = True
        if event.subject not in self._tasks[task].cache and (
            partition_of(key, inlet.topic.partitions) != record.partition  # type: ignore[arg-type]
        ):
            item.misplaced = item.special = True
            item.decide = None
        return item

    def _undecodable(self, item: Item, error: DecodeError) -> Item:
        inlet, record = item.inlet, item.record
        assert inlet is not None
        assert record is not None
        item.special, item.known = True, False
        item.error = (error.code, error.text)
        if error.source is not None and error.id is not None and inlet.topic.accepts_source(error.source):
            item.event = Event(error.id, error.source, "", _NEVER, "", None)
            item.digest = digest_of(record.key or b"", record.value or b"")
            item.known = True
        return item

    def _accepts(self, inlet: Inlet, source: str) -> bool:
        accepted = self._accepted[inlet.topic.name]
        if not inlet.topic.accepts_source(source):
            return False
        if len(accepted) > 10_000:
            accepted.clear()
        accepted.add(source)
        return True

    def _redriven(self, task: TaskId, carrier: Inlet, record: Record) -> Item:
        """What an operator sends round again: judged as if it came on the topic that it came on first."""
        own = {name: value for name, value in record.headers if name.startswith(OWN_HEADERS)}
        headers = [(name, value) for name, value in record.headers if not name.startswith(OWN_HEADERS)]
        topic = (own.get("kouan_topic") or b"").decode("utf-8", "replace")
        letter = (own.get("kouan_dead_letter_id") or b"").decode("utf-8", "replace")
        inlet = self._wiring.inlets.get(topic)
        if inlet is None or inlet.redrive or not letter:
            item = Item(task, carrier, record)
            item.known, item.special = False, True
            item.error = (
                "redrive-incomplete",
                "the headers kouan_topic and kouan_dead_letter_id of the dead letter are needed to send it round again",
            )
            return item
        item = self._item(TaskId(inlet.aggregate, task.partition), inlet, record, headers)
        item.redrives, item.special = letter, True
        if item.misplaced:
            item.misplaced, item.error = (
                False,
                ("redrive-misplaced", "send the dead letter with its own key, by murmur2"),
            )
        return item


def dead_letter_id(service: str, record: Record) -> str:
    """The id of the dead letter that a record becomes: derived from where it stands."""
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return output_stem(service, DEAD_LETTER_SOURCE, place, record.timestamp) + "0000"
