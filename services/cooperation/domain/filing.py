"""What stands under a plan id, and how its kinds become one aggregate.

The plans topics carry several kinds of things under keys of one kind, and the kit feeds all topics of a key kind to one
aggregate. So the aggregate is the file under a plan id, which holds one thing of one kind; a kind knows only itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schemas.envelope import Event, Payload
from services.cooperation.domain.outlook import Outlook
from services.cooperation.domain.refusals import Code, refuse
from services.cooperation.domain.wish import Wish
from services.cooperation.domain.work_plan import WorkPlan
from services.cooperation.domain.zone_plan import ZonePlan
from services.kit.door import Deadline, Output, Route

Decide = Callable[[Any, Event[Any], Any], Iterable[Output]]


@dataclass(frozen=True, slots=True)
class Filed:
    """What stands under one plan id: exactly one of the fields, named as the kinds are."""

    zone_plan: ZonePlan | None = None
    work_plan: WorkPlan | None = None
    wish: Wish | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that stands under a plan id. `name` is its field in `Filed`; the rest is as in an aggregate."""

    name: str
    records: tuple[type[Payload], ...]
    evolve: Callable[[Any, Any], Any]
    routes: Mapping[type[Payload], Route | Decide]
    deadlines: Callable[[Any], Iterable[Deadline]]
    due: Callable[[Any, Event[Deadline], Any], Iterable[Output]]


class Kinds:
    """All kinds as one aggregate's functions."""

    def __init__(self, *kinds: Kind) -> None:
        self._kinds = kinds
        self._kind_of = {record: kind for kind in kinds for record in kind.records}
        self.records = tuple(self._kind_of)
        self.routes = {cls: _within(kind.name, decide) for kind in kinds for cls, decide in kind.routes.items()}

    def evolve(self, filed: Filed | None, payload: Payload) -> Filed:
        """The file after a record of one of the kinds."""
        kind = self._kind_of[type(payload)]
        before = filed or Filed()
        changes: dict[str, Any] = {kind.name: kind.evolve(getattr(before, kind.name), payload)}
        return replace(before, **changes)

    def deadlines(self, filed: Filed | None) -> Iterator[Deadline]:
        """What the thing in the file waits for."""
        for kind, thing in self._present(filed):
            yield from kind.deadlines(thing)

    def due(self, filed: Filed, event: Event[Deadline], outlook: Outlook) -> Iterator[Output]:
        """A deadline of the thing in the file fell due."""
        for kind, thing in self._present(filed):
            yield from kind.due(thing, event, outlook)

    def _present(self, filed: Filed | None) -> Iterator[tuple[Kind, Any]]:
        for kind in self._kinds if filed is not None else ():
            thing = getattr(filed, kind.name)
            if thing is not None:
                yield kind, thing


def _within(name: str, route: Route | Decide) -> Route | Decide:
    """The route of a kind, refused where the id belongs to a thing of another kind."""
    if isinstance(route, Route):
        return Route(_guarded(name, route.decide), route.malformed and _guarded(name, route.malformed))
    return _guarded(name, route)


def _guarded(name: str, decide: Decide) -> Decide:
    def decided(filed: Filed | None, event: Event[Any], outlook: Any) -> Iterable[Output]:
        thing = None if filed is None else getattr(filed, name)
        if filed is not None and thing is None:
            return (refuse(event, Code.OTHER_KIND),)
        return decide(thing, event, outlook)

    return decided
