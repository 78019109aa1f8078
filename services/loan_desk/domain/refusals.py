"""Named refusals: what makes a report impossible, said to people in both languages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.envelope import Event
from schemas.loan import LoanOverdueReported, LoanRefused, LoanRepaymentReported, LoanReport, LoanStatus
from schemas.values import Currency
from services.loan_desk.domain.state import LoanCase, position_of

STATUS_ZH = {
    None: "尚无贷款",
    LoanStatus.APPLIED: "已申请",
    LoanStatus.APPROVED: "已批准",
    LoanStatus.DECLINED: "已拒绝",
    LoanStatus.CONTRACTED: "已签约",
    LoanStatus.DISBURSED: "已放款",
    LoanStatus.REPAYING: "还款中",
    LoanStatus.OVERDUE: "已逾期",
    LoanStatus.SETTLED: "已结清",
    LoanStatus.WRITTEN_OFF: "已核销",
}


class Refusal(NamedTuple):
    """Why a report is refused: a code for programs, texts for people."""

    code: str
    zh: str
    en: str


def refused(case: LoanCase | None, event: Event[Any], refusal: Refusal) -> LoanRefused:
    """The refusal as an event, with the loan as it stands."""
    return LoanRefused(
        loan_id=event.data.loan_id,
        code=refusal.code,
        zh=refusal.zh,
        en=refusal.en,
        refused_type=event.type,
        refused_id=event.id,
        refused_source=event.source,
        loan=None if case is None or case.loan_id is None else position_of(case),
    )


def refusal_of(case: LoanCase, data: LoanReport) -> Refusal | None:
    """What makes any report impossible, whatever it says."""
    if case.status is None and case.ruled_out is not None:
        return case_ended(case.ruled_out)
    if case.loan_id is not None and data.loan_id != case.loan_id:
        return other_loan(data.loan_id, case.loan_id)
    currency = currency_in(data)
    if case.currency is not None and currency is not None and currency is not case.currency:
        return currency_differs(currency, case.currency)
    return None


def currency_in(data: LoanReport) -> Currency | None:
    """The currency a report is in, None where it names no sum."""
    if isinstance(data, LoanRepaymentReported | LoanOverdueReported):
        return data.currency
    money = getattr(data, "amount", None)
    return None if money is None else money.currency


def wrong_party(source: str) -> Refusal:
    return Refusal(
        "wrong_party",
        f"贷款情况只由银行侧报送，{source}不能报送；请联系办理该贷款的分行。",
        f"Loans are reported by the bank side alone, not by {source}; turn to the branch that lends.",
    )


def wrong_state(status: LoanStatus | None, report: str) -> Refusal:
    return Refusal(
        "wrong_state",
        f"贷款当前状态为“{STATUS_ZH[status]}”，不能接受{report}；请核对报送顺序。",
        f"The loan is {status.replace('_', ' ') if status else 'not applied for yet'}, so {report} is not possible; "
        "check the order of the reports.",
    )


def case_ended(code: str) -> Refusal:
    return Refusal(
        "case_ended",
        f"案件未进入拟支持对象名单即已终止（{code}），不能报送贷款；请核对推荐编号。",
        f"The case ended without a loan ({code}); no loan can be reported for it. Check the referral id.",
    )


def other_loan(reported: str, known: str) -> Refusal:
    return Refusal(
        "other_loan",
        f"报送的贷款编号为{reported}，本案件的贷款编号为{known}；请核对贷款编号。",
        f"The report names loan {reported}, but the loan of this case is {known}; check the loan id.",
    )


def currency_differs(reported: str, known: str) -> Refusal:
    return Refusal(
        "currency_differs",
        f"报送币种为{reported}，贷款币种为{known}；同一笔贷款币种不得变更。",
        f"The report is in {reported}, the loan in {known}; a loan keeps its currency.",
    )


def over_approved(contracted: Decimal, approved: Decimal) -> Refusal:
    return Refusal(
        "over_approved",
        f"合同金额{contracted}超过批准金额{approved}，请核对合同金额。",
        f"The contracted {contracted} exceeds the approved {approved}; check the amount.",
    )


def over_contracted(disbursed: Decimal, contracted: Decimal) -> Refusal:
    return Refusal(
        "over_contracted",
        f"累计放款{disbursed}超过合同金额{contracted}，请核对放款金额。",
        f"Disbursements of {disbursed} in all exceed the contracted {contracted}; check the amount.",
    )


def over_outstanding(principal: Decimal, outstanding: Decimal) -> Refusal:
    return Refusal(
        "over_outstanding",
        f"本金{principal}超过贷款余额{outstanding}，请核对金额。",
        f"Principal of {principal} exceeds the outstanding {outstanding}; check the amount.",
    )


def nothing_paid() -> Refusal:
    return Refusal(
        "nothing_paid",
        "本次还款的本金和利息均为零，请填写还款金额。",
        "Neither principal nor interest was repaid; state what was paid.",
    )


def nothing_overdue() -> Refusal:
    return Refusal(
        "nothing_overdue",
        "逾期本金和逾期利息均为零，请填写逾期金额。",
        "Neither principal nor interest is overdue; state what is overdue.",
    )


def outstanding_left(outstanding: Decimal) -> Refusal:
    return Refusal(
        "outstanding_left",
        f"贷款余额尚有{outstanding}，不能结清；请先报送还款。",
        f"Principal of {outstanding} is still outstanding, so the loan cannot be settled; report its repayment first.",
    )


def maturity_not_later(reported: date, known: date) -> Refusal:
    return Refusal(
        "maturity_not_later",
        f"展期后的到期日{reported}不晚于现到期日{known}，请核对日期。",
        f"The new maturity {reported} is not later than the present {known}; check the date.",
    )


def write_off_differs(reported: Decimal, outstanding: Decimal) -> Refusal:
    return Refusal(
        "write_off_differs",
        f"核销金额{reported}与贷款余额{outstanding}不一致，请核对金额。",
        f"The written-off {reported} is not the outstanding {outstanding}; check the amount.",
    )
