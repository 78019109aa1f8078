"""A hold on a case stops its invitations and the time for their answers, and they go on when it is released."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.partner import CooperationInvitationPaused, CooperationInvitationResumed, CooperationPartnerInvited
from services.cooperation.domain.consortium import Standing, Status
from services.kit.door import Early
from services.kit.working_days import Overrides, WorkingDays
from tests.unit.cooperation.partners import (
    ANSWERED,
    SHORTLISTED,
    Desk,
    after,
    amended,
    consent,
    declines,
    given,
    held,
    kinds,
    large,
    partner,
    registered,
    released,
    shortlisted,
    takes,
    withdrawn,
)

RELEASED = after(30)
CALENDAR = WorkingDays(Overrides())


def syndicated(*events: Event[Any]) -> Desk:
    desk = given(registered(large()), shortlisted())
    desk.tell(*events)
    return desk


def test_each_partner_that_was_asked_is_told_that_its_time_stands_still() -> None:
    desk = syndicated()
    said = desk.tell(held("zone:manzhouli"))
    assert kinds(said) == ["hold_noted", "invitation_paused", "invitation_paused"]
    paused = [one for one in said if isinstance(one, CooperationInvitationPaused)]
    deadline = desk.now.invitations[0].deadline
    assert {one.partner: one.working_days_left for one in paused} == dict.fromkeys(
        ("bank-a", "bank-b"), CALENDAR.between(ANSWERED, deadline)
    )


def test_nobody_is_silent_too_long_while_the_case_is_held() -> None:
    desk = syndicated(held("zone:manzhouli"))
    assert desk.pass_time(after(3650)) == []


def test_the_time_goes_on_with_the_working_days_that_were_left() -> None:
    desk = syndicated(held("zone:manzhouli"))
    left = CALENDAR.between(ANSWERED, desk.now.invitations[0].deadline)
    assert left > 1
    said = desk.tell(released(at=RELEASED))
    assert kinds(said) == ["hold_noted", "invitation_resumed", "invitation_resumed"]
    expected, _ = CALENDAR.after(RELEASED, left)
    assert {one.deadline for one in said if isinstance(one, CooperationInvitationResumed)} == {expected}
    assert desk.pass_time(expected - timedelta(seconds=1)) == []
    assert kinds(desk.pass_time(expected))[:2] == ["partner_silent", "partner_silent"]


def test_a_hold_on_the_last_day_leaves_one_more_day() -> None:
    desk = syndicated()
    last = desk.now.invitations[0].deadline - timedelta(hours=1)
    said = desk.tell(held("zone:manzhouli", at=last), released(at=RELEASED))
    assert {one.working_days_left for one in said if isinstance(one, CooperationInvitationPaused)} == {0}
    expected, _ = CALENDAR.after(RELEASED, 1)
    assert {one.deadline for one in said if isinstance(one, CooperationInvitationResumed)} == {expected}


def test_only_the_first_hold_stops_and_only_the_last_release_lets_go_on() -> None:
    desk = syndicated(held("zone:manzhouli"))
    assert desk.tell(held("case:1", "zone:manzhouli", at=after(10)), released("case:1", at=after(11))) == []
    assert desk.now.held
    assert kinds(desk.tell(released(at=RELEASED)))[0] == "hold_noted"


def test_a_case_that_is_held_when_it_is_shortlisted_gets_its_mode_but_no_partner_until_the_release() -> None:
    desk = given(registered(large()), held("zone:manzhouli", at=SHORTLISTED))
    assert kinds(desk.tell(shortlisted())) == ["mode_proposed"]
    assert desk.now.status is Status.GATHERING
    said = desk.tell(released(at=RELEASED))
    assert kinds(said) == ["hold_noted", "partner_invited", "partner_invited"]
    assert {one.invited_at for one in said if isinstance(one, CooperationPartnerInvited)} == {RELEASED}


def test_an_answer_during_the_hold_counts_though_the_first_deadline_is_over_and_nobody_else_is_asked() -> None:
    desk = syndicated(held("zone:manzhouli"))
    assert kinds(desk.tell(takes("bank-a", "25.00", after(25)))) == ["partner_joined"]
    assert kinds(desk.tell(declines("bank-b", after(25)))) == ["partner_declined"]
    said = desk.tell(released(at=RELEASED))
    assert kinds(said) == ["hold_noted", "partner_invited", "partner_invited"]
    assert [one.partner for one in said if isinstance(one, CooperationPartnerInvited)] == ["bank-c", "bank-d"]


def test_parts_that_add_up_during_the_hold_complete_the_case() -> None:
    desk = syndicated(held("zone:manzhouli"))
    said = desk.tell(takes("bank-a", "25.00", after(25)), takes("bank-b", "25.00", after(26)))
    assert kinds(said) == ["partner_joined", "partner_joined", "complete"]
    assert kinds(desk.tell(released(at=RELEASED))) == ["hold_noted"]


def test_an_amendment_during_the_hold_gathers_afresh_once_it_is_released() -> None:
    desk = syndicated(held("zone:manzhouli"))
    said = desk.tell(amended(large(amount="60000000.00"), at=after(20)))
    assert kinds(said) == ["case_noted", "invitation_ended", "invitation_ended", "mode_proposed"]
    assert kinds(desk.tell(released(at=RELEASED))) == ["hold_noted", "partner_invited", "partner_invited"]


def test_a_case_that_is_short_is_not_searched_for_during_the_hold_and_the_week_begins_anew_after_it() -> None:
    desk = given(registered(large()), shortlisted(), partners=())
    assert desk.now.status is Status.SHORT
    desk.tell(held("zone:manzhouli"))
    assert desk.pass_time(RELEASED) == []
    desk.outlook.directory.learn(partner("late-bank", "syndicated_loan"))
    said = desk.tell(released(at=RELEASED))
    assert kinds(said) == ["hold_noted", "partner_invited"]
    assert desk.now.searched_at == RELEASED


def test_consent_that_is_missing_is_still_missing_after_a_hold() -> None:
    desk = given(registered(large(), ("commerce", "bank")), shortlisted(), held("zone:manzhouli"))
    assert kinds(desk.tell(released(at=RELEASED))) == ["hold_noted"]
    assert kinds(desk.tell(consent("partner", at=after(31)))) == ["consent_noted", *["partner_invited"] * 2]


def test_a_case_can_end_while_it_is_held() -> None:
    desk = syndicated(held("zone:manzhouli"))
    assert kinds(desk.tell(withdrawn(after(20)))) == ["invitation_ended", "invitation_ended", "closed"]
    assert desk.tell(released(at=RELEASED)) == []
    assert {one.standing for one in desk.now.invitations} == {Standing.ENDED}


def test_a_hold_waits_for_the_registration() -> None:
    with pytest.raises(Early):
        Desk().tell(held("zone:manzhouli"))
