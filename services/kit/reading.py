"""From raw records to items: decoded, checked for their side and place, and not yet decided.

Nothing here needs the state, so that it can go on while the batch before is being stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from schemas.codec import DecodeError, PayloadError, decode
from schemas.envelope import Event
from services.kit.batch import TaskId
from services.kit.door import Deadline, EffectResult, Malformed
from services.kit.ids import Moment, digest_of, output_stem
from services.kit.pages import Found, Page
from services.kit.records import Record, StoredRecord
from services.kit.shapes import Shape, Shapes
from services.kit.task import Task
from services.kit.wiring import Inlet, Wiring
from topics.partitioning import partitions_of

DEAD_LETTER_SOURCE = "dead-letter"
"""The inbox's source of dead letters; no event can have it, because every topic asks for one that begins with //."""

OWN_HEADERS = "kouan_"
"""What the kit adds to dead letters begins so, and is taken off when they are sent round again."""


Wanted = dict[str, dict[str, TaskId]]
"""Keys by aggregate, with their tasks, whose states a batch needs and memory does not hold."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


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
    the deadline that fell due, `closes` the effect that is settled. `origin` is the topic and partition it was read
    from, None where it was not read from one now; items of one reading have the very same.
    """

    # What is rare lives in the base's __dict__, which most items never fill: making items is on the hot path.
    __slots__ = ("_at", "_whence", "decide", "digest", "event", "inlet", "known", "moment", "origin", "task")

    def __init__(
        self,
        task: TaskId,
        inlet: Inlet | None,
        whence: Record | Page | None,
        event: Event[Any] | None = None,
        decide: Callable[[Any, Event[Any], Any], Any] | None = None,
        digest: int = 0,
        origin: tuple[str, int] | None = None,
        moment: Moment | None = None,
        at: int = 0,
    ) -> None:
        self.task = task
        self.inlet = inlet
        self._whence = whence
        self.event = event
        self.decide = decide
        self.digest = digest
        self.origin = origin
        self.moment = moment
        self._at = at
        self.known = True

    @property
    def is_record(self) -> bool:
        """Whether it came as a record: now, parked, or round again."""
        return self._whence is not None

    @property
    def record(self) -> Record | None:
        """The record that it came with; made of the page's bytes only when somebody asks, which is rare."""
        whence = self._whence
        return whence.record_at(self._at) if isinstance(whence, Page) else whence

    @property
    def offset(self) -> int:
        """The offset of its record, which it must have."""
        whence = self._whence
        assert whence is not None
        return whence.offset_at(self._at) if isinstance(whence, Page) else whence.offset


