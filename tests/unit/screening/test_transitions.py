"""Every state meets every input, and does what the table in the README says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Event, Payload
from schemas.screening import ScreeningRefused
from services.kit.door import Early
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, COMMERCE, DEADLINE, Desk, after, given, kinds

README = Path(__file__).parents[3] / "services" / "screening" / "README.md"
FORBIDDEN = told.outbound("PY")
SPY = "exim-nmg-01"

STATES: dict[str, Callable[..., Desk]] = {
    "–": Desk,
    "open": lambda *first: given(told.registered(), *first),
    "open, held": lambda *first: given(told.registered(), *first, told.held()),
    "shortlisted": lambda *first: given(
        told.registered(), *first, told.supports(COMMERCE, after(1)), told.supports(BANK, after(2)), until=after(3)
    ),
    "shortlisted, held": lambda *first: _held(STATES["shortlisted"](*first)),
    "declined": lambda *first: given(told.registered(), *first, told.amended(FORBIDDEN, after(1))),
    "expired": lambda *first: given(told.registered(), *first, until=DEADLINE),
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
    return desk.pass_time(DEADLINE)


INPUTS: dict[str, Callable[[Desk], list[Payload]]] = {
    "registered": lambda desk: desk.tell(told.registered()),
    "registered, hard stop": lambda desk: desk.tell(told.registered(FORBIDDEN)),
    "amended": lambda desk: desk.tell(told.amended()),
    "amended, hard stop": lambda desk: desk.tell(told.amended(FORBIDDEN)),
    "withdrawn": lambda desk: desk.tell(told.withdrawn()),
    "first opinion of a side": lambda desk: desk.tell(told.supports(COMMERCE, after(2.5))),
    "second opinion of a side": lambda desk: desk.tell(told.supports(COMMERCE, after(2.5))),
    "opinion after the deadline": lambda desk: desk.tell(told.supports(COMMERCE, after(40))),
    "opinion by the other side's person": _by_the_other_sides_person,
    "hold": lambda desk: desk.tell(told.held(after(6), told.CASE_HOLD)),
    "hold that stands": lambda desk: desk.tell(told.held(after(6))),
    "release of the only hold": lambda desk: desk.tell(told.released()),
    "release of a hold that does not stand": lambda desk: desk.tell(told.released(hold_id=told.CASE_HOLD)),
    "decision due, both support": lambda desk: _decide(desk, told.supports(BANK, after(2))),
    "decision due, one opposes": lambda desk: _decide(desk, told.opposes(BANK, after(2))),
    "deadline, a side is silent": lambda desk: desk.pass_time(DEADLINE),
    "deadline, a side is silent, the other opposes": lambda desk: _let_expire(desk, told.opposes(BANK, after(2))),
}
FIRST: dict[str, tuple[Event[Any], ...]] = {"second opinion of a side": (told.supports(COMMERCE, after(0.5)),)}
"""What an input needs to have happened before."""


def table() -> list[list[str]]:
    lines = README.read_text("utf-8").partition("<!-- transitions -->")[2].partition("<!-- end -->")[0].split("\n")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


HEAD, _, *ROWS = table()
CELLS = [
    pytest.param(row[0], state, cell, id=f"{row[0]} / {state}")
    for row in ROWS
    for state, cell in zip(HEAD[1:], row[1:], strict=True)
    if cell != "–"
]


def test_the_table_names_every_state_and_every_input() -> None:
    assert HEAD[1:] == list(STATES)
    assert [row[0] for row in ROWS] == list(INPUTS)


@pytest.mark.parametrize(("entry", "state", "cell"), CELLS)
def test_each_cell_of_the_table_is_what_happens(entry: str, state: str, cell: str) -> None:
    desk = STATES[state](*FIRST.get(entry, ()) if state != "–" else ())
    before = desk.case
    if cell == "early":
        with pytest.raises(Early):
            INPUTS[entry](desk)
        return
    assert [_told(output) for output in INPUTS[entry](desk)] == cell.split(", ")
    assert (desk.case == before) == cell.startswith("refused")


def _told(output: Payload) -> str:
    (kind,) = kinds([output])
    return f"refused {output.code}" if isinstance(output, ScreeningRefused) else kind


@pytest.mark.parametrize(
    "state", ["open, held", "shortlisted", "shortlisted, held", "declined", "expired", "withdrawn"]
)
def test_only_an_open_case_that_is_not_held_waits_for_a_moment(state: str) -> None:
    desk = STATES[state]()
    assert desk.pass_time(after(10_000)) == []
