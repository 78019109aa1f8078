"""Builders of loan reports, and the desk as given–when–then sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from schemas import loan, screening
from schemas.envelope import Event, Payload
from schemas.values import Currency, Money
from services.loan_desk.domain.decide import ROUTES
from services.loan_desk.domain.state import LoanCase, evolve
from services.loan_desk.domain.transitions import RECORDS

CASE = "NMG-2020-000123"
LOAN = "EXIM-NMG-2020-0117"
NOON = datetime(2020, 4, 20, 4, 0, tzinfo=UTC)


DECIDES: dict[type[Payload], Any] = {**ROUTES}


def money(amount: str, currency: str = "CNY") -> Money:
    return Money(amount=Decimal(amount), currency=Currency(currency))


def event_of(payload: Payload, source: str = "//bank/exim-nmg") -> Event[Any]:
    return Event(f"e-{payload.TYPE}", source, payload.TYPE, NOON, CASE, payload)


def shortlisted() -> Payload:
    return screening.ScreeningShortlisted(
        referral_id=CASE,
        lane="ordinary",
        revision=1,
        score=40,
        key_areas=("border_trade_chain",),
        policy_version="2020-03-23",
        decided_at=NOON,
    )


def expired() -> Payload:
    return screening.ScreeningExpired(referral_id=CASE, missing=("bank",), deadline=NOON, deadline_provisional=False)


def withdrawn() -> Payload:
    return screening.ScreeningWithdrawn(
        referral_id=CASE, code="financed_elsewhere", text="企业已从其他银行获得贷款。", withdrawn_at=NOON
    )


def application(amount: str = "5000000.00", currency: str = "CNY", loan_id: str = LOAN) -> Payload:
    return loan.LoanApplicationReported(loan_id=loan_id, amount=money(amount, currency), term_months=12)


def approval(amount: str = "5000000.00", currency: str = "CNY", loan_id: str = LOAN) -> Payload:
    return loan.LoanApprovalReported(loan_id=loan_id, amount=money(amount, currency), term_months=24)


def rejection(code: str = "collateral_insufficient", *further: str) -> Payload:
    reasons = tuple(loan.RejectionReason(code=one, text="抵押物不足。") for one in (code, *further))
    return loan.LoanRejectionReported(loan_id=LOAN, reasons=reasons)


def contract(amount: str = "5000000.00", currency: str = "CNY") -> Payload:
    return loan.LoanContractReported(
        loan_id=LOAN,
        amount=money(amount, currency),
        term_months=24,
        contract_number="NMG-DK-2020-031",
        matures_on=date(2022, 4, 20),
    )


def disbursement(amount: str = "3000000.00", currency: str = "CNY") -> Payload:
    return loan.LoanDisbursementReported(loan_id=LOAN, amount=money(amount, currency))


def repayment(principal: str = "1000000.00", interest: str = "0", currency: str = "CNY") -> Payload:
    return loan.LoanRepaymentReported(loan_id=LOAN, currency=currency, principal=principal, interest=interest)


def overdue(days: int = 35, principal: str = "1000000.00", interest: str = "0", currency: str = "CNY") -> Payload:
    return loan.LoanOverdueReported(loan_id=LOAN, days=days, currency=currency, principal=principal, interest=interest)


def settlement() -> Payload:
    return loan.LoanSettlementReported(loan_id=LOAN)


def extension(until: date = date(2022, 10, 20)) -> Payload:
    return loan.LoanExtensionReported(loan_id=LOAN, matures_on=until, text="受疫情影响，回款延迟。")


def write_off(amount: str = "3000000.00", currency: str = "CNY") -> Payload:
    return loan.LoanWriteOffReported(loan_id=LOAN, amount=money(amount, currency))


@dataclass
class Desk:
    """One case at the loan desk: what is told to it, what it said, and its state folded from what it said."""

    state: LoanCase | None = None
    said: list[Payload] = field(default_factory=list)

    def tell(self, *payloads: Payload) -> list[Payload]:
        """Take inputs in; gives back what the last of them led to."""
        answers: list[Payload] = []
        for payload in payloads:
            source = "//bank/exim-nmg" if isinstance(payload, loan.LoanReport) else "//kouan/screening"
            answers = list(DECIDES[type(payload)](self.state, event_of(payload, source), None))
            for answer in answers:
                if type(answer) in RECORDS:
                    self.state = evolve(self.state, answer)
            self.said += answers
        return answers


def lent(amount: str = "3000000.00") -> Desk:
    """A case whose loan is contracted over five millions and paid out by `amount`."""
    desk = Desk()
    desk.tell(shortlisted(), application(), approval(), contract(), disbursement(amount))
    return desk
