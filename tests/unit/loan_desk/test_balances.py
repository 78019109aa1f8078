"""Whatever is reported, in whatever order: the balances add up, and the records alone give the state back."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import loan
from schemas.envelope import Payload
from services.loan_desk.domain.state import LoanCase, evolve
from services.loan_desk.domain.transitions import RECORDS
from tests.unit.loan_desk import builders
from tests.unit.loan_desk.builders import Desk

cents = st.integers(min_value=1, max_value=20).map(lambda n: str(Decimal(n) * Decimal("250000.50")))
cents_or_zero = st.one_of(st.just("0"), cents)
currency = st.sampled_from(["CNY", "CNY", "CNY", "USD"])

reports = st.one_of(
    st.builds(builders.application, cents, currency),
    st.builds(builders.approval, cents, currency),
    st.builds(builders.contract, cents, currency),
    st.builds(builders.disbursement, cents, currency),
    st.builds(builders.disbursement, cents),
    st.builds(builders.repayment, cents_or_zero, cents_or_zero, currency),
    st.builds(builders.repayment, cents_or_zero, cents_or_zero),
    st.builds(builders.overdue, st.integers(1, 400), cents_or_zero, cents_or_zero, currency),
    st.builds(builders.write_off, cents),
    st.just(builders.settlement()),
    st.just(builders.extension()),
    st.just(builders.withdrawn()),
)
"""Mostly plausible reports, so that many sequences get far; `begun` gets the rest on its way."""

begun = st.sampled_from(
    [
        [],
        [builders.application(), builders.approval()],
        [builders.application(), builders.approval(), builders.contract(), builders.disbursement("2500000.00")],
    ]
)


@settings(max_examples=300, deadline=None)
@given(begun, st.lists(reports, max_size=25))
def test_balances_conserve_under_any_sequence_of_reports(start: list[Payload], later: list[Payload]) -> None:
    desk = Desk()
    desk.tell(builders.shortlisted())
    paid_out = paid_back = Decimal(0)
    for report in [*start, *later]:
        before = desk.state
        answers = desk.tell(report)
        assert len(answers) == 1 or isinstance(report, type(builders.withdrawn()))
        for answer in answers:
            if isinstance(answer, loan.LoanRefused):
                assert desk.state == before
            if isinstance(answer, loan.LoanDisbursed):
                paid_out += answer.amount.amount
            if isinstance(answer, loan.LoanRepaid):
                paid_back += answer.principal
            if isinstance(answer, loan.LoanFact):
                check(answer.loan, paid_out, paid_back)


def check(position: loan.LoanPosition, paid_out: Decimal, paid_back: Decimal) -> None:
    """All that must hold of a position, given what was accepted so far."""
    assert position.disbursed == paid_out
    assert position.repaid == paid_back
    assert position.outstanding == paid_out - paid_back
    assert 0 <= position.outstanding <= position.disbursed <= position.contracted <= position.approved
    assert 0 <= position.overdue_principal <= position.outstanding
    assert (position.overdue_days > 0) == bool(position.overdue_principal or position.overdue_interest)
    assert position.status != "settled" or position.outstanding == 0
    assert position.written_off >= 0


@settings(max_examples=100, deadline=None)
@given(begun, st.lists(reports, max_size=25))
def test_folding_the_records_as_they_travel_gives_the_same_state(start: list[Payload], later: list[Payload]) -> None:
    desk = Desk()
    desk.tell(builders.shortlisted(), *start, *later)
    folded: LoanCase | None = None
    for said in desk.said:
        if type(said) in RECORDS:
            folded = evolve(folded, type(said).model_validate_json(said.model_dump_json()))
    assert folded == desk.state
