"""From one decision to its outputs: the state after it, and the records that go out, ready to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.envelope import EVENT_LIMIT, Event, Payload
from services.kit.batch import Target, TaskId
from services.kit.door import Aggregate, Context, To
from services.kit.ids import MOST_OUTPUTS, Moment, Stems, in_ms
from services.kit.outputs import common_headers, output_body
from services.kit.reading import Item
from services.kit.record_batch import RecordBatch
from services.kit.task import Task
from services.kit.wiring import Wiring
from topics.partitioning import partition_of

Answer = tuple[Any, bool, Sequence[tuple[Target, bytes]], Sequence[tuple[Any, ...]], Sequence[tuple[str, str, str]]]
"""What one decision gives: the state after it, whether it moved, records' bodies with their targets, effects opened and
closed by their rows."""


class Way:
    """What becomes of an output of one type under its input's own key, looked up once for a task."""

    __slots__ = ("closes", "evolves", "headers", "opens", "outlet", "target", "write")

    def __init__(self, kind: type[Payload], id: TaskId, wiring: Wiring) -> None:
        self.outlet = wiring.outlets[kind]
        self.headers = self.outlet.headers
        # Under its input's own key an output keeps the input's partition number.
        alike = self.outlet.partitions == wiring.partitions[id.aggregate]
        self.target = self.outlet.targets[id.partition] if alike else None
        self.evolves = kind in wiring.records[id.aggregate]
        self.opens = wiring.opens[id.aggregate].get(kind)
        self.closes = wiring.closes[id.aggregate].get(kind, ())
        self.write = kind.__pydantic_serializer__.to_json


class Ways(dict[type[Payload], Way]):
    """The ways of all types of outputs from one task."""

    def __init__(self, id: TaskId, wiring: Wiring) -> None:
        self._id = id
        self._wiring = wiring

    def __missing__(self, kind: type[Payload]) -> Way:
        way = self[kind] = Way(kind, self._id, self._wiring)
        return way


class View:
    """A task with all that deciding for it needs, looked up once for a run of items."""

    __slots__ = ("aggregate", "cache", "evolve", "id", "name", "records_out", "target", "task", "watched", "ways")

    def __init__(self, id: TaskId, task: Task, aggregate: Aggregate, ways: Ways) -> None:
        self.id = id
        self.name = id.aggregate
        self.task = task
        self.cache = task.cache
        self.aggregate = aggregate
        self.evolve = aggregate.evolve
        self.ways = ways
        # Where the last output went: mostly the next one goes there as well.
        self.target: Target | None = None
        self.records_out = RecordBatch()
        self.watched = aggregate.deadlines is not None or aggregate.claims is not None


def answer(stems: Stems, view: View, item: Item, event: Event[Any], state: Any, context: Context) -> Answer:
    """Decide, evolve and encode one item. Nothing of the batch is touched, so that it may raise at any point."""
    assert item.decide is not None
    made = list(item.decide(state, event, context))
    if not made and item.fired is None:
        return state, False, (), (), ()
    if len(made) > MOST_OUTPUTS:
        raise ValueError(f"{len(made)} outputs for one input; an id has room for {MOST_OUTPUTS}")
    subject, home = event.subject, event.subject.encode()
    moment = item.moment or Moment.of(event.time)
    stem = stems.of(event.source, event.id, moment.beginning)
    correlation = event.correlation_id or subject
    trace = event.traceparent or f"00-{stem.replace('-', '')[-24:]:0>32}-0000000000000000-01"
    common = common_headers(moment.text, correlation.encode(), event.id.encode())
    ways = view.ways
    outputs: list[tuple[Target, bytes]] = []
    opened: list[tuple[Any, ...]] = []
    closed: list[tuple[str, str, str]] = []
    evolved = False
    for position, payload in enumerate(made):
        key = home
        if type(payload) is To:
            key, payload = payload.key.encode(), payload.payload
        way = ways[type(payload)]
        if way.evolves and key is home:
            state, evolved = view.evolve(state, payload), True
        value = way.write(payload, exclude_none=True)
        if len(value) > EVENT_LIMIT:
            raise ValueError(f"output {payload.TYPE} has {len(value)} bytes; the limit of an event is {EVENT_LIMIT}")
        target = way.target
        if target is None or key is not home:
            target = way.outlet.targets[partition_of(key, way.outlet.partitions)]
        id = f"{stem}{position:04x}"
        # The new span is the output itself: the last 16 digits of its id.
        span = f"{trace[:36]}{id[19:23]}{id[24:]}{trace[52:]}"
        outputs.append((target, output_body(key, value, way.headers, id.encode(), common, span.encode())))
        if way.opens is not None:
            effect = way.opens
            row = (view.name, effect.name, effect.identify(payload), view.id.partition, key.decode(), id)
            opened.append((*row, value.decode(), correlation, span, moment.ms))
        if way.closes:
            closed += [(view.name, effect.name, effect.identify(payload)) for effect in way.closes]
    if item.fired is not None and due_times(view.aggregate, state).get(item.fired.name) == in_ms(item.fired.due):
        raise RuntimeError(f"deadline {item.fired.name} fell due and the state still asks for it at the same time")
    return state, evolved, outputs, opened, closed


def due_times(aggregate: Aggregate, state: Any) -> dict[str, int]:
    """The deadlines that a state asks for, in milliseconds, which is how finely they are kept."""
    if state is None or aggregate.deadlines is None:
        return {}
    return {one.name: in_ms(one.due) for one in aggregate.deadlines(state)}
