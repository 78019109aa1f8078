"""The terms of a loan beside what was agreed: noted when it is signed and first paid out, compared once all is read."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from schemas.envelope import Event, Payload
from schemas.loan import LoanContracted, LoanDisbursed
from schemas.terms import CooperationLoanNoted, CooperationTermsDiffer, CooperationTermsKept, TermDifference
from schemas.values import Balance
from services.cooperation.domain import consortium_texts as texts
from services.cooperation.domain.consortium import CONTRACTED, DISBURSED, Consortium, Facts, LoanTerms
from services.cooperation.domain.gathering import balance, exposures, facts_of, mode_of
from services.cooperation.domain.shares import ZERO
from services.kit.door import Deadline


def note_loan(event: Event[LoanContracted] | Event[LoanDisbursed]) -> Iterator[Payload]:
    """A contract, or the first payment: what was agreed may have changed in between."""
    told = event.data
    if isinstance(told, LoanDisbursed) and told.loan.disbursed != told.amount.amount:
        return
    loan = told.loan
    yield CooperationLoanNoted(
        referral_id=event.subject,
        loan_id=loan.loan_id,
        step=DISBURSED if isinstance(told, LoanDisbursed) else CONTRACTED,
        mode=loan.mode,
        contracted=Balance(amount=loan.contracted, currency=loan.currency),
        noted_at=event.time,
    )


def compare(state: Consortium, event: Event[Deadline]) -> Iterator[Payload]:
    """The loan that was noted, held against the mode and the parts as they were agreed by then."""
    loan, facts = state.loan, facts_of(state)
    if loan is None:
        return
    agreed = sum((one.amount.amount for one in exposures(state, facts)), ZERO)
    compared = {
        "referral_id": event.subject,
        "loan_id": loan.loan_id,
        "step": loan.step,
        "agreed_mode": mode_of(state),
        "mode": loan.mode,
        "agreed": balance(agreed, facts),
        "contracted": Balance(amount=loan.contracted, currency=loan.currency),
        "missing": balance(state.missing, facts),
        "compared_at": event.time,
    }
    differences = tuple(_differences(state, loan, facts, agreed))
    if differences:
        yield CooperationTermsDiffer.model_validate({**compared, "differences": differences})
    else:
        yield CooperationTermsKept.model_validate(compared)


def _differences(state: Consortium, loan: LoanTerms, facts: Facts, agreed: Decimal) -> Iterator[TermDifference]:
    if loan.mode is not mode_of(state):
        yield _difference("mode_differs", agreed=mode_of(state), told=loan.mode)
    if loan.currency is not facts.currency:
        yield _difference("currency_differs", agreed=facts.currency, told=loan.currency)
    elif state.missing:
        # What the bank lends to partners, or they cover, is not settled: there is no sum to compare with yet.
        yield _difference("parts_missing", missing=state.missing, currency=facts.currency)
    elif loan.contracted != agreed:
        yield _difference("sum_differs", agreed=agreed, told=loan.contracted, currency=facts.currency)


def _difference(code: str, **told: object) -> TermDifference:
    zh, en = (text.format(**told) for text in texts.DIFFERENCES[code])
    return TermDifference(code=code, zh=zh, en=en)
