"""What notices tell of loans."""

from __future__ import annotations

from typing import Final

from schemas.loan import (
    LoanApproved,
    LoanDeclined,
    LoanDisbursed,
    LoanExtended,
    LoanOverdue,
    LoanPosition,
    LoanRefused,
    LoanSettled,
    LoanWrittenOff,
)
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import written_day, written_money, written_sum
from services.liaison.domain.lines import Facts, FactsOf, ValuesOf, refused, same


def _position(loan: LoanPosition) -> Facts:
    yield "贷款编号", "Loan", same(loan.loan_id)
    yield "累计发放", "Disbursed so far", written_sum(loan.disbursed, loan.currency)
    yield "未偿本金", "Principal outstanding", written_sum(loan.outstanding, loan.currency)
    if loan.matures_on is not None:
        yield "到期日", "Matures on", written_day(loan.matures_on)


def _approved(payload: LoanApproved) -> Facts:
    loan = payload.loan
    yield "贷款编号", "Loan", same(loan.loan_id)
    yield "批准金额", "Approved", written_sum(loan.approved, loan.currency)
    yield "期限", "Term", Pair(f"{loan.term_months}个月", f"{loan.term_months} months")


def _declined(payload: LoanDeclined) -> Facts:
    yield "贷款编号", "Loan", same(payload.loan.loan_id)
    yield "申请金额", "Applied for", written_sum(payload.loan.applied, payload.loan.currency)
    # Events of former releases name the decisive reason alone.
    for text in [reason.text for reason in payload.reasons] or [payload.text]:
        yield "理由", "Reason", same(text)


def _disbursed(payload: LoanDisbursed) -> Facts:
    yield "本次发放", "Paid out", written_money(payload.amount)
    yield from _position(payload.loan)


def _overdue(payload: LoanOverdue) -> Facts:
    loan = payload.loan
    yield "逾期天数", "Days overdue", same(str(loan.overdue_days))
    yield "逾期本金", "Principal overdue", written_sum(loan.overdue_principal, loan.currency)
    yield "逾期利息", "Interest overdue", written_sum(loan.overdue_interest, loan.currency)
    yield from _position(loan)


def _extended(payload: LoanExtended) -> Facts:
    yield "原到期日", "Matured on", written_day(payload.matured_on)
    yield "原因", "Reason", same(payload.text)
    yield from _position(payload.loan)


def _settled(payload: LoanSettled) -> Facts:
    yield from _position(payload.loan)


def _written_off(payload: LoanWrittenOff) -> Facts:
    yield "核销本金", "Principal written off", written_sum(payload.loan.written_off, payload.loan.currency)
    yield from _position(payload.loan)


FACTS: Final[FactsOf] = {
    LoanApproved: _approved,
    LoanDeclined: _declined,
    LoanDisbursed: _disbursed,
    LoanOverdue: _overdue,
    LoanExtended: _extended,
    LoanSettled: _settled,
    LoanWrittenOff: _written_off,
    LoanRefused: refused,
}

VALUES: Final[ValuesOf] = {
    LoanDisbursed: lambda payload: {"amount": written_money(payload.amount)},
    LoanOverdue: lambda payload: {"days": payload.loan.overdue_days},
    LoanApproved: lambda payload: {"amount": written_sum(payload.loan.approved, payload.loan.currency)},
    LoanExtended: lambda payload: {"day": written_day(payload.loan.matures_on) if payload.loan.matures_on else None},
}
