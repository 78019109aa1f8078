"""A consortium from its case's registration to the day on which its parts add up, or it says what is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from schemas.bulletin import EnterpriseCaseEnded, EnterpriseSeen
from schemas.consortium import SEARCHES, ConsortiumComplete, ConsortiumShort, DebtorKind
from schemas.cooperation import CooperationRefused
from schemas.envelope import Event
from schemas.json_schema import EXAMPLES
from schemas.loan import LoanDisbursed
from schemas.partner import CooperationInvitationEnded, CooperationPartnerInvited, CooperationPartnerJoined
from schemas.plan import PlanProjectMoved, PlanProjectReferred, PlanProjectStageTold
from services.cooperation.domain.consortium import RECORDS, Consortium, Status, evolve
from services.cooperation.domain.shares import divide, part, percent_of
from services.kit.door import Early, Invalid
from tests.unit.cooperation.partners import (
    ANSWERED,
    SHORTLISTED,
    Desk,
    after,
    amended,
    closed,
    consent,
    declines,
    event,
    given,
    kinds,
    large,
    leaves,
    partner,
    referral,
    refusal,
    registered,
    shortlisted,
    takes,
    takes_sum,
    withdrawn,
)

GUARANTEE = referral("bank_guarantee")
SIDES_ALONE = ("commerce", "bank")


def invited(said: list[Any]) -> list[str]:
    return [one.partner for one in said if isinstance(one, CooperationPartnerInvited)]


def guaranteed(*events: Event[Any]) -> Desk:
    """A case for which guarantee funds are asked."""
    return given(registered(GUARANTEE), shortlisted(), *events)


def syndicated(*events: Event[Any]) -> Desk:
    """A case of 80 million for which banks are asked for half."""
    return given(registered(large()), shortlisted(), *events)


# --- the case ---------------------------------------------------------------------------------------------------------


def test_a_registered_case_is_noted_and_tells_its_enterprise() -> None:
    desk = given(registered())
    assert kinds(desk.said) == ["case_noted", "consent_noted"]
    assert [(to.key, type(to.payload)) for to in desk.told] == [("91330100799655058B", EnterpriseSeen)]


def test_a_case_that_is_not_registered_can_not_be_shortlisted_yet() -> None:
    with pytest.raises(Early):
        Desk().tell(shortlisted())
    with pytest.raises(Early):
        given(consent("commerce", "bank", "partner")).tell(shortlisted())


def test_a_consent_that_comes_before_the_registration_is_remembered() -> None:
    desk = given(consent("commerce", "bank", "partner"), registered(GUARANTEE, SIDES_ALONE), shortlisted())
    assert desk.now.covers_partners
    assert invited(desk.said) == ["near-fund"]


def test_a_mode_without_partners_is_complete_at_once_and_needs_no_consent() -> None:
    desk = given(registered(scopes=SIDES_ALONE), shortlisted())
    assert kinds(desk.said) == ["case_noted", "mode_proposed", "complete"]
    assert desk.now.status is Status.COMPLETE


def test_a_zone_plan_has_no_enterprise_whose_consent_would_be_needed() -> None:
    body = large().model_copy(update={"enterprise": None, "subject_kind": "zone_plan"})
    desk = given(registered(body, scopes=()), shortlisted())
    assert invited(desk.said) == ["bank-a", "bank-b"]
    assert desk.told == []


def test_the_plan_of_a_case_is_told_how_far_the_case_has_come() -> None:
    body = large().model_copy(update={"zone_plan": "MZL-PLAN-2020-01"})
    desk = given(registered(body), shortlisted())
    example = EXAMPLES / LoanDisbursed.TYPE / "valid-first-part.json"
    paid = LoanDisbursed.model_validate_json(example.read_bytes())
    desk.tell(event(paid, ANSWERED, "//kouan/loan_desk"), closed())
    told = [to.payload for to in desk.told if to.key == "MZL-PLAN-2020-01"]
    assert isinstance(told[0], PlanProjectReferred)
    assert [one.stage for one in told if isinstance(one, PlanProjectStageTold)] == [
        "shortlisted",
        "financed",
        "loan_settled",
    ]


# --- invitations ------------------------------------------------------------------------------------------------------


def test_a_partner_is_told_what_is_missing_and_by_when_to_answer() -> None:
    (first,) = [one for one in guaranteed().said if isinstance(one, CooperationPartnerInvited)]
    assert (first.partner, first.place, first.points) == ("near-fund", 1, 30)
    assert [reason.code for reason in first.reasons] == ["serves_province", "specialised"]
    assert (first.missing.amount, first.missing_percent) == (Decimal("4000000.00"), Decimal("80.00"))
    assert first.deadline.isoformat() == "2020-04-16T23:59:59+08:00"
    assert first.directory_version == "partner/near-fund@2020-01-01"


def test_without_consent_for_partners_nobody_is_invited_and_the_case_says_so() -> None:
    desk = given(registered(GUARANTEE, SIDES_ALONE), shortlisted())
    assert kinds(desk.said) == ["case_noted", "mode_proposed", "consent_missing"]
    assert invited(desk.tell(consent("commerce", "bank", "partner"))) == ["near-fund"]


def test_consent_taken_back_ends_invitations_and_what_was_taken_up() -> None:
    desk = syndicated(takes("bank-a", "25.00"))
    said = desk.tell(consent(*SIDES_ALONE, at=after(10)))
    assert kinds(said) == ["consent_noted", *["invitation_ended"] * 3, "consent_missing"]
    assert desk.now.missing == desk.now.wanted
    assert list(desk.pass_time(after(60))) == []
    assert refusal(desk.tell(takes("bank-b", "25.00", after(11)))) == "consent_missing"


def test_consent_taken_back_leaves_a_case_complete_that_needs_no_partner() -> None:
    desk = given(registered(), shortlisted())
    assert kinds(desk.tell(consent(*SIDES_ALONE))) == ["consent_noted"]
    assert desk.now.status is Status.COMPLETE


def test_consent_given_again_invites_again_those_whose_invitation_was_ended() -> None:
    desk = guaranteed(consent(*SIDES_ALONE))
    assert invited(desk.tell(consent("commerce", "bank", "partner", at=after(11)))) == ["near-fund"]


def test_where_the_directory_names_nobody_the_case_is_short_at_once() -> None:
    desk = given(registered(GUARANTEE), shortlisted(), partners=())
    (said,) = [one for one in desk.said if isinstance(one, ConsortiumShort)]
    assert (said.code, said.missing.amount) == ("no_partner", Decimal("4000000.00"))
    assert "4000000.00 CNY" in said.en


def test_a_case_that_is_short_finds_partners_that_are_entered_later() -> None:
    desk = given(registered(GUARANTEE), shortlisted(), partners=())
    assert kinds(desk.pass_time(after(16))) == ["searched"]
    desk.outlook.directory.learn(partner("new-fund", "bank_guarantee", since="2020-04-20"))
    assert kinds(desk.pass_time(after(23))) == ["searched", "partner_invited"]
    assert desk.now.status is Status.GATHERING


def test_the_directory_is_searched_again_twelve_times_at_most() -> None:
    desk = given(registered(GUARANTEE), shortlisted(), partners=())
    assert kinds(desk.pass_time(after(400))) == ["searched"] * SEARCHES
    assert desk.now.status is Status.SHORT


def test_who_does_not_answer_in_time_is_not_waited_for() -> None:
    desk = guaranteed()
    said = desk.pass_time(after(16))
    assert kinds(said) == ["partner_silent", "partner_invited"]
    (second,) = [one for one in said if isinstance(one, CooperationPartnerInvited)]
    assert (second.partner, second.place) == ("wide-fund", 2)
    assert refusal(desk.tell(takes("near-fund", "80.00", after(17)))) == "after_deadline"


def test_an_answer_after_the_deadline_is_refused_though_the_deadline_was_not_seen_yet() -> None:
    assert refusal(guaranteed().tell(takes("near-fund", "80.00", after(30)))) == "after_deadline"


def test_who_stayed_silent_may_still_answer_while_the_case_is_short() -> None:
    desk = guaranteed()
    assert kinds(desk.pass_time(after(25)))[-1] == "short"
    assert kinds(desk.tell(takes("near-fund", "80.00", after(26)))) == ["partner_joined", "complete"]


def test_who_declines_makes_room_for_the_next_and_at_the_end_the_case_says_what_is_missing() -> None:
    desk = guaranteed()
    assert kinds(desk.tell(declines("near-fund"))) == ["partner_declined", "partner_invited"]
    assert kinds(desk.tell(declines("wide-fund"))) == ["partner_declined", "short"]
    assert desk.now.status is Status.SHORT


def test_the_resumption_lane_leaves_partners_less_time() -> None:
    desk = given(registered(referral("bank_guarantee", lane="resumption")), shortlisted())
    (first,) = [one for one in desk.said if isinstance(one, CooperationPartnerInvited)]
    assert first.deadline.isoformat() == "2020-04-14T23:59:59+08:00"


# --- shares -----------------------------------------------------------------------------------------------------------


def test_percent_and_sums_add_up_and_what_is_still_open_ends() -> None:
    desk = syndicated()
    assert kinds(desk.tell(takes("bank-a", "20.00"))) == ["partner_joined", "partner_invited"]
    said = desk.tell(takes_sum("bank-b", "24000000.00"))
    assert kinds(said) == ["partner_joined", "invitation_ended", "complete"]
    complete = said[-1]
    assert isinstance(complete, ConsortiumComplete)
    assert complete.own.amount + sum(one.amount.amount for one in complete.shares) == complete.amount.amount
    assert [(one.partner, one.percent) for one in complete.shares] == [
        ("bank-a", Decimal("20.00")),
        ("bank-b", Decimal("30.00")),
    ]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (takes("near-fund", "80.01"), "share_too_large"),
        (takes_sum("near-fund", "4000000.01"), "share_too_large"),
        (takes("near-fund", "19.99"), "share_too_small"),
        (takes_sum("near-fund", "4000000.00", currency="USD"), "other_currency"),
        (takes("wide-fund", "80.00"), "not_invited"),
        (takes("nobody", "80.00"), "not_invited"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_may_be_given_again(answer: Event[Any], code: str) -> None:
    desk = guaranteed()
    assert refusal(desk.tell(answer)) == code
    assert kinds(desk.tell(takes("near-fund", "80.00"))) == ["partner_joined", "complete"]


def test_a_refused_share_says_how_much_could_be_taken() -> None:
    (said,) = guaranteed().tell(takes("near-fund", "90.00"))
    assert isinstance(said, CooperationRefused)
    assert "4000000.00 CNY (80.00 %)" in said.en


def test_a_second_answer_is_refused() -> None:
    desk = syndicated(takes("bank-a", "20.00"))
    assert refusal(desk.tell(declines("bank-a", after(10)))) == "already_answered"


def test_only_partners_may_answer() -> None:
    payload = takes("near-fund", "80.00").data
    for source in ("//commerce/15", "//bank/exim", "//kouan/screening"):
        assert refusal(guaranteed().tell(event(payload, ANSWERED, source))) == "wrong_party"


def test_an_answer_about_another_case_than_its_key_can_never_be_right() -> None:
    answer = takes("near-fund", "80.00")
    wrong = answer.data.model_copy(update={"referral_id": "HH-2020-000001"})
    with pytest.raises(Invalid):
        guaranteed().tell(event(wrong, ANSWERED, answer.source))


def test_an_answer_to_a_case_that_nobody_knows_is_refused() -> None:
    assert refusal(Desk().tell(takes("near-fund", "80.00"))) == "not_invited"


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_when_a_partner_leaves_a_complete_consortium_it_is_short_and_the_next_is_asked() -> None:
    desk = guaranteed(takes("near-fund", "80.00"))
    said = desk.tell(leaves("near-fund", after(20)))
    assert kinds(said) == ["partner_departed", "short", "partner_invited"]
    assert invited(said) == ["wide-fund"]
    assert kinds(desk.tell(takes("wide-fund", "80.00", after(21)))) == ["partner_joined", "complete"]


def test_those_whose_invitation_ended_with_completion_are_asked_when_somebody_leaves() -> None:
    desk = syndicated(takes("bank-a", "50.00"))
    assert desk.now.status is Status.COMPLETE
    said = desk.tell(leaves("bank-a", after(20)))
    assert invited(said) == ["bank-b", "bank-c"]


def test_who_takes_no_part_can_not_leave() -> None:
    assert refusal(guaranteed().tell(leaves("near-fund"))) == "not_taking_part"


# --- exposure ---------------------------------------------------------------------------------------------------------


def test_on_lending_is_exposure_to_the_partner_bank_and_names_the_final_borrower() -> None:
    desk = given(registered(referral("sme_on_lending")), shortlisted(), takes("bank-a", "100.00"))
    complete = desk.said[-1]
    assert isinstance(complete, ConsortiumComplete)
    (exposure,) = complete.exposures
    assert (exposure.debtor_kind, exposure.debtor, exposure.amount.amount) == (
        DebtorKind.PARTNER,
        "bank-a",
        Decimal("5000000.00"),
    )
    assert [(one.credit_code, one.size_class) for one in complete.final_borrowers] == [("91330100799655058B", "small")]


def test_a_guarantee_leaves_the_whole_loan_with_the_enterprise_and_part_of_the_risk() -> None:
    complete = guaranteed(takes("near-fund", "80.00")).said[-1]
    assert isinstance(complete, ConsortiumComplete)
    (exposure,) = complete.exposures
    assert exposure.debtor_kind is DebtorKind.ENTERPRISE
    assert (exposure.amount.amount, exposure.at_risk.amount) == (Decimal("5000000.00"), Decimal("1000000.00"))


# --- amendments and the end -------------------------------------------------------------------------------------------


def test_another_sum_gathers_everything_afresh() -> None:
    desk = syndicated(takes("bank-a", "25.00"))
    said = desk.tell(amended(large(amount="60000000.00")))
    assert kinds(said) == [
        "case_noted",
        *["invitation_ended"] * 3,
        "mode_proposed",
        *["partner_invited"] * 2,
    ]
    assert desk.now.missing == Decimal("30000000.00")


def test_a_plan_that_an_amendment_names_is_told_of_the_case() -> None:
    desk = given(registered())
    desk.tell(amended(referral(zone_plan="MZL-PLAN-2020-01")))
    assert [(to.key, type(to.payload)) for to in desk.told[-1:]] == [("MZL-PLAN-2020-01", PlanProjectReferred)]


def test_a_case_that_is_amended_to_another_plan_leaves_the_first_and_tells_the_second_how_far_it_has_come() -> None:
    first, second = "MZL-PLAN-2020-01", "MZL-PLAN-2020-02"
    desk = given(registered(referral("direct_loan", zone_plan=first)), shortlisted())
    desk.told.clear()
    desk.tell(amended(referral("direct_loan", zone_plan=second)))
    of_plans = [(to.key, to.payload) for to in desk.told if to.key in (first, second)]
    assert [(key, type(payload)) for key, payload in of_plans] == [
        (first, PlanProjectMoved),
        (second, PlanProjectReferred),
        (second, PlanProjectStageTold),
    ]
    assert isinstance(of_plans[0][1], PlanProjectMoved)
    assert of_plans[0][1].moved_to == second
    assert isinstance(of_plans[1][1], PlanProjectReferred)
    assert of_plans[1][1].source == "//commerce/15"


def test_a_case_that_is_amended_tells_its_plan_again_which_may_have_been_submitted_since() -> None:
    body = referral("direct_loan", zone_plan="MZL-PLAN-2020-01")
    desk = given(registered(body))
    desk.told.clear()
    desk.tell(amended(body.model_copy(update={"goods": "原木"})))
    assert [type(to.payload) for to in desk.told] == [EnterpriseSeen, PlanProjectReferred]


def test_an_amendment_that_touches_neither_sum_nor_mode_leaves_invitations_in_force() -> None:
    desk = syndicated(takes("bank-a", "25.00"))
    assert kinds(desk.tell(amended(large().model_copy(update={"goods": "原木"})))) == ["case_noted"]
    assert desk.now.missing == Decimal("20000000.00")


@pytest.mark.parametrize("ending", [withdrawn(), closed()])
def test_the_end_of_a_case_ends_its_invitations_and_tells_its_enterprise(ending: Event[Any]) -> None:
    desk = syndicated(takes("bank-a", "25.00", SHORTLISTED))
    said = desk.tell(ending)
    assert kinds(said) == [*["invitation_ended"] * 3, "closed"]
    assert isinstance(desk.told[-1].payload, EnterpriseCaseEnded)
    assert all(one.code == "case_closed" for one in said if isinstance(one, CooperationInvitationEnded))
    assert refusal(desk.tell(takes("bank-b", "25.00"))) == "case_closed"
    assert desk.tell(closed(after(12)), shortlisted(after(12)), consent("partner", at=after(12))) == []


def test_a_case_that_its_loan_ended_waits_for_the_shortlist_before_it_is_closed() -> None:
    desk = Desk()
    desk.tell(registered(large()))
    with pytest.raises(Early, match="shortlisted"):
        desk.tell(closed())
    desk.tell(shortlisted(), closed())
    assert desk.now.status is Status.CLOSED
    assert desk.now.mode is not None


# --- properties -------------------------------------------------------------------------------------------------------

SUMS = st.decimals(Decimal("50000000.00"), Decimal("9999999999999.99"), places=2)
PERCENTS = st.decimals(Decimal("0.01"), Decimal("100.00"), places=2)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["percent", "sum", "rest", "declines", "leaves", "time"]),
        st.sampled_from("abcd"),
        PERCENTS,
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@for_all(SUMS, ACTIONS)
def test_shares_never_exceed_the_whole_and_complete_means_that_they_add_up(
    amount: Decimal, actions: list[tuple[str, str, Decimal]]
) -> None:
    desk = syndicated_of(amount)
    for step, (action, letter, percent) in enumerate(actions, start=1):
        act(desk, action, f"bank-{letter}", percent, after(9 + step / 100))
        now = desk.now
        taken = sum((one.taken for one in now.invitations), Decimal(0))
        assert now.own + taken <= amount
        assert now.own + now.wanted == amount
        assert (now.status is Status.COMPLETE) == (now.own + taken == amount)
    for one in desk.said:
        if isinstance(one, ConsortiumComplete):
            assert one.own.amount + sum(share.amount.amount for share in one.shares) == amount
        if isinstance(one, ConsortiumShort):
            said = one.own.amount + one.missing.amount + sum(share.amount.amount for share in one.shares)
            assert said == amount
        if isinstance(one, CooperationPartnerJoined):
            assert one.share.percent <= 100


def syndicated_of(amount: Decimal) -> Desk:
    return given(registered(large(amount=format(amount, "f"))), shortlisted())


def act(desk: Desk, action: str, bank: str, percent: Decimal, at: Any) -> None:
    if action == "time":
        desk.pass_time(after(30))
    elif action == "percent":
        desk.tell(takes(bank, format(percent, "f"), at))
    elif action == "sum":
        assert desk.now.facts is not None
        desk.tell(takes_sum(bank, format(part(desk.now.facts.amount, percent) or Decimal("0.01"), "f"), at))
    elif action == "rest" and desk.now.missing and desk.now.facts is not None:
        desk.tell(takes(bank, format(percent_of(desk.now.facts.amount, desk.now.missing), "f"), at))
    elif action == "declines":
        desk.tell(declines(bank, at))
    elif action == "leaves":
        desk.tell(leaves(bank, at))


@settings(max_examples=50)
@for_all(SUMS, st.decimals(Decimal("0.00"), Decimal("100.00"), places=2))
def test_what_the_bank_keeps_and_what_partners_are_asked_for_is_the_whole(amount: Decimal, own: Decimal) -> None:
    kept, wanted = divide(amount, own)
    assert kept + wanted == amount
    assert min(kept, wanted) >= 0


def test_three_thirds_by_percent_leave_nothing_over() -> None:
    banks = [partner(f"bank-{letter}", "sme_on_lending") for letter in "abc"]
    body = referral("sme_on_lending", amount={"amount": "1000000.01", "currency": "CNY"})
    desk = given(registered(body), shortlisted(), partners=banks)
    desk.tell(takes("bank-a", "33.33"), takes("bank-b", "33.33"))
    assert kinds(desk.tell(takes("bank-c", "33.34"))) == ["partner_joined", "complete"]


def test_the_same_events_lead_to_the_same_state_from_the_record_alone() -> None:
    desk = syndicated(takes("bank-a", "25.00"), declines("bank-b"), leaves("bank-a", after(10)))
    desk.pass_time(after(40))
    again: Consortium | None = None
    for one in desk.said:
        if type(one) in RECORDS:
            again = evolve(again, one)
    assert again == desk.now
