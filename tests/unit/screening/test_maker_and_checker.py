"""An opinion has a maker and a checker of one side; deputies stand in for who is away."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.deliberation import ScreeningOpinionDrafted, ScreeningOpinionReturned
from schemas.screening import ScreeningOpinionRecorded, ScreeningShortlisted
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, COMMERCE, GRACE, Desk, after, given, kinds, refusal

DRAFT = told.drafted(BANK, after(2))
AWAY, DEPUTY = "exim-nmg-01", "exim-nmg-02"


def desk_with_a_draft() -> Desk:
    return given(told.registered(), told.supports(COMMERCE, after(1)), DRAFT)


def test_an_opinion_that_names_its_checker_is_recorded_at_once() -> None:
    (recorded,) = given(told.registered()).tell(told.supports(BANK, after(2)))
    assert isinstance(recorded, ScreeningOpinionRecorded)
    assert (recorded.given_by, recorded.checked_by, recorded.checked_at) == ("clerk-1", "clerk-2", after(2))


def test_an_opinion_without_checker_waits_as_a_draft_and_decides_nothing() -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)))
    (drafted,) = desk.tell(DRAFT)
    assert isinstance(drafted, ScreeningOpinionDrafted)
    assert (drafted.side, drafted.opinion_id, drafted.given_by) == ("bank", DRAFT.id, "clerk-1")
    assert desk.pass_time(after(10)) == []


def test_a_draft_counts_from_the_moment_another_person_confirms_it() -> None:
    desk = desk_with_a_draft()
    (recorded,) = desk.tell(told.confirmed(DRAFT, after(3)))
    assert isinstance(recorded, ScreeningOpinionRecorded)
    assert (recorded.given_at, recorded.checked_at, recorded.checked_by) == (after(2), after(3), "clerk-2")
    (shortlisted,) = desk.pass_time(after(3))
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert shortlisted.decided_at == after(3)


@pytest.mark.parametrize("step", [told.confirmed, told.returned])
def test_the_maker_can_neither_confirm_nor_return_the_own_draft(step: Any) -> None:
    desk = desk_with_a_draft()
    before = desk.case
    assert refusal(desk.tell(step(DRAFT, after(3), by="clerk-1"))) == "same_person"
    assert desk.case == before


def test_a_checker_who_is_the_maker_is_refused_though_the_sides_own_system_says_so() -> None:
    desk = given(told.registered())
    assert refusal(desk.tell(told.supports(BANK, after(1), "clerk-1", checked_by="clerk-1"))) == "same_person"


@pytest.mark.parametrize("step", [told.confirmed, told.returned])
def test_the_other_side_cannot_check_a_draft(step: Any) -> None:
    desk, answer = desk_with_a_draft(), step(DRAFT, after(3))
    answer.source = COMMERCE
    assert refusal(desk.tell(answer)) == "no_such_draft"


@pytest.mark.parametrize("step", [told.confirmed, told.returned])
def test_a_person_whom_the_directory_names_for_the_other_side_cannot_check(step: Any) -> None:
    desk = desk_with_a_draft()
    desk.context.learn(told.person("liaison-15", "commerce"))
    assert refusal(desk.tell(step(DRAFT, after(3), by="liaison-15"))) == "wrong_party"


def test_only_the_opinion_that_was_read_can_be_confirmed() -> None:
    desk = desk_with_a_draft()
    assert refusal(desk.tell(told.confirmed(told.drafted(BANK, after(1)), after(3)))) == "no_such_draft"


def test_while_a_draft_waits_the_side_gives_no_other_opinion() -> None:
    assert refusal(desk_with_a_draft().tell(told.opposes(BANK, after(3)))) == "draft_waits"


def test_a_draft_that_is_returned_makes_room_for_a_new_opinion() -> None:
    desk = desk_with_a_draft()
    (returned,) = desk.tell(told.returned(DRAFT, after(3)))
    assert isinstance(returned, ScreeningOpinionReturned)
    assert (returned.given_by, returned.returned_by) == ("clerk-1", "clerk-2")
    assert refusal(desk.tell(told.confirmed(DRAFT, after(3.5)))) == "no_such_draft"
    again = told.drafted(BANK, after(4))
    assert kinds(desk.tell(again, told.confirmed(again, after(5)))) == ["opinion_drafted", "opinion_recorded"]


def test_a_confirmation_after_the_time_is_over_is_refused() -> None:
    desk = given(told.registered(), DRAFT, until=GRACE)
    assert refusal(desk.tell(told.confirmed(DRAFT, after(30)))) == "after_deadline"


def test_a_draft_on_a_case_that_was_withdrawn_can_no_longer_be_confirmed() -> None:
    desk = given(told.registered(), DRAFT, told.withdrawn(after(3)))
    assert refusal(desk.tell(told.confirmed(DRAFT, after(4)))) == "closed"


def test_a_draft_may_be_confirmed_while_the_case_is_held() -> None:
    desk = given(told.registered(), DRAFT, told.held())
    assert kinds(desk.tell(told.confirmed(DRAFT, after(40)))) == ["opinion_recorded"]


def desk_with_an_absence() -> Desk:
    desk = given(told.registered())
    desk.context.learn(told.absence(AWAY, "bank", DEPUTY, after(1), after(4)))
    return desk


@pytest.mark.parametrize(("day", "code"), [(0.1, None), (1, "person_absent"), (4, "person_absent"), (5, None)])
def test_a_person_gives_no_opinion_while_away(day: float, code: str | None) -> None:
    desk = desk_with_an_absence()
    outputs = desk.tell(told.supports(BANK, after(day), AWAY))
    assert kinds(outputs) == ["opinion_recorded"] if code is None else refusal(outputs) == code


def test_a_person_checks_no_opinion_while_away() -> None:
    desk = desk_with_an_absence()
    assert refusal(desk.tell(told.supports(BANK, after(2), checked_by=AWAY))) == "person_absent"
    desk.tell(DRAFT)
    assert refusal(desk.tell(told.confirmed(DRAFT, after(3), by=AWAY))) == "person_absent"


def test_the_deputy_speaks_for_the_person_who_is_away_and_it_is_on_record() -> None:
    desk = desk_with_an_absence()
    (recorded,) = desk.tell(
        told.drafted(BANK, after(2), given_by=DEPUTY, on_behalf_of=AWAY, checked_by="clerk-2"),
    )
    assert isinstance(recorded, ScreeningOpinionRecorded)
    assert (recorded.given_by, recorded.on_behalf_of) == (DEPUTY, AWAY)


@pytest.mark.parametrize(("speaker", "day"), [("clerk-1", 2), (DEPUTY, 6)])
def test_nobody_else_speaks_for_who_is_away_and_the_deputy_only_while_it_lasts(speaker: str, day: float) -> None:
    desk = desk_with_an_absence()
    event = told.drafted(BANK, after(day), given_by=speaker, on_behalf_of=AWAY)
    assert refusal(desk.tell(event)) == "not_deputy"


def test_who_stands_in_for_the_maker_cannot_be_the_checker() -> None:
    desk = given(told.registered(), told.drafted(BANK, after(0.5), given_by=AWAY))
    desk.context.learn(told.absence(AWAY, "bank", DEPUTY, after(1), after(4)))
    draft = told.drafted(BANK, after(0.5), given_by=AWAY)
    assert refusal(desk.tell(told.confirmed(draft, after(2), by=DEPUTY, on_behalf_of=AWAY))) == "same_person"
    assert kinds(desk.tell(told.confirmed(draft, after(2), by=DEPUTY))) == ["opinion_recorded"]


def test_an_absence_that_the_other_side_enters_means_nothing() -> None:
    desk = given(told.registered())
    foreign = told.absence(AWAY, "bank", DEPUTY, after(1), after(4))
    foreign.source = told.MOFCOM
    desk.context.learn(foreign)
    assert kinds(desk.tell(told.supports(BANK, after(2), AWAY))) == ["opinion_recorded"]


def test_an_absence_is_ended_early_by_entering_it_again() -> None:
    desk = desk_with_an_absence()
    again = told.absence(AWAY, "bank", DEPUTY, after(1), after(1))
    again.time, again.id = after(1), "shorter"
    desk.context.learn(again)
    assert kinds(desk.tell(told.supports(BANK, after(2), AWAY))) == ["opinion_recorded"]
