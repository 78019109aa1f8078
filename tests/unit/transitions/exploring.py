"""Finds real states of a transition table: inputs made of the contracts' examples, decided and folded, again and again.

Nothing here knows a service. A table is explored through the decisions that it guards, its own fold and its own
deadlines, which are found in the service's declaration.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

from pydantic import ValidationError

from schemas.codec import decode
from schemas.envelope import Event, Payload
from schemas.reference import CHINA_TIME
from schemas.values import side_of
from services.cli.transitions import tables_of
from services.client.rows import check_rows, read_rows
from services.kit.door import Deadline, Early, Route, Service, To
from services.kit.transitions import Decide, Party, Transitions, parties_of
from services.registry import build
from tests.unit.transitions.ways import WAYS, Step

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "schemas" / "examples"
DIRECTORY = ROOT / "deploy" / "reference" / "directory.jsonl"
BEGIN = datetime(2020, 4, 1, 9, 30, tzinfo=CHINA_TIME)
NOBODY = "//elsewhere/1"
SOURCES = (
    "//commerce/15",
    "//bank/exim-nmg",
    "//commerce/mofcom",
    "//bank/exim",
    "//partner/demo-bank",
    "//kouan/referral_intake",
    NOBODY,
)
"""One system for every party, and one that is none."""

MOST_STEPS = 150
ALIKE = 3
PER_STATUS = 3
"""From how many states to go on, how many of those to take that the same kinds of outputs lead to, and how many of each
status to keep for the proof."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A state that was reached, when, and by which outputs (in kinds, not in number)."""

    state: Any
    at: datetime
    by: frozenset[tuple[str, ...]]


@dataclass
class Explored:
    """One table with everything that is needed to try it, and the states that were found."""

    service: str
    table: Transitions
    decides: dict[type[Payload], Decide]
    deadlines: Callable[[Any], Iterable[Deadline]]
    due: Decide | None
    claims_wanted: Callable[[Any], Iterable[str]]
    context: Any
    found: dict[StrEnum | None, list[Seen]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.service}-{self.table.name}"

    def status(self, state: Any) -> StrEnum | None:
        return None if state is None else self.table.status(state)

    def fold(self, state: Any, outputs: Iterable[Any]) -> Any:
        """The state after the outputs, as the kit folds them."""
        for output in outputs:
            if not isinstance(output, To) and type(output) in self.table.records:
                state = self.table.evolve(state, output)
        return state

    def fire(self, state: Any, deadline: Deadline) -> list[Any]:
        """What comes of a deadline of this state."""
        assert self.due is not None
        name = f"{deadline.name}/{deadline.due.isoformat()}"
        event = Event(name, f"//kouan/{self.service}/deadlines", "deadline", deadline.due, SUBJECT, deadline, SUBJECT)
        return list(self.due(state, event, self.context))

    def next_deadline(self, state: Any) -> Deadline | None:
        """The deadline of a state that falls due first."""
        return min(self.deadlines(state), key=lambda one: one.due, default=None) if state is not None else None


KEYS = ("referral_id", "wish_id")
"""Fields that repeat the key."""
MOST_INPUTS = 16
"""How many payloads of a type are tried."""
MOST_DEADLINES = 5
"""How many deadlines one after the other pass from a state in which nobody says anything."""

SUBJECT, ANOTHER = "NMG-2020-000123", "NMG-2020-000099"
"""The key under which all happens, and that of a case which holds claims."""


@cache
def explored(service: str, table: str) -> Explored:
    """One table of a service with its states; found once, then kept."""
    one = _declared(service, next(one for one in tables_of(service) if one.name == table))
    _explore(one)
    return one


@cache
def _built(name: str) -> tuple[Service, Any]:
    """A service with the context that its decisions look things up in."""
    service = build(name)
    context: Any = service.context()
    for event in directory():
        context.learn(event)
    return service, context


def _declared(name: str, table: Transitions) -> Explored:
    service, context = _built(name)
    domain = import_module(f"services.{name}.domain")
    modules = [import_module(f"{domain.__name__}.{found.name}") for found in iter_modules(domain.__path__)]
    # An aggregate, or a part of one that is declared like it.
    holder: Any = next(
        one
        for one in (*service.aggregates, *(one for module in modules for one in vars(module).values()))
        if getattr(one, "evolve", None) in (table.evolve, table.fold)
        and isinstance(getattr(one, "routes", None), Mapping)
    )
    routes = {kind: one.decide if isinstance(one, Route) else one for kind, one in holder.routes.items()}
    claims_wanted = getattr(holder, "claims_wanted", None) or _none
    return Explored(name, table, routes, holder.deadlines or _none, holder.due, claims_wanted, context)


def _none(state_or_event: Any) -> tuple[()]:
    """Neither deadlines nor claims."""
    return ()


@cache
def directory() -> tuple[Event[Any], ...]:
    """The shipped directory."""
    checked = check_rows(read_rows(DIRECTORY))
    assert not checked.faults, checked.faults
    return tuple(decode(record.key, record.value, tuple(record.headers)) for _, record in checked.prepared)


