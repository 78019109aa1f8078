"""The life of a case in joint screening, told by given–when–then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.reference import CHINA_TIME
from schemas.scoring import ScreeningScored
from schemas.screening import ScreeningDeclined, ScreeningHeld, ScreeningOpened, ScreeningReleased, ScreeningShortlisted
from services.kit.door import Deadline, Early, Invalid
from services.screening.domain.case import Status, deadlines
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, CASE, COMMERCE, DEADLINE, OPENED, Desk, after, given, kinds, refusal


def only(kind: type[Any], payloads: list[Any]) -> Any:
    (payload,) = [one for one in payloads if isinstance(one, kind)]
    return payload


@pytest.mark.parametrize(
    ("lane", "days", "deadline"),
    [("ordinary", 10, DEADLINE), ("resumption", 5, datetime(2020, 4, 9, 23, 59, 59, tzinfo=CHINA_TIME))],
)
def test_a_registered_referral_is_opened_with_the_deadline_of_its_lane(
    lane: str, days: int, deadline: datetime
) -> None:
    desk = Desk()
    opened = only(ScreeningOpened, desk.tell(told.registered(told.referral(lane=lane))))
    assert (opened.working_days, opened.deadline, opened.deadline_provisional) == (days, deadline, False)
    assert next(iter(deadlines(desk.case))) == Deadline("expiry", deadline)


def test_a_deadline_in_a_year_without_calendar_is_marked_as_provisional() -> None:
    opened = only(ScreeningOpened, Desk().tell(told.registered(at=datetime(2060, 5, 3, tzinfo=CHINA_TIME))))
    assert opened.deadline_provisional


def test_a_registered_referral_is_scored_and_the_score_explains_itself() -> None:
    desk = Desk()
    scored = only(ScreeningScored, desk.tell(told.registered()))
    assert scored.policy_version == "2020-03-23"
    assert scored.score == sum(rule.points for rule in scored.rules) == 45
    assert {rule.code: rule.inputs for rule in scored.rules if rule.points} == {
        "micro_or_small": {"size_class": "small"},
        "private_enterprise": {"ownership": "private"},
    }
    assert desk.case is not None
    assert (desk.case.score, desk.case.policy_version) == (45, "2020-03-23")


def test_a_case_that_both_sides_support_is_shortlisted_at_the_time_of_the_later_opinion() -> None:
    desk = given(told.registered())
    assert kinds(desk.tell(told.supports(COMMERCE, after(1)))) == ["opinion_recorded"]
    assert kinds(desk.tell(told.supports(BANK, after(3)))) == ["opinion_recorded"]
    (shortlisted,) = desk.pass_time(after(3))
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert (shortlisted.decided_at, shortlisted.score) == (after(3), 45)
    assert desk.case is not None
    assert desk.case.status is Status.SHORTLISTED


def test_a_decision_falls_due_at_a_whole_second_and_never_before_the_opinions() -> None:
    moment = after(1) + timedelta(milliseconds=1)
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), told.supports(BANK, moment))
    assert list(deadlines(desk.case)) == [Deadline("decision", after(1) + timedelta(seconds=1))]
    (shortlisted,) = desk.pass_time(after(2))
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert shortlisted.decided_at == moment


def test_a_case_that_both_sides_oppose_is_declined_at_once_with_what_would_repair_it() -> None:
    desk = given(told.registered(), told.opposes(COMMERCE, after(1), "plan_immature"))
    desk.tell(told.opposes(BANK, after(2), "collateral_insufficient"))
    (declined,) = desk.pass_time(after(2))
    assert isinstance(declined, ScreeningDeclined)
    assert (declined.cause, declined.finality, declined.opposed_by) == ("opposed", "repairable", ("commerce", "bank"))
    assert (declined.conference, declined.decided_at) == (None, after(2))
    _, reason = declined.reasons
    assert (reason.code, reason.side, reason.text) == ("collateral_insufficient", "bank", "详见附件。")
    assert reason.remedy_zh
    assert reason.remedy_en


def test_one_final_reason_makes_the_decline_final() -> None:
    desk = given(told.registered(), told.opposes(COMMERCE, after(1), "documents_incomplete"))
    desk.tell(told.opposes(BANK, after(2), "plan_immature", "false_information"))
    (declined,) = desk.pass_time(after(2))
    assert isinstance(declined, ScreeningDeclined)
    assert declined.finality == "final"
    assert [(reason.side, reason.code) for reason in declined.reasons] == [
        ("commerce", "documents_incomplete"),
        ("bank", "plan_immature"),
        ("bank", "false_information"),
    ]


def test_a_hard_stop_declines_at_once_and_for_good() -> None:
    desk = Desk()
    outputs = desk.tell(told.registered(told.outbound("PY")))
    assert kinds(outputs) == ["opened", "scored", "declined"]
    scored, declined = only(ScreeningScored, outputs), only(ScreeningDeclined, outputs)
    assert scored.hard_stops == ("outbound_direction_not_permitted",)
    assert (declined.cause, declined.finality, declined.decided_at) == ("hard_stop", "final", OPENED)
    assert [reason.code for reason in declined.reasons] == ["outbound_direction_not_permitted"]
    assert list(deadlines(desk.case)) == []


def test_no_points_outweigh_a_hard_stop() -> None:
    favoured = told.referral(
        need="outbound_investment", key_area="two_way_investment", country="PY", lane="resumption", term_months=60
    )
    outputs = Desk().tell(told.registered(favoured))
    assert only(ScreeningScored, outputs).score == 100
    assert kinds(outputs)[-1] == "declined"


def test_an_amendment_is_scored_by_the_policy_in_force_on_its_own_day_and_leaves_the_deadline() -> None:
    opened = datetime(2024, 6, 28, 9, tzinfo=CHINA_TIME)
    desk = given(told.registered(at=opened))
    assert desk.case is not None
    before = desk.case
    (scored,) = desk.tell(told.amended(told.referral(lane="resumption"), at=opened + timedelta(days=4)))
    assert isinstance(scored, ScreeningScored)
    assert (before.policy_version, scored.policy_version, scored.revision) == ("2020-03-23", "2024-07-01", 2)
    assert (desk.case.lane, desk.case.deadline, desk.case.score) == ("resumption", before.deadline, before.score + 25)


def test_opinions_on_record_stand_when_the_referral_is_amended() -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), told.amended(at=after(2)))
    desk.tell(told.supports(BANK, after(3)))
    (shortlisted,) = desk.pass_time(after(3))
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert (shortlisted.revision, shortlisted.lane) == (2, "resumption")


def test_a_hold_suspends_the_decision_while_opinions_are_still_recorded() -> None:
    desk = given(told.registered())
    (hold,) = desk.tell(told.held(after(5)))
    assert isinstance(hold, ScreeningHeld)
    assert (hold.holds, hold.working_days_left) == ((told.ZONE_HOLD,), 8)
    assert (
        kinds(desk.tell(told.supports(COMMERCE, after(6)), told.supports(BANK, after(20)))) == ["opinion_recorded"] * 2
    )
    assert desk.pass_time(after(1000)) == []


def test_the_decision_is_taken_when_the_hold_is_released() -> None:
    desk = given(told.registered(), told.held(after(5)))
    desk.tell(told.supports(COMMERCE, after(6)), told.supports(BANK, after(7)), told.released(after(12)))
    (shortlisted,) = desk.pass_time(after(12))
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert shortlisted.decided_at == after(12)


def test_the_clock_goes_on_after_a_hold_with_the_working_days_that_were_left() -> None:
    desk = given(told.registered(), told.held(after(5)))
    (release,) = desk.tell(told.released(after(12)))
    assert isinstance(release, ScreeningReleased)
    assert release.deadline == datetime(2020, 4, 23, 23, 59, 59, tzinfo=CHINA_TIME)
    assert kinds(desk.pass_time(release.deadline)) == ["reminded", "escalated"]


def test_a_case_held_on_its_last_day_gets_one_more_working_day() -> None:
    desk = given(told.registered(), told.held(DEADLINE - timedelta(hours=1)))
    (release,) = desk.tell(told.released(after(30)))
    assert isinstance(release, ScreeningReleased)
    assert release.deadline == datetime(2020, 5, 6, 23, 59, 59, tzinfo=CHINA_TIME)


def test_a_case_under_two_holds_goes_on_with_the_release_of_the_last() -> None:
    desk = given(told.registered(), told.held(after(5)), told.held(after(6), told.CASE_HOLD))
    assert desk.case is not None
    assert desk.case.days_left == 8
    (first,) = desk.tell(told.released(after(8)))
    assert isinstance(first, ScreeningReleased)
    assert (first.holds, first.deadline) == ((told.CASE_HOLD,), None)
    (last,) = desk.tell(told.released(after(12), told.CASE_HOLD))
    assert isinstance(last, ScreeningReleased)
    assert last.deadline is not None


def test_a_shortlisted_case_is_marked_as_held_and_stays_shortlisted() -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), told.supports(BANK, after(2)), until=after(2))
    (hold,) = desk.tell(told.held())
    assert isinstance(hold, ScreeningHeld)
    assert hold.working_days_left is None
    (release,) = desk.tell(told.released())
    assert isinstance(release, ScreeningReleased)
    assert release.deadline is None
    assert desk.case is not None
    assert desk.case.status is Status.SHORTLISTED


def test_a_refusal_names_what_was_refused_and_who_sent_it_in_both_languages() -> None:
    desk = given(told.registered(), told.supports(BANK, after(1)))
    again = told.supports(BANK, after(2))
    (refused,) = desk.tell(again)
    assert refusal([refused]) == "second_opinion"
    assert refused.model_dump(include={"refused_type", "refused_id", "side", "refused_at"}) == {
        "refused_type": "opinion.given.v1",
        "refused_id": again.id,
        "side": "bank",
        "refused_at": after(2),
    }
    assert "意见" in refused.zh  # type: ignore[attr-defined]


def test_a_person_whom_the_directory_does_not_know_may_give_an_opinion() -> None:
    assert kinds(given(told.registered()).tell(told.supports(BANK, after(1), given_by="new-colleague"))) == [
        "opinion_recorded"
    ]


def test_a_liaison_person_of_the_own_side_may_give_an_opinion() -> None:
    desk = given(told.registered())
    desk.context.learn(told.person("exim-nmg-01", "bank"))
    assert kinds(desk.tell(told.supports(BANK, after(1), given_by="exim-nmg-01"))) == ["opinion_recorded"]


def test_an_opinion_from_a_partner_is_refused() -> None:
    assert refusal(given(told.registered()).tell(told.supports("//partner/some-bank", after(1)))) == "wrong_party"


def test_an_opinion_from_no_party_at_all_is_a_dead_letter() -> None:
    with pytest.raises(Invalid) as caught:
        given(told.registered()).tell(told.supports("//elsewhere/office", after(1)))
    assert caught.value.code == "wrong-source"


@pytest.mark.parametrize("build", [lambda: told.supports(BANK, after(1)), told.held, told.released])
def test_a_body_that_names_another_case_than_its_subject_is_a_dead_letter(build: Any) -> None:
    event = build()
    event.subject = "ANOTHER-CASE"
    with pytest.raises(Invalid) as caught:
        given(told.registered()).tell(event)
    assert caught.value.code == "subject-mismatch"


def test_an_opinion_before_the_registration_waits_for_it() -> None:
    with pytest.raises(Early):
        Desk().tell(told.supports(BANK, after(-1)))


def test_every_output_is_about_its_case() -> None:
    desk = Desk()
    desk.tell(
        told.registered(), told.held(), told.released(), told.supports(BANK, after(1)), told.opposes(COMMERCE, after(1))
    )
    desk.pass_time(after(100))
    assert {payload.referral_id for payload in desk.said} == {CASE}  # type: ignore[attr-defined]
