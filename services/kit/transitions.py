"""Who may do what, and where it leads: one table of rows. The code runs from it, the README shows it.

A domain declares its rows once and passes its decide functions through `Transitions.routes` and `Transitions.due`. Then
a wrong party or state is answered before a decision is asked, and a decision that says or does what its row does not
allow fails loudly: the input becomes a dead letter, and nothing of it is stored. Pure, like the domains that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.values import Side, place_of, side_of
from services.kit.door import Deadline, Early, Invalid, Output, Route, To


class Party(StrEnum):
    """Who may cause a transition. An HQ is also of its side; the referrer is the side whose case it is."""

    COMMERCE = "commerce"
    BANK = "bank"
    COMMERCE_HQ = "commerce_hq"
    BANK_HQ = "bank_hq"
    REFERRER = "referrer"
    PARTNER = "partner"
    KOUAN = "kouan"
    CLOCK = "clock"


SIDES: Final = frozenset({Party.COMMERCE, Party.BANK})
HQS: Final = frozenset({Party.COMMERCE_HQ, Party.BANK_HQ})
REFERRER: Final = frozenset({Party.REFERRER})
PARTNERS: Final = frozenset({Party.PARTNER})
OURS: Final = frozenset({Party.KOUAN})
CLOCK: Final = frozenset({Party.CLOCK})

Leads = StrEnum | tuple[StrEnum | None, ...] | None
"""The status after an output: this one; one of these (None among them: or as before); None: it stays as before."""

REMEMBERED: Final = 64
"""So many results of a fold are kept: more than one input leads to."""

Decide = Callable[[Any, Event[Any], Any], Iterable[Output]]


class Wrong(StrEnum):
    """Why the table refuses an input."""

    PARTY = "wrong_party"
    STATE = "wrong_state"


class OutsideTheTable(Exception):
    """A decision did what its row does not allow, or a row is missing: a fault of the code, never of an input."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: an input in some states, by some parties, and all that may come of it.

    on: the input's (newest) type, or the name of a deadline, up to its first `:`, in which case `by` is CLOCK.
    states: the statuses in which it may come; None: nothing is known yet.
    emits: output type → the status that it leads to. Outputs to other keys (`To`) lead nowhere: None.
    refuses: codes with which the decision itself may refuse, though state and party are right.
    early: while nothing is known yet this input waits, parked, for what it needs.
    silent: it may pass without a word, for what our own services tell and what a deadline finds already settled. With
        nothing in `emits` and `refuses` the decision is not even asked.
    """

    on: type[Payload] | str
    states: tuple[StrEnum | None, ...]
    by: frozenset[Party]
    emits: Mapping[type[Payload], Leads]
    refuses: tuple[str, ...] = ()
    early: bool = False
    silent: bool = False

    def allows(self, kind: type[Payload], before: StrEnum | None, after: StrEnum | None) -> bool:
        """Whether an output of this type may lead from one status to another."""
        leads = self.emits[kind]
        if isinstance(leads, tuple):
            return after in leads or (None in leads and after == before)
        return after == (before if leads is None else leads)


@lru_cache(maxsize=4096)
def parties_of(source: str) -> frozenset[Party]:
    """As whom the system with this CloudEvents source may act; empty where it is no party at all."""
    side = side_of(source)
    if side is Side.COMMERCE:
        return frozenset({Party.COMMERCE, Party.COMMERCE_HQ} if place_of(source) == "mofcom" else {Party.COMMERCE})
    if side is Side.BANK:
        return frozenset({Party.BANK, Party.BANK_HQ} if place_of(source) == "exim" else {Party.BANK})
    if source.startswith("//partner/"):
        return PARTNERS
    return OURS if source.startswith("//kouan/") else frozenset()


class Transitions:
    """The table of one aggregate.

    name: the aggregate's, for people.
    status: of a state, as the rows name it; never called without a state.
    evolve, records: as in the aggregate. An aggregate that takes the table's `fold` in place of its `evolve` does not
        do again what was done for the check.
    refused: the type of the refusal event, which has a `code`; `refuse(event, state or None, why)` makes one.
    referrer: the side whose case a state is; needed where rows name the REFERRER.
    early: what early inputs wait for, for people.
    """

    def __init__(
        self,
        name: str,
        rows: Iterable[Transition],
        *,
        status: Callable[[Any], StrEnum],
        evolve: Callable[[Any, Any], Any],
        records: tuple[type[Payload], ...],
        refused: type[Payload],
        refuse: Callable[[Event[Any], Any, Wrong], Payload],
        referrer: Callable[[Any], Side | None] = lambda state: None,
        early: str = "what it needs has not come yet",
    ) -> None:
        self.name = name
        self.rows = tuple(rows)
        self.status, self.evolve, self.records = status, evolve, frozenset(records)
        self.fold = _remembering(evolve)
        self.refused, self.refuse, self.referrer, self.early = refused, refuse, referrer, early
        self._rows: dict[type[Payload] | str, dict[StrEnum | None, Transition]] = {}
        for row in self.rows:
            states = self._rows.setdefault(row.on, {})
            for state in row.states:
                if states.setdefault(state, row) is not row:
                    raise OutsideTheTable(f"{name}: two rows for {label(row.on)} in state {state}")

    def row(self, on: type[Payload] | str, status: StrEnum | None) -> Transition | None:
        """The row of an input in a status; None where the table refuses it there."""
        return self._rows.get(on, {}).get(status)

    def routes(self, decisions: Mapping[type[Payload], Route | Decide]) -> dict[type[Payload], Route | Decide]:
        """The aggregate's routes, each decision held to its rows. Raises OutsideTheTable: a type without a row."""
        return {kind: self._guarded_route(kind, route) for kind, route in decisions.items()}

    def _guarded_route(self, kind: type[Payload], route: Route | Decide) -> Route | Decide:
        if isinstance(route, Route):
            malformed = route.malformed and self._guarded(kind, route.malformed)
            return Route(self._guarded(kind, route.decide), malformed)
        return self._guarded(kind, route)

    def due(self, decide: Decide) -> Decide:
        """What happens when a deadline fell due, held to the row of its name."""

        def guarded(state: Any, event: Event[Deadline], context: Any) -> list[Output]:
            status = None if state is None else self.status(state)
            name = event.data.name.partition(":")[0]
            row = self.row(name, status)
            if row is None:
                raise OutsideTheTable(f"{self.name}: no row for deadline {name} in state {status}")
            return self._held_to(row, status, state, decide(state, event, context))

        return guarded

    def _guarded(self, on: type[Payload], decide: Decide) -> Decide:
        if on not in self._rows:
            raise OutsideTheTable(f"{self.name}: {label(on)} has no row")
        rows = self._rows[on]
        anyone = frozenset[Party]().union(*(row.by for row in rows.values()))
        waits = any(row.early for row in rows.values())

        def guarded(state: Any, event: Event[Any], context: Any) -> list[Output]:
            status = None if state is None else self.status(state)
            row = rows.get(status)
            # Who may never do this is told so in every state, whatever has been read before it.
            if not self._is_one_of(anyone if row is None else row.by, event.source, state):
                if anyone == OURS:
                    raise Invalid("wrong-source", f"{event.type} comes from our own services, not from {event.source}")
                return [self.refuse(event, state, Wrong.PARTY)]
            if row is not None:
                passes = row.silent and not row.emits and not row.refuses
                return [] if passes else self._held_to(row, status, state, decide(state, event, context))
            if status is None and waits:
                raise Early(self.early)
            return [self.refuse(event, state, Wrong.STATE)]

        return guarded

    def _is_one_of(self, by: frozenset[Party], source: str, state: Any) -> bool:
        parties = parties_of(source)
        if not parties:
            raise Invalid("wrong-source", f"{source} speaks for no party; sources are //commerce/…, //bank/… and so on")
        if not by.isdisjoint(parties):
            return True
        side = side_of(source)
        return Party.REFERRER in by and side is not None and (state is None or self.referrer(state) is side)

    def _held_to(self, row: Transition, status: StrEnum | None, state: Any, made: Iterable[Output]) -> list[Output]:
        """The outputs, if all of them are what the row says.

        Where one of them is to lead somewhere, they are folded up to it. What the row says changes no status is not
        folded for its own sake: that would cost every input time, and is what the tests of every state are for.
        """
        outputs, unfolded = list(made), []
        for output in outputs:
            payload = output.payload if isinstance(output, To) else output
            kind = type(payload)
            if kind is self.refused and payload is output:
                if payload.code not in row.refuses:  # type: ignore[attr-defined]
                    raise OutsideTheTable(f"{self.name}: {label(row.on)} in state {status} refused as {payload!r}")
                continue
            if kind not in row.emits:
                raise OutsideTheTable(f"{self.name}: {label(row.on)} in state {status} emitted {label(kind)}")
            if payload is output and kind in self.records:
                unfolded.append(payload)
                if row.emits[kind] is not None:
                    for one in unfolded:
                        state = self.fold(state, one)
                    unfolded.clear()
                    after = self.status(state)
                    if not row.allows(kind, status, after):
                        raise OutsideTheTable(f"{self.name}: {label(kind)} led from {status} to {after}")
                    status = after
        if not outputs and not row.silent:
            raise OutsideTheTable(f"{self.name}: {label(row.on)} in state {status} was met with silence")
        return outputs

    def markdown(self) -> str:
        """The table for people, one line a row."""
        head = ("input", "in state", "by", "what comes of it → state after", "may be refused as")
        lines = [head, ("---",) * len(head), *(self._line(row) for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _line(self, row: Transition) -> tuple[str, ...]:
        outputs = [f"`{label(kind)}`{_shown(leads)}" for kind, leads in row.emits.items()]
        if row.silent:
            outputs.append("or nothing" if outputs else "nothing")
        waits = " (waits while –)" if row.early else ""
        return (
            f"`{label(row.on)}`{'' if isinstance(row.on, type) else ' due'}",
            ", ".join(state or "–" for state in row.states) + waits,
            ", ".join(sorted(row.by)),
            "<br>".join(outputs) or "–",
            ", ".join(f"`{code}`" for code in row.refuses) or "–",
        )


def _remembering(evolve: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The same fold, which knows what it made of the last payloads: each is asked for by the table, then by the kit."""
    lately: dict[int, tuple[Any, Any, Any]] = {}

    def remembered(state: Any, payload: Any) -> Any:
        known = lately.get(id(payload))
        if known is not None and known[0] is state and known[1] is payload:
            return known[2]
        if len(lately) >= REMEMBERED:
            lately.clear()
        after = evolve(state, payload)
        # Kept with the result, neither can go and leave its id to another.
        lately[id(payload)] = state, payload, after
        return after

    return remembered


def label(on: type[Payload] | str) -> str:
    """An input or output as people read it."""
    return on if isinstance(on, str) else on.TYPE


def _shown(leads: Leads) -> str:
    if leads is None:
        return ""
    return " → " + " or ".join(one or "as before" for one in (leads if isinstance(leads, tuple) else (leads,)))
