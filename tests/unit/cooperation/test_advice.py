"""Advice: a question is routed, answered in time or escalated, asked on and closed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from schemas.advice import AdviceAnswered, AdviceClosed, AdviceRouted
from schemas.consent import CONSENT_EXAMPLE
from schemas.envelope import Event
from schemas.reference import CHINA_TIME
from tests.unit.cooperation.builders import (
    BANK_HQ,
    BRANCH,
    MINISTRY,
    OTHER_BRANCH,
    OTHER_ZONE,
    START,
    ZONE,
    Desk,
    after,
    given_up,
    kinds,
    refusal,
    said,
)

ENTERPRISE = {"credit_code": "91330100799655058B", "name": "满洲里示例木业有限公司"}


def question(source: str = ZONE, at: datetime = START, **more: Any) -> Event[Any]:
    body = {"zone": "manzhouli", "topic": "trade_finance", "question": "可否？", "asked_by": "zone-1"}
    return said("advice.question_asked.v1", source, at, **{**body, **more})


def answer(source: str = BRANCH, days: float = 2, round: int = 1, by: str = "bank-1") -> Event[Any]:
    return said("advice.answer_given.v1", source, after(days), round=round, answer="可以。", given_by=by)


def further(source: str = ZONE, days: float = 3, by: str = "zone-1") -> Event[Any]:
    return said("advice.further_question_asked.v1", source, after(days), question="期限？", asked_by=by)


def closure(source: str = ZONE, days: float = 4, **more: Any) -> Event[Any]:
    return said(
        "advice.closure_submitted.v1", source, after(days), **{"code": "settled", "closed_by": "zone-1", **more}
    )


def asked(**more: Any) -> Desk:
    desk = Desk("advice")
    desk.tell(question(**more))
    return desk


def answered() -> Desk:
    desk = asked()
    desk.tell(answer())
    return desk


def test_a_question_goes_to_the_branch_that_serves_the_province_with_five_working_days() -> None:
    (routed,) = Desk("advice").tell(question())
    assert isinstance(routed, AdviceRouted)
    assert (routed.routed_to, routed.working_days) == ("exim-nmg", 5)
    assert routed.remind_at == datetime(2020, 5, 9, 23, 59, 59, tzinfo=CHINA_TIME), "9 May 2020 was a working Saturday"
    assert routed.deadline == datetime(2020, 5, 12, 23, 59, 59, tzinfo=CHINA_TIME)


@pytest.mark.parametrize("topic", ["credit_policy", "industry_planning", "outbound_investment"])
def test_what_branches_do_not_answer_goes_to_the_headquarters(topic: str) -> None:
    (routed,) = Desk("advice").tell(question(topic=topic, branch="exim-nmg"))
    assert isinstance(routed, AdviceRouted)
    assert (routed.routed_to, routed.working_days) == ("exim", 10)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (question(zone="atlantis"), "unknown_zone"),
        (question(OTHER_ZONE), "not_concerned"),
        (question(BRANCH), "wrong_party"),
        (question(asked_by="bank-1"), "wrong_person"),
        (question(branch="exim-hlj"), "branch_elsewhere"),
        (question(enterprise=ENTERPRISE), "consent_missing"),
        (question(enterprise=ENTERPRISE, consent={**CONSENT_EXAMPLE, "scopes": ["commerce"]}), "consent_missing"),
    ],
)
def test_what_can_not_be_asked_is_refused(event: Event[Any], code: str) -> None:
    assert refusal(Desk("advice").tell(event)) == code


def test_an_enterprise_that_consents_is_asked_for_with_its_consent_on_record() -> None:
    (routed,) = Desk("advice").tell(question(enterprise=ENTERPRISE, consent=CONSENT_EXAMPLE))
    assert isinstance(routed, AdviceRouted)
    assert routed.enterprise is not None
    assert routed.consent is not None


@pytest.mark.parametrize("source", [BRANCH, BANK_HQ])
def test_the_branch_that_has_the_question_or_the_headquarters_answers(source: str) -> None:
    (told,) = asked().tell(answer(source))
    assert isinstance(told, AdviceAnswered)
    assert not told.late


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (answer(OTHER_BRANCH), "not_routed_to_you"),
        (answer(MINISTRY), "wrong_party"),
        (answer(by="zone-1"), "wrong_person"),
        (question(at=after(1)), "wrong_state"),
        (further(), "wrong_state"),
    ],
)
def test_while_the_answer_is_awaited_others_are_refused(event: Event[Any], code: str) -> None:
    assert refusal(asked().tell(event)) == code


def test_nobody_who_answers_in_time_is_reminded() -> None:
    assert kinds(answered().pass_time(after(20))) == []


def test_silence_is_reminded_and_escalated_once_and_an_answer_still_counts() -> None:
    desk = asked()
    assert kinds(desk.pass_time(after(365))) == ["advice.reminded", "advice.escalated"]
    (told,) = desk.tell(answer(BANK_HQ, 366))
    assert isinstance(told, AdviceAnswered)
    assert told.late


def test_a_further_question_has_a_time_of_its_own_and_an_answer_of_its_own() -> None:
    desk = answered()
    assert kinds(desk.tell(further())) == ["advice.further_routed"]
    assert refusal(desk.tell(answer(days=4))) == "earlier_question"
    assert kinds(desk.tell(answer(days=5, round=2))) == ["advice.answered"]
    assert kinds(desk.pass_time(after(10))) == []


@pytest.mark.parametrize("desk", [Desk("advice"), asked(), answered()])
def test_an_answer_waits_for_its_question(desk: Desk) -> None:
    refused = given_up(desk, answer(days=5, round=2))
    assert (refused.code, refused.source) == ("no_question", BRANCH)


def test_a_question_is_answered_once() -> None:
    assert refusal(answered().tell(answer(BANK_HQ, 5))) == "answered_before"


def test_the_asking_side_closes_also_without_an_answer() -> None:
    (told,) = asked().tell(closure(code="no_longer_needed"))
    assert isinstance(told, AdviceClosed)
    assert not told.answered


def test_an_answered_question_on_which_nobody_asks_is_closed_by_itself() -> None:
    (told,) = answered().pass_time(after(60))
    assert isinstance(told, AdviceClosed)
    assert (told.code, told.answered) == ("not_asked_on", True)


@pytest.mark.parametrize("event", [answer(days=5), further(days=5), closure(days=5), question(at=after(5))])
def test_a_closed_question_takes_nothing_more(event: Event[Any]) -> None:
    desk = answered()
    desk.tell(closure(referral_id="NMG-1", code="referred"))
    assert refusal(desk.tell(event)) == "wrong_state"
    assert desk.pass_time(after(365)) == []
