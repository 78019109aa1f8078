"""The words of notices: every template can be filled in, in both languages, and so can every mail."""

from __future__ import annotations

import re
from enum import StrEnum
from html import unescape
from importlib.resources import files

import pytest
from jinja2 import UndefinedError

from schemas.directory import PersonRole
from schemas.liaison import NoticeQueued
from schemas.loan import LoanDeclined
from schemas.partner import CooperationPartnerInvited
from schemas.referral import ReferralRegistered
from schemas.screening import ScreeningDeclined, ScreeningReleased
from schemas.values import Side
from services.kit.door import Refused
from services.liaison.domain.escalation import TEMPLATES
from services.liaison.domain.labels import LABELS, TITLES
from services.liaison.domain.routing import RULES, Rule
from services.liaison.mail import Letter, MailSettings, Notice
from tests.unit.liaison.builders import (
    BRANCH_PERSON,
    EVERYBODY,
    PARTNER,
    RENDERER,
    Desk,
    event,
    notices,
    partner_notices,
    payload,
    person,
    registered,
    without,
)

CHINESE = re.compile(r"[\u4e00-\u9fff]")


OWNER = person("exim-nmg-01", Side.BANK, PersonRole.BRANCH, "exim-nmg")
"""Whom the examples of work plans name."""


def told_by(rule: Rule) -> list[Notice]:
    """The notices that a rule gives about its event, made of the contract's own examples."""
    desk = Desk([*EVERYBODY, OWNER])
    desk.hear(registered())
    level = {"level": rule.levels[0], "level_before": rule.levels[0]} if rule.levels else {}
    changes = {name: value for name, value in level.items() if name in rule.event.model_fields}
    heard = registered() if rule.event is ReferralRegistered else event(payload(rule.event, **changes))
    said = desk.hear(heard)
    return [*notices(said), *partner_notices(said)]


def handed_up() -> dict[str, NoticeQueued]:
    """One notice of each template beside those of the table."""
    desk, unnamed, unaddressed = Desk(), Desk(without(BRANCH_PERSON)), Desk(without(PARTNER))
    branch, zone = notices(desk.hear(registered()))
    said = [*unnamed.hear(registered()), *desk.mail(branch, Refused("smtp-550", "550")), *desk.acknowledge(zone)]
    unaddressed.hear(registered())
    said += unaddressed.hear(event(payload(CooperationPartnerInvited)))
    late = Desk()
    late.hear(registered())
    said += late.fall_due(late.deadlines()[0])
    return {one.template: one for one in notices(said) if one.template in TEMPLATES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.event.TYPE} {'/'.join(rule.levels)}")
def test_every_rule_gives_texts_and_a_mail_in_both_languages(rule: Rule) -> None:
    said = told_by(rule)
    assert {one.template for one in said} == {rule.template}
    for notice in said:
        assert_readable(notice)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_beside_those_of_the_table_gives_texts_and_a_mail_in_both_languages(template: str) -> None:
    assert_readable(handed_up()[template])


def assert_readable(notice: Notice) -> None:
    assert CHINESE.search(notice.text_zh)
    assert not CHINESE.search(notice.text_en.replace("先生", ""))
    letter = Letter(MailSettings())
    for whole in (letter.text(notice), unescape(letter.html(notice))):
        assert whole.index(notice.name_zh) < whole.index(notice.name_en)
        assert notice.notice_id in whole
        assert all(fact.value_zh in whole and fact.value_en in whole for fact in notice.facts)
        assert ("acknowledge this notice by" in whole) == (getattr(notice, "acknowledge_by", None) is not None)


def test_there_is_a_template_and_a_title_for_every_rule_and_none_besides() -> None:
    named = {rule.template for rule in RULES} | set(TEMPLATES)
    folder = files("services.liaison") / "templates"
    present = {one.name.removesuffix(".j2") for one in folder.iterdir()}
    assert present == named | {"subject", "mail.txt", "mail.html"}
    assert set(TITLES) == named


@pytest.mark.parametrize("codes", LABELS, ids=lambda codes: codes.__name__)
def test_every_code_has_words(codes: type[StrEnum]) -> None:
    assert set(LABELS[codes]) == set(codes)


def test_a_value_that_is_missing_is_an_error_and_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError):
        RENDERER.render("loan_disbursed", {"title": TITLES["loan_disbursed"], "urgent": False})


@pytest.mark.parametrize(("finality", "words"), [("repairable", "可重新推荐"), ("final", "终局")])
def test_a_declined_case_says_whether_it_can_be_repaired(finality: str, words: str) -> None:
    desk = Desk()
    desk.hear(registered())
    said = notices(desk.hear(event(payload(ScreeningDeclined, finality=finality))))
    assert words in said[0].text_zh


@pytest.mark.parametrize(("holds", "words"), [([], "恢复办理"), (["zone:manzhouli"], "继续暂停")])
def test_a_released_hold_says_whether_others_remain(holds: list[str], words: str) -> None:
    desk = Desk()
    desk.hear(registered())
    said = notices(desk.hear(event(payload(ScreeningReleased, holds=holds))))
    assert words in said[0].text_zh


@pytest.mark.parametrize("reasons", [[], ["自有资金未落实。"], ["自有资金未落实。", "还款来源不明确。"]])
def test_a_declined_loan_tells_every_reason_and_in_older_events_the_one_there_is(reasons: list[str]) -> None:
    desk = Desk()
    desk.hear(registered())
    coded = [{"code": "not_viable", "text": text} for text in reasons]
    said = notices(desk.hear(event(payload(LoanDeclined, text="抵押物不足。", reasons=coded))))
    told = [fact.value_zh for fact in said[0].facts if fact.label_zh == "理由"]
    assert told == (reasons or ["抵押物不足。"])


def test_markup_in_a_name_stays_text_in_the_html() -> None:
    (notice, *_) = notices(Desk().hear(registered(name="<b onmouseover=x>木业</b>")))
    whole = Letter(MailSettings()).html(notice)
    assert "<b onmouseover" not in whole
    assert "&lt;b onmouseover=x&gt;" in whole


def test_braces_in_a_name_are_not_filled_in() -> None:
    (notice, *_) = notices(Desk().hear(registered(name="{{ file }} {% raw %}")))
    assert notice.subject_en.endswith("{{ file }} {% raw %}")
