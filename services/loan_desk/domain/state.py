"""What the loan desk knows of one case: whether a loan may come, and the loan with its balances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from schemas.envelope import Payload
from schemas.loan import LoanExpected, LoanFact, LoanPosition, LoanRuledOut, LoanStatus
from schemas.values import CooperationMode, Currency

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class LoanCase:
    """One case and its loan. Until an application is reported, `loan_id`, `status`, `mode` and `currency` are None.

    `expected` is True once the case was shortlisted; `ruled_out` says how it ended without a loan. Amounts are of
    principal unless named otherwise, in `currency`.
    """

    expected: bool = False
    ruled_out: str | None = None
    loan_id: str | None = None
    status: LoanStatus | None = None
    mode: CooperationMode | None = None
    term_months: int = 0
    matures_on: date | None = None
    currency: Currency | None = None
    applied: Decimal = ZERO
    approved: Decimal = ZERO
    contracted: Decimal = ZERO
    disbursed: Decimal = ZERO
    repaid: Decimal = ZERO
    written_off: Decimal = ZERO
    overdue_principal: Decimal = ZERO
    overdue_interest: Decimal = ZERO
    overdue_days: int = 0
    extensions: int = 0

    @property
    def outstanding(self) -> Decimal:
        """Principal paid out and not yet repaid."""
        return self.disbursed - self.repaid


def evolve(state: LoanCase | None, payload: Payload) -> LoanCase:
    """The state after one of the desk's own records; every step of a loan carries the whole loan."""
    if isinstance(payload, LoanExpected):
        return LoanCase(expected=True)
    if isinstance(payload, LoanRuledOut):
        return replace(state or LoanCase(), ruled_out=payload.code)
    if isinstance(payload, LoanFact):
        return case_of(payload.loan)
    raise TypeError(f"{type(payload).__name__} is not a record of the loan desk")


def case_of(loan: LoanPosition) -> LoanCase:
    """The state that a position says."""
    return LoanCase(
        expected=True,
        loan_id=loan.loan_id,
        status=loan.status,
        mode=loan.mode,
        term_months=loan.term_months,
        matures_on=loan.matures_on,
        currency=loan.currency,
        applied=loan.applied,
        approved=loan.approved,
        contracted=loan.contracted,
        disbursed=loan.disbursed,
        repaid=loan.repaid,
        written_off=loan.written_off,
        overdue_principal=loan.overdue_principal,
        overdue_interest=loan.overdue_interest,
        overdue_days=loan.overdue_days,
        extensions=loan.extensions,
    )


def position_of(case: LoanCase) -> LoanPosition:
    """The position that a state with a loan says."""
    return LoanPosition.model_validate(
        {
            "loan_id": case.loan_id,
            "status": case.status,
            "mode": case.mode,
            "term_months": case.term_months,
            "matures_on": case.matures_on,
            "currency": case.currency,
            "applied": case.applied,
            "approved": case.approved,
            "contracted": case.contracted,
            "disbursed": case.disbursed,
            "repaid": case.repaid,
            "outstanding": case.outstanding,
            "written_off": case.written_off,
            "overdue_principal": case.overdue_principal,
            "overdue_interest": case.overdue_interest,
            "overdue_days": case.overdue_days,
            "extensions": case.extensions,
        }
    )
