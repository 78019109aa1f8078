"""Rules propose a mode and explain themselves; partners are ranked with reasons; a faulty rule file stops the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.consortium import CooperationModeProposed, ModeRuleResult, ModeStanding
from schemas.referral import Referral
from schemas.scoring import RuleOutcome
from schemas.values import CooperationMode
from services.cooperation.rulebook import MODES, RuleFileError, load_mode_rules
from tests.unit.cooperation.partners import (
    BANKS,
    FUNDS,
    RULES,
    given,
    large,
    partner,
    referral,
    registered,
    shortlisted,
)


def proposed(body: Referral) -> CooperationModeProposed:
    desk = given(registered(body), shortlisted())
    (found,) = [one for one in desk.said if isinstance(one, CooperationModeProposed)]
    return found


def micro(**changes: Any) -> Referral:
    enterprise = {**referral().model_dump(mode="json")["enterprise"], "size_class": "micro"}
    return referral(enterprise=enterprise, **changes)


def project(**changes: Any) -> Referral:
    return referral(
        subject_kind="project",
        project={"name": "二期", "total_investment": {"amount": "36000000.00", "currency": "CNY"}},
        need="plant_construction",
        term_months=60,
        **changes,
    )


def standing(found: CooperationModeProposed, mode: str) -> ModeStanding:
    return next(one for one in found.modes if one.mode == mode)


def rule(found: CooperationModeProposed, mode: str, code: str) -> ModeRuleResult:
    return next(one for one in standing(found, mode).rules if one.code == code)


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        (referral(), "direct_loan"),
        (large(None), "syndicated_loan"),
        (micro(), "sme_on_lending"),
        (project(key_area="industrial_transfer"), "investment_loan_linkage"),
        (referral(need="emerging_market_export", key_area="market_diversification"), "bank_insurance"),
        (referral(lane="resumption", term_months=24), "bank_guarantee"),
    ],
)
def test_every_mode_is_proposed_to_the_cases_that_it_suits(body: Referral, mode: str) -> None:
    assert proposed(body).mode == mode


def test_points_of_the_rules_add_up_to_the_points_of_their_mode() -> None:
    found = proposed(large())
    assert len(found.modes) == len(CooperationMode)
    for one in found.modes:
        assert one.points == sum(each.points for each in one.rules)


def test_of_the_open_modes_the_one_with_most_points_stands_first() -> None:
    found = proposed(micro())
    points = [one.points for one in found.modes if one.open]
    assert points == sorted(points, reverse=True)
    assert found.modes[0].mode is found.mode
    assert [one.open for one in found.modes] == sorted((one.open for one in found.modes), reverse=True)


def test_what_the_referrer_wishes_counts_where_it_is_open() -> None:
    found = proposed(referral("bank_guarantee"))
    assert (found.mode, found.wish_granted) == ("bank_guarantee", True)
    assert rule(found, "bank_guarantee", "wished_by_referrer").points == RULES.wish_points


def test_what_the_referrer_wishes_opens_no_mode_that_is_closed() -> None:
    found = proposed(referral("syndicated_loan"))
    assert (found.mode, found.wished, found.wish_granted) == ("direct_loan", "syndicated_loan", False)
    assert not standing(found, "syndicated_loan").open
    assert rule(found, "syndicated_loan", "large_sum").inputs == {"amount": "5000000.00 CNY"}


def test_a_rule_about_what_the_referral_leaves_open_is_named_as_such() -> None:
    body = Referral.model_validate(
        {**large(None).model_dump(mode="json", exclude={"enterprise"}), "subject_kind": "zone_plan"}
    )
    private = rule(proposed(body), "bank_guarantee", "private")
    assert (private.outcome, private.points, private.missing) == (RuleOutcome.NOT_EVALUABLE, 0, ("ownership",))


def test_a_sum_in_dollars_is_held_against_limits_in_dollars() -> None:
    assert proposed(referral(amount={"amount": "8000000.00", "currency": "USD"})).mode == "syndicated_loan"
    assert proposed(referral(amount={"amount": "7999999.99", "currency": "USD"})).mode == "direct_loan"


def test_partners_named_for_the_province_come_first_and_others_of_it_not_at_all() -> None:
    ranked = RULES.ranked((one.data for one in FUNDS), CooperationMode.BANK_GUARANTEE, "15")
    assert [(one.code, [reason.code for reason in reasons]) for one, reasons in ranked] == [
        ("near-fund", ["serves_province", "specialised"]),
        ("wide-fund", ["specialised"]),
    ]


def test_of_equal_partners_the_code_decides() -> None:
    ranked = RULES.ranked((one.data for one in reversed(BANKS)), CooperationMode.SYNDICATED_LOAN, "15")
    assert [one.code for one, _ in ranked] == ["bank-a", "bank-b", "bank-c", "bank-d"]


def test_partners_of_another_mode_are_not_asked() -> None:
    insurer = partner("insurer", "bank_insurance", kind="insurer").data
    assert RULES.ranked([insurer], CooperationMode.BANK_GUARANTEE, "15") == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('version: "2020-03-23"', "", "version: Field required"),
        ("wish_points: 40", "wish_points: forty", "wish_points: Input should be a valid integer"),
        ("size_class: [micro]}", "size_class: [tiny]}", "size_class"),
        ('own_percent: "50.00"', 'own_percent: "150.00"', "modes/1/own_percent"),
        ("  - mode: direct_loan", "  - mode: bank_guarantee", "each mode is to stand here exactly once"),
        ("{ordinary: 5, resumption: 3}", "{ordinary: 5}", "needs each lane"),
        ("when: {}", "when: {colour: [red]}", "colour: Extra inputs"),
        ("modes:", "modes: [", "YAML"),
    ],
)
def test_a_faulty_rule_file_says_where_and_what(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = MODES.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "modes.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RuleFileError, match=said):
        load_mode_rules(path)
