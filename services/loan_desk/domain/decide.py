"""How the loan desk answers: to the outcome of joint screening, and to each report of the bank.

Parties and states are the table's business (`transitions.py`): what is decided here has passed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.loan import (
    LoanApplicationReported,
    LoanApplied,
    LoanApprovalReported,
    LoanApproved,
    LoanContracted,
    LoanContractReported,
    LoanDeclined,
    LoanDisbursed,
    LoanDisbursementReported,
    LoanExpected,
    LoanExtended,
    LoanExtensionReported,
    LoanOverdue,
    LoanOverdueReported,
    LoanRejectionReported,
    LoanRepaid,
    LoanRepaymentReported,
    LoanRuledOut,
    LoanSettled,
    LoanSettlementReported,
    LoanStatus,
    LoanWriteOffReported,
    LoanWrittenOff,
)
from schemas.screening import ScreeningDeclined, ScreeningExpired, ScreeningShortlisted, ScreeningWithdrawn
from services.kit.door import Output
from services.kit.transitions import Decide
from services.loan_desk.domain import refusals
from services.loan_desk.domain.refusals import Refusal, refusal_of, refused
from services.loan_desk.domain.state import ZERO, LoanCase, position_of
from services.loan_desk.domain.transitions import TRANSITIONS

Step = Callable[[LoanCase, Any], Payload | Refusal]
"""One kind of report applied to a case that may take it: the accepted step, or why it is impossible."""


# --- what joint screening decides -------------------------------------------------------------------------------------


def expect_loan(state: None, event: Event[ScreeningShortlisted], context: object) -> Iterable[Output]:
    """A shortlisted case may have a loan."""
    yield LoanExpected(revision=event.data.revision, policy_version=event.data.policy_version)


def rule_out(code: str) -> Decide:
    """A case that ended without a loan can't have one any more; a loan that is running goes on."""

    def decide(state: LoanCase | None, event: Event[Any], context: object) -> Iterable[Output]:
        yield LoanRuledOut(code=code)

    return decide


# --- what the bank reports --------------------------------------------------------------------------------------------


def report(step: Step) -> Decide:
    """A report that the table lets through is taken where it is about the loan of the case, and its figures can be."""

    def decide(state: LoanCase, event: Event[Any], context: object) -> Iterable[Output]:
        outcome = refusal_of(state, event.data) or step(state, event.data)
        yield refused(state, event, outcome) if isinstance(outcome, Refusal) else outcome

    return decide


def apply_for(case: LoanCase, data: LoanApplicationReported) -> Payload | Refusal:
    applied = replace(
        case,
        loan_id=data.loan_id,
        status=LoanStatus.APPLIED,
        mode=data.mode,
        term_months=data.term_months,
        currency=data.amount.currency,
        applied=data.amount.amount,
    )
    return LoanApplied(loan=position_of(applied))


def approve(case: LoanCase, data: LoanApprovalReported) -> Payload | Refusal:
    approved = replace(case, status=LoanStatus.APPROVED, approved=data.amount.amount, term_months=data.term_months)
    return LoanApproved(loan=position_of(approved))


def decline(case: LoanCase, data: LoanRejectionReported) -> Payload | Refusal:
    decisive = data.reasons[0]
    declined = position_of(replace(case, status=LoanStatus.DECLINED))
    return LoanDeclined(loan=declined, code=decisive.code, text=decisive.text, reasons=data.reasons)


def contract(case: LoanCase, data: LoanContractReported) -> Payload | Refusal:
    """Contracted at most what was approved."""
    if data.amount.amount > case.approved:
        return refusals.over_approved(data.amount.amount, case.approved)
    contracted = replace(
        case,
        status=LoanStatus.CONTRACTED,
        contracted=data.amount.amount,
        term_months=data.term_months,
        matures_on=data.matures_on,
    )
    return LoanContracted(loan=position_of(contracted), contract_number=data.contract_number)


