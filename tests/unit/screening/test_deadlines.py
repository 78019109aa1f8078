"""What time does to a case that waits for opinions: reminder, escalation, one extension, expiry."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import services.screening
from schemas.deliberation import ScreeningEscalated, ScreeningExtended, ScreeningReminded
from schemas.reference import CHINA_TIME
from schemas.screening import ScreeningDeclined, ScreeningExpired, ScreeningReleased
from schemas.values import Lane
from services.kit.door import Deadline, Early
from services.screening.domain.case import deadlines
from services.screening.domain.pace import PACES, Pace
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, COMMERCE, DEADLINE, GRACE, REMINDER, after, given, kinds, refusal

SECOND = timedelta(seconds=1)


README = Path(services.screening.__file__).with_name("README.md")


def test_the_readme_tells_the_pace_that_the_code_keeps() -> None:
    table = README.read_text("utf-8").partition("<!-- pace -->")[2].partition("<!-- end of pace -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.strip().split("\n")[2:]]
    assert [(int(row[1]), int(row[2])) for row in rows] == [
        (getattr(PACES[Lane.ORDINARY], field.name), getattr(PACES[Lane.RESUMPTION], field.name))
        for field in fields(Pace)
    ]


def day(month: int, number: int) -> datetime:
    return datetime(2020, month, number, 23, 59, 59, tzinfo=CHINA_TIME)


@pytest.mark.parametrize(
    ("lane", "moments"),
    [("ordinary", (REMINDER, DEADLINE, GRACE)), ("resumption", (day(4, 8), day(4, 9), day(4, 10)))],
)
def test_silence_is_reminded_escalated_and_expires_by_the_working_days_of_the_lane(
    lane: str, moments: tuple[datetime, ...]
) -> None:
    desk = given(told.registered(told.referral(lane=lane)))
    for moment, kind in zip(moments, ("reminded", "escalated", "expired"), strict=True):
        assert desk.pass_time(moment - SECOND) == []
        assert kinds(desk.pass_time(moment)) == [kind]
    assert list(deadlines(desk.case)) == []


@pytest.mark.parametrize(
    ("opinions", "missing"),
    [([], ("commerce", "bank")), ([COMMERCE], ("bank",)), ([BANK], ("commerce",))],
)
def test_each_step_names_the_sides_that_have_not_spoken(opinions: list[str], missing: tuple[str, ...]) -> None:
    desk = given(told.registered(), *(told.supports(source, after(1)) for source in opinions))
    reminded, escalated, expired = desk.pass_time(GRACE)
    assert isinstance(reminded, ScreeningReminded)
    assert isinstance(escalated, ScreeningEscalated)
    assert isinstance(expired, ScreeningExpired)
    assert reminded.missing == escalated.missing == expired.missing == missing
    assert (reminded.deadline, escalated.grace_until) == (DEADLINE, GRACE)
    assert (expired.deadline, expired.grace_until) == (DEADLINE, GRACE)


def test_an_opinion_that_nobody_checked_is_told_as_such_and_does_not_save_the_case() -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), told.drafted(BANK, after(2)))
    reminded, _, expired = desk.pass_time(GRACE)
    assert isinstance(reminded, ScreeningReminded)
    assert isinstance(expired, ScreeningExpired)
    assert reminded.unchecked == expired.unchecked == ("bank",)


def test_nobody_is_reminded_once_both_have_spoken() -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), told.supports(BANK, after(2)))
    assert kinds(desk.pass_time(GRACE)) == ["shortlisted"]


@pytest.mark.parametrize("read", [after(15), DEADLINE])
def test_an_opinion_in_the_grace_counts_whether_the_grace_was_told_or_not(read: datetime) -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), until=read)
    assert kinds(desk.tell(told.supports(BANK, GRACE))) == ["opinion_recorded"]
    assert kinds(desk.pass_time(GRACE))[-1] == "shortlisted"


def test_an_opinion_after_the_grace_waits_for_the_end_and_is_refused_then() -> None:
    desk, late = given(told.registered()), told.supports(BANK, GRACE + SECOND)
    with pytest.raises(Early):
        desk.tell(late)
    desk.pass_time(GRACE)
    assert refusal(desk.tell(late)) == "after_deadline"


@pytest.mark.parametrize("until", [after(1), DEADLINE, GRACE])
def test_an_opinion_that_no_extension_would_bring_into_time_is_refused_at_once(until: datetime) -> None:
    desk = given(told.registered(), until=until)
    assert refusal(desk.tell(told.supports(BANK, day(4, 27) + SECOND))) == "after_deadline"


def test_a_case_opposed_by_one_side_while_the_other_is_silent_is_declined_at_the_end_of_the_grace() -> None:
    desk = given(told.registered(), told.opposes(BANK, after(1)))
    assert kinds(desk.pass_time(DEADLINE)) == ["reminded", "escalated"]
    (declined,) = desk.pass_time(GRACE)
    assert isinstance(declined, ScreeningDeclined)
    assert (declined.decided_at, declined.opposed_by) == (GRACE, ("bank",))


def test_an_extension_moves_the_deadline_of_both_sides_and_reminds_anew() -> None:
    desk = given(told.registered())
    (extended,) = desk.tell(told.extension(BANK, DEADLINE))
    assert isinstance(extended, ScreeningExtended)
    assert (extended.side, extended.code, extended.deadline) == ("bank", "site_visit", day(4, 23))
    assert set(deadlines(desk.case)) == {Deadline("expiry", day(4, 23)), Deadline("reminder", day(4, 21))}
    assert kinds(desk.tell(told.supports(COMMERCE, day(4, 27)))) == ["opinion_recorded"]
    assert kinds(desk.pass_time(day(4, 27))) == ["reminded", "escalated", "expired"]


def test_an_extension_in_the_resumption_lane_is_shorter() -> None:
    desk = given(told.registered(told.referral(lane="resumption")))
    (extended,) = desk.tell(told.extension(COMMERCE, after(2)))
    assert isinstance(extended, ScreeningExtended)
    assert (extended.working_days, extended.deadline) == (2, day(4, 13))


def test_there_is_no_second_extension_whichever_side_asks() -> None:
    desk = given(told.registered(), told.extension(BANK, after(3)))
    assert refusal(desk.tell(told.extension(COMMERCE, after(4)))) == "already_extended"


@pytest.mark.parametrize("until", [after(1), DEADLINE, GRACE])
def test_an_extension_after_the_deadline_is_refused_with_the_same_code_whatever_has_been_read(until: datetime) -> None:
    desk = given(told.registered(), until=until)
    assert refusal(desk.tell(told.extension(BANK, DEADLINE + SECOND))) == "after_deadline"


def test_an_extension_asked_in_time_and_read_late_takes_the_escalation_back() -> None:
    desk = given(told.registered(), until=DEADLINE)
    assert kinds(desk.tell(told.extension(BANK, after(3)))) == ["extended"]
    assert Deadline("expiry", day(4, 23)) in deadlines(desk.case)


def test_an_opinion_in_the_extended_time_counts_in_whatever_order_the_topics_are_read() -> None:
    opinion, extension = told.supports(BANK, day(4, 25)), told.extension(COMMERCE, after(3))
    desk = given(told.registered())
    with pytest.raises(Early):
        desk.tell(opinion)
    assert kinds(desk.tell(extension, opinion)) == ["extended", "opinion_recorded"]


def test_an_extension_is_of_no_use_once_both_have_spoken_or_while_the_clock_stands() -> None:
    both = given(told.registered(), told.supports(COMMERCE, after(1)), told.supports(BANK, after(2)))
    assert refusal(both.tell(told.extension(BANK, after(3)))) == "not_awaited"
    assert refusal(given(told.registered(), told.held()).tell(told.extension(BANK, after(6)))) == "clock_stopped"


def test_a_lane_that_is_amended_leaves_every_deadline_as_it_was_promised() -> None:
    desk = given(told.registered(), told.amended())
    assert kinds(desk.pass_time(DEADLINE)) == ["reminded", "escalated"]
    assert kinds(desk.pass_time(GRACE)) == ["expired"]


@pytest.mark.parametrize("moment", [after(3), DEADLINE + timedelta(hours=1)])
def test_a_hold_stops_reminder_escalation_and_expiry(moment: datetime) -> None:
    desk = given(told.registered(), until=moment)
    desk.tell(told.held(moment))
    assert desk.pass_time(after(1000)) == []


def test_a_hold_in_the_grace_stops_it_and_the_release_gives_back_what_was_left() -> None:
    desk = given(told.registered(), until=DEADLINE)
    (hold,) = desk.tell(told.held(DEADLINE + timedelta(hours=10)))
    assert hold.working_days_left == 2  # type: ignore[attr-defined]
    (release,) = desk.tell(told.released(after(30)))
    assert isinstance(release, ScreeningReleased)
    assert (release.deadline, release.remind_at) == (day(5, 7), None)
    assert kinds(desk.pass_time(day(5, 7))) == ["expired"]


def test_the_reminder_moves_with_the_deadline_after_a_hold() -> None:
    desk = given(told.registered(), told.held(after(5)))
    (release,) = desk.tell(told.released(after(12)))
    assert isinstance(release, ScreeningReleased)
    assert (release.remind_at, release.deadline) == (day(4, 21), day(4, 23))


def test_a_case_opened_before_there_were_reminders_goes_its_way() -> None:
    desk = given(told.registered())
    assert desk.case is not None
    opened: Any = told.Desk().tell(told.registered())[0].model_copy(update={"remind_at": None})
    desk.case = told.evolve(None, opened)
    assert kinds(desk.pass_time(GRACE)) == ["escalated", "expired"]
