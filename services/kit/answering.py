"""From one decision to its outputs: the state after it, and the records that go out, ready to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from schemas.envelope import EVENT_LIMIT, Event
from services.kit.batch import Target, TaskId
from services.kit.door import Aggregate, Context, To
from services.kit.ids import MOST_OUTPUTS, output_stem
from services.kit.outputs import common_headers, output_body
from services.kit.reading import Item
from services.kit.record_batch import RecordBatch
from services.kit.task import Task
from services.kit.wiring import Wiring
from topics.partitioning import partition_of

Answer = tuple[Any, bool, Sequence[tuple[Target, bytes]], Sequence[tuple[Any, ...]], Sequence[tuple[str, str, str]]]
"""What one decision gives: the state after it, whether it moved, records' bodies with their targets, effects opened and
closed by their rows."""


class View:
    """A task with all that deciding for it needs, looked up once for a run of items."""

    __slots__ = (
        "aggregate", "cache", "closes", "evolve", "id", "name", "opens", "outlets", "partitions", "records",
        "records_out", "target", "task", "watched",
    )  # fmt: skip

    def __init__(self, id: TaskId, task: Task, wiring: Wiring) -> None:
        self.id = id
        self.name = id.aggregate
        self.task = task
        self.cache = task.cache
        self.aggregate = wiring.aggregates[id.aggregate]
        self.evolve = self.aggregate.evolve
        self.records = wiring.records[id.aggregate]
        self.opens = wiring.opens[id.aggregate]
        self.closes = wiring.closes[id.aggregate]
        self.outlets = wiring.outlets
        self.partitions = wiring.partitions[id.aggregate]
        # Where the last output went: mostly the next one goes there as well.
        self.target: Target | None = None
        self.records_out = RecordBatch()
        self.watched = self.aggregate.deadlines is not None or self.aggregate.claims is not None


def answer(service: str, view: View, item: Item, event: Event[Any], state: Any, context: Context) -> Answer:
    """Decide, evolve and encode one item. Nothing of the batch is touched, so that it may raise at any point."""
    assert item.decide is not None
    made = list(item.decide(state, event, context))
    if not made and item.fired is None:
        return state, False, (), (), ()
    if len(made) > MOST_OUTPUTS:
        raise ValueError(f"{len(made)} outputs for one input; an id has room for {MOST_OUTPUTS}")
    subject, home = event.subject, event.subject.encode()
    time_ms = in_ms(event.time)
    stem = output_stem(service, event.source, event.id, time_ms)
    correlation = event.correlation_id or subject
    trace = event.traceparent or f"00-{stem.replace('-', '')[-24:]:0>32}-0000000000000000-01"
    common = common_headers(event.time.isoformat().encode(), correlation.encode(), event.id.encode())
    outputs: list[tuple[Target, bytes]] = []
    opened: list[tuple[Any, ...]] = []
    closed: list[tuple[str, str, str]] = []
    evolved = False
    for position, payload in enumerate(made):
        kind = type(payload)
        key = home
        if kind is To:
            key, payload = payload.key.encode(), payload.payload
            kind = type(payload)
        elif kind in view.records:
            state, evolved = view.evolve(state, payload), True
        value = payload.__pydantic_serializer__.to_json(payload, exclude_none=True)
        if len(value) > EVENT_LIMIT:
            raise ValueError(f"output {kind.TYPE} has {len(value)} bytes; the limit of an event is {EVENT_LIMIT}")
        outlet = view.outlets[kind]
        # Under its input's own key an output keeps the input's partition number.
        same = key is home and outlet.partitions == view.partitions
        target = outlet.targets[view.id.partition if same else partition_of(key, outlet.partitions)]
        id = f"{stem}{position:04x}"
        # The new span is the output itself: the last 16 digits of its id.
        span = f"{trace[:36]}{id[19:23]}{id[24:]}{trace[52:]}"
        outputs.append((target, output_body(key, value, outlet.headers, id.encode(), common, span.encode())))
        if kind in view.opens:
            effect = view.opens[kind]
            row = (view.name, effect.name, effect.identify(payload), view.id.partition, key.decode(), id)
            opened.append((*row, value.decode(), correlation, span, time_ms))
        if kind in view.closes:
            closed += [(view.name, effect.name, effect.identify(payload)) for effect in view.closes[kind]]
    if item.fired is not None and due_times(view.aggregate, state).get(item.fired.name) == in_ms(item.fired.due):
        raise RuntimeError(f"deadline {item.fired.name} fell due and the state still asks for it at the same time")
    return state, evolved, outputs, opened, closed


def due_times(aggregate: Aggregate, state: Any) -> dict[str, int]:
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
