"""What makes two referrals one matter, what makes them alike, and how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.envelope import Payload
from schemas.referral import DuplicateFound, DuplicateRule, Referral, ReferralAmended, ReferralRegistered
from schemas.referral_course import ConsentAwaited, ReferralKept
from schemas.resemblance import ResemblanceCleared, ResemblanceFlagged
from schemas.values import Side
from services.referral_intake.domain.case import Case, Status, claims_of
from services.referral_intake.domain.matters import claims_wanted, matter_of
from services.referral_intake.domain.scopes import Window, claims_before_scopes
from tests.unit.referral_intake.builders import (
    BANK,
    COMMERCE,
    DAY,
    enterprise,
    folded,
    moment,
    project,
    referral,
    said,
    submitted,
)
from tests.unit.referral_intake.desk import (
    KNOWN,
    OTHER,
    amendment,
    consent,
    exact_claims,
    fault_places,
    in_state,
    judged,
    near_claim,
    refusal_code,
    registered,
    then,
    when,
)

# --- the same matter --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "rule", "scope"),
    [
        (referral(), DuplicateRule.ENTERPRISE_NEED_ZONE, "enterprise_need_zone"),
        (referral(subject_kind="project", project=project()), DuplicateRule.SAME_PROJECT, "same_project"),
        (
            referral(subject_kind="zone_plan", enterprise=None, zone_plan="MZL-PLAN"),
            DuplicateRule.SAME_ZONE_PLAN,
            "same_zone_plan",
        ),
    ],
)
def test_matter_that_an_open_case_holds_is_a_duplicate_of_it_by_a_named_rule(
    body: Referral, rule: DuplicateRule, scope: str
) -> None:
    outputs = when(None, submitted(body), source=BANK, holders={exact_claims(body)[0]: OTHER})
    assert outputs == [
        DuplicateFound(duplicate_of=OTHER, rule=rule, scope=scope, side=Side.BANK, source=BANK, found_at=moment(DAY))
    ]


def test_faults_are_told_before_a_duplicate_is_looked_for() -> None:
    body = referral(branch="exim-gx")
    outputs = when(None, submitted(body), holders={exact_claims(body)[0]: OTHER})
    assert fault_places(outputs) == [("branch_not_of_province", "/referral/branch")]


def test_duplicate_may_be_submitted_again_once_the_matter_is_free() -> None:
    (answer,) = when(in_state(Status.DUPLICATE), submitted())
    assert isinstance(answer, ReferralRegistered)


@pytest.mark.parametrize(
    "changes",
    [
        {"need": "equipment_purchase"},
        {"zone": "dongxing"},
        {"enterprise": enterprise(credit_code="91110108551385082Q")},
    ],
)
def test_other_need_zone_or_enterprise_is_another_matter(changes: dict[str, Any]) -> None:
    assert set(exact_claims(referral(**changes))).isdisjoint(exact_claims())


def test_project_is_the_same_however_its_name_is_written() -> None:
    one = referral(subject_kind="project", project=project(name="Cold Store（二期）"))
    two = referral(subject_kind="project", project=project(name="ｃｏｌｄ store (二期)"))
    assert exact_claims(one) == exact_claims(two)


@pytest.mark.parametrize(("active", "expected"), [(False, ReferralRegistered), (True, DuplicateFound)])
def test_any_open_case_of_an_enterprise_is_a_duplicate_where_operators_say_so(
    active: bool, expected: type[Payload]
) -> None:
    strict = replace(KNOWN, scopes=tuple(replace(scope, active=scope.active or active) for scope in KNOWN.scopes))
    first = matter_of(said(submitted()), strict.scopes)
    body = referral(need="equipment_purchase", zone="dongxing")
    second = matter_of(said(submitted(body), holders=dict.fromkeys(first.claims, OTHER)), strict.scopes)
    assert (second.duplicate is not None) is (expected is DuplicateFound)
    if second.duplicate is not None:
        told = second.duplicate.told(Side.BANK, BANK, moment(DAY))
        assert (told.scope, told.duplicate_of) == ("any_open_case", OTHER)


# --- the window -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2020-06-29T23:59:59+08:00", DuplicateFound),
        ("2020-07-30T00:00:00+08:00", ReferralRegistered),
        ("2020-01-02T00:00:00+08:00", DuplicateFound),
        ("2019-12-02T00:00:00+08:00", ReferralRegistered),
    ],
)
def test_same_enterprise_need_and_zone_is_the_same_matter_within_90_days_of_business_time(
    time: str, expected: type[Payload]
) -> None:
    held = dict.fromkeys(exact_claims(), OTHER)
    body = referral(enterprise=enterprise(name="另一名称"))
    answers = when(None, submitted(body, consent=None), time=time, holders=held)
    assert isinstance(answers[0], DuplicateFound) is (expected is DuplicateFound), answers


@pytest.mark.parametrize("day", range(1, 31))
def test_window_lasts_as_many_days_as_it_says_and_less_than_one_step_more(day: int) -> None:
    window = Window(days=90, step=30)
    first = moment(f"2020-04-{day:02d}T12:00:00+08:00")
    touched = set(window.periods(first))
    apart = [
        days
        for days in range(150)
        if touched.isdisjoint(window.periods(first.fromtimestamp(first.timestamp() + days * 86400, first.tzinfo)))
    ]
    assert 90 <= apart[0] < 120
    assert apart == list(range(apart[0], 150))


def test_case_from_before_windows_still_keeps_others_out() -> None:
    (old,) = claims_before_scopes(referral())
    assert old == "enterprise_need_zone:385f18d2ca1c5e0aa9eab04524a7045f"
    assert old in claims_wanted(KNOWN.scopes, said(submitted()))
    (answer,) = when(None, submitted(), holders={old: OTHER})
    assert isinstance(answer, DuplicateFound)


def test_claims_stay_as_they_were_made_because_they_are_stored() -> None:
    assert exact_claims() == tuple(
        f"enterprise_need_zone:385f18d2ca1c5e0aa9eab04524a7045f.{period}" for period in (24583, 24584, 24585, 24586)
    )


def test_rebuilt_case_holds_what_its_event_says_whatever_is_configured_now() -> None:
    (event,) = when(None, submitted())
    assert isinstance(event, ReferralRegistered)
    assert event.claims is not None
    case = folded([event.model_copy(update={"claims": ("gone_scope:1",)})])
    assert case is not None
    assert claims_of(case) == ("gone_scope:1",)
    assert folded([event.model_copy(update={"claims": None})]) == replace(case, claims=claims_before_scopes(referral()))


# --- two at once ------------------------------------------------------------------------------------------------------


def test_two_workers_that_both_saw_nobody_would_hold_the_same_unique_rows() -> None:
    """What the kit keeps as unique rows then lets only one of them commit; the other is decided again."""
    one, two = registered(), then(None, submitted(), subject="NMG-2020-0002", source=BANK)
    shared = set(claims_of(one)) & set(claims_of(two))
    assert shared == set(claims_of(one))
    (again,) = when(
        None, submitted(), subject="NMG-2020-0002", source=BANK, holders=dict.fromkeys(claims_of(one), "MZL-2020-0001")
    )
    assert isinstance(again, DuplicateFound)
    assert again.duplicate_of == "MZL-2020-0001"


def test_every_claim_that_a_case_takes_was_asked_about() -> None:
    for payload in (submitted(), amendment(need="equipment_purchase", site="互贸区 18 号")):
        case = None if payload.TYPE == "referral.submitted.v1" else registered()
        before = () if case is None else claims_of(case)
        taken = set(claims_of(then(case, payload))) - set(before)
        assert taken
        assert taken <= set(claims_wanted(KNOWN.scopes, said(payload)))


@pytest.mark.parametrize(
    "status", [Status.CONSENTED, Status.REJECTED, Status.DUPLICATE, Status.WITHDRAWN, Status.CLOSED]
)
def test_case_that_is_not_open_holds_no_claim(status: Status) -> None:
    case = in_state(status)
    assert case is not None
    assert claims_of(case) == ()


# --- alike ------------------------------------------------------------------------------------------------------------

DIGEST = "ab" * 32
ALIKE = [
    (
        "same_name",
        referral(),
        referral(enterprise=enterprise(credit_code="91110108551385082Q", name="满洲里示例木业（股份）公司")),
    ),
    (
        "same_legal_person",
        referral(enterprise=enterprise(legal_person_digest=DIGEST)),
        referral(enterprise=enterprise(credit_code="91110108551385082Q", name="另一家", legal_person_digest=DIGEST)),
    ),
    (
        "same_site",
        referral(site="满洲里市 互贸区华埠大街18号"),
        referral(
            enterprise=enterprise(credit_code="91110108551385082Q", name="另一家"), site="满洲里市互贸区华埠大街 18 号"
        ),
    ),
    (
        "same_project_name",
        referral(subject_kind="project", project=project()),
        referral(subject_kind="project", project=project(), enterprise=enterprise(credit_code="91110108551385082Q")),
    ),
]


@pytest.mark.parametrize(("scope", "first", "second"), ALIKE)
def test_what_only_resembles_an_open_case_is_registered_and_flagged_with_the_reason(
    scope: str, first: Referral, second: Referral
) -> None:
    held = dict.fromkeys(claims_of(registered(first)), OTHER)
    answer, flagged = when(None, submitted(second), source=BANK, holders=held)
    assert isinstance(answer, ReferralRegistered)
    assert isinstance(flagged, ResemblanceFlagged)
    (resemblance,) = flagged.resembles
    assert (resemblance.referral_id, resemblance.rule) == (OTHER, scope)
    assert resemblance.zh
    assert resemblance.en


def test_claim_by_which_cases_are_alike_stays_with_the_first() -> None:
    claim = near_claim("same_name")
    case = then(None, submitted(), holders={claim: OTHER})
    assert case.resembles == (OTHER,)
    assert claim not in claims_of(case)


def test_amendment_may_bring_a_resemblance_too_but_flags_it_once() -> None:
    body = {"site": "互贸区 18 号"}
    held = {near_claim("same_site", referral(**body)): OTHER}
    answer, flagged = when(registered(), amendment(**body), holders=held)
    assert isinstance(answer, ReferralAmended)
    assert isinstance(flagged, ResemblanceFlagged)
    case = folded([answer, flagged], registered())
    (only,) = when(case, amendment(term_months=6, **body), holders=held)
    assert isinstance(only, ReferralAmended)


def alike(case: Case) -> Case:
    return replace(case, resembles=(OTHER,))


@pytest.mark.parametrize("source", [COMMERCE, BANK])
def test_person_of_either_side_clears_a_resemblance(source: str) -> None:
    (cleared,) = when(alike(registered()), judged(same=False), source=source)
    assert isinstance(cleared, ResemblanceCleared)
    case = folded([cleared], alike(registered()))
    assert case is not None
    assert (case.status, case.resembles) == (Status.REGISTERED, ())
    assert refusal_code(when(case, judged(same=True))) == "not_flagged"


def test_person_who_finds_two_cases_to_be_one_ends_the_later_with_the_earlier_named() -> None:
    case = alike(registered())
    (withdrawn,) = when(case, judged(same=True), source=BANK)
    assert withdrawn.model_dump()["duplicate_of"] == OTHER
    ended = folded([withdrawn], case)
    assert ended is not None
    assert (ended.status, claims_of(ended)) == (Status.WITHDRAWN, ())


def test_what_a_referral_resembles_is_told_once_consent_has_come_and_judged_then() -> None:
    told = when(None, submitted(consent=None), holders={near_claim("same_name"): OTHER})
    assert [type(one) for one in told] == [ConsentAwaited, ReferralKept]
    case = folded(told)
    assert case is not None
    assert refusal_code(when(case, judged(same=True))) == "awaiting_consent"
    *_, flagged = answer = when(case, consent("commerce", "bank"), time="2020-04-10T10:00:00+08:00")
    assert isinstance(flagged, ResemblanceFlagged)
    assert [(one.referral_id, one.rule) for one in flagged.resembles] == [(OTHER, "same_name")]
    case = folded(answer, case)
    assert case is not None
    assert (case.status, case.resembles, case.alike) == (Status.REGISTERED, (OTHER,), ())


def test_judgement_of_what_was_not_flagged_is_refused() -> None:
    assert refusal_code(when(registered(), judged(same=True))) == "not_flagged"
    assert refusal_code(when(alike(registered()), judged(same=True, other="X-1"))) == "not_flagged"
