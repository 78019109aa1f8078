"""The one door: the words in which a service's domain answers to whatever can change its state.

Whatever comes in (a message, a deadline that fell due, the result of an effect, a dead letter sent round again), the
kit loads the state of its key and calls one plain function, `decide(state, event, context)`, which yields payloads.
Each payload goes through `evolve(state, payload)` into the state row and out to the service's own topic, in one
transaction. This module needs nothing but the standard library and `schemas`, so that domains may import it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from schemas.envelope import Event, Payload
from schemas.faults import Fault


class Invalid(Exception):
    """Raised by `decide` when no time and no other message can make this input acceptable: it becomes a dead letter."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Early(Exception):
    """Raised by `decide` when the input needs what another topic has not brought yet: it is parked, in order.

    `otherwise` is the answer in case it is given up because that never came: a refusal that says what to do, or ()
    where nobody needs one. None: it becomes a dead letter.
    """

    def __init__(self, text: str, otherwise: tuple[Payload, ...] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.otherwise = otherwise


@dataclass(frozen=True, slots=True)
class To:
    """An output with a key of its own, for what another aggregate is to count: yield `To(zone_code, payload)`.

    It goes out, but `evolve` never sees it: only what the record topic holds under its own key changes the state.
    """

    key: str
    payload: Payload


Output = Payload | To


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment at which the state has to be looked at again. `name` is unique within one state."""

    name: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Malformed:
    """In place of a payload whose body broke its schema: `body` as parsed (any JSON value), and all its `faults`."""

    body: Any
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """An effect reached the outside world; `detail` is what the other end answered, for people."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The outside world refused the effect for good, or the attempts ran out."""

    code: str
    detail: str = ""


class Retry(Exception):
    """Raised by an effect's `perform` when it may succeed later: the kit tries again with a growing pause."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Something done to the outside world because of an event, from committed rows only.

    `opened_by` is the output type that asks for it, `identify` gives its id from that payload, `closed_by` are the
    outputs that settle it (found by the same `identify`). `perform(payload, attempt)` does it, attempts counting from
    1; after `attempts` of them a `Retry` counts as refused with code `attempts-exhausted`. `result(state, event,
    context)` is called through the one door with `event.data` an `EffectResult`.
    """

    name: str
    opened_by: type[Payload]
    closed_by: tuple[type[Payload], ...]
    identify: Callable[[Any], str]
    perform: Callable[[Any, int], Awaitable[Done | Refused]]
    result: Callable[[Any, Event[Any], Any], Iterable[Output]]
    attempts: int = 12


@dataclass(frozen=True, slots=True)
class EffectResult:
    """What came of an effect: `effect_id` as `identify` gave it, `outcome`, and how many attempts it took."""

    effect_id: str
    outcome: Done | Refused
    attempts: int


class Context(Protocol):
    """What decisions of a service look up: reference data, policy, calendar. Fed from the reference topics."""

    def learn(self, event: Event[Any]) -> None:
        """Take in one event of a reference topic (every version arrives, oldest first, repeats possible)."""


@dataclass(frozen=True, slots=True)
class Route:
    """How one input type is decided. `malformed` takes bodies that broke the schema; None makes them dead letters."""

    decide: Callable[[Any, Event[Any], Any], Iterable[Output]]
    malformed: Callable[[Any, Event[Malformed], Any], Iterable[Output]] | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One kind of thing that a service decides about, with its own tasks and its own state table.

    name: names the tasks, for example `case`.
    keyed_by: names of the catalogue's key kinds; all topics read by the service with these keys feed the aggregate.
    state: a frozen dataclass; `table` has `key`, `version` and one column per field of it (same names).
    evolve: `(state or None, payload) -> state`, for every payload in `records`, in order; `kouan rebuild` calls it too.
    records: the output types that change the state; they stand on the one record topic of the service. One that others
        must not read yet may stand on an internal topic, keyed alike: as a rebuild folds it last, `evolve` has to
        give the same then.
    owns: where two aggregates of a service share an output type, says whose a payload is.
    routes: input type -> decide function or Route.
    deadlines: all deadlines that the state asks for; the kit keeps its rows equal to it.
    due: decides what happens when a deadline fell due; `event.data` is the Deadline, `event.time` its due time.
    claims: texts that only one state of all may hold at a time, for what must be unique across keys.
    claims_wanted: the claims that an input asks about; `event.holders` then maps those that are held to their holder's
        key. Should another worker take one meanwhile, the input is decided again.
    """

    name: str
    keyed_by: tuple[str, ...]
    state: type[Any]
    table: type[Any]
    evolve: Callable[[Any, Any], Any]
    records: tuple[type[Payload], ...]
    routes: Mapping[type[Payload], Route | Callable[[Any, Event[Any], Any], Iterable[Output]]]
    owns: Callable[[Any], bool] = field(default=lambda payload: True)
    deadlines: Callable[[Any], Iterable[Deadline]] | None = None
    due: Callable[[Any, Event[Deadline], Any], Iterable[Output]] | None = None
    effects: tuple[Effect, ...] = ()
    claims: Callable[[Any], Iterable[str]] | None = None
    claims_wanted: Callable[[Event[Any]], Iterable[str]] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A deciding service as declared by its composition root; the kit does the rest."""

    name: str
    aggregates: tuple[Aggregate, ...]
    context: Callable[[], Context]
    migrations: str
