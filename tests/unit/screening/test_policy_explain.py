"""A recorded score explains itself: its points add up, and a record that contradicts itself is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as some

from schemas.reference import china_date
from schemas.referral import Referral
from schemas.scoring import RuleOutcome
from services.screening.policy import load_policies
from services.screening.policy_explain import compare, points_of, proof
from tests.unit.screening import builders as told
from tests.unit.screening.recorded import DRAFT, REFERRALS, registered, scored, with_draft

SHIPPED = load_policies()
IN_2020, IN_2025 = told.OPENED, told.OPENED.replace(year=2025)


def record(referral: Referral, at: Any = IN_2020, **changes: Any) -> Any:
    return scored(SHIPPED, registered(told.CASE, referral, at), **changes).data


@for_all(REFERRALS, some.sampled_from((IN_2020, IN_2025)))
@settings(max_examples=200, deadline=None)
def test_the_points_of_every_explanation_add_up_to_the_score(referral: Referral, at: Any) -> None:
    found = record(referral, at)
    policy = SHIPPED.in_force(china_date(at))
    assert points_of(found) == found.score
    assert proof(found, policy, referral) == ()
    assert len(found.rules) == len(policy.rules)
    for rule in found.rules:
        assert (rule.failure is not None) == (rule.outcome is RuleOutcome.NOT_EVALUABLE)
        assert rule.points == 0 or rule.outcome is RuleOutcome.MET


@for_all(REFERRALS, some.integers(-300, 300).filter(bool))
@settings(max_examples=50, deadline=None)
def test_a_score_that_was_tampered_with_never_passes(referral: Referral, by: int) -> None:
    found = record(referral)
    assert [one.code for one in proof(found.model_copy(update={"score": found.score + by}))] == ["points_do_not_add_up"]


@for_all(REFERRALS, some.sampled_from(SHIPPED.names), some.sampled_from(SHIPPED.names))
@settings(max_examples=100, deadline=None)
def test_the_difference_to_another_version_is_what_its_rules_differ_by(
    referral: Referral, before: str, after: str
) -> None:
    at = IN_2020 if before == SHIPPED.names[0] else IN_2025
    found = record(referral, at)
    comparison = compare(found, SHIPPED.version(after), referral)
    parts = [
        (one.after.points if one.after else 0) - (one.before.points if one.before else 0) for one in comparison.changes
    ]
    assert comparison.difference == sum(parts)
    assert (comparison.changes == ()) or before != after


def test_stops_on_record_that_no_rule_bears_out_are_found() -> None:
    found = record(told.referral(), hard_stops=("outbound_direction_not_permitted",))
    assert [one.code for one in proof(found)] == ["stops_differ"]


def test_points_of_a_rule_that_is_not_met_are_found() -> None:
    found = record(told.referral())
    rules = tuple(
        rule.model_copy(update={"points": 25}) if rule.code == "resumption_of_work" else rule for rule in found.rules
    )
    assert {one.code for one in proof(found.model_copy(update={"rules": rules, "score": found.score + 25}))} == {
        "points_without_reason"
    }


@pytest.mark.parametrize("changes", [{"key_areas": ()}, {"rules": ()}])
def test_a_record_that_comes_out_otherwise_when_scored_anew_is_found(changes: dict[str, Any]) -> None:
    referral = told.referral(enterprise={**told.REFERRAL_EXAMPLE["enterprise"], "size_class": "large"})  # type: ignore[dict-item]
    found = record(referral, **changes)
    policy = SHIPPED.version(found.policy_version)
    assert "differs_when_scored_anew" in [one.code for one in proof(found, policy, referral)]


def test_another_version_is_compared_rule_by_rule(tmp_path: Path) -> None:
    policies = load_policies(with_draft(tmp_path, private_enterprise=50))
    referral = told.referral(term_months=72)
    comparison = compare(record(referral, IN_2025), policies.version(DRAFT), referral)
    changes = {one.code: (one.before, one.after) for one in comparison.changes}
    assert set(changes) == {"working_capital_term_too_long", "private_enterprise"}
    assert changes["working_capital_term_too_long"][1] is None
    assert comparison.difference == 30
    assert comparison.after.hard_stops == ()
