"""Every state of every table meets every input from every party: answered as the table says, or refused by an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from schemas.envelope import Event, Payload
from schemas.values import side_of
from services.cli.transitions import tables_of
from services.kit.door import Early, Invalid, To
from services.kit.transitions import OURS, Party, Transition, Wrong, parties_of
from services.registry import SERVICES
from tests.unit.transitions.exploring import SOURCES, Explored, Seen, event_of, explored, inputs_of

TABLES = [pytest.param((name, table.name), id=f"{name}-{table.name}") for name in SERVICES for table in tables_of(name)]
PER_INPUT = 3
"""How many payloads of each input are tried in every state by every party."""


@pytest.fixture(params=TABLES)
def one(request: pytest.FixtureRequest) -> Explored:
    return explored(*request.param)


def states_of(one: Explored) -> Iterator[tuple[Any, Seen]]:
    for status, found in one.found.items():
        for seen in found:
            yield status, seen


def test_every_state_of_the_table_can_be_reached_by_real_events(one: Explored) -> None:
    named = {state for row in one.table.rows for state in row.states}
    assert {str(state) for state in named - set(one.found)} == set()


def test_every_input_has_rows_and_every_row_a_decision(one: Explored) -> None:
    types = {row.on for row in one.table.rows if not isinstance(row.on, str)}
    assert types == set(one.decides)
    assert (one.due is not None) == any(isinstance(row.on, str) for row in one.table.rows)


def test_every_state_meets_every_input_of_every_party_as_the_table_says(one: Explored) -> None:
    tried = 0
    for _, seen in states_of(one):
        for kind in one.decides:
            for payload in inputs_of(kind)[:PER_INPUT]:
                for source in SOURCES:
                    answer_is_the_tables(one, seen, kind, event_of(payload, source, seen.at))
                    tried += 1
    assert tried >= len(one.found) * len(one.decides) * len(SOURCES)


def answer_is_the_tables(one: Explored, seen: Seen, kind: type[Payload], event: Event[Any]) -> None:
    """One input in one state: what comes of it, held against the rows and nothing else."""
    status, rows = one.status(seen.state), [row for row in one.table.rows if row.on is kind]
    row = next((row for row in rows if status in row.states), None)
    what = f"{event.type} from {event.source} in state {status}"
    failure: Exception | None = None
    outputs: list[Any] = []
    try:
        outputs = list(one.decides[kind](seen.state, event, one.context))
    except (Early, Invalid) as raised:
        failure = raised
    permitted = may(one, row, rows, event.source, seen.state)
    if isinstance(failure, Invalid):
        assert failure.code == "wrong-source", what
        assert not permitted, what
        return
    parties = parties_of(event.source)
    assert parties, what
    assert Party.KOUAN in parties or any(other.by != OURS for other in rows), what
    if failure is not None:
        assert row is not None or (status is None and any(other.early for other in rows)), what
        return
    if not permitted:
        assert codes_of_refusal(one, outputs) == [Wrong.PARTY], what
    elif row is None:
        assert len(codes_of_refusal(one, outputs)) == len(outputs) == 1, what
        assert not any(row.early for row in rows if status is None), what
    else:
        holds(one, row, seen.state, outputs)


def may(one: Explored, row: Transition | None, rows: list[Transition], source: str, state: Any) -> bool:
    parties, side = set(parties_of(source)), side_of(source)
    if side is not None and (state is None or one.table.referrer(state) is side):
        parties.add(Party.REFERRER)
    return any(parties & other.by for other in (rows if row is None else [row]))


def holds(one: Explored, row: Transition, state: Any, outputs: list[Any]) -> None:
    """Every output is one of the row's, and each change of the status is made by one of them, to where the row says."""
    assert outputs or row.silent, f"{row.on} was met with silence"
    for output in outputs:
        if type(output) is one.table.refused:
            assert output.code in row.refuses
            continue
        payload = output.payload if isinstance(output, To) else output
        assert type(payload) in row.emits
        before, state = one.status(state), one.fold(state, [output])
        leads = row.emits[type(payload)]
        allowed = leads if isinstance(leads, tuple) else (leads,)
        assert one.status(state) in {before if lead is None else lead for lead in allowed}
    if outputs and all(type(output) is one.table.refused for output in outputs):
        assert len(outputs) == 1


def codes_of_refusal(one: Explored, outputs: list[Any]) -> list[str]:
    return [str(output.code) for output in outputs if type(output) is one.table.refused]


def test_every_deadline_of_every_state_has_its_row_and_is_met(one: Explored) -> None:
    for status, seen in states_of(one):
        for deadline in one.deadlines(seen.state) if seen.state is not None else ():
            row = one.table.row(deadline.name.partition(":")[0], status)
            assert row is not None, f"deadline {deadline.name} in state {status}"
            outputs = one.fire(seen.state, deadline)
            holds(one, row, seen.state, outputs)
            # What has fallen due must not be asked for again at the same time, or the clock would never go on.
            assert deadline not in tuple(one.deadlines(one.fold(seen.state, outputs)))
