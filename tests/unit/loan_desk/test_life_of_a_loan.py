"""The life of a loan, told by given–when–then."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from schemas import loan
from schemas.codec import decode, to_binary
from schemas.envelope import Payload
from services.kit.door import Early
from tests.unit.loan_desk import builders as given
from tests.unit.loan_desk.builders import DECIDES, Desk, lent


def refusal_code(answers: list[Payload]) -> str:
    (refusal,) = answers
    assert isinstance(refusal, loan.LoanRefused)
    assert refusal.zh
    assert refusal.en
    return refusal.code


def test_a_loan_goes_from_application_to_settlement_with_balances_at_every_step() -> None:
    desk = Desk()
    desk.tell(
        given.shortlisted(),
        given.application(),
        given.approval("4500000.00"),
        given.contract("4000000.00"),
        given.disbursement("3000000.00"),
        given.disbursement("1000000.00"),
        given.repayment("2500000.00", "18250.00"),
        given.repayment("1500000.00"),
        given.settlement(),
    )
    steps = [(type(said).TYPE, said.loan.status, said.loan.outstanding) for said in desk.said[1:]]
    assert steps == [
        ("loan.applied.v1", "applied", Decimal(0)),
        ("loan.approved.v1", "approved", Decimal(0)),
        ("loan.contracted.v1", "contracted", Decimal(0)),
        ("loan.disbursed.v1", "disbursed", Decimal("3000000.00")),
        ("loan.disbursed.v1", "disbursed", Decimal("4000000.00")),
        ("loan.repaid.v1", "repaying", Decimal("1500000.00")),
        ("loan.repaid.v1", "repaying", Decimal(0)),
        ("loan.settled.v1", "settled", Decimal(0)),
    ]


def test_a_report_before_the_case_is_shortlisted_is_early() -> None:
    with pytest.raises(Early):
        Desk().tell(given.application())


def test_a_report_for_a_case_that_ended_without_being_shortlisted_is_refused() -> None:
    desk = Desk()
    desk.tell(given.expired())
    assert refusal_code(desk.tell(given.application())) == "case_ended"
    assert desk.said[-1].loan is None


def test_a_case_withdrawn_before_its_loan_is_applied_for_can_have_none() -> None:
    desk = Desk()
    desk.tell(given.shortlisted(), given.withdrawn())
    assert refusal_code(desk.tell(given.application())) == "case_ended"


def test_a_loan_that_runs_goes_on_when_its_case_is_withdrawn() -> None:
    desk = lent()
    assert desk.tell(given.withdrawn()) == []
    assert type(desk.tell(given.repayment())[0]) is loan.LoanRepaid


def test_a_declined_loan_says_the_banks_reason_and_takes_nothing_more() -> None:
    desk = Desk()
    (declined,) = desk.tell(given.shortlisted(), given.application(), given.rejection())
    assert isinstance(declined, loan.LoanDeclined)
    assert (declined.code, declined.loan.status) == ("collateral_insufficient", "declined")
    assert refusal_code(desk.tell(given.approval())) == "wrong_state"


def test_a_declined_loan_says_all_reasons_of_the_bank_the_decisive_one_first() -> None:
    desk = Desk()
    (declined,) = desk.tell(given.shortlisted(), given.application(), given.rejection("plan_immature", "not_viable"))
    assert isinstance(declined, loan.LoanDeclined)
    assert declined.code == "plan_immature"
    assert [reason.code for reason in declined.reasons] == ["plan_immature", "not_viable"]


def test_a_rejection_in_either_version_leads_to_the_same_decision() -> None:
    old = loan.LoanRejectionReportedV1(loan_id=given.LOAN, code="not_viable", text="抵押物不足。")
    said = []
    for report in (old, given.rejection("not_viable")):
        desk = Desk()
        desk.tell(given.shortlisted(), given.application())
        key, value, headers = to_binary(given.event_of(report))
        said.append(list(DECIDES[loan.LoanRejectionReported](desk.state, decode(key, value, headers), None)))
    assert said[0] == said[1] != []


def test_the_contract_is_at_most_what_was_approved() -> None:
    desk = Desk()
    desk.tell(given.shortlisted(), given.application(), given.approval("4000000.00"))
    assert refusal_code(desk.tell(given.contract("4000000.01"))) == "over_approved"
    assert type(desk.tell(given.contract("4000000.00"))[0]) is loan.LoanContracted


def test_parts_paid_out_add_up_to_at_most_the_contract() -> None:
    desk = lent("3000000.00")
    assert refusal_code(desk.tell(given.disbursement("2000000.01"))) == "over_contracted"
    assert desk.tell(given.disbursement("2000000.00"))[0].loan.disbursed == Decimal("5000000.00")


def test_nobody_repays_more_than_is_outstanding() -> None:
    assert refusal_code(lent("3000000.00").tell(given.repayment("3000000.01"))) == "over_outstanding"


def test_a_repayment_of_nothing_is_refused() -> None:
    assert refusal_code(lent().tell(given.repayment("0", "0"))) == "nothing_paid"


def test_a_loan_keeps_its_currency() -> None:
    desk = lent()
    for report in (
        given.disbursement("1.00", "USD"),
        given.repayment("1.00", "0", "USD"),
        given.overdue(currency="USD"),
        given.write_off("3000000.00", "USD"),
    ):
        assert refusal_code(desk.tell(report)) == "currency_differs"


def test_a_report_about_another_loan_of_the_case_is_refused() -> None:
    desk = lent()
    assert refusal_code(desk.tell(given.application(loan_id="EXIM-NMG-2020-0999"))) == "other_loan"


def test_a_loan_is_overdue_until_all_that_was_overdue_is_paid() -> None:
    desk = lent()
    (fell,) = desk.tell(given.overdue(35, "1000000.00", "5000.00"))
    assert (fell.loan.status, fell.loan.overdue_days) == ("overdue", 35)
    (partly,) = desk.tell(given.repayment("1000000.00"))
    assert (partly.loan.status, partly.loan.overdue_days, partly.loan.overdue_interest) == ("overdue", 35, 5000)
    (cured,) = desk.tell(given.repayment("0", "5000.00"))
    assert (cured.loan.status, cured.loan.overdue_days) == ("repaying", 0)


def test_no_more_is_overdue_than_is_outstanding() -> None:
    assert refusal_code(lent("3000000.00").tell(given.overdue(35, "3000000.01"))) == "over_outstanding"


def test_overdue_with_nothing_overdue_is_refused() -> None:
    assert refusal_code(lent().tell(given.overdue(35, "0", "0"))) == "nothing_overdue"


def test_the_newest_overdue_report_counts() -> None:
    desk = lent()
    desk.tell(given.overdue(95))
    assert desk.tell(given.overdue(8, "2000.00"))[0].loan.overdue_days == 8


def test_no_money_is_paid_out_while_the_loan_is_overdue() -> None:
    desk = lent()
    desk.tell(given.overdue())
    assert refusal_code(desk.tell(given.disbursement("1.00"))) == "wrong_state"


def test_a_loan_with_principal_outstanding_is_not_settled() -> None:
    desk = lent()
    desk.tell(given.repayment("2999999.99"))
    assert refusal_code(desk.tell(given.settlement())) == "outstanding_left"


def test_an_extension_puts_the_maturity_off_and_is_counted() -> None:
    desk = lent()
    (extended,) = desk.tell(given.extension(date(2022, 10, 20)))
    assert (extended.matured_on, extended.loan.matures_on, extended.loan.extensions) == (
        date(2022, 4, 20),
        date(2022, 10, 20),
        1,
    )
    assert refusal_code(desk.tell(given.extension(date(2022, 10, 20)))) == "maturity_not_later"


def test_all_that_is_outstanding_is_written_off_and_may_still_be_recovered() -> None:
    desk = lent("3000000.00")
    desk.tell(given.overdue(400))
    assert refusal_code(desk.tell(given.write_off("2999999.99"))) == "write_off_differs"
    (written_off,) = desk.tell(given.write_off("3000000.00"))
    assert (written_off.loan.status, written_off.loan.written_off) == ("written_off", Decimal("3000000.00"))
    (recovered,) = desk.tell(given.repayment("3000000.00"))
    assert (recovered.loan.status, recovered.loan.outstanding) == ("written_off", 0)
    assert desk.tell(given.settlement())[0].loan.status == "settled"


def test_a_refusal_names_the_report_and_shows_the_loan_as_it_stands() -> None:
    desk = lent("3000000.00")
    (refusal,) = desk.tell(given.repayment("4000000.00"))
    assert refusal.refused_type == "loan.repayment_reported.v1"
    assert refusal.refused_id == "e-loan.repayment_reported.v1"
    assert refusal.refused_source == "//bank/exim-nmg"
    assert refusal.loan.outstanding == Decimal("3000000.00")
