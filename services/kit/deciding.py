"""From items to a batch: the one door. Each item's state is loaded already; nothing here does I/O."""

from __future__ import annotations

import marshal
import time
import traceback
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.envelope import EVENT_LIMIT, Event, Payload
from services.kit.batch import Batch, Entry, Message, Target, TaskId
from services.kit.door import Aggregate, Context, Early, Invalid, To
from services.kit.failures import TooManyUnexpected
from services.kit.ids import MOST_OUTPUTS, output_stem
from services.kit.partitioning import partition_of
from services.kit.reading import DEAD_LETTER_SOURCE, OWN_HEADERS, Item, Record, StoredRecord, dead_letter_id
from services.kit.store import MARSHAL
from services.kit.tables import APPLIED, DEAD
from services.kit.task import Task
from services.kit.wiring import Wiring

Seen = Mapping[tuple[str, str], tuple[str, int]]
_ABSENT = Entry(0, None)


@dataclass(slots=True)
class Limits:
    """How much may wait and how much may go wrong."""

    park_limit: int = 100
    unexpected_per_minute: int = 5
    effect_lease_ms: int = 60_000
    failures: deque[float] = field(default_factory=deque)

    def unexpected(self, reason: str) -> None:
        """Note an unexpected failure; raise when there were too many within a minute."""
        now = time.monotonic()
        self.failures.append(now)
        while self.failures and self.failures[0] < now - 60:
            self.failures.popleft()
        if len(self.failures) > self.unexpected_per_minute:
            raise TooManyUnexpected(reason)


class Outputs(NamedTuple):
    """What one decision gives, encoded: messages with their targets, and the state after it."""

    state: Any
    evolved: bool
    messages: Sequence[tuple[Target, Message]]
    opened: Sequence[tuple[Any, ...]]
    closed: Sequence[tuple[str, str, str]]


class View:
    """A task with all that deciding for it needs, looked up once for a run of items."""

    __slots__ = ("aggregate", "cache", "closes", "id", "opens", "partitions", "records", "task", "watched")

    def __init__(self, id: TaskId, task: Task, wiring: Wiring) -> None:
        self.id = id
        self.task = task
        self.cache = task.cache
        self.aggregate = wiring.aggregates[id.aggregate]
        self.records = frozenset(self.aggregate.records)
        self.opens = wiring.opens[id.aggregate]
        self.closes = wiring.closes[id.aggregate]
        self.partitions = wiring.partitions[id.aggregate]
        self.watched = self.aggregate.deadlines is not None or self.aggregate.claims is not None