def _explore(one: Explored) -> None:
    """Depth first, so that each path goes far; what counts as new are the kinds of outputs that led to a state."""
    written = [seen for way in WAYS.get(str(one), ((),)) for seen in _along(one, way)]
    known = Counter(seen.by for seen in written)
    named = {state for row in one.table.rows for state in row.states}
    for seen in written:
        _keep(one, seen)
    last: list[Seen] = []
    for _ in range(MOST_STEPS):
        if named <= set(one.found) and all(len(kept) >= PER_STATUS for kept in one.found.values()):
            break
        # All that is written down goes first, then whatever was found last.
        if not written and not last:
            break
        seen = written.pop(0) if written else last.pop()
        for after in _steps(one, seen):
            if known[after.by] < ALIKE and after.state != seen.state and _keep(one, after):
                known[after.by] += 1
                last.append(after)


def _keep(one: Explored, seen: Seen) -> bool:
    """Whether a state is another than those that are kept of its status; it is kept while there is room."""
    kept = one.found.setdefault(one.status(seen.state), [])
    if any(seen.state == other.state for other in kept):
        return False
    if len(kept) < PER_STATUS:
        kept.append(seen)
    return True


def _along(one: Explored, way: Iterable[Step]) -> Iterator[Seen]:
    """The states on a way that is written down, the first of them with nothing known."""
    seen = Seen(None, BEGIN, frozenset())
    yield seen
    for kind, changes, source in way:
        payload = kind.model_validate(inputs_of(kind)[0].model_dump() | changes)
        at = seen.at + timedelta(hours=1)
        outputs = list(one.decides[kind](seen.state, event_of(payload, source, at), one.context))
        assert one.fold(seen.state, outputs) != seen.state, f"{kind.TYPE} leads nowhere on its way: {outputs}"
        seen = _after(one, seen, outputs, at)
        yield seen


def _steps(one: Explored, seen: Seen) -> Iterator[Seen]:
    now = seen.at + timedelta(hours=1)
    for event, decide in _inputs(one, seen.state, now):
        try:
            outputs = list(decide(seen.state, event, one.context))
        except Early:
            continue
        if any(type(output) in one.table.records for output in outputs):
            yield _after(one, seen, outputs, now)
    for _ in range(MOST_DEADLINES):
        deadline = one.next_deadline(seen.state)
        if deadline is None:
            break
        seen = _after(one, seen, one.fire(seen.state, deadline), max(deadline.due, seen.at))
        yield seen


def _inputs(one: Explored, state: Any, now: datetime) -> Iterator[tuple[Event[Any], Decide]]:
    """What the table lets through in a state; what asks for claims also comes while another case holds them."""
    for kind, decide in one.decides.items():
        row = one.table.row(kind, one.status(state))
        if row is None:
            continue
        for payload, source in product(inputs_of(kind), SOURCES):
            if row.by & parties_of(source) or (Party.REFERRER in row.by and side_of(source)):
                event = event_of(payload, source, now)
                yield event, decide
                wanted = tuple(one.claims_wanted(event))
                if wanted:
                    event = event_of(payload, source, now)
                    event.holders = dict.fromkeys(wanted, ANOTHER)
                    yield event, decide


def _after(one: Explored, seen: Seen, outputs: list[Any], at: datetime) -> Seen:
    said = {_sort(output) for output in outputs if not isinstance(output, To)}
    return Seen(one.fold(seen.state, outputs), at, seen.by | said)


def _sort(payload: Payload) -> tuple[str, ...]:
    """What kind of thing an output says: its type and its codes."""
    return (payload.TYPE, *(value.value for value in dict(payload).values() if isinstance(value, StrEnum)))


def event_of(payload: Payload, source: str, at: datetime) -> Event[Any]:
    return Event(f"{payload.TYPE}/{source}/{at.isoformat()}", source, payload.TYPE, at, SUBJECT, payload, SUBJECT)


@cache
def inputs_of(kind: type[Payload]) -> tuple[Payload, ...]:
    """Payloads of a type: its valid examples, and what they become with other codes, versions and yes or no."""
    bodies = [json.loads(path.read_text("utf-8")) for path in sorted((EXAMPLES / kind.TYPE).glob("valid*.json"))]
    assert bodies, f"no example of {kind.TYPE}"
    bodies = [{**body, **{name: SUBJECT for name in KEYS if name in kind.model_fields}} for body in bodies]
    # The examples as they are first: what is explored first is what is kept.
    found: dict[str, Payload] = {}
    for one in (*bodies, *(varied for body in bodies for varied in _varied(kind, body))):
        try:
            payload = kind.model_validate(one)
        except ValidationError:
            continue
        found.setdefault(payload.model_dump_json(), payload)
        if len(found) == MOST_INPUTS:
            break
    return tuple(found.values())


def _varied(kind: type[Payload], body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    choices = {name: _choices(name, one.annotation) for name, one in kind.model_fields.items()}
    names = [name for name, values in choices.items() if values]
    for values in product(*((body.get(name), *choices[name]) for name in names)):
        yield {**body, **{name: value for name, value in zip(names, values, strict=True) if value is not None}}


def _choices(name: str, annotation: Any) -> tuple[Any, ...]:
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, StrEnum):
            return tuple(one)[:6]
    return (1, 2) if name == "version" and annotation is int else ()
