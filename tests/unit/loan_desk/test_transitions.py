"""The table of transitions holds, in the code and in the README."""

from __future__ import annotations

from pathlib import Path

import pytest

import services.loan_desk
from schemas import loan
from schemas.envelope import Payload
from schemas.loan import LoanStatus
from schemas.upcasting import newest
from services.loan_desk.domain.transitions import TRANSITIONS, table_rows
from tests.unit.loan_desk import builders as given
from tests.unit.loan_desk.builders import Desk

APPLIED = [given.shortlisted(), given.application()]
CONTRACTED = [*APPLIED, given.approval(), given.contract()]
DISBURSED = [*CONTRACTED, given.disbursement("3000000.00")]
WAYS: dict[LoanStatus | None, list[Payload]] = {
    None: [given.shortlisted()],
    LoanStatus.APPLIED: APPLIED,
    LoanStatus.APPROVED: [*APPLIED, given.approval()],
    LoanStatus.DECLINED: [*APPLIED, given.rejection()],
    LoanStatus.CONTRACTED: CONTRACTED,
    LoanStatus.DISBURSED: DISBURSED,
    LoanStatus.REPAYING: [*DISBURSED, given.repayment("3000000.00")],
    LoanStatus.OVERDUE: [*DISBURSED, given.overdue(35, "1000000.00", "10.00")],
    LoanStatus.SETTLED: [*DISBURSED, given.repayment("3000000.00"), given.settlement()],
    LoanStatus.WRITTEN_OFF: [*DISBURSED, given.write_off("3000000.00")],
}
"""A way into each state."""

REPORTS: list[Payload] = [
    given.application(),
    given.approval(),
    given.rejection(),
    given.contract(),
    given.disbursement("1.00"),
    given.repayment("0", "1.00"),
    given.overdue(35, "0", "10.00"),
    given.settlement(),
    given.extension(),
    given.write_off("3000000.00"),
]
"""One report of each type, with figures that are possible wherever the table allows the report at all."""


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.TYPE)
@pytest.mark.parametrize("status", WAYS, ids=str)
def test_each_report_in_each_state_gives_one_event_and_the_state_that_the_table_says(
    status: LoanStatus | None, report: Payload
) -> None:
    desk = Desk()
    desk.tell(*WAYS[status])
    assert desk.state is not None
    assert desk.state.status == status
    before = desk.state
    (answer,) = desk.tell(report)
    move = TRANSITIONS[type(report)].get(status)
    if move is None:
        assert isinstance(answer, loan.LoanRefused)
        assert answer.code == "wrong_state"
    # Where figures differ between states, a report the table allows may still be impossible: but never silently.
    if isinstance(answer, loan.LoanRefused):
        assert desk.state == before
        assert move is None or answer.code in {"outstanding_left", "write_off_differs"}
    else:
        assert desk.state.status is move.to


def test_every_state_is_reachable_and_every_report_has_its_row() -> None:
    reached = {move.to for moves in TRANSITIONS.values() for move in moves.values()}
    assert reached == set(LoanStatus)
    assert set(TRANSITIONS) == {newest(report) for report in loan.LoanReport.__subclasses__()}


def test_the_readme_shows_the_table_that_the_code_runs_from() -> None:
    readme = Path(services.loan_desk.__file__).with_name("README.md").read_text(encoding="utf-8")
    rows = [
        tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
        for line in readme.splitlines()
        if line.startswith("|")
    ]
    assert [row for row in rows if len(row) == 3 and row[1].startswith("loan.")] == table_rows()
