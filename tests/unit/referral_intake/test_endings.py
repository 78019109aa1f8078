"""How cases end, which frees what they were about."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.loan import LoanDeclined, LoanSettled, LoanWrittenOff
from schemas.opinion import Finality
from schemas.referral import ReferralRegistered, ReferralWithdrawn, WithdrawalCode
from schemas.referral_course import ReferralClosed
from schemas.screening import ScreeningExpired
from services.kit.door import Early, Invalid
from services.referral_intake.domain.case import Status, claims_of
from tests.unit.referral_intake.builders import BANK, DAY, moment, referral, submitted
from tests.unit.referral_intake.desk import (
    OURS,
    amendment,
    awaiting,
    declined,
    in_state,
    refusal_code,
    registered,
    then,
    when,
    withdrawal,
)

POSITION = {
    "loan_id": "L-1",
    "status": "settled",
    "mode": "direct_loan",
    "currency": "CNY",
    "term_months": 12,
    "applied": "5000000.00",
    "approved": "5000000.00",
    "contracted": "5000000.00",
    "disbursed": "5000000.00",
    "repaid": "5000000.00",
    "outstanding": "0.00",
    "overdue_principal": "0.00",
    "overdue_interest": "0.00",
    "overdue_days": 0,
}


def loan(kind: type[Any], **more: Any) -> Any:
    return kind.model_construct(loan=POSITION, **more)


def expired() -> ScreeningExpired:
    return ScreeningExpired.model_validate(
        {
            "referral_id": "MZL-2020-0001",
            "missing": ["bank"],
            "deadline": "2020-04-16T23:59:59+08:00",
            "deadline_provisional": False,
        }
    )


ENDS = [
    (declined(), "screening_declined", True),
    (declined(Finality.FINAL), "screening_declined", False),
    (expired(), "screening_expired", True),
    (loan(LoanDeclined, code="x", text="x"), "loan_declined", True),
    (loan(LoanSettled), "loan_settled", False),
    (loan(LoanWrittenOff), "loan_written_off", False),
]


@pytest.mark.parametrize(("end", "code", "repairable"), ENDS)
def test_end_elsewhere_closes_the_case_and_frees_its_matter(end: Any, code: str, repairable: bool) -> None:
    (closed,) = when(registered(), end, source=OURS)
    assert isinstance(closed, ReferralClosed)
    assert (closed.code, closed.repairable, closed.by_type) == (code, repairable, end.TYPE)
    case = then(registered(), end, source=OURS)
    assert (case.status, claims_of(case)) == (Status.CLOSED, ())


@pytest.mark.parametrize(("end", "code", "repairable"), ENDS)
def test_case_that_has_ended_stays_as_it_ended(end: Any, code: str, repairable: bool) -> None:
    assert when(in_state(Status.WITHDRAWN), end, source=OURS) == []
    assert when(in_state(Status.CLOSED), end, source=OURS) == []


def test_end_that_is_read_before_the_registration_waits_for_it() -> None:
    with pytest.raises(Early):
        when(None, declined(), source=OURS)


def test_end_is_no_partys_to_tell() -> None:
    with pytest.raises(Invalid):
        when(registered(), declined(), source=BANK)


def test_enterprise_that_was_declined_is_referred_again_under_a_new_id_that_names_the_old() -> None:
    freed = claims_of(then(registered(), declined(), source=OURS))
    assert freed == ()
    (answer,) = when(None, submitted(referral(repairs="MZL-2020-0001")), subject="MZL-2020-0002")
    assert isinstance(answer, ReferralRegistered)
    assert answer.referral.repairs == "MZL-2020-0001"


def test_closed_id_is_not_used_again() -> None:
    case = in_state(Status.CLOSED)
    assert refusal_code(when(case, submitted())) == "closed_before"
    assert refusal_code(when(case, amendment())) == "closed_before"
    assert refusal_code(when(case, withdrawal())) == "closed_before"


def test_referring_side_takes_its_referral_back() -> None:
    assert when(registered(), withdrawal()) == [
        ReferralWithdrawn(code=WithdrawalCode.FINANCED_ELSEWHERE, reason="已获其他贷款。", withdrawn_at=moment(DAY))
    ]


def test_referral_taken_back_before_its_registration_is_closed_because_nobody_else_has_heard_of_it() -> None:
    (closed,) = when(awaiting(), withdrawal())
    assert isinstance(closed, ReferralClosed)
    assert closed.code == "withdrawn_before_registration"


def test_amendment_of_a_referral_that_awaits_consent_is_told_to_submit_it_again() -> None:
    assert refusal_code(when(awaiting(), amendment())) == "awaiting_consent"
