"""A loan that is signed or paid out is held against the mode and the parts that were agreed on."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.envelope import Event
from schemas.terms import CooperationTermsDiffer, CooperationTermsKept
from services.kit.door import Early
from tests.unit.cooperation.partners import (
    ANSWERED,
    SHORTLISTED,
    Desk,
    after,
    amended,
    closed,
    given,
    kinds,
    large,
    paid,
    referral,
    registered,
    shortlisted,
    signed,
    takes,
    withdrawn,
)
from tests.unit.cooperation.test_crossing import readings, result

MUCH = "80000000.00"
HALF = "40000000.00"


def shared(*events: Event[Any]) -> Desk:
    """A case of 80 million, half of which two banks have taken up."""
    joined = takes("bank-a", "25.00"), takes("bank-b", "25.00")
    return given(registered(large()), shortlisted(), *joined, *events)


def compared(desk: Desk, *events: Event[Any]) -> CooperationTermsKept | CooperationTermsDiffer:
    assert kinds(desk.tell(*events)) == ["loan_noted"]
    (told,) = desk.pass_time(after(60))
    assert isinstance(told, CooperationTermsKept | CooperationTermsDiffer)
    assert desk.pass_time(after(3650)) == []
    return told


def codes(desk: Desk, *events: Event[Any]) -> list[str]:
    told = compared(desk, *events)
    return [one.code for one in told.differences] if isinstance(told, CooperationTermsDiffer) else []


def test_a_loan_that_is_made_as_agreed_says_so() -> None:
    told = compared(shared(), signed("syndicated_loan", HALF))
    assert isinstance(told, CooperationTermsKept)
    assert told.agreed == told.contracted


def test_a_loan_in_another_mode_says_both() -> None:
    told = compared(shared(), signed("direct_loan", HALF))
    assert isinstance(told, CooperationTermsDiffer)
    assert [one.code for one in told.differences] == ["mode_differs"]
    assert (told.agreed_mode, told.mode) == ("syndicated_loan", "direct_loan")


@pytest.mark.parametrize("amount", [MUCH, "39999999.99"])
def test_a_loan_over_another_sum_than_the_banks_own_part_differs(amount: str) -> None:
    assert codes(shared(), signed("syndicated_loan", amount)) == ["sum_differs"]


def test_where_partners_cover_the_risk_the_bank_lends_the_whole() -> None:
    desk = given(registered(referral("bank_guarantee")), shortlisted(), takes("near-fund", "80.00"))
    assert codes(desk, signed("bank_guarantee", "5000000.00")) == []


def test_another_currency_is_told_and_no_sums_are_compared() -> None:
    assert codes(shared(), signed("syndicated_loan", HALF, currency="USD")) == ["currency_differs"]


def test_a_loan_that_is_signed_while_parts_are_missing_says_so_and_what_is_missing() -> None:
    desk = given(registered(large()), shortlisted(), takes("bank-a", "25.00"))
    desk.tell(takes("bank-b", "25.00", after(9)))
    short = given(registered(large()), shortlisted())
    assert codes(desk, signed("syndicated_loan", HALF, at=after(9.5))) == []
    short.tell(signed("syndicated_loan", HALF, at=after(9.5)))
    (told,) = short.pass_time(after(11.5))
    assert isinstance(told, CooperationTermsDiffer)
    assert [one.code for one in told.differences] == ["parts_missing"]
    assert "40000000.00" in told.differences[0].en


def test_what_changed_between_contract_and_first_payment_shows_at_the_payment_and_later_payments_say_nothing() -> None:
    desk = shared()
    assert codes(desk, signed("syndicated_loan", HALF)) == []
    desk.tell(amended(referral(amount={"amount": "30000000.00", "currency": "CNY"}), at=after(41)))
    assert codes(desk, paid("syndicated_loan", HALF, "10000000.00", "10000000.00")) == ["mode_differs", "sum_differs"]
    assert desk.tell(paid("syndicated_loan", HALF, "10000000.00", "20000000.00", at=after(50))) == []


def test_a_contract_waits_for_the_shortlist_that_it_rests_on() -> None:
    with pytest.raises(Early):
        Desk().tell(signed("syndicated_loan", HALF))
    with pytest.raises(Early, match="shortlisted"):
        given(registered(large())).tell(signed("syndicated_loan", HALF))


def test_the_comparison_is_the_same_whether_the_contract_or_the_last_answer_before_it_is_read_first() -> None:
    answers = [takes("bank-a", "25.00", ANSWERED), takes("bank-b", "25.00", after(10))]
    desks = []
    for order in readings(answers, [signed("syndicated_loan", HALF, at=after(11))]):
        desk = given(registered(large()), shortlisted(at=SHORTLISTED), *(one for _, one in order))
        desk.pass_time(after(13))
        desks.append(desk)
    assert [result(desk) for desk in desks] == [result(desks[0])] * 3
    assert isinstance(desks[0].said[-1], CooperationTermsKept)


def test_a_case_that_is_over_compares_nothing() -> None:
    desk = shared(withdrawn(after(30)))
    assert kinds(desk.tell(signed("syndicated_loan", HALF))) == ["loan_noted"]
    assert desk.pass_time(after(60)) == []


def test_a_loan_is_noted_alike_whether_it_or_the_end_of_its_case_is_read_first() -> None:
    loan = [signed("syndicated_loan", HALF, at=after(11)), paid("syndicated_loan", HALF, HALF, HALF, at=after(11.5))]
    desks = []
    for order in readings(loan, [closed(after(12))]):
        desk = shared(*(one for _, one in order))
        desk.pass_time(after(60))
        desks.append(desk)
    assert [result(desk) for desk in desks] == [result(desks[0])] * 3
