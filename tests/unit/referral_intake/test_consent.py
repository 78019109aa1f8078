"""Consent of the enterprise: needed before a case begins, on record, and taken back."""

from __future__ import annotations

import pytest

from schemas.consent import ConsentRecorded, ConsentScope
from schemas.envelope import Payload
from schemas.referral import ReferralRegistered, ReferralRejected, ReferralWithdrawn, WithdrawalCode
from schemas.referral_course import ConsentAwaited, ConsentAwaitedV1, ReferralKept, ReferralRepeated
from schemas.upcasting import upcast
from schemas.values import Side
from services.referral_intake.domain.case import Case, Status, claims_of, deadlines
from tests.unit.referral_intake.builders import BANK, COMMERCE, DAY, consented, folded, moment, referral, submitted
from tests.unit.referral_intake.desk import (
    amendment,
    awaiting,
    consent,
    exact_claims,
    fault_places,
    in_state,
    refusal_code,
    registered,
    revocation,
    then,
    when,
    when_due,
    withdrawal,
)

DEADLINE = "2020-04-16T23:59:59+08:00"
"""Ten working days after 1 April 2020: Qingming lies between."""


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [((), ("commerce", "bank")), (("commerce",), ("bank",)), (("bank", "partner"), ("commerce",))],
)
def test_sound_referral_without_consent_for_both_sides_waits_for_it(
    scopes: tuple[str, ...], missing: tuple[ConsentScope, ...]
) -> None:
    given = consented(*scopes) if scopes else None
    answer, kept = when(None, submitted(consent=given))
    assert isinstance(answer, ConsentAwaited)
    assert (answer.missing, answer.until, answer.until_provisional) == (missing, moment(DEADLINE), False)
    assert (answer.side, answer.source) == (Side.COMMERCE, COMMERCE)
    assert isinstance(kept, ReferralKept)
    assert (kept.referral, kept.consent, set(exact_claims()) <= set(kept.claims)) == (referral(), given, True)


def test_what_is_told_of_a_referral_that_waits_is_nothing_of_its_content() -> None:
    (answer, _) = when(None, submitted(consent=consented("commerce")))
    assert answer.model_dump(mode="json", exclude_none=True).keys() == {
        "consent_scopes", "missing", "until", "until_provisional", "side", "source", "submitted_at",
    }  # fmt: skip


def test_case_that_waits_holds_its_matter() -> None:
    assert set(exact_claims()) <= set(claims_of(awaiting()))


def test_zone_plan_names_no_enterprise_and_needs_no_consent() -> None:
    body = referral(subject_kind="zone_plan", enterprise=None, zone_plan="MZL-PLAN-2020")
    (answer,) = when(None, submitted(body, consent=None))
    assert isinstance(answer, ReferralRegistered)
    assert answer.consent_scopes == ()


def test_faults_are_told_before_consent_is_asked_for() -> None:
    (answer,) = when(None, submitted(referral(zone="nowhere"), consent=None))
    assert isinstance(answer, ReferralRejected)


def test_consent_that_completes_it_registers_the_referral_as_it_was_submitted() -> None:
    case = awaiting("commerce")
    recorded, answer = when(case, consent("bank", "partner"), time="2020-04-10T10:00:00+08:00")
    assert isinstance(recorded, ConsentRecorded)
    assert isinstance(answer, ReferralRegistered)
    assert answer.consent_scopes == recorded.scopes == ("commerce", "bank", "partner")
    assert (answer.referral, answer.side, answer.source) == (referral(), Side.COMMERCE, COMMERCE)
    assert answer.claims == claims_of(case)
    assert answer.registered_at == moment("2020-04-10T10:00:00+08:00")


def test_part_of_what_is_missing_is_recorded_and_the_case_goes_on_waiting() -> None:
    case = then(awaiting(), consent("bank"))
    assert (case.status, case.consent) == (Status.AWAITING_CONSENT, ("bank",))
    assert then(case, consent("commerce")).status is Status.REGISTERED


def test_consent_may_come_before_the_referral() -> None:
    case = then(None, consent("commerce", "bank"))
    assert (case.status, case.side, case.source) == (Status.CONSENTED, Side.COMMERCE, COMMERCE)
    (answer,) = when(case, submitted(consent=None))
    assert isinstance(answer, ReferralRegistered)
    assert answer.consent_scopes == ("commerce", "bank")


def test_consent_outlives_a_rejection() -> None:
    case = then(then(None, consent("commerce", "bank")), submitted(referral(zone="nowhere"), consent=None))
    assert (case.status, case.consent) == (Status.REJECTED, ("commerce", "bank"))
    (answer,) = when(case, submitted(consent=None))
    assert isinstance(answer, ReferralRegistered)


def test_id_that_one_side_reported_consent_for_is_not_the_other_sides() -> None:
    assert refusal_code(when(in_state(Status.CONSENTED), submitted(), source=BANK)) == "wrong_party"


# --- too late, again, wrong -------------------------------------------------------------------------------------------


def test_deadline_turns_the_referral_back_with_what_is_missing() -> None:
    case = awaiting("bank")
    assert [one.due for one in deadlines(case)] == [moment(DEADLINE)]
    outputs = when_due(case)
    assert fault_places(outputs) == [("consent_missing", "/consent")]
    (rejected,) = outputs
    assert isinstance(rejected, ReferralRejected)
    assert rejected.rejected_at == moment(DEADLINE)
    assert "commerce" in rejected.faults[0].en


def test_rejected_for_want_of_consent_it_may_come_again_under_the_same_id() -> None:
    (rejected,) = when_due(awaiting())
    case = then_folded(awaiting(), rejected)
    assert (case.status, claims_of(case)) == (Status.REJECTED, ())
    (answer,) = when(case, submitted())
    assert isinstance(answer, ReferralRegistered)


