"""One side supports, the other opposes: both headquarters confer, and both have to want it for the case to go on."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from schemas.deliberation import ScreeningConferenceCalled, ScreeningConferenceOutcomeRecorded
from schemas.reference import CHINA_TIME
from schemas.screening import ScreeningDeclined, ScreeningReleased, ScreeningShortlisted
from services.kit.door import Early
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, COMMERCE, EXIM, MOFCOM, Desk, after, given, kinds, refusal

SECOND = timedelta(seconds=1)
CALLED = after(2)
END = datetime(2020, 4, 13, 23, 59, 59, tzinfo=CHINA_TIME)


def in_conference(**referral: Any) -> Desk:
    body = told.referral(**referral)
    return given(told.registered(body), told.supports(COMMERCE, after(1)), told.opposes(BANK, CALLED), until=CALLED)


@pytest.mark.parametrize(
    ("lane", "days", "deadline"),
    [
        ("ordinary", 5, datetime(2020, 4, 13, 23, 59, 59, tzinfo=CHINA_TIME)),
        ("resumption", 2, datetime(2020, 4, 8, 23, 59, 59, tzinfo=CHINA_TIME)),
    ],
)
def test_disagreement_calls_a_conference_with_a_deadline_of_its_own(lane: str, days: int, deadline: datetime) -> None:
    desk = given(told.registered(told.referral(lane=lane)), told.opposes(COMMERCE, after(1), "plan_immature"))
    desk.tell(told.supports(BANK, CALLED))
    (called,) = desk.pass_time(CALLED)
    assert isinstance(called, ScreeningConferenceCalled)
    assert (called.supported_by, called.opposed_by) == ("bank", "commerce")
    assert [reason.code for reason in called.reasons] == ["plan_immature"]
    assert (called.working_days, called.deadline, called.called_at) == (days, deadline, CALLED)


@pytest.mark.parametrize("order", list(permutations([(MOFCOM, 3.0), (EXIM, 4.0)])))
def test_a_case_that_both_headquarters_want_is_shortlisted_at_the_time_of_the_later_answer(order: Any) -> None:
    desk = in_conference()
    for source, day in order:
        (recorded,) = desk.tell(told.outcome(source, after(day)))
        assert isinstance(recorded, ScreeningConferenceOutcomeRecorded)
    (shortlisted,) = desk.pass_time(END)
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert (shortlisted.conference, shortlisted.decided_at) == ("agreed", after(4))


@pytest.mark.parametrize(
    ("outcomes", "result", "decided_at"),
    [
        ({MOFCOM: "decline", EXIM: "decline"}, "agreed", after(4)),
        ({MOFCOM: "shortlist", EXIM: "decline"}, "differed", after(4)),
        ({EXIM: "shortlist"}, "unanswered", END),
        ({}, "unanswered", END),
    ],
)
def test_anything_else_declines_the_case_for_the_reasons_on_record(
    outcomes: dict[str, str], result: str, decided_at: datetime
) -> None:
    desk = in_conference()
    for source, which in outcomes.items():
        desk.tell(told.outcome(source, after(4), which))
    (declined,) = desk.pass_time(END)
    assert isinstance(declined, ScreeningDeclined)
    assert (declined.conference, declined.decided_at, declined.cause) == (result, decided_at, "opposed")
    assert [(reason.side, reason.code) for reason in declined.reasons] == [("bank", "collateral_insufficient")]
    assert declined.finality == "repairable"


@pytest.mark.parametrize("source", [COMMERCE, BANK, "//kouan/liaison", "//partner/some-bank"])
def test_only_the_systems_of_the_headquarters_give_outcomes(source: str) -> None:
    desk = in_conference()
    assert refusal(desk.tell(told.outcome(source, after(3)))) == "wrong_party"


def test_a_headquarters_answers_once_and_is_told_so_before_and_after_the_decision() -> None:
    desk = in_conference()
    desk.tell(told.outcome(MOFCOM, after(3)))
    assert refusal(desk.tell(told.outcome(MOFCOM, after(4), "decline"))) == "second_outcome"
    desk.pass_time(END)
    assert refusal(desk.tell(told.outcome(MOFCOM, after(5), "decline"))) == "second_outcome"


@pytest.mark.parametrize("until", [CALLED, END])
def test_an_outcome_after_the_conferences_deadline_is_refused(until: datetime) -> None:
    desk = in_conference()
    desk.pass_time(until)
    assert refusal(desk.tell(told.outcome(EXIM, END + SECOND))) == "after_deadline"


def test_an_outcome_that_is_read_before_the_disagreement_waits_for_the_conference() -> None:
    desk, early = given(told.registered(), told.supports(COMMERCE, after(1))), told.outcome(MOFCOM, after(3))
    with pytest.raises(Early):
        desk.tell(early)
    desk.tell(told.opposes(BANK, CALLED))
    desk.pass_time(CALLED)
    assert kinds(desk.tell(early)) == ["conference_outcome_recorded"]


def test_an_outcome_before_its_sides_own_opinion_is_refused_since_it_would_keep_that_back() -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), told.drafted(BANK, after(2)))
    assert refusal(desk.tell(told.outcome(EXIM, after(3)))) == "not_in_conference"


def test_an_outcome_for_a_case_without_conference_is_refused_once_the_case_is_decided() -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), told.supports(BANK, after(2)), until=after(2))
    assert refusal(desk.tell(told.outcome(MOFCOM, after(3)))) == "not_in_conference"


def test_a_hold_stops_the_conference_and_the_release_gives_back_what_was_left() -> None:
    desk = in_conference()
    (hold,) = desk.tell(told.held(after(8)))
    assert hold.working_days_left == 2  # type: ignore[attr-defined]
    desk.tell(told.outcome(MOFCOM, after(9)), told.outcome(EXIM, after(20)))
    assert desk.pass_time(after(100)) == []
    (release,) = desk.tell(told.released(after(21)))
    assert isinstance(release, ScreeningReleased)
    (shortlisted,) = desk.pass_time(after(100))
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert shortlisted.decided_at == after(21)


def test_a_conference_that_was_held_up_ends_so_many_working_days_after_the_release() -> None:
    desk = in_conference()
    desk.tell(told.held(after(8)), told.released(after(21)))
    (declined,) = desk.pass_time(after(100))
    assert isinstance(declined, ScreeningDeclined)
    assert declined.decided_at == datetime(2020, 4, 24, 23, 59, 59, tzinfo=CHINA_TIME)


def test_an_amendment_in_conference_is_scored_anew_and_the_conference_goes_on() -> None:
    desk = in_conference()
    assert kinds(desk.tell(told.amended(at=after(3)))) == ["scored"]
    desk.tell(told.outcome(MOFCOM, after(4)), told.outcome(EXIM, after(4)))
    (shortlisted,) = desk.pass_time(END)
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert shortlisted.revision == 2


def test_a_hard_stop_ends_a_conference_and_a_withdrawal_does() -> None:
    assert kinds(in_conference().tell(told.amended(told.outbound("PY"), after(3)))) == ["scored", "declined"]
    assert kinds(in_conference().tell(told.withdrawn(after(3)))) == ["withdrawn"]


def test_no_opinion_is_taken_while_the_headquarters_confer() -> None:
    assert refusal(in_conference().tell(told.supports(BANK, after(3)))) == "second_opinion"


def test_a_person_of_the_other_side_cannot_answer_for_a_headquarters() -> None:
    desk = in_conference()
    desk.context.learn(told.person("exim-nmg-01", "bank"))
    assert refusal(desk.tell(told.outcome(MOFCOM, after(3), by="exim-nmg-01"))) == "wrong_party"
