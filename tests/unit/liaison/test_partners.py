"""Notices to partners: what an invitation says, nothing else of the case, and the branch where none can be sent."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.cooperation import CooperationRefused
from schemas.liaison import NoticeDelivered, NoticeQueued, PartnerNoticeFailed, PartnerNoticeQueued
from schemas.partner import CooperationInvitationEnded, CooperationPartnerInvited
from services.kit.door import Early, Refused
from services.liaison.mail import Letter, MailSettings
from tests.unit.liaison.builders import (
    BRANCH_PERSON,
    PARTNER,
    Desk,
    event,
    failures,
    notices,
    partner_notices,
    payload,
    recipients,
    registered,
    without,
)

SECRET = "某某保密名称有限公司"


def invited(**changes: Any) -> Any:
    return event(payload(CooperationPartnerInvited, **changes), id="invited")


def desk(*missing: Any) -> Desk:
    made = Desk(without(*missing))
    made.hear(registered(name=SECRET))
    return made


def test_an_invited_partner_gets_one_mail_at_its_address_of_the_directory_and_nobody_else_any() -> None:
    said = desk().hear(invited())
    (notice,) = partner_notices(said)
    assert (notice.partner, notice.email) == ("frontier-guarantee", "desk@guarantee.example")
    assert notice.partner_entry == "partner/frontier-guarantee@2020-01-01"
    assert said == [notice]


@pytest.mark.parametrize("kind", [CooperationPartnerInvited, CooperationInvitationEnded])
def test_a_partner_is_told_what_its_event_says_and_nothing_else_of_the_case(kind: Any) -> None:
    (notice,) = partner_notices(desk().hear(event(payload(kind))))
    letter = Letter(MailSettings())
    mail = letter.text(notice) + letter.html(notice) + notice.subject_zh + notice.model_dump_json()
    assert SECRET not in mail
    assert "Lane" not in {fact.label_en for fact in notice.facts}


def test_an_invitation_says_how_much_can_be_taken_and_by_when_to_answer() -> None:
    (notice,) = partner_notices(desk().hear(invited()))
    lines = {fact.label_en: fact.value_en for fact in notice.facts}
    assert lines["The most that you can take"] == "CNY 4,000,000.00 (0.00%)"
    assert lines["The least that you can take"] == "CNY 500,000.00"
    assert "16 April 2020, 23:59 (China time)" in notice.text_en


def test_an_invitation_waits_for_the_case_whose_branch_would_have_to_be_told() -> None:
    with pytest.raises(Early):
        Desk().hear(invited())


@pytest.mark.parametrize("entry", [None, PARTNER.model_copy(update={"email": None})])
def test_a_partner_without_address_is_recorded_and_the_branch_told_instead(entry: Any) -> None:
    asked = Desk([*without(PARTNER), *([entry] if entry is not None else [])])
    asked.hear(registered())
    said = asked.hear(invited())
    (failed,) = [one for one in said if isinstance(one, PartnerNoticeFailed)]
    assert (failed.partner, failed.code) == ("frontier-guarantee", "no_address")
    assert recipients(said) == ["branch-person"]
    assert notices(said)[0].template == "partner_not_reached"
    assert partner_notices(said) == []


def test_where_the_branch_names_nobody_either_the_banks_headquarters_are_told() -> None:
    said = desk(PARTNER, BRANCH_PERSON).hear(invited())
    assert [failed.unit_code for failed in failures(said)] == ["exim-nmg"]
    assert recipients(said) == ["hq-bank"]


def test_a_mail_to_a_partner_that_was_taken_is_forgotten() -> None:
    told = desk()
    (notice,) = partner_notices(told.hear(invited()))
    assert told.state is not None
    assert list(told.state.partner_notices) == [notice.notice_id]
    (delivered,) = told.mail(notice)
    assert isinstance(delivered, NoticeDelivered)
    assert told.state.partner_notices == {}
    assert (told.state.tally.queued, told.state.tally.delivered) == (3, 1)


def test_a_mail_to_a_partner_that_is_refused_for_good_goes_to_the_branch() -> None:
    told = desk()
    (notice,) = partner_notices(told.hear(invited()))
    said = told.mail(notice, Refused("smtp-550", "550 no such mailbox"))
    failed, instead = said
    assert isinstance(failed, PartnerNoticeFailed)
    assert (failed.code, failed.answer) == ("mail_refused", "550 no such mailbox")
    assert isinstance(instead, NoticeQueued)
    assert (instead.person_id, instead.template, instead.about_id) == (
        "branch-person",
        "partner_not_reached",
        "invited",
    )
    assert "Frontier Guarantee Fund" in instead.text_en
    assert told.state is not None
    assert told.state.partner_notices == {}


@pytest.mark.parametrize(
    ("source", "persons", "partners"),
    [
        ("//partner/frontier-guarantee", [], ["frontier-guarantee"]),
        ("//partner/frontier-guarantee/desk", [], ["frontier-guarantee"]),
        ("//bank/exim-nmg", ["branch-person"], []),
        ("//commerce/manzhouli", ["zone-person"], []),
    ],
)
def test_what_was_refused_is_told_to_whoever_sent_it_whether_or_not_it_takes_part_in_the_case(
    source: str, persons: list[str], partners: list[str]
) -> None:
    said = Desk().hear(event(payload(CooperationRefused, source=source)))
    assert recipients(said) == persons
    assert [one.partner for one in said if isinstance(one, PartnerNoticeQueued)] == partners