class Reader:
    """Makes items of what came in, for one service."""

    def __init__(self, wiring: Wiring, tasks: Mapping[TaskId, Task]) -> None:
        self._wiring = wiring
        self._tasks = tasks
        self._accepted: dict[str, set[str]] = {name: set() for name in wiring.inlets}
        self._shapes = {
            name: Shapes(inlet.known, inlet.topic.accepts_source)
            for name, inlet in wiring.inlets.items()
            if not inlet.redrive
        }

    def read_page(self, page: Page, found: Iterable[Found], wanted: Wanted) -> list[Item]:
        """Items of records found on a page, in order; `wanted` gets the keys whose states memory lacks."""
        place, data = page.place, page.data
        inlet = self._wiring.inlets[place.topic]
        if inlet.redrive:
            return self.read(place.topic, place.partition, [page.record_at(at) for at, *_ in found], wanted)
        task, origin = TaskId(inlet.aggregate, place.partition), (place.topic, place.partition)
        cache, shapes, decides = self._tasks[task].cache, self._shapes[place.topic], inlet.decides
        shape: Shape | None = None
        fields: tuple[bytes, ...] = ()
        items, new = [], []
        for at, key, value, begin, end in found:
            if shape is None or shape.size != end - begin or (fields := shape.unpack(data, begin))[::2] != shape.alike:
                shape = shapes.find(data, begin, end, key, value)
                fields = () if shape is None else shape.unpack(data, begin)
            read = None if shape is None else shape.event(fields, key, value)
            if read is None:
                record = page.record_at(at)
                item = self._item(task, inlet, record, record.headers, origin)
                if _wants_place(item, cache):
                    new.append(item)
            else:
                event, moment = read
                decide = decides.get(event.type)
                # A recognised event has both key and value.
                item = Item(task, inlet, page, event, decide, digest_of(key, value), origin, moment, at)  # type: ignore[arg-type]
                if decide is None:
                    item.special = True
                if event.subject not in cache:
                    new.append(item)
            items.append(item)
        self._meet(new, task, inlet, wanted)
        return items

    def read(self, topic: str, partition: int, records: Iterable[Record], wanted: Wanted) -> list[Item]:
        """Items of one topic partition's records, in order; `wanted` gets the keys whose states memory lacks."""
        inlet, origin = self._wiring.inlets[topic], (topic, partition)
        task = TaskId(inlet.aggregate, partition)
        if inlet.redrive:
            items = [self._redriven(task, inlet, record, origin) for record in records]
            want(items, self._tasks, wanted)
            return items
        cache = self._tasks[task].cache
        items = [self._item(task, inlet, record, record.headers, origin) for record in records]
        self._meet([item for item in items if _wants_place(item, cache)], task, inlet, wanted)
        return items

    def _meet(self, new: Sequence[Item], task: TaskId, inlet: Inlet, wanted: Wanted) -> None:
        """Items whose keys memory does not hold: they are held to their place, and their states are to be loaded."""
        if not new:
            return
        self._check_places(inlet, task.partition, new)
        keys = wanted.setdefault(task.aggregate, {})
        for item in new:
            if item.decide is not None:
                keys[item.event.subject] = task  # type: ignore[union-attr]

    @staticmethod
    def _check_places(inlet: Inlet, partition: int, items: Sequence[Item]) -> None:
        """Mark what stands on another partition than its key belongs to. A key in memory was found in its place."""
        keys = [item.event.subject.encode() for item in items]  # type: ignore[union-attr]
        for item, right in zip(items, partitions_of(keys, inlet.topic.partitions), strict=True):
            if right != partition:
                item.misplaced = item.special = True
                item.decide = None

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

    def _item(
        self,
        task: TaskId,
        inlet: Inlet,
        record: Record,
        headers: Sequence[tuple[str, bytes]],
        origin: tuple[str, int] | None = None,
    ) -> Item:
        key, value = record.key, record.value
        try:
            event = decode(key, value, headers, inlet.known)
        except PayloadError as error:
            return self._malformed(task, inlet, record, error, origin)
        except DecodeError as error:
            return self._undecodable(task, inlet, record, error, origin)
        # A decoded event has both key and value.
        digest = digest_of(key, value)  # type: ignore[arg-type]
        item = Item(task, inlet, record, event, inlet.decides.get(event.type), digest, origin)
        if item.decide is None:
            item.special = True
        if event.source not in self._accepted[inlet.topic.name]:
            self._hold_source(item, inlet, event)
        return item

    def _malformed(
        self, task: TaskId, inlet: Inlet, record: Record, error: PayloadError, origin: tuple[str, int] | None
    ) -> Item:
        """An event of a known type whose body breaks its schema: some services answer it, for others it is dead."""
        event = cast("Event[Any]", error.event)
        item = Item(task, inlet, record, event, None, digest_of(record.key or b"", record.value or b""), origin)
        item.special = True
        route = inlet.routes.get(event.type)
        if route is not None and route.malformed is not None:
            event.data = Malformed(error.body, error.faults)
            item.decide, item.special = route.malformed, False
        elif route is not None:
            item.error = ("schema", str(error)[:2000])
        self._hold_source(item, inlet, event)
        return item

    def _hold_source(self, item: Item, inlet: Inlet, event: Event[Any]) -> None:
        """A source that may not write the topic makes the item a dead letter."""
        if not self._accepts(inlet, event.source):
            # The id is not taken in: a stranger must not be able to use up an id of the source he pretends to be.
            item.known, item.special = False, True
            item.error = ("wrong-source", f"source {event.source!r} may not write {inlet.topic.name}")

    def _undecodable(
        self, task: TaskId, inlet: Inlet, record: Record, error: DecodeError, origin: tuple[str, int] | None
    ) -> Item:
        item = Item(task, inlet, record, origin=origin)
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

    def _redriven(self, task: TaskId, carrier: Inlet, record: Record, origin: tuple[str, int]) -> Item:
        """What an operator sends round again: judged as if it came on the topic that it came on first."""
        own = {name: value for name, value in record.headers if name.startswith(OWN_HEADERS)}
        headers = [(name, value) for name, value in record.headers if not name.startswith(OWN_HEADERS)]
        topic = (own.get("kouan_topic") or b"").decode("utf-8", "replace")
        letter = (own.get("kouan_dead_letter_id") or b"").decode("utf-8", "replace")
        inlet = self._wiring.inlets.get(topic)
        if inlet is None or inlet.redrive or not letter:
            item = Item(task, carrier, record, origin=origin)
            item.known, item.special = False, True
            item.error = (
                "redrive-incomplete",
                "the headers kouan_topic and kouan_dead_letter_id of the dead letter are needed to send it round again",
            )
            return item
        item = self._item(TaskId(inlet.aggregate, task.partition), inlet, record, headers, origin)
        item.redrives, item.special = letter, True
        if item.event is not None and item.known and item.event.subject:
            self._check_places(inlet, task.partition, [item])
        if item.misplaced:
            item.misplaced, item.error = (
                False,
                ("redrive-misplaced", "send the dead letter with its own key, by murmur2"),
            )
        return item


def _wants_place(item: Item, cache: Mapping[str, Any]) -> bool:
    """Whether an item has a key that memory does not hold."""
    event = item.event
    return event is not None and item.known and bool(event.subject) and event.subject not in cache


def want(items: Iterable[Item], tasks: Mapping[TaskId, Task], wanted: Wanted) -> None:
    """Add the keys of items whose states have to be loaded."""
    for item in items:
        if item.decide is not None and item.event is not None and item.event.subject not in tasks[item.task].cache:
            wanted.setdefault(item.task.aggregate, {})[item.event.subject] = item.task


def dead_letter_id(service: str, record: Record) -> str:
    """The id of the dead letter that a record becomes: derived from where it stands."""
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return output_stem(service, DEAD_LETTER_SOURCE, place, record.timestamp) + "0000"
