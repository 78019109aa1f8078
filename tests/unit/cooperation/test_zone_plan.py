"""Zone plans: parts and versions, signatures of both sides, the portfolio, progress and lateness."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from schemas.cooperation import CooperationRefused
from schemas.envelope import Event
from schemas.plan import PlanPart, PlanPartReplaced, PlanSignedOff
from schemas.reference import CHINA_TIME
from services.kit.door import Early
from tests.unit.cooperation.builders import (
    BANK_HQ,
    BRANCH,
    KOUAN,
    MINISTRY,
    OTHER_BRANCH,
    OTHER_ZONE,
    PROVINCE,
    START,
    ZONE,
    Desk,
    after,
    given_up,
    kinds,
    refusal,
    said,
)

PARTS = tuple(PlanPart)
REFERRED = after(5)
MOVED = after(7)


def part(name: str = "industry", version: int = 1, source: str = ZONE, at: datetime = START, **more: Any) -> Event[Any]:
    body = {"zone": "manzhouli", "part": name, "version": version, "title": "规划", "summary": "概要。"}
    return said("plan.part_submitted.v1", source, at, **{**body, "submitted_by": "zone-1", **more})


def sign(name: str, source: str, at: datetime, version: int = 1, by: str = "clerk-1") -> Event[Any]:
    return said("plan.part_signed_off.v1", source, at, part=name, version=version, signed_by=by)


def progress(item: dict[str, str], percent: int, at: datetime, **more: Any) -> Event[Any]:
    body = {"item": item, "percent": percent, "as_of": at.date(), "text": "进展。", "reported_by": "zone-1"}
    return said("plan.progress_reported.v1", ZONE, at, **{**body, **more})


def referred(zone: str = "manzhouli", at: datetime = REFERRED) -> Event[Any]:
    event = said("plan.project_referred.v1", KOUAN, at, referral_id="P-1", zone=zone, subject_kind="project")
    event.data = event.data.model_copy(update={"source": PROVINCE})
    return event


def moved(at: datetime = MOVED) -> Event[Any]:
    return said("plan.project_moved.v1", KOUAN, at, referral_id="P-1", moved_to="MZL-PLAN-2020-02")


def stage(name: str, at: datetime) -> Event[Any]:
    return said("plan.project_stage_told.v1", KOUAN, at, referral_id="P-1", stage=name)


def submitted() -> Desk:
    desk = Desk("plan")
    desk.tell(*(part(name) for name in PARTS))
    return desk


def signatures() -> list[Event[Any]]:
    return [
        sign(name, source, after(2 + at))
        for at, (source, name) in enumerate((s, n) for s in (ZONE, BRANCH) for n in PARTS)
    ]


def signed_off() -> Desk:
    desk = submitted()
    desk.tell(*signatures())
    desk.pass_time(after(10))
    return desk


def test_a_part_begins_a_plan() -> None:
    assert kinds(Desk("plan").tell(part())) == ["plan.part_recorded"]


@pytest.mark.parametrize("source", [ZONE, PROVINCE, MINISTRY, f"{PROVINCE}/office"])
def test_the_zone_its_province_and_the_ministry_may_submit(source: str) -> None:
    assert kinds(Desk("plan").tell(part(source=source))) == ["plan.part_recorded"]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (part(source=OTHER_ZONE), "not_concerned"),
        (part(source=BRANCH), "wrong_party"),
        (part(zone="atlantis"), "unknown_zone"),
        (part(version=2), "version_skipped"),
        (part(submitted_by="bank-1"), "wrong_person"),
    ],
)
def test_what_can_not_begin_a_plan_is_refused(event: Event[Any], code: str) -> None:
    assert refusal(Desk("plan").tell(event)) == code


@pytest.mark.parametrize(
    ("event", "code"),
    [(part(), "version_in_use"), (part(version=3), "version_skipped"), (part(zone="heihe"), "other_zone")],
)
def test_what_does_not_follow_upon_the_version_on_record_is_refused(event: Event[Any], code: str) -> None:
    assert refusal(submitted().tell(event)) == code


def test_a_plan_holds_once_both_sides_have_signed_all_three_parts() -> None:
    desk = submitted()
    recorded = desk.tell(*signatures())
    assert kinds(recorded) == ["plan.sign_off_recorded"] * 6
    (held,) = desk.pass_time(after(10))
    assert isinstance(held, PlanSignedOff)
    assert held.signed_off_at == after(7)


@pytest.mark.parametrize("missing", range(6))
def test_no_signature_can_be_left_out(missing: int) -> None:
    desk = submitted()
    desk.tell(*(one for number, one in enumerate(signatures()) if number != missing))
    assert desk.pass_time(after(3650)) == []


def test_the_same_signatures_make_the_same_event_in_whatever_order_they_are_read() -> None:
    desks = submitted(), submitted()
    desks[0].tell(*signatures())
    desks[1].tell(*signatures()[3:], *signatures()[:3])
    assert desks[0].state == desks[1].state
    assert desks[0].pass_time(after(10)) == desks[1].pass_time(after(10))


def test_a_new_version_voids_what_was_signed_of_that_part_alone() -> None:
    desk = signed_off()
    (replaced,) = desk.tell(part(version=2, at=after(20)))
    assert isinstance(replaced, PlanPartReplaced)
    assert [side.value for side in replaced.voided] == ["commerce", "bank"]
    desk.tell(sign("industry", BRANCH, after(21), version=2))
    assert desk.pass_time(after(30)) == []
    desk.tell(sign("industry", MINISTRY, after(31), version=2))
    assert kinds(desk.pass_time(after(40))) == ["plan.signed_off"]


def test_a_new_version_before_the_last_signature_is_heard_of_stops_the_plan_from_holding() -> None:
    desk = submitted()
    desk.tell(*signatures(), part(version=2, at=after(9)))
    assert desk.pass_time(after(3650)) == []


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (sign("industry", OTHER_BRANCH, after(1)), "not_concerned"),
        (sign("industry", BRANCH, after(1), by="zone-1"), "wrong_person"),
        (sign("industry", KOUAN, after(1)), "wrong_party"),
    ],
)
def test_who_does_not_speak_for_a_side_does_not_sign(event: Event[Any], code: str) -> None:
    assert refusal(submitted().tell(event)) == code


def test_a_side_signs_a_version_once() -> None:
    desk = submitted()
    desk.tell(sign("industry", BRANCH, after(1)))
    assert refusal(desk.tell(sign("industry", BANK_HQ, after(2)))) == "signed_before"


def test_an_earlier_version_is_signed_no_more() -> None:
    desk = submitted()
    desk.tell(part(version=2, at=after(1)))
    assert refusal(desk.tell(sign("industry", BRANCH, after(2)))) == "superseded_version"


@pytest.mark.parametrize(
    ("desk", "code"), [(Desk("plan"), "no_plan"), (submitted(), "no_version"), (signed_off(), "no_version")]
)
def test_a_signature_waits_for_its_version_and_is_refused_should_that_never_come(desk: Desk, code: str) -> None:
    refused = given_up(desk, sign("industry", BRANCH, after(11), version=2))
    assert (refused.code, refused.source) == (code, BRANCH)


def test_a_signature_by_another_party_does_not_wait() -> None:
    assert refusal(Desk("plan").tell(sign("industry", "//partner/bank-a", after(11)))) == "wrong_party"


def test_a_referral_from_the_plan_is_in_its_portfolio_and_its_stages_are_followed() -> None:
    desk = submitted()
    assert kinds(desk.tell(referred())) == ["plan.project_added"]
    assert kinds(desk.tell(stage("shortlisted", after(6)))) == ["plan.project_stage_recorded"]
    assert desk.tell(stage("shortlisted", after(7))) == []
    assert desk.tell(referred(at=after(8))) == []


def test_a_referral_waits_for_its_plan_and_whoever_referred_is_told_should_that_never_come() -> None:
    refused = given_up(Desk("plan"), referred())
    assert (refused.code, refused.zone, refused.referral_id) == ("no_plan", "manzhouli", "P-1")
    assert (refused.source, refused.side) == (PROVINCE, "commerce")


def test_the_stage_of_a_case_whose_plan_never_comes_is_given_up_without_a_word() -> None:
    with pytest.raises(Early) as waits:
        Desk("plan").tell(stage("shortlisted", after(6)))
    assert waits.value.otherwise == ()


def test_a_project_that_is_referred_from_another_plan_now_leaves_the_portfolio() -> None:
    desk = submitted()
    desk.tell(referred(), stage("shortlisted", after(6)))
    assert kinds(desk.tell(moved())) == ["plan.project_removed"]
    assert desk.tell(moved(at=after(8)), stage("financed", after(9))) == []
    assert kinds(desk.tell(referred(at=after(10)))) == ["plan.project_added"]


def test_a_plan_that_was_never_submitted_has_nothing_to_remove() -> None:
    assert Desk("plan").tell(moved()) == []


def test_a_referral_of_another_zone_is_not_of_the_portfolio() -> None:
    desk = submitted()
    (refused,) = desk.tell(referred(zone="heihe"))
    assert isinstance(refused, CooperationRefused)
    assert (refused.code, refused.source, refused.referral_id) == ("other_zone", PROVINCE, "P-1")
    assert desk.tell(stage("declined", after(6))) == []


def test_what_is_not_complete_at_the_end_of_its_day_is_marked_late_once() -> None:
    desk = Desk("plan")
    desk.tell(part(complete_by="2020-06-30"), progress({"part": "industry"}, 40, after(20)))
    (marked,) = desk.pass_time(after(365))
    assert kinds([marked]) == ["plan.late_marked"]
    assert marked.marked_at == datetime(2020, 6, 30, 23, 59, 59, tzinfo=CHINA_TIME)  # type: ignore[union-attr]


def test_what_is_complete_in_time_is_not_late() -> None:
    desk = Desk("plan")
    desk.tell(part(complete_by="2020-06-30"), progress({"part": "industry"}, 100, after(20)))
    assert desk.pass_time(after(365)) == []


def test_what_was_completed_after_its_day_is_marked_though_the_report_was_read_first() -> None:
    desk = Desk("plan")
    desk.tell(part(complete_by="2020-06-30"), progress({"part": "industry"}, 100, after(90)))
    assert kinds(desk.pass_time(after(365))) == ["plan.late_marked"]


def test_a_project_gets_a_day_by_report_and_a_later_one_gives_it_time_again() -> None:
    desk = submitted()
    project = {"referral_id": "P-1"}
    desk.tell(referred(), progress(project, 10, after(10), complete_by="2020-06-30"))
    assert kinds(desk.pass_time(after(80))) == ["plan.late_marked"]
    desk.tell(progress(project, 60, after(81), complete_by="2020-12-31"))
    assert desk.pass_time(after(200)) == []
    assert kinds(desk.pass_time(after(365))) == ["plan.late_marked"]


def test_a_project_whose_case_is_over_is_not_waited_for() -> None:
    desk = submitted()
    desk.tell(referred(), progress({"referral_id": "P-1"}, 10, after(10), complete_by="2020-06-30"))
    desk.tell(stage("declined", after(11)))
    assert desk.pass_time(after(365)) == []


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (progress({"part": "investment_financing"}, 10, after(11)), "not_in_plan"),
        (progress({"part": "industry"}, 10, after(11), as_of="2021-01-01"), "future_day"),
        (progress({"part": "industry"}, 10, after(11), as_of="2020-05-07"), "older_report"),
        (progress({"part": "industry"}, 10, after(11), reported_by="bank-1"), "wrong_person"),
    ],
)
def test_a_report_that_can_not_be_is_refused(event: Event[Any], code: str) -> None:
    desk = Desk("plan")
    desk.tell(part(), progress({"part": "industry"}, 40, after(10)))
    assert refusal(desk.tell(event)) == code


def test_a_report_of_a_project_waits_for_its_referral() -> None:
    assert given_up(submitted(), progress({"referral_id": "P-1"}, 10, after(11))).code == "not_in_plan"
