"""Every state meets every input, from every party and at every moment that matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.chain import ScreeningChainStateTold
from schemas.envelope import Event, Payload
from schemas.precedent import PrecedentAnswered
from schemas.screening import ScreeningRefused
from services.kit.door import Early, Invalid
from services.kit.transitions import OURS, Party, parties_of
from services.screening.domain.case import Status
from services.screening.domain.transitions import TRANSITIONS
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, CASE, COMMERCE, EXIM, GRACE, MOFCOM, Desk, after, given, kinds

FORBIDDEN = told.outbound("PY")
SPY = "exim-nmg-01"
DRAFT = told.drafted(COMMERCE, after(0.5))
PRECEDENT = PrecedentAnswered(referral_id=CASE, forerunner="NMG-2020-000045", opinions=(), code="x", asked_at=after(0))

STATES: dict[str, Callable[..., Desk]] = {
    "–": Desk,
    "open": lambda *first: given(told.registered(), *first),
    "open, held": lambda *first: given(told.registered(), *first, told.held()),
    "conference": lambda *first: given(
        told.registered(), *first, told.supports(COMMERCE, after(1)), told.opposes(BANK, after(2)), until=after(2)
    ),
    "conference, held": lambda *first: _held(STATES["conference"](*first)),
    "shortlisted": lambda *first: given(
        told.registered(), *first, told.supports(COMMERCE, after(1)), told.supports(BANK, after(2)), until=after(2)
    ),
    "shortlisted, held": lambda *first: _held(STATES["shortlisted"](*first)),
    "declined": lambda *first: given(told.registered(), *first, told.amended(FORBIDDEN, after(1))),
    "expired": lambda *first: given(told.registered(), *first, until=GRACE),
    "withdrawn": lambda *first: given(told.registered(), *first, told.withdrawn(after(1))),
}
"""How each state is reached; `first` are events between the registration and what leads there."""


def _held(desk: Desk) -> Desk:
    desk.tell(told.held())
    return desk


def _by_the_other_sides_person(desk: Desk) -> list[Payload]:
    desk.context.learn(told.person(SPY, "bank"))
    return desk.tell(told.supports(COMMERCE, after(2.5), given_by=SPY))


def _decide(desk: Desk, bank: Event[Any]) -> list[Payload]:
    desk.tell(told.supports(COMMERCE, after(1)), bank)
    return desk.pass_time(after(2))


def _let_expire(desk: Desk, bank: Event[Any]) -> list[Payload]:
    desk.tell(bank)
    return desk.pass_time(GRACE)


INPUTS: dict[str, Callable[[Desk], list[Payload]]] = {
    "registered": lambda desk: desk.tell(told.registered()),
    "registered, hard stop": lambda desk: desk.tell(told.registered(FORBIDDEN)),
    "amended": lambda desk: desk.tell(told.amended()),
    "amended, hard stop": lambda desk: desk.tell(told.amended(FORBIDDEN)),
    "withdrawn": lambda desk: desk.tell(told.withdrawn()),
    "first opinion": lambda desk: desk.tell(told.supports(COMMERCE, after(2.5))),
    "first opinion, unchecked": lambda desk: desk.tell(told.drafted(COMMERCE, after(2.5))),
    "second opinion": lambda desk: desk.tell(told.supports(COMMERCE, after(2.5))),
    "opinion behind a draft": lambda desk: desk.tell(told.supports(COMMERCE, after(2.5))),
    "opinion after the grace": lambda desk: desk.tell(told.supports(COMMERCE, after(40))),
    "opinion by the other side's person": _by_the_other_sides_person,
    "draft confirmed": lambda desk: desk.tell(told.confirmed(DRAFT, after(2.5))),
    "draft confirmed by its maker": lambda desk: desk.tell(told.confirmed(DRAFT, after(2.5), "clerk-1")),
    "draft returned": lambda desk: desk.tell(told.returned(DRAFT, after(2.5))),
    "no draft confirmed": lambda desk: desk.tell(told.confirmed(DRAFT, after(2.5))),
    "extension": lambda desk: desk.tell(told.extension(BANK, after(3))),
    "second extension": lambda desk: desk.tell(told.extension(BANK, after(3))),
    "outcome of a headquarters": lambda desk: desk.tell(told.outcome(EXIM, after(6))),
    "outcome behind its side's opinion": lambda desk: desk.tell(told.outcome(MOFCOM, after(6))),
    "hold": lambda desk: desk.tell(told.held(after(6), told.CASE_HOLD)),
    "hold that stands": lambda desk: desk.tell(told.held(after(6))),
    "release of the only hold": lambda desk: desk.tell(told.released()),
    "release of a hold that does not stand": lambda desk: desk.tell(told.released(hold_id=told.CASE_HOLD)),
    "decision due, both support": lambda desk: _decide(desk, told.supports(BANK, after(2))),
    "decision due, they differ": lambda desk: _decide(desk, told.opposes(BANK, after(2))),
    "time, both silent": lambda desk: desk.pass_time(GRACE),
    "time, one silent and one opposed": lambda desk: _let_expire(desk, told.opposes(BANK, after(2))),
    "time, no answer": lambda desk: desk.pass_time(GRACE),
}
FIRST: dict[str, tuple[Event[Any], ...]] = {
    "second opinion": (told.supports(COMMERCE, after(0.5)),),
    "opinion behind a draft": (DRAFT,),
    "outcome behind its side's opinion": (told.supports(COMMERCE, after(0.5)),),
    "draft confirmed": (DRAFT,),
    "draft confirmed by its maker": (DRAFT,),
    "draft returned": (DRAFT,),
    "second extension": (told.extension(COMMERCE, after(0.5)),),
}
"""What an input needs to have happened before."""

OPEN, CONFERENCE, SHORTLISTED = (
    ("open", "open, held"),
    ("conference", "conference, held"),
    ("shortlisted", "shortlisted, held"),
)
OVER = ("declined", "expired", "withdrawn")
KNOWN = tuple(state for state in STATES if state != "–")
ALIVE = tuple(state for state in KNOWN if state not in OVER)
HELD = tuple(state for state in KNOWN if "held" in state)

MATRIX: dict[str, dict[str, tuple[str, ...]]] = {
    "registered": {"opened, scored": ("–",), "!already_open": KNOWN},
    "registered, hard stop": {"opened, scored, declined": ("–",), "!already_open": KNOWN},
    "amended": {"early": ("–",), "scored": (*OPEN, *CONFERENCE), "!closed": (*SHORTLISTED, *OVER)},
    "amended, hard stop": {"early": ("–",), "scored, declined": (*OPEN, *CONFERENCE), "!closed": (*SHORTLISTED, *OVER)},
    "withdrawn": {"early": ("–",), "withdrawn": ALIVE, "!closed": OVER},
    "first opinion": {"early": ("–",), "opinion_recorded": OPEN, "!closed": OVER},
    "first opinion, unchecked": {"early": ("–",), "opinion_drafted": OPEN, "!closed": OVER},
    "second opinion": {"early": ("–",), "!second_opinion": KNOWN},
    "opinion behind a draft": {"early": ("–",), "!draft_waits": (*OPEN, *OVER)},
    "opinion after the grace": {
        "early": ("–",),
        "opinion_recorded": ("open, held",),
        "!second_opinion": (*CONFERENCE, *SHORTLISTED),
        "!after_deadline": ("open", *OVER),
    },
    "opinion by the other side's person": {"early": ("–",), "!wrong_party": KNOWN},
    "draft confirmed": {"early": ("–",), "opinion_recorded": OPEN, "!closed": OVER},
    "draft confirmed by its maker": {"early": ("–",), "!same_person": (*OPEN, *OVER)},
    "draft returned": {"early": ("–",), "opinion_returned": OPEN, "!closed": OVER},
    "no draft confirmed": {"early": ("–",), "!no_such_draft": KNOWN},
    "extension": {
        "early": ("–",),
        "extended": ("open",),
        "!clock_stopped": ("open, held",),
        "!not_awaited": (*CONFERENCE, *SHORTLISTED),
        "!closed": OVER,
    },
    "second extension": {"early": ("–",), "!already_extended": (*ALIVE, "declined", "withdrawn")},
    "outcome of a headquarters": {
        "early": ("–",),
        "conference_outcome_recorded": CONFERENCE,
        "!not_in_conference": (*OPEN, *SHORTLISTED, *OVER),
    },
    "outcome behind its side's opinion": {"early": ("–", *OPEN)},
    "hold": {"early": ("–",), "held": ALIVE, "!closed": OVER},
    "hold that stands": {"early": ("–",), "!already_held": HELD, "!closed": OVER},
    "release of the only hold": {"early": ("–",), "released": HELD, "!closed": OVER},
    "release of a hold that does not stand": {"early": ("–",), "!not_held": ALIVE, "!closed": OVER},
    "decision due, both support": {"shortlisted": ("open",)},
    "decision due, they differ": {"conference_called": ("open",)},
    "time, both silent": {"reminded, escalated, expired": ("open",)},
    "time, one silent and one opposed": {"reminded, escalated, declined": ("open",)},
    "time, no answer": {"declined": ("conference",)},
}
"""What exactly happens in which state, refusals by their code (!)."""

CELLS = [
    pytest.param(entry, state, cell, id=f"{entry} / {state}")
    for entry, cells in MATRIX.items()
    for cell, states in cells.items()
    for state in states
]


def test_the_matrix_tries_every_input() -> None:
    assert MATRIX.keys() == INPUTS.keys()


@pytest.mark.parametrize(("entry", "state", "cell"), CELLS)
def test_each_cell_of_the_matrix_is_what_happens(entry: str, state: str, cell: str) -> None:
    desk = STATES[state](*FIRST.get(entry, ()) if state != "–" else ())
    before = desk.case
    if cell == "early":
        with pytest.raises(Early):
            INPUTS[entry](desk)
        return
    assert [_told(output) for output in INPUTS[entry](desk)] == cell.split(", ")
    assert (desk.case == before) == cell.startswith("!")


def _told(output: Payload) -> str:
    (kind,) = kinds([output])
    return f"!{output.code}" if isinstance(output, ScreeningRefused) else kind


@pytest.mark.parametrize(
    "state", ["open, held", "conference, held", "shortlisted", "shortlisted, held", "declined", "expired", "withdrawn"]
)
def test_only_an_undecided_case_that_is_not_held_waits_for_a_moment(state: str) -> None:
    desk = STATES[state]()
    assert desk.pass_time(after(10_000)) == []


# --- state × input × party --------------------------------------------------------------------------------------------

SOURCES = {
    "a province": COMMERCE,
    "the ministry": MOFCOM,
    "a branch": BANK,
    "the bank's headquarters": EXIM,
    "a partner": "//partner/some-bank",
    "our own services": "//kouan/any",
}
EVENTS = {
    one.type: one
    for one in (
        told.registered(),
        told.amended(),
        told.withdrawn(),
        told.asked_by("NMG-2020-000777"),
        told.answered(PRECEDENT, after(0)),
        told.supports(COMMERCE, after(2.5)),
        told.confirmed(DRAFT, after(2.5)),
        told.returned(DRAFT, after(2.5)),
        told.extension(BANK, after(3)),
        told.outcome(EXIM, after(6)),
        told.held(after(6), told.CASE_HOLD),
        told.released(),
        told.event(
            ScreeningChainStateTold(chain_id="wood-2020", referral_id=CASE, blocked_by=()),
            after(3),
            "//kouan/screening",
        ),
    )
}


def test_every_input_of_the_table_is_tried() -> None:
    assert set(EVENTS) == {row.on.TYPE for row in TRANSITIONS.rows if isinstance(row.on, type)}


@pytest.mark.parametrize("kind", EVENTS)
def test_an_input_does_what_its_row_says_and_is_refused_where_there_is_none(kind: str) -> None:
    for state, way in STATES.items():
        desk = way()
        for source in SOURCES.values():
            _try(Desk(desk.case, context=desk.context), EVENTS[kind], source, f"{kind} in {state} by {source}")


def _try(desk: Desk, sent: Event[Any], source: str, name: str) -> None:
    kind, before, status = type(sent.data), desk.case, None if desk.case is None else desk.case.status
    row, may = TRANSITIONS.row(kind, status), _ever_may(kind) & parties_of(source)
    try:
        outputs = desk.tell(told.event(sent.data, sent.time, source))
    except Early:
        assert may, name
        assert status in (None, Status.OPEN), name
        return
    except Invalid:
        # What only our own services tell is nothing that a party could be refused.
        assert _ever_may(kind) == OURS, name
        assert not may, name
        return
    if outputs and isinstance(outputs[0], ScreeningRefused):
        assert desk.case == before, name
        assert (outputs[0].code == "wrong_party") == (not may), name
    else:
        assert row is not None, name
        assert row.by & parties_of(source), name
        assert {type(output) for output in outputs} <= row.emits.keys(), name


def _ever_may(kind: type[Payload]) -> frozenset[Party]:
    return frozenset[Party]().union(*(row.by for row in TRANSITIONS.rows if row.on is kind))