def disburse(case: LoanCase, data: LoanDisbursementReported) -> Payload | Refusal:
    """Paid out, in parts, at most what was contracted."""
    disbursed = case.disbursed + data.amount.amount
    if disbursed > case.contracted:
        return refusals.over_contracted(disbursed, case.contracted)
    status = LoanStatus.DISBURSED if case.status is LoanStatus.CONTRACTED else case.status
    return LoanDisbursed(loan=position_of(replace(case, status=status, disbursed=disbursed)), amount=data.amount)


def repay(case: LoanCase, data: LoanRepaymentReported) -> Payload | Refusal:
    """Paid back at most what is outstanding; what is paid counts against what is overdue first."""
    if not data.principal and not data.interest:
        return refusals.nothing_paid()
    if data.principal > case.outstanding:
        return refusals.over_outstanding(data.principal, case.outstanding)
    overdue_principal = max(ZERO, case.overdue_principal - data.principal)
    overdue_interest = max(ZERO, case.overdue_interest - data.interest)
    cured = not overdue_principal and not overdue_interest
    repaid = replace(
        case,
        status=LoanStatus.REPAYING if cured and case.status is not LoanStatus.WRITTEN_OFF else case.status,
        repaid=case.repaid + data.principal,
        overdue_principal=overdue_principal,
        overdue_interest=overdue_interest,
        overdue_days=0 if cured else case.overdue_days,
    )
    return LoanRepaid(loan=position_of(repaid), principal=data.principal, interest=data.interest)


def fall_overdue(case: LoanCase, data: LoanOverdueReported) -> Payload | Refusal:
    """Overdue at most what is outstanding; the newest report counts."""
    if not data.principal and not data.interest:
        return refusals.nothing_overdue()
    if data.principal > case.outstanding:
        return refusals.over_outstanding(data.principal, case.outstanding)
    overdue = replace(
        case,
        status=LoanStatus.OVERDUE,
        overdue_days=data.days,
        overdue_principal=data.principal,
        overdue_interest=data.interest,
    )
    return LoanOverdue(loan=position_of(overdue))


def settle(case: LoanCase, data: LoanSettlementReported) -> Payload | Refusal:
    """Closed once nothing is outstanding."""
    if case.outstanding:
        return refusals.outstanding_left(case.outstanding)
    settled = replace(case, status=LoanStatus.SETTLED, overdue_principal=ZERO, overdue_interest=ZERO, overdue_days=0)
    return LoanSettled(loan=position_of(settled))


def extend(case: LoanCase, data: LoanExtensionReported) -> Payload | Refusal:
    """Put off to a later day than it is due now."""
    matured_on = case.matures_on
    # Every state from which the table lets a loan be extended lies behind its contract, which set the day.
    assert matured_on is not None
    if data.matures_on <= matured_on:
        return refusals.maturity_not_later(data.matures_on, matured_on)
    extended = replace(case, matures_on=data.matures_on, extensions=case.extensions + 1)
    return LoanExtended(loan=position_of(extended), matured_on=matured_on, text=data.text)


def write_off(case: LoanCase, data: LoanWriteOffReported) -> Payload | Refusal:
    """Written off is all that is outstanding; the debtor still owes it."""
    if data.amount.amount != case.outstanding:
        return refusals.write_off_differs(data.amount.amount, case.outstanding)
    return LoanWrittenOff(loan=position_of(replace(case, status=LoanStatus.WRITTEN_OFF, written_off=case.outstanding)))


ROUTES: Final = TRANSITIONS.routes(
    {
        ScreeningShortlisted: expect_loan,
        ScreeningDeclined: rule_out("case_declined"),
        ScreeningExpired: rule_out("case_expired"),
        ScreeningWithdrawn: rule_out("case_withdrawn"),
        LoanApplicationReported: report(apply_for),
        LoanApprovalReported: report(approve),
        LoanRejectionReported: report(decline),
        LoanContractReported: report(contract),
        LoanDisbursementReported: report(disburse),
        LoanRepaymentReported: report(repay),
        LoanOverdueReported: report(fall_overdue),
        LoanSettlementReported: report(settle),
        LoanExtensionReported: report(extend),
        LoanWriteOffReported: report(write_off),
    }
)