class Decider:
    """Applies items to the states of the tasks that this worker owns."""

    def __init__(self, wiring: Wiring, tasks: Mapping[TaskId, Task], context: Context, limits: Limits) -> None:
        self._wiring = wiring
        self._tasks = tasks
        self._context = context
        self._limits = limits
        self._service = wiring.service.name

    def decide(
        self,
        items: Sequence[Item],
        holders: Mapping[str, Mapping[str, str]],
        seen: Seen,
        now_ms: int,
    ) -> Batch:
        """Decide items in order; the states in memory move on with them.

        Raises:
            TooManyUnexpected: more failures than a minute may have; nothing of the batch may be committed.
        """
        batch = Batch()
        taken: dict[tuple[str, str], tuple[str, int]] = {}
        claims = {name: dict(known) for name, known in holders.items()}
        view: View | None = None
        for item in items:
            if view is None or item.task is not view.id:
                view = View(item.task, self._tasks[item.task], self._wiring)
                batch.epochs[view.id] = view.task.epoch
            record = item.record
            if record is not None:
                if not item.parked:
                    # The position moves with every record, whatever comes of it; the runner adds where it stood.
                    batch.positions[record.topic, record.partition] = (-1, record.offset + 1)
                if item.misplaced:
                    self._send_on(batch, item, record)
                    continue
                if item.decide is None and item.error is None:
                    batch.count("ignored")
                    continue
                if item.known and not self._is_new(batch, item, taken, seen):
                    if item.parked:
                        self._unpark(batch, item, self._tasks[item.task])
                    continue
            self._apply(batch, item, view, taken, claims, seen, now_ms)
        self._settle(batch)
        return batch

    @staticmethod
    def claims_wanted(aggregate: Aggregate, event: Event[Any]) -> tuple[str, ...]:
        """The claims that an input asks about; deadlines, effects and malformed bodies ask about none."""
        if aggregate.claims_wanted is None or not isinstance(event.data, Payload):
            return ()
        return tuple(aggregate.claims_wanted(event.data))

    def _is_new(self, batch: Batch, item: Item, taken: Mapping[tuple[str, str], tuple[str, int]], seen: Seen) -> bool:
        """Whether an input was not taken in before; a reused id is a dead letter, a repeat is left out."""
        event = item.event
        assert event is not None
        ident = (event.source, event.id)
        before = taken.get(ident) or seen.get(ident)
        if item.redrives is not None:
            return self._may_redrive(batch, item, before, taken, seen)
        if before is None:
            return True
        if before[0] == item.digest:
            batch.count("repeat")
            return False
        self._bury(
            batch, item, "id-reused", f"id {event.id!r} of {event.source} was used before with other content", known=False
        )
        return False

    def _may_redrive(
        self,
        batch: Batch,
        item: Item,
        before: tuple[str, int] | None,
        taken: Mapping[tuple[str, str], tuple[str, int]],
        seen: Seen,
    ) -> bool:
        letter = (DEAD_LETTER_SOURCE, item.redrives or "")
        known = seen.get(letter)
        if known is None or known[1] != DEAD or letter in taken or (before is not None and before[1] == APPLIED):
            batch.count("redrive-refused")
            batch.notes.append(
                ("redrive refused", {"dead_letter_id": item.redrives, "reason": "not among the dead letters, or applied"})
            )
            return False
        return True

    def _apply(
        self,
        batch: Batch,
        item: Item,
        view: View,
        taken: dict[tuple[str, str], tuple[str, int]],
        claims: dict[str, dict[str, str]],
        seen: Seen,
        now_ms: int,
    ) -> None:
        if item.error is not None:
            self._take_in(batch, item, taken, seen, DEAD)
            self._bury(batch, item, *item.error)
            return
        event, task, aggregate = item.event, view.task, view.aggregate
        assert event is not None
        if task.parked and self._waits(batch, item, task, event.subject):
            if not item.parked:
                self._park(batch, item, task, "an earlier input of this key on this topic waits", now_ms)
            return
        entry = view.cache.get(event.subject, _ABSENT)
        if item.fired is not None and not self._still_due(batch, aggregate, entry.state, item):
            return
        if aggregate.claims_wanted is not None:
            held = claims.get(aggregate.name, {})
            event.holders = {text: held[text] for text in self.claims_wanted(aggregate, event) if text in held}
        try:
            outputs = self._decided(view, item, event, entry.state)
        except Early as early:
            self._defer(batch, item, task, early.text, taken, seen, now_ms)
        except Invalid as invalid:
            self._take_in(batch, item, taken, seen, DEAD)
            self._bury(batch, item, invalid.code, invalid.text)
        except Exception as failure:
            self._fail(batch, item, failure, taken, seen)
        else:
            self._take_in(batch, item, taken, seen, APPLIED)
            self._accept(batch, item, view, entry, outputs, claims)

    def _still_due(self, batch: Batch, aggregate: Aggregate, state: Any, item: Item) -> bool:
        """A deadline read from the database may have been moved or ended by what was decided since."""
        assert item.fired is not None
        assert item.event is not None
        asked = _due_times(aggregate, state)
        if asked.get(item.fired.name) == in_ms(item.fired.due):
            return True
        if item.fired.name not in asked:
            batch.deadlines_gone.append((aggregate.name, item.event.subject, item.fired.name))
        return False

    def _decided(self, view: View, item: Item, event: Event[Any], state: Any) -> Outputs:
        """Decide, evolve and encode one item; raises before anything of the batch was touched."""
        assert item.decide is not None
        made = list(item.decide(state, event, self._context))
        if not made and item.fired is None:
            return Outputs(state, False, (), (), ())
        if len(made) > MOST_OUTPUTS:
            raise ValueError(f"{len(made)} outputs for one input; an id has room for {MOST_OUTPUTS}")
        subject = event.subject
        time_ms = in_ms(event.time)
        stem = output_stem(self._service, event.source, event.id, time_ms)
        correlation = event.correlation_id or subject
        before = event.traceparent or f"00-{stem.replace('-', '')[-24:]:0>32}-0000000000000000-01"
        common = [
            ("ce_time", event.time.isoformat().encode()),
            ("ce_correlationid", correlation.encode()),
            ("ce_causationid", event.id.encode()),
        ]
        evolve, records = view.aggregate.evolve, view.records
        messages: list[tuple[Target, Message]] = []
        opened: list[tuple[Any, ...]] = []
        closed: list[tuple[str, str, str]] = []
        evolved = False
        for position, output in enumerate(made):
            kind = type(output)
            if kind is To:
                key, payload = output.key, output.payload
            else:
                key, payload = subject, output
                if kind in records:
                    state, evolved = evolve(state, payload), True
            id = f"{stem}{position:04x}"
            # The new span is the output itself: its id's last 16 digits.
            trace = f"{before[:36]}{id[19:23]}{id[24:]}{before[52:]}"
            message = self._encode(view, payload, key, id, trace, common, home=key == subject)
            messages.append(message)
            if kind in view.opens:
                effect = view.opens[kind]
                opened.append(
                    (view.id.aggregate, effect.name, effect.identify(payload), view.id.partition, key, id,
                     (message[1][1] or b"").decode(), correlation, trace, time_ms, 1)
                )  # fmt: skip
            if kind in view.closes:
                closed += [(view.id.aggregate, one.name, one.identify(payload)) for one in view.closes[kind]]
        if item.fired is not None and _due_times(view.aggregate, state).get(item.fired.name) == in_ms(item.fired.due):
            raise RuntimeError(f"deadline {item.fired.name} fell due and the state still asks for it at the same time")
        return Outputs(state, evolved, messages, opened, closed)

    def _encode(
        self, view: View, payload: Payload, key: str, id: str, trace: str, common: list[tuple[str, bytes]], *, home: bool
    ) -> tuple[Target, Message]:
        """The record of one output; under its input's own key (`home`) it keeps the input's partition number."""
        outlet = self._wiring.outlets[type(payload)]
        value: bytes = payload.__pydantic_serializer__.to_json(payload, exclude_none=True)
        if len(value) > EVENT_LIMIT:
            raise ValueError(f"output {outlet.headers[2][1].decode()} has {len(value)} bytes; the limit is {EVENT_LIMIT}")
        raw = key.encode()
        if home and outlet.partitions == view.partitions:
            partition = view.id.partition
        else:
            partition = partition_of(raw, outlet.partitions)
        headers = [
            *outlet.headers, ("ce_id", id.encode()), ("ce_subject", raw), *common, ("traceparent", trace.encode()),
        ]  # fmt: skip
        return outlet.targets[partition], (raw, value, headers)

    def _accept(
        self,
        batch: Batch,
        item: Item,
        view: View,
        entry: Entry,
        outputs: Outputs,
        claims: dict[str, dict[str, str]],
    ) -> None:
        event, task, name = item.event, view.task, view.id.aggregate
        assert event is not None
        key = event.subject
        if outputs.evolved:
            changed = batch.states.get(name)
            if changed is None:
                changed = batch.states[name] = {}
            now = changed.get(key)
            if now is None:
                changed[key] = view.cache[key] = Entry(entry.version + 1, outputs.state)
                if view.watched:
                    batch.before.setdefault(name, {})[key] = (entry.state, view.id.partition)
            else:
                now.state = outputs.state
            if view.aggregate.claims is not None:
                self._overlay_claims(claims.setdefault(name, {}), key, view.aggregate, entry.state, outputs.state)
        packs = batch.packs
        for target, message in outputs.messages:
            place = (view.id, target)
            if place in packs:
                packs[place].append(message)
            else:
                packs[place] = [message]
        if outputs.opened:
            batch.effects_opened += outputs.opened
        if outputs.closed:
            batch.effects_closed += outputs.closed
        if task.parked:
            if item.parked:
                self._unpark(batch, item, task)
            if key in task.parked:
                batch.awaited.add((view.id, key))
        if item.record is not None:
            batch.applied += 1
        elif item.closes is not None:
            batch.effects_closed.append(item.closes)
            batch.count("effect")
        elif item.fired is not None:
            batch.deadlines_fired.append((name, key, item.fired.name, in_ms(item.fired.due)))
            batch.count("deadline")

    def _overlay_claims(self, held: dict[str, str], key: str, aggregate: Aggregate, before: Any, after: Any) -> None:
        """Later items of the batch see what earlier ones claimed or freed."""
        assert aggregate.claims is not None
        now = set(aggregate.claims(after))
        for text in set(aggregate.claims(before)) - now if before is not None else ():
            held.pop(text, None)
        for text in now:
            held.setdefault(text, key)

    def _settle(self, batch: Batch) -> None:
        """Deadlines and claims of changed states: rows follow what the state asks for."""
        for name, befores in batch.before.items():
            aggregate = self._wiring.aggregates[name]
            entries = batch.states[name]
            for key, (before, partition) in befores.items():
                after = entries[key].state
                if aggregate.deadlines is not None:
                    self._settle_deadlines(batch, aggregate, key, partition, before, after)
                if aggregate.claims is not None:
                    old = set(aggregate.claims(before)) if before is not None else set()
                    new = set(aggregate.claims(after))
                    batch.claims_freed += [(name, text) for text in sorted(old - new)]
                    batch.claims_made += [(name, text, key) for text in sorted(new - old)]

    def _settle_deadlines(
        self, batch: Batch, aggregate: Aggregate, key: str, partition: int, before: Any, after: Any
    ) -> None:
        old, new = _due_times(aggregate, before), _due_times(aggregate, after)
        for gone in old.keys() - new.keys():
            batch.deadlines_gone.append((aggregate.name, key, gone))
        for due_name, due in new.items():
            if old.get(due_name) != due:
                batch.deadlines_set.append((aggregate.name, key, due_name, partition, due))

    # What could not be applied

    def _take_in(
        self,
        batch: Batch,
        item: Item,
        taken: dict[tuple[str, str], tuple[str, int]],
        seen: Seen,
        outcome: int,
    ) -> None:
        """The inbox row of an input, and of the dead letter that it was."""
        if item.record is None or item.event is None or not item.known:
            return
        ident = (item.event.source, item.event.id)
        if item.redrives is not None:
            batch.redriven.append((DEAD_LETTER_SOURCE, item.redrives, item.digest))
            taken[DEAD_LETTER_SOURCE, item.redrives] = (item.digest, APPLIED)
            if ident in seen:
                if outcome == APPLIED:
                    batch.redriven.append((*ident, item.digest))
                return
        batch.inbox.append((*ident, item.digest, outcome))
        taken[ident] = (item.digest, outcome)

    def _bury(self, batch: Batch, item: Item, code: str, text: str, *, known: bool = True) -> None:
        """A dead letter: the original bytes and headers, where they stood, and why they could not be processed."""
        record = item.record
        assert record is not None
        letter = dead_letter_id(self._service, record)
        topic = self._wiring.dead_letters
        stamps = {
            "dead_letter_id": letter,
            "reason": code,
            "text": text[:2000],
            "service": self._service,
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "timestamp": str(record.timestamp),
        }
        if item.redrives is not None:
            # What came round again keeps the place where it first stood.
            first = {name.removeprefix(OWN_HEADERS): value for name, value in record.headers if name.startswith(OWN_HEADERS)}
            for name in ("topic", "partition", "offset", "timestamp"):
                stamps[name] = first.get(name, b"").decode("utf-8", "replace") or stamps[name]
        headers = [(name, value) for name, value in record.headers if value is not None and not name.startswith(OWN_HEADERS)]
        headers += [(f"{OWN_HEADERS}{name}", value.encode("utf-8", "replace")) for name, value in stamps.items()]
        target = Target(topic.name, record.partition % topic.partitions)
        batch.packs.setdefault((item.task, target), []).append((record.key, record.value, headers))
        batch.inbox.append((DEAD_LETTER_SOURCE, letter, item.digest, DEAD))
        if item.parked:
            self._unpark(batch, item, self._tasks[item.task])
        batch.count("dead")
        event = item.event
        batch.notes.append(
            (
                "dead letter",
                {
                    "dead_letter_id": letter,
                    "reason": code,
                    "text": text[:500],
                    "place": f"{record.topic}[{record.partition}]@{record.offset}",
                    "case": _printable(record.key),
                    "event_id": event.id if event is not None else None,
                },
            )
        )

    def _fail(
        self,
        batch: Batch,
        item: Item,
        failure: Exception,
        taken: dict[tuple[str, str], tuple[str, int]],
        seen: Seen,
    ) -> None:
        """An exception that nobody foresaw: a dead letter of its own, unless there are too many of them."""
        text = f"{type(failure).__name__}: {failure}"
        place = traceback.extract_tb(failure.__traceback__)[-1]
        batch.notes.append(("unexpected failure", {"error": text, "at": f"{place.name}:{place.lineno}"}))
        self._limits.unexpected(f"{text} in {place.name}, line {place.lineno}")
        if item.record is None:
            raise TooManyUnexpected(f"{text} in {place.name}: a deadline or an effect's result can't be put aside") from failure
        self._take_in(batch, item, taken, seen, DEAD)
        self._bury(batch, item, "unexpected", text)

    def fail(self, item: Item, failure: Exception, seen: Seen) -> Batch:
        """The batch of a single item that the database would not take."""
        batch = Batch()
        batch.epochs[item.task] = self._tasks[item.task].epoch
        record = item.record
        if record is not None and not item.parked:
            batch.positions[record.topic, record.partition] = (-1, record.offset + 1)
        self._fail(batch, item, failure, {}, seen)
        return batch

    def _waits(self, batch: Batch, item: Item, task: Task, key: str) -> bool:
        """Whether an input stands behind a parked one of its key and topic that is still early."""
        if item.record is None:
            return False
        if item.parked:
            return (item.task, key, item.record.topic) in batch.still_early
        waiting = task.parked.get(key)
        return waiting is not None and item.record.topic in waiting

    def _defer(
        self,
        batch: Batch,
        item: Item,
        task: Task,
        reason: str,
        taken: dict[tuple[str, str], tuple[str, int]],
        seen: Seen,
        now_ms: int,
    ) -> None:
        """Park an early input, or give it up when it waited long enough or too many wait."""
        event = item.event
        assert event is not None
        if item.parked and not item.expired:
            assert item.record is not None
            batch.still_early.add((item.task, event.subject, item.record.topic))
            return
        waiting = sum(task.parked.get(event.subject, {}).values())
        if item.expired or waiting >= self._limits.park_limit:
            self._take_in(batch, item, taken, seen, DEAD)
            self._bury(batch, item, "early", f"what it needs did not come in time: {reason}")
            return
        self._park(batch, item, task, reason, now_ms)

    def _park(self, batch: Batch, item: Item, task: Task, reason: str, now_ms: int) -> None:
        record, event = item.record, item.event
        assert record is not None
        assert event is not None
        packed = marshal.dumps(StoredRecord.packed(record), MARSHAL)
        batch.parked.append(
            (record.topic, record.partition, record.offset, item.task.aggregate, event.subject, now_ms, reason, packed)
        )
        counts = task.parked.setdefault(event.subject, {})
        counts[record.topic] = counts.get(record.topic, 0) + 1
        batch.count("parked")

    def _unpark(self, batch: Batch, item: Item, task: Task) -> None:
        record, event = item.record, item.event
        assert record is not None
        assert event is not None
        batch.unparked.append((record.topic, record.partition, record.offset))
        counts = task.parked[event.subject]
        counts[record.topic] -= 1
        if not counts[record.topic]:
            del counts[record.topic]
        if not counts:
            del task.parked[event.subject]

    def _send_on(self, batch: Batch, item: Item, record: Record) -> None:
        """A record that a foreign client put on a wrong partition: one reader sends it on, the others leave it out."""
        inlet = item.inlet
        assert inlet is not None
        if not inlet.sends_on:
            batch.count("misplaced")
            return
        target = Target(record.topic, partition_of(record.key or b"", inlet.topic.partitions))
        headers = [(name, value) for name, value in record.headers if value is not None]
        batch.packs.setdefault((item.task, target), []).append((record.key, record.value, headers))
        batch.count("sent-on")


def _due_times(aggregate: Aggregate, state: Any) -> dict[str, int]:
    """The deadlines that a state asks for, in milliseconds, which is how finely they are kept."""
    if state is None or aggregate.deadlines is None:
        return {}
    return {one.name: in_ms(one.due) for one in aggregate.deadlines(state)}


def in_ms(when: datetime) -> int:
    """A moment in milliseconds since the epoch, rounded down."""
    return int(when.timestamp() * 1000)


def moment(ms: int) -> datetime:
    """A moment in milliseconds since the epoch as a datetime."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def _printable(key: bytes | None) -> str:
    return "" if key is None else key[:200].decode("utf-8", "backslashreplace")


def wanted(items: Iterable[Item], tasks: Mapping[TaskId, Task]) -> dict[str, dict[str, TaskId]]:
    """Keys by aggregate, with their tasks, whose states these items need and memory does not hold."""
    keys: dict[str, dict[str, TaskId]] = {}
    for item in items:
        if item.decide is not None and not item.misplaced and item.event is not None:
            key = item.event.subject
            if key not in tasks[item.task].cache:
                keys.setdefault(item.task.aggregate, {})[key] = item.task
    return keys
