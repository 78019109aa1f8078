"""How the loan desk answers: to the outcome of joint screening, and to each report of the bank."""

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
    LoanRefused,
    LoanRejectionReported,
    LoanRepaid,
    LoanRepaymentReported,
    LoanReport,
    LoanRuledOut,
    LoanSettled,
    LoanSettlementReported,
    LoanWriteOffReported,
    LoanWrittenOff,
)
from schemas.screening import ScreeningDeclined, ScreeningExpired, ScreeningShortlisted, ScreeningWithdrawn
from schemas.values import Currency
from services.kit.door import Early, Output
from services.loan_desk.domain import refusals
from services.loan_desk.domain.refusals import Refusal
from services.loan_desk.domain.state import ZERO, LoanCase, position_of
from services.loan_desk.domain.transitions import TRANSITIONS, Move

Decide = Callable[[LoanCase | None, Event[Any], Any], Iterable[Output]]
Step = Callable[[LoanCase, Any, Move], Payload | Refusal]
"""One kind of report applied to a case that may take it: the accepted step, or why it is impossible."""


# --- what joint screening decides -------------------------------------------------------------------------------------


def expect_loan(state: LoanCase | None, event: Event[ScreeningShortlisted], context: object) -> Iterable[Output]:
    """A shortlisted case may have a loan."""
    if state is None:
        yield LoanExpected(revision=event.data.revision, policy_version=event.data.policy_version)


def rule_out(code: str) -> Decide:
    """A case that ended without a loan can't have one any more; a loan that is running goes on."""

    def decide(state: LoanCase | None, event: Event[Any], context: object) -> Iterable[Output]:
        if state is None or (state.status is None and state.ruled_out is None):
            yield LoanRuledOut(code=code)

    return decide


# --- what the bank reports --------------------------------------------------------------------------------------------


def report(step: Step) -> Decide:
    """A report is taken where the case may have a loan, it is about that loan, and the table knows the move."""

    def decide(state: LoanCase | None, event: Event[Any], context: object) -> Iterable[Output]:
        if state is None:
            raise Early("the case has not been through joint screening yet")
        move = TRANSITIONS[type(event.data)].get(state.status)
        outcome = refusal_of(state, event.data) or (
            step(state, event.data, move) if move else refusals.wrong_state(state.status, event.type)
        )
        yield refused(state, event, outcome) if isinstance(outcome, Refusal) else outcome

    return decide


def refusal_of(state: LoanCase, data: LoanReport) -> Refusal | None:
    """What makes any report impossible, whatever it says."""
    if state.status is None and state.ruled_out is not None:
        return refusals.case_ended(state.ruled_out)
    if state.loan_id is not None and data.loan_id != state.loan_id:
        return refusals.other_loan(data.loan_id, state.loan_id)
    currency = currency_in(data)
    if state.currency is not None and currency is not None and currency is not state.currency:
        return refusals.currency_differs(currency, state.currency)
    return None


def currency_in(data: LoanReport) -> Currency | None:
    """The currency a report is in, None where it names no sum."""
    if isinstance(data, LoanRepaymentReported | LoanOverdueReported):
        return data.currency
    money = getattr(data, "amount", None)
    return None if money is None else money.currency


def refused(state: LoanCase, event: Event[Any], refusal: Refusal) -> LoanRefused:
    """The refusal as an event, with the loan as it stands."""
    return LoanRefused(
        loan_id=event.data.loan_id,
        code=refusal.code,
        zh=refusal.zh,
        en=refusal.en,
        refused_type=event.type,
        refused_id=event.id,
        refused_source=event.source,
        loan=None if state.loan_id is None else position_of(state),
    )


def apply_for(case: LoanCase, data: LoanApplicationReported, move: Move) -> Payload | Refusal:
    applied = replace(
        case,
        loan_id=data.loan_id,
        status=move.to,
        mode=data.mode,
        term_months=data.term_months,
        currency=data.amount.currency,
        applied=data.amount.amount,
    )
    return LoanApplied(loan=position_of(applied))


def approve(case: LoanCase, data: LoanApprovalReported, move: Move) -> Payload | Refusal:
    approved = replace(case, status=move.to, approved=data.amount.amount, term_months=data.term_months)
    return LoanApproved(loan=position_of(approved))