def test_consent_after_the_deadline_is_late_even_where_the_deadline_was_not_acted_upon_yet() -> None:
    assert (
        refusal_code(when(awaiting(), consent("commerce", "bank"), time="2020-04-17T00:00:00+08:00")) == "consent_late"
    )
    outputs = when(awaiting(), consent("commerce", "bank"), time=DEADLINE)
    assert [type(one) for one in outputs] == [ConsentRecorded, ReferralRegistered]


def test_same_referral_again_without_consent_changes_nothing() -> None:
    assert when(awaiting(), submitted(consent=None)) == [
        ReferralRepeated(status="awaiting_consent", revision=0, repeated_at=moment(DAY))
    ]


def test_same_referral_again_with_consent_is_registered() -> None:
    (answer,) = when(awaiting(), submitted(), time="2020-04-10T10:00:00+08:00")
    assert isinstance(answer, ReferralRegistered)


def test_changed_referral_takes_the_place_of_the_waiting_one_but_not_more_time() -> None:
    own = dict.fromkeys(claims_of(awaiting()), "MZL-2020-0001")
    answer, kept = when(
        awaiting(), submitted(referral(term_months=9), consent=None), time="2020-04-10T10:00:00+08:00", holders=own
    )
    assert isinstance(answer, ConsentAwaited)
    assert isinstance(kept, ReferralKept)
    assert (kept.referral.term_months, answer.until) == (9, moment(DEADLINE))
    case = then_folded(awaiting(), answer, kept)
    _, registered_then = when(case, consent("commerce", "bank"), time="2020-04-11T10:00:00+08:00")
    assert isinstance(registered_then, ReferralRegistered)
    assert registered_then.referral.term_months == 9


@pytest.mark.parametrize("case", [None, awaiting(), registered()])
def test_consent_of_a_later_day_than_its_report_is_refused(case: Case | None) -> None:
    assert refusal_code(when(case, consent("partner", given_on="2020-04-02"))) == "consent_in_future"


def test_consent_that_changes_nothing_is_refused() -> None:
    assert refusal_code(when(registered(), consent("bank"))) == "consent_unchanged"
    assert refusal_code(when(registered(), revocation("partner"))) == "consent_unchanged"


# --- what is kept apart -----------------------------------------------------------------------------------------------


def test_referral_taken_back_while_it_waited_is_forgotten_and_consent_comes_to_nothing() -> None:
    case = then(awaiting(), withdrawal())
    assert (case.status, case.body, claims_of(case)) == (Status.CLOSED, "", ())
    assert [type(one) for one in when(case, consent("commerce", "bank"))] == [ConsentRecorded]


@pytest.mark.parametrize(
    "later",
    [
        [],
        [consent("bank")],
        [consent("commerce", "bank")],
        [consent("commerce", "bank"), amendment()],
        [withdrawal()],
        [submitted(referral(term_months=9), consent=None)],
        [submitted(referral(term_months=9), consent=None), consent("commerce", "bank")],
        [submitted(referral(zone="nowhere"), consent=None)],
        [submitted(referral(zone="nowhere"), consent=None), submitted(referral(term_months=9), consent=None)],
    ],
)
def test_what_was_kept_apart_may_be_folded_after_all_else(later: list[Payload]) -> None:
    case, told = None, list[Payload]()
    for payload in (submitted(consent=None), *later):
        answered = when(case, payload, holders=dict.fromkeys(claims_of(case) if case else (), "MZL-2020-0001"))
        told += answered
        case = folded(answered, case)
    apart = [one for one in told if isinstance(one, ReferralKept)]
    assert apart
    assert folded(apart, folded(one for one in told if one not in apart)) == case


def test_what_waited_when_events_still_told_all_of_it_is_registered_from_that() -> None:
    answer, kept = when(None, submitted(consent=consented("commerce")))
    assert isinstance(kept, ReferralKept)
    told = {**answer.model_dump(), "referral": kept.referral, "consent": kept.consent, "claims": kept.claims}
    case = then_folded(None, upcast(ConsentAwaitedV1.model_validate(told)))
    assert case == folded([answer, kept])
    _, registered_then = when(case, consent("bank"))
    assert isinstance(registered_then, ReferralRegistered)
    assert registered_then.referral == kept.referral


# --- revoked ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scopes", [("bank",), ("commerce", "partner")])
def test_consent_revoked_for_a_side_withdraws_the_case(scopes: tuple[str, ...]) -> None:
    case = then(registered(), consent("partner"))
    recorded, withdrawn = when(case, revocation(*scopes))
    assert isinstance(recorded, ConsentRecorded)
    assert set(recorded.scopes) == {"commerce", "bank", "partner"} - set(scopes)
    assert isinstance(withdrawn, ReferralWithdrawn)
    assert withdrawn.code is WithdrawalCode.CONSENT_REVOKED
    assert then(case, revocation(*scopes)).status is Status.WITHDRAWN


def test_consent_revoked_for_partners_leaves_the_case_as_it_is() -> None:
    case = then(then(registered(), consent("partner")), revocation("partner"))
    assert (case.status, case.consent) == (Status.REGISTERED, ("commerce", "bank"))


@pytest.mark.parametrize("status", [Status.WITHDRAWN, Status.CLOSED, Status.REJECTED])
def test_revocation_is_recorded_also_when_the_case_is_over(status: Status) -> None:
    case = in_state(status)
    assert case is not None
    case = case if ConsentScope.BANK in case.consent else then(case, consent("bank"))
    after = then(case, revocation("bank"))
    assert (after.status, ConsentScope.BANK in after.consent) == (status, False)


def then_folded(case: Case | None, *payloads: Payload) -> Case:
    after = folded(payloads, case)
    assert after is not None
    return after
