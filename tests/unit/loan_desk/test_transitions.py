"""The table of transitions holds for real figures."""

from __future__ import annotations

from enum import StrEnum

import pytest

from schemas import loan
from schemas.envelope import Payload
from schemas.loan import LoanStatus
from schemas.upcasting import newest
from services.kit.transitions import Leads
from services.loan_desk.domain.transitions import TRANSITIONS, Before, stage_of
from tests.unit.loan_desk import builders as given
from tests.unit.loan_desk.builders import DECIDES, Desk, lent

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
    row = TRANSITIONS.row(type(report), stage_of(before))
    if row is None:
        assert isinstance(answer, loan.LoanRefused)
        assert answer.code == "wrong_state"
    # Where figures differ between states, a report the table allows may still be impossible: but never silently.
    if isinstance(answer, loan.LoanRefused):
        assert desk.state == before
        assert row is None or answer.code in {"outstanding_left", "write_off_differs"}
    else:
        assert row is not None
        assert row.allows(type(answer), status, desk.state.status)


def test_every_state_can_be_reached_and_every_report_has_its_row() -> None:
    reached = {state for row in TRANSITIONS.rows for leads in row.emits.values() for state in states_in(leads)}
    assert reached == {*LoanStatus, *Before}
    assert {row.on for row in TRANSITIONS.rows} >= {newest(report) for report in loan.LoanReport.__subclasses__()}


def states_in(leads: Leads) -> set[StrEnum]:
    return {state for state in (leads if isinstance(leads, tuple) else (leads,)) if state is not None}


@pytest.mark.parametrize("source", ["//commerce/15", "//kouan/screening", "//partner/some-bank"])
def test_only_the_bank_may_report(source: str) -> None:
    desk = lent()
    (refused,) = DECIDES[loan.LoanRepaymentReported](desk.state, given.event_of(given.repayment(), source), None)
    assert (refused.code, refused.refused_source) == ("wrong_party", source)
