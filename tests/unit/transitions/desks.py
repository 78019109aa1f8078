"""Several services on topics in memory: the order of the topics is free, everything else is as the kit does it.

Per topic and key order is kept; topics overtake one another. What a service took in once it leaves out when it comes
again. Early inputs wait in order with all later ones of their key and topic. A deadline falls due when everything
before it was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from schemas.envelope import Event, Payload
from services.kit.deciding import claims_wanted
from services.kit.door import Aggregate, Deadline, Early, Route, To
from services.registry import build
from tests.unit.transitions.exploring import directory
from topics.definition import load_catalogue

NAMES = ("referral_intake", "screening", "cooperation")


class Desk(NamedTuple):
    """One thing that one aggregate of a service decides about."""

    service: str
    aggregate: str
    key: str


class Reading(NamedTuple):
    """One key of one topic, as one aggregate reads it."""

    topic: str
    desk: Desk


@cache
def _composed() -> dict[str, tuple[tuple[Aggregate, ...], Any]]:
    composed = {}
    for name in NAMES:
        service = build(name)
        context: Any = service.context()
        for event in directory():
            context.learn(event)
        composed[name] = service.aggregates, context
    return composed


@cache
def _readers(topic: str, kind: type[Payload]) -> tuple[tuple[str, str], ...]:
    """Which aggregates decide about a type on a topic, as (service, aggregate)."""
    catalogue = load_catalogue()
    return tuple(
        (name, aggregate.name)
        for name, (aggregates, _) in _composed().items()
        if catalogue.topics[topic] in catalogue.inputs_of(name)
        for aggregate in aggregates
        if catalogue.topics[topic].key.name in aggregate.keyed_by and kind in aggregate.routes
    )


def aggregate_of(desk: Desk) -> Aggregate:
    return next(one for one in _composed()[desk.service][0] if one.name == desk.aggregate)


@dataclass
class Desks:
    """All desks of the services, and what is on its way to them."""

    states: dict[Desk, Any] = field(default_factory=dict)
    records: dict[Desk, list[Payload]] = field(default_factory=dict)
    waiting: dict[Reading, deque[Event[Any]]] = field(default_factory=dict)
    parked: dict[Reading, deque[Event[Any]]] = field(default_factory=dict)
    taken: set[tuple[str, str, str, str]] = field(default_factory=set)

    def publish(self, topic: str, event: Event[Any]) -> None:
        """Write an event on a topic; nobody has read it yet."""
        for service, aggregate in _readers(topic, type(event.data)):
            reading = Reading(topic, Desk(service, aggregate, event.subject))
            self.waiting.setdefault(reading, deque()).append(event)

    def unread(self) -> list[Reading]:
        """Where something waits to be read, in an order of its own."""
        return sorted(reading for reading, events in self.waiting.items() if events)

    def read(self, reading: Reading) -> None:
        """One desk reads the next event of its key on a topic."""
        event = self.waiting[reading].popleft()
        ident = (reading.desk.service, reading.desk.aggregate, event.source, event.id)
        if ident in self.taken:
            return
        self.taken.add(ident)
        if self.parked.get(reading):
            self.parked[reading].append(event)
        elif self._decide(reading.desk, event):
            self._unpark(reading.desk)
        else:
            self.parked.setdefault(reading, deque()).append(event)

    def read_all(self) -> None:
        """Everything is read, and all that follows from it."""
        while unread := self.unread():
            self.read(unread[0])

    def pass_time(self, until: datetime) -> None:
        """All deadlines up to a moment fall due, in order, each once everything before it was read."""
        while True:
            self.read_all()
            due = min(self._deadlines(), key=lambda one: (one[0].due, one[0].name, one[1]), default=None)
            if due is None or due[0].due > until:
                return
            deadline, desk = due
            name = f"{desk}/{deadline.name}/{deadline.due.isoformat()}"
            source = f"//kouan/{desk.service}/deadlines"
            event = Event(name, source, "deadline", deadline.due, desk.key, deadline, desk.key)
            decide = aggregate_of(desk).due
            assert decide is not None
            self._take(desk, event, decide(self.states[desk], event, _composed()[desk.service][1]))
            assert deadline not in tuple(self._deadlines_of(desk)), f"{deadline} fell due and is still asked for"
            self._unpark(desk)

    def _deadlines(self) -> Iterable[tuple[Deadline, Desk]]:
        return ((deadline, desk) for desk in self.states for deadline in self._deadlines_of(desk))

    def _deadlines_of(self, desk: Desk) -> Iterable[Deadline]:
        asked = aggregate_of(desk).deadlines
        return () if asked is None else asked(self.states[desk])

    def _decide(self, desk: Desk, event: Event[Any]) -> bool:
        """Whether an event could be decided; if not, it came too early."""
        aggregate, context = aggregate_of(desk), _composed()[desk.service][1]
        route = aggregate.routes[type(event.data)]
        decide = route.decide if isinstance(route, Route) else route
        event.holders = self._holders(desk, aggregate, event)
        try:
            outputs = list(decide(self.states.get(desk), event, context))
        except Early:
            return False
        self._take(desk, event, outputs)
        return True

    def _take(self, desk: Desk, event: Event[Any], outputs: Iterable[Any]) -> None:
        catalogue, aggregate = load_catalogue(), aggregate_of(desk)
        for number, output in enumerate(outputs):
            key, payload = (output.key, output.payload) if isinstance(output, To) else (desk.key, output)
            if not isinstance(output, To) and type(payload) in aggregate.records:
                self.states[desk] = aggregate.evolve(self.states.get(desk), payload)
                self.records.setdefault(desk, []).append(payload)
            topic = catalogue.topic_for(desk.service, payload.TYPE).name
            id, source = f"{event.id}>{desk.service}.{number}", f"//kouan/{desk.service}"
            self.publish(topic, Event(id, source, payload.TYPE, event.time, key, payload, event.correlation_id))

    def _unpark(self, desk: Desk) -> None:
        """What waited at this desk is tried again, until nothing of it moves any more."""
        moved = True
        while moved:
            moved = False
            for reading in sorted(reading for reading, events in self.parked.items() if events):
                while reading.desk == desk and self.parked[reading] and self._decide(desk, self.parked[reading][0]):
                    self.parked[reading].popleft()
                    moved = True

    def _holders(self, desk: Desk, aggregate: Aggregate, event: Event[Any]) -> dict[str, str]:
        wanted = set(claims_wanted(aggregate, event))
        holders: dict[str, str] = {}
        for other, state in self.states.items() if wanted and aggregate.claims is not None else ():
            if other[:2] == desk[:2] and aggregate.claims is not None:
                holders |= dict.fromkeys(wanted & set(aggregate.claims(state)), other.key)
        return holders