def decline(case: LoanCase, data: LoanRejectionReported, move: Move) -> Payload | Refusal:
    decisive = data.reasons[0]
    declined = position_of(replace(case, status=move.to))
    return LoanDeclined(loan=declined, code=decisive.code, text=decisive.text, reasons=data.reasons)


def contract(case: LoanCase, data: LoanContractReported, move: Move) -> Payload | Refusal:
    """Contracted at most what was approved."""
    if data.amount.amount > case.approved:
        return refusals.over_approved(data.amount.amount, case.approved)
    contracted = replace(
        case,
        status=move.to,
        contracted=data.amount.amount,
        term_months=data.term_months,
        matures_on=data.matures_on,
    )
    return LoanContracted(loan=position_of(contracted), contract_number=data.contract_number)


def disburse(case: LoanCase, data: LoanDisbursementReported, move: Move) -> Payload | Refusal:
    """Paid out, in parts, at most what was contracted."""
    disbursed = case.disbursed + data.amount.amount
    if disbursed > case.contracted:
        return refusals.over_contracted(disbursed, case.contracted)
    return LoanDisbursed(loan=position_of(replace(case, status=move.to, disbursed=disbursed)), amount=data.amount)


def repay(case: LoanCase, data: LoanRepaymentReported, move: Move) -> Payload | Refusal:
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
        status=move.when_cured if cured and move.when_cured else move.to,
        repaid=case.repaid + data.principal,
        overdue_principal=overdue_principal,
        overdue_interest=overdue_interest,
        overdue_days=0 if cured else case.overdue_days,
    )
    return LoanRepaid(loan=position_of(repaid), principal=data.principal, interest=data.interest)


def fall_overdue(case: LoanCase, data: LoanOverdueReported, move: Move) -> Payload | Refusal:
    """Overdue at most what is outstanding; the newest report counts."""
    if not data.principal and not data.interest:
        return refusals.nothing_overdue()
    if data.principal > case.outstanding:
        return refusals.over_outstanding(data.principal, case.outstanding)
    overdue = replace(
        case,
        status=move.to,
        overdue_days=data.days,
        overdue_principal=data.principal,
        overdue_interest=data.interest,
    )
    return LoanOverdue(loan=position_of(overdue))


def settle(case: LoanCase, data: LoanSettlementReported, move: Move) -> Payload | Refusal:
    """Closed once nothing is outstanding."""
    if case.outstanding:
        return refusals.outstanding_left(case.outstanding)
    settled = replace(case, status=move.to, overdue_principal=ZERO, overdue_interest=ZERO, overdue_days=0)
    return LoanSettled(loan=position_of(settled))


def extend(case: LoanCase, data: LoanExtensionReported, move: Move) -> Payload | Refusal:
    """Put off to a later day than it is due now."""
    matured_on = case.matures_on
    # Every state from which the table lets a loan be extended lies behind its contract, which set the day.
    assert matured_on is not None
    if data.matures_on <= matured_on:
        return refusals.maturity_not_later(data.matures_on, matured_on)
    extended = replace(case, status=move.to, matures_on=data.matures_on, extensions=case.extensions + 1)
    return LoanExtended(loan=position_of(extended), matured_on=matured_on, text=data.text)


def write_off(case: LoanCase, data: LoanWriteOffReported, move: Move) -> Payload | Refusal:
    """Written off is all that is outstanding; the debtor still owes it."""
    if data.amount.amount != case.outstanding:
        return refusals.write_off_differs(data.amount.amount, case.outstanding)
    return LoanWrittenOff(loan=position_of(replace(case, status=move.to, written_off=case.outstanding)))


ROUTES: Final[dict[type[Payload], Decide]] = {
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

RECORDS: Final[tuple[type[Payload], ...]] = (
    LoanExpected,
    LoanRuledOut,
    LoanApplied,
    LoanApproved,
    LoanDeclined,
    LoanContracted,
    LoanDisbursed,
    LoanRepaid,
    LoanOverdue,
    LoanSettled,
    LoanExtended,
    LoanWrittenOff,
)
