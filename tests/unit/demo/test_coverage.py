"""The outcome table has a row for every code of the domain, and says which of them no case bears."""

from __future__ import annotations

from schemas.referral import REFERRAL_EXAMPLE, Referral
from schemas.values import CooperationMode, FinancingNeed, KeyArea, Lane, SubjectKind
from services.demo.coverage import DIMENSIONS, Known, coverage, without_case
from services.demo.names import CODE_NAMES

CODES = 5 + 11 + 2 + 3 + 6


def case(outcome: str = "open", mode: str | None = None, **given: str) -> Known:
    return Known(Referral.model_validate({**REFERRAL_EXAMPLE, **given}), mode, outcome)


def test_every_code_of_the_domain_has_a_row_and_a_chinese_name() -> None:
    rows = [(name, code) for name, codes in coverage([]).items() for code in codes]
    assert len(rows) == CODES
    assert {name for row in rows for name in row} == CODE_NAMES.keys()


def test_a_case_counts_once_with_each_of_its_codes_by_what_became_of_it() -> None:
    found = coverage([case("declined"), case("declined", need="plant_construction"), case(lane="resumption")])
    assert found["key_area"][KeyArea.BORDER_TRADE_CHAIN] == {"declined": 2, "open": 1}
    assert found["need"][FinancingNeed.PLANT_CONSTRUCTION] == {"declined": 1}
    assert found["lane"][Lane.RESUMPTION] == {"open": 1}
    assert found["subject_kind"][SubjectKind.ENTERPRISE] == {"declined": 2, "open": 1}


def test_the_mode_that_was_proposed_counts_before_the_one_that_the_referrer_had_in_mind() -> None:
    found = coverage(
        [case(cooperation_mode="bank_insurance"), case(mode="bank_guarantee", cooperation_mode="direct_loan")]
    )
    assert found["cooperation_mode"][CooperationMode.BANK_INSURANCE] == {"open": 1}
    assert found["cooperation_mode"][CooperationMode.BANK_GUARANTEE] == {"open": 1}
    assert found["cooperation_mode"][CooperationMode.DIRECT_LOAN] == {}


def test_codes_that_no_case_bears_are_named() -> None:
    assert len(without_case(coverage([]))) == CODES
    cases = [
        case(**{name: code})
        for name, field in (
            ("key_area", KeyArea),
            ("need", FinancingNeed),
            ("lane", Lane),
            ("subject_kind", SubjectKind),
        )
        for code in field
    ]
    cases += [case(mode=mode) for mode in CooperationMode if mode is not CooperationMode.SYNDICATED_LOAN]
    assert DIMENSIONS.keys() == coverage(cases).keys()
    assert without_case(coverage(cases)) == ["cooperation_mode syndicated_loan"]
