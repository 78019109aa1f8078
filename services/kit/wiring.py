"""How a service's declaration meets the catalogue: which topic feeds which aggregate, which output goes where.

Checked when a worker starts, so that a declaration that can't hold what the kit promises never runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.envelope import Event, Payload, payload_class
from schemas.upcasting import newest
from services.kit.batch import Target
from services.kit.door import Aggregate, Effect, Route, Service
from services.kit.outputs import output_headers
from topics.definition import Catalogue, Topic

Decide = Callable[[Any, Event[Any], Any], Any]


@dataclass(frozen=True, slots=True)
class Inlet:
    """One topic as an aggregate reads it."""

    topic: Topic
    aggregate: str
    known: Mapping[str, type[Payload]]
    routes: Mapping[str, Route]
    decides: Mapping[str, Decide]
    sends_on: bool
    redrive: bool = False


@dataclass(frozen=True, slots=True)
class Outlet:
    """One output type as the service writes it."""

    topic: str
    partitions: int
    headers: bytes
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Wiring:
    """A service's declaration resolved against the catalogue."""

    service: Service
    source: str
    inlets: Mapping[str, Inlet]
    outlets: Mapping[type[Payload], Outlet]
    aggregates: Mapping[str, Aggregate]
    records: Mapping[str, frozenset[type[Payload]]]
    partitions: Mapping[str, int]
    opens: Mapping[str, Mapping[type[Payload], Effect]]
    closes: Mapping[str, Mapping[type[Payload], tuple[Effect, ...]]]
    dead_letters: Topic
    references: tuple[Topic, ...]

    def topics_of(self, aggregate: str) -> tuple[str, ...]:
        """The topics that feed the tasks of an aggregate."""
        return tuple(name for name, inlet in self.inlets.items() if inlet.aggregate == aggregate)


def wire(service: Service, catalogue: Catalogue) -> Wiring:
    """Resolve a declaration.

    Raises:
        TypeError: the declaration and the catalogue do not fit; all faults are named.
    """
    faults: list[str] = []
    aggregates = {aggregate.name: aggregate for aggregate in service.aggregates}
    by_key = {key: aggregate.name for aggregate in service.aggregates for key in aggregate.keyed_by}
    inlets: dict[str, Inlet] = {}
    partitions: dict[str, int] = {}
    for topic in catalogue.inputs_of(service.name):
        owner = by_key.get(topic.key.name)
        if owner is None:
            faults.append(f"{topic.name} is keyed by {topic.key.name}, which no aggregate of {service.name} is")
            continue
        if partitions.setdefault(owner, topic.partitions) != topic.partitions:
            faults.append(
                f"{topic.name} has {topic.partitions} partitions; the other topics of {owner} have {partitions[owner]}"
            )
        inlets[topic.name] = _inlet(topic, aggregates[owner], service.name, faults)
    redrive = catalogue.redrive_of(service.name)
    first = service.aggregates[0]
    inlets[redrive.name] = Inlet(redrive, first.name, {}, {}, {}, sends_on=False, redrive=True)
    source = f"//kouan/{service.name}"
    outlets = {
        cls: _outlet(cls, service.name, source, catalogue, faults) for cls in _outputs(service.name, catalogue, faults)
    }
    if faults:
        raise TypeError(f"{service.name} does not fit the catalogue: " + "; ".join(faults))
    return Wiring(
        service=service,
        source=source,
        inlets=inlets,
        outlets=outlets,
        aggregates=aggregates,
        records={name: frozenset(one.records) for name, one in aggregates.items()},
        partitions=partitions,
        opens={name: {effect.opened_by: effect for effect in one.effects} for name, one in aggregates.items()},
        closes={name: _closers(one) for name, one in aggregates.items()},
        dead_letters=catalogue.dead_letters_of(service.name),
        references=tuple(catalogue.references_of(service.name)),
    )


def _inlet(topic: Topic, aggregate: Aggregate, service: str, faults: list[str]) -> Inlet:
    known: dict[str, type[Payload]] = {}
    for kind in sorted(topic.events):
        cls = payload_class(kind)
        if cls is None:
            faults.append(f"{topic.name} carries {kind}, which no payload class has as its TYPE")
        else:
            known[kind] = cls
    # Older versions are decoded as the newest, so they take its route.
    taken = {kind: aggregate.routes.get(newest(cls)) for kind, cls in known.items()}
    routes = {kind: one if isinstance(one, Route) else Route(one) for kind, one in taken.items() if one is not None}
    faults += [
        f"{aggregate.name} of {service} routes {cls.TYPE}, which is read as {newest(cls).TYPE}; route that one"
        for cls in aggregate.routes
        if cls.TYPE in known and newest(cls) is not cls
    ]
    decides = {kind: route.decide for kind, route in routes.items()}
    return Inlet(topic, aggregate.name, known, routes, decides, sends_on=topic.redistributed_by == service)


def _outputs(service: str, catalogue: Catalogue, faults: list[str]) -> list[type[Payload]]:
    """All payload classes that the catalogue lets a service write."""
    found = []
    for topic in catalogue.topics.values():
        if service in topic.writers:
            for kind in sorted(topic.events):
                cls = payload_class(kind)
                if cls is None:
                    faults.append(f"{topic.name} carries {kind}, which no payload class has as its TYPE")
                else:
                    found.append(cls)
    return found


def _outlet(cls: type[Payload], service: str, source: str, catalogue: Catalogue, faults: list[str]) -> Outlet:
    topic = catalogue.topic_for(service, cls.TYPE)
    headers = output_headers(source, cls.TYPE)
    targets = tuple(Target(topic.name, partition) for partition in range(topic.partitions))
    return Outlet(topic.name, topic.partitions, headers, targets)


def _closers(aggregate: Aggregate) -> dict[type[Payload], tuple[Effect, ...]]:
    closers: dict[type[Payload], tuple[Effect, ...]] = {}
    for effect in aggregate.effects:
        for cls in effect.closed_by:
            closers[cls] = (*closers.get(cls, ()), effect)
    return closers
