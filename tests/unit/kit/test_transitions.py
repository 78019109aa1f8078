"""A table of transitions: decisions run from it, are held to it, and people can read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

import pytest

from schemas.envelope import Event, Payload
from schemas.values import Side
from services.kit.door import Deadline, Early, Invalid, Malformed, Output, Route, To
from services.kit.transitions import (
    CLOCK,
    HQS,
    OURS,
    PARTNERS,
    REFERRER,
    SIDES,
    OutsideTheTable,
    Party,
    Transition,
    Transitions,
    Wrong,
    parties_of,
)

AT = datetime(2020, 4, 1, tzinfo=UTC)
PROVINCE, BRANCH, BANK_HQ, PARTNER = "//commerce/15", "//bank/exim-nmg", "//bank/exim", "//partner/some-bank"


class Asked(Payload):
    TYPE: ClassVar[str] = "door.asked.v1"


class Knocked(Payload):
    TYPE: ClassVar[str] = "door.knocked.v1"


class Opened(Payload):
    TYPE: ClassVar[str] = "door.opened.v1"
    side: Side = Side.COMMERCE


class Shut(Payload):
    TYPE: ClassVar[str] = "door.shut.v1"


class Told(Payload):
    TYPE: ClassVar[str] = "door.told.v1"


class NotNow(Payload):
    TYPE: ClassVar[str] = "door.refused.v1"
    code: str


class Status(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Door:
    status: Status
    side: Side


OPEN, CLOSED = Door(Status.OPEN, Side.COMMERCE), Door(Status.CLOSED, Side.COMMERCE)


def evolve(door: Door | None, payload: Any) -> Door:
    if isinstance(payload, Opened):
        return Door(Status.OPEN, payload.side)
    assert door is not None
    return Door(Status.CLOSED, door.side) if isinstance(payload, Shut) else door


def table(*rows: Transition) -> Transitions:
    return Transitions(
        "door",
        rows,
        status=lambda door: door.status,
        evolve=evolve,
        records=(Opened, Shut, Told),
        refused=NotNow,
        refuse=lambda event, door, wrong: NotNow(code=wrong),
        referrer=lambda door: door.side,
        early="no door yet",
    )


def says(*outputs: Output) -> Callable[..., Iterable[Output]]:
    return lambda state, event, context: outputs


def told(row: Transition, state: Door | None, *outputs: Output, source: str = PROVINCE) -> list[Output]:
    """What comes of one input where the decision would say `outputs`."""
    assert isinstance(row.on, type)
    (decide,) = table(row).routes({row.on: says(*outputs)}).values()
    assert callable(decide)
    return list(decide(state, event(row.on(), source), None))


def event(data: Any, source: str = PROVINCE) -> Event[Any]:
    return Event("e-1", source, getattr(data, "TYPE", "door.asked.v1"), AT, "d1", data)


ASK = Transition(Asked, (None,), SIDES, {Opened: Status.OPEN})
KNOCK = Transition(Knocked, (Status.OPEN,), SIDES, {Told: None, Shut: Status.CLOSED}, refuses=("busy",), early=True)


def test_what_the_row_allows_is_what_is_decided() -> None:
    assert told(ASK, None, Opened()) == [Opened()]
    assert told(KNOCK, OPEN, Told(), Shut()) == [Told(), Shut()]
    assert told(KNOCK, OPEN, NotNow(code="busy")) == [NotNow(code="busy")]
    assert told(KNOCK, OPEN, Shut(), source=BANK_HQ) == [Shut()]


def test_an_input_in_a_state_without_a_row_is_refused_by_an_event() -> None:
    assert told(KNOCK, CLOSED, Shut()) == [NotNow(code=Wrong.STATE)]
    assert told(ASK, OPEN, Opened()) == [NotNow(code=Wrong.STATE)]


@pytest.mark.parametrize("state", [None, OPEN, CLOSED])
def test_a_party_that_may_never_do_it_is_told_so_in_every_state(state: Door | None) -> None:
    assert told(KNOCK, state, Shut(), source=PARTNER) == [NotNow(code=Wrong.PARTY)]


def test_a_party_that_may_not_do_it_in_this_state_is_refused() -> None:
    rows = (KNOCK, Transition(Knocked, (Status.CLOSED,), HQS, {Told: None}))
    decide: Any = table(*rows).routes({Knocked: says(Told())})[Knocked]
    assert decide(CLOSED, event(Knocked(), BANK_HQ), None) == [Told()]
    assert decide(CLOSED, event(Knocked(), PROVINCE), None) == [NotNow(code=Wrong.PARTY)]


def test_only_the_side_whose_case_it_is_may_do_what_is_the_referrers() -> None:
    row = Transition(Knocked, (None, Status.OPEN), REFERRER, {Told: None, Opened: Status.OPEN})
    assert told(row, OPEN, Told()) == [Told()]
    assert told(row, OPEN, Told(), source=BRANCH) == [NotNow(code=Wrong.PARTY)]
    assert told(row, None, Opened(), source=BRANCH) == [Opened()]
    assert told(row, None, Opened(), source=PARTNER) == [NotNow(code=Wrong.PARTY)]


def test_what_comes_before_what_it_needs_waits() -> None:
    with pytest.raises(Early, match="no door yet"):
        told(KNOCK, None, Shut())


def test_a_source_that_is_no_party_at_all_is_a_dead_letter() -> None:
    with pytest.raises(Invalid, match="speaks for no party"):
        told(KNOCK, OPEN, Shut(), source="//elsewhere/1")


def test_what_only_our_own_services_may_tell_is_a_dead_letter_from_anybody_else() -> None:
    row = Transition(Knocked, (Status.OPEN,), OURS, {Told: None})
    assert told(row, OPEN, Told(), source="//kouan/screening") == [Told()]
    with pytest.raises(Invalid, match="comes from our own services"):
        told(row, OPEN, Told())


def test_an_input_that_breaks_its_schema_meets_the_same_rows() -> None:
    routes = table(KNOCK).routes({Knocked: Route(says(Shut()), malformed=says(NotNow(code="busy")))})
    route = routes[Knocked]
    assert isinstance(route, Route)
    assert route.malformed is not None
    broken = event(Malformed({}, ()))
    assert list(route.malformed(OPEN, broken, None)) == [NotNow(code="busy")]
    assert list(route.malformed(CLOSED, broken, None)) == [NotNow(code=Wrong.STATE)]


@pytest.mark.parametrize(
    ("row", "state", "outputs", "why"),
    [
        (ASK, None, (Shut(),), "emitted door.shut.v1"),
        (ASK, None, (To("d2", Told()),), "emitted door.told.v1"),
        (ASK, None, (NotNow(code="busy"),), "refused as"),
        (ASK, None, (), "silence"),
        (Transition(Knocked, (Status.OPEN,), SIDES, {Shut: Status.OPEN}), OPEN, (Shut(),), "led from open to closed"),
        (
            Transition(Knocked, (Status.OPEN,), SIDES, {Shut: None, Told: Status.OPEN}),
            OPEN,
            (Shut(), Told()),
            "led from open to closed",
        ),
        (Transition(Knocked, (Status.OPEN,), SIDES, {Told: Status.CLOSED}), OPEN, (Told(),), "led from open to open"),
    ],
)
def test_a_decision_outside_its_row_fails_loudly(
    row: Transition, state: Door | None, outputs: tuple[Output, ...], why: str
) -> None:
    with pytest.raises(OutsideTheTable, match=why):
        told(row, state, *outputs)


def test_an_output_may_lead_to_one_of_several_states() -> None:
    either = Transition(Knocked, (Status.OPEN,), SIDES, {Shut: (Status.CLOSED, None), Told: (Status.CLOSED, None)})
    assert told(either, OPEN, Told(), Shut()) == [Told(), Shut()]
    assert "`door.shut.v1` → closed or as before" in table(either).markdown()


def test_what_goes_to_another_key_changes_nothing_here() -> None:
    row = Transition(Knocked, (Status.OPEN,), SIDES, {Shut: None})
    assert told(row, OPEN, To("d2", Shut())) == [To("d2", Shut())]


def test_only_rows_that_say_so_pass_in_silence() -> None:
    quiet = Transition(Knocked, (Status.OPEN,), SIDES, {}, silent=True)
    assert told(quiet, OPEN) == []
    # Where silence is all there can be, the decision is not asked.
    assert told(quiet, OPEN, Shut()) == []


def test_a_deadline_is_held_to_the_row_of_its_name() -> None:
    at_night = Transition("night", (Status.OPEN,), CLOCK, {Shut: Status.CLOSED})
    due = table(at_night).due(says(Shut()))
    assert list(due(OPEN, event(Deadline("night:1", AT)), None)) == [Shut()]
    with pytest.raises(OutsideTheTable, match="no row for deadline night in state closed"):
        due(CLOSED, event(Deadline("night", AT)), None)


def test_a_table_is_faulty_with_two_rows_for_one_state_or_a_decision_without_any() -> None:
    with pytest.raises(OutsideTheTable, match="two rows"):
        table(ASK, Transition(Asked, (None, Status.OPEN), PARTNERS, {Told: None}))
    with pytest.raises(OutsideTheTable, match="has no row"):
        table(ASK).routes({Knocked: says()})


def test_a_source_says_as_whom_it_may_act() -> None:
    assert parties_of(PROVINCE) == {Party.COMMERCE}
    assert parties_of("//commerce/mofcom") == {Party.COMMERCE, Party.COMMERCE_HQ}
    assert parties_of(BANK_HQ) == {Party.BANK, Party.BANK_HQ}
    assert parties_of("//kouan/screening") == {Party.KOUAN}
    assert parties_of(PARTNER) == {Party.PARTNER}
    assert parties_of("//elsewhere/1") == set()


def test_people_read_the_same_rows() -> None:
    assert table(ASK, KNOCK).markdown().splitlines() == [
        "| input | in state | by | what comes of it → state after | may be refused as |",
        "| --- | --- | --- | --- | --- |",
        "| `door.asked.v1` | – | bank, commerce | `door.opened.v1` → open | – |",
        "| `door.knocked.v1` | open (waits while –) | bank, commerce | `door.told.v1`<br>`door.shut.v1` → closed "
        "| `busy` |",
    ]
