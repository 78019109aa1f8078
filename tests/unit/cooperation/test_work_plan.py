"""Work plans: actions with owner and day, done or late, revised and closed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.reference import CHINA_TIME
from schemas.work_plan import WorkPlanActionDone, WorkPlanActionLate, WorkPlanClosed, WorkPlanRevised
from tests.unit.cooperation.builders import (
    BRANCH,
    OTHER_BRANCH,
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

VISIT = {"action_id": "A1", "text": "走访企业。", "owner_side": "bank", "owner": "bank-1", "due_on": "2020-06-30"}
LIST = {"action_id": "A2", "text": "汇总清单。", "owner_side": "commerce", "owner": "zone-1", "due_on": "2020-07-31"}


def body(*actions: dict[str, str]) -> dict[str, Any]:
    return {
        "situation": "复工率 92%。",
        "industries": ["manufacturing"],
        "needs": ["working_capital"],
        "actions": list(actions),
    }


def submitted(source: str = ZONE, at: datetime = START, **more: Any) -> Event[Any]:
    told = {"zone": "manzhouli", "plan": body(VISIT, LIST), "submitted_by": "clerk-1"}
    return said("work_plan.submitted.v1", source, at, **{**told, **more})


def revision(*actions: dict[str, str], source: str = ZONE, days: float = 20) -> Event[Any]:
    plan = body(*actions)
    return said(
        "work_plan.revision_submitted.v1", source, after(days), plan=plan, reason="调整。", submitted_by="clerk-1"
    )


def done(action: str, source: str, days: float, on: str | None = None) -> Event[Any]:
    at = after(days)
    told: dict[str, Any] = {
        "action_id": action,
        "done_on": on or at.date(),
        "result": "完成。",
        "reported_by": "clerk-1",
    }
    return said("work_plan.action_reported.v1", source, at, **told)


def closure(source: str = ZONE, days: float = 100) -> Event[Any]:
    return said("work_plan.closure_submitted.v1", source, after(days), outcome="已完成。", closed_by="clerk-1")


def opened() -> Desk:
    desk = Desk("plan")
    desk.tell(submitted())
    return desk


@pytest.mark.parametrize("source", [ZONE, PROVINCE, BRANCH])
def test_either_side_may_submit_a_work_plan_for_a_zone_that_it_is_concerned_with(source: str) -> None:
    assert kinds(Desk("plan").tell(submitted(source))) == ["work_plan.opened"]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (submitted(OTHER_BRANCH), "not_concerned"),
        (submitted(zone="atlantis"), "unknown_zone"),
        (submitted(BRANCH, submitted_by="zone-1"), "wrong_person"),
    ],
)
def test_a_work_plan_of_somebody_else_is_refused(event: Event[Any], code: str) -> None:
    assert refusal(Desk("plan").tell(event)) == code


def test_an_action_that_is_not_done_by_the_end_of_its_day_is_late_once() -> None:
    late = opened().pass_time(after(365))
    assert [one.action_id for one in late if isinstance(one, WorkPlanActionLate)] == ["A1", "A2"]
    assert late[0].late_at == datetime(2020, 6, 30, 23, 59, 59, tzinfo=CHINA_TIME)  # type: ignore[union-attr]
    assert len(late) == 2


def test_an_action_that_is_done_in_time_is_not_late() -> None:
    desk = opened()
    (told,) = desk.tell(done("A1", BRANCH, 30))
    assert isinstance(told, WorkPlanActionDone)
    assert not told.late
    assert [one.action_id for one in desk.pass_time(after(365))] == ["A2"]  # type: ignore[union-attr]


def test_a_report_sent_after_the_day_of_what_was_done_before_it_is_in_time_and_the_other_way_round_late() -> None:
    desk = opened()
    in_time, late = desk.tell(done("A1", BRANCH, 60, on="2020-06-29"), done("A2", ZONE, 100))
    assert (in_time.late, late.late) == (False, True)  # type: ignore[union-attr]
    assert [one.action_id for one in desk.pass_time(after(365))] == ["A2"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (done("A1", ZONE, 10), "not_owners_side"),
        (done("A2", BRANCH, 10), "not_owners_side"),
        (done("A1", OTHER_BRANCH, 10), "not_concerned"),
        (done("A9", ZONE, 10), "unknown_action"),
        (done("A1", BRANCH, 10, on="2020-12-01"), "future_day"),
    ],
)
def test_a_report_that_can_not_be_is_refused(event: Event[Any], code: str) -> None:
    assert refusal(opened().tell(event)) == code


def test_an_action_is_done_once() -> None:
    desk = opened()
    desk.tell(done("A1", BRANCH, 10))
    assert refusal(desk.tell(done("A1", BRANCH, 11))) == "done_before"


@pytest.mark.parametrize(("desk", "code"), [(Desk("plan"), "no_work_plan"), (opened(), "unknown_action")])
def test_what_the_other_sides_topic_has_not_brought_yet_is_waited_for_and_refused_in_the_end(
    desk: Desk, code: str
) -> None:
    assert given_up(desk, done("A9", BRANCH, 10)).code == code


def test_a_revision_tells_what_it_changes_and_keeps_what_was_done() -> None:
    desk = opened()
    desk.tell(done("A2", ZONE, 10))
    other = {**LIST, "action_id": "A3"}
    (told,) = desk.tell(revision({**LIST, "due_on": "2020-08-31"}, other))
    assert isinstance(told, WorkPlanRevised)
    assert (told.revision, told.added, told.changed, told.dropped) == (2, ("A3",), ("A2",), ("A1",))
    assert [one.action_id for one in desk.pass_time(after(365))] == ["A3"]  # type: ignore[union-attr]


def test_an_action_with_a_later_day_is_watched_again() -> None:
    desk = opened()
    desk.pass_time(after(365))
    desk.tell(revision({**VISIT, "due_on": "2021-12-31"}, LIST, days=366))
    assert [one.action_id for one in desk.pass_time(after(1000))] == ["A1"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (revision(VISIT, LIST), "nothing_changed"),
        (revision(VISIT, source=BRANCH), "wrong_party"),
        (closure(BRANCH), "wrong_party"),
        (submitted(at=after(1)), "wrong_state"),
    ],
)
def test_a_plan_is_changed_by_the_side_that_owns_it_and_only_where_something_changes(
    event: Event[Any], code: str
) -> None:
    assert refusal(opened().tell(event)) == code


def test_a_closed_plan_tells_what_was_left_undone_and_takes_nothing_more() -> None:
    desk = opened()
    desk.tell(done("A1", BRANCH, 10))
    (told,) = desk.tell(closure())
    assert isinstance(told, WorkPlanClosed)
    assert (told.done, told.undone) == (("A1",), ("A2",))
    assert desk.pass_time(after(1000)) == []
    assert refusal(desk.tell(done("A2", ZONE, 101))) == "wrong_state"
    assert refusal(desk.tell(revision(VISIT, days=102))) == "wrong_state"


def test_an_id_holds_one_kind_of_thing() -> None:
    part: dict[str, Any] = {"zone": "manzhouli", "part": "industry", "version": 1, "title": "规划", "summary": "概要。"}
    event = said("plan.part_submitted.v1", ZONE, after(1), **part, submitted_by="zone-1")
    assert refusal(opened().tell(event)) == "other_kind"
