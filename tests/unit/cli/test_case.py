"""A case's time line: repeats dropped, causes before effects, and nothing hidden because it can't be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.advice import AdviceRouted
from schemas.consortium import ConsortiumShort
from schemas.deliberation import ScreeningConferenceCalled, ScreeningReminded
from schemas.envelope import Payload
from schemas.loan import LoanRejectionReported, LoanRejectionReportedV1, RejectionReason
from schemas.partner import CooperationPartnerInvited
from schemas.plan import PlanPartRecorded
from schemas.referral import ReferralSubmitted, WithdrawalSubmitted
from schemas.referral_course import ReferralClosed
from schemas.resemblance import ResemblanceFlagged
from services.cli.case import Step, called, step_of, summary, time_line
from tests.unit.cli.builders import MORNING, event, record, record_of, submitted
from topics.titles import title_of

REFERRAL = ReferralSubmitted.model_validate(submitted()["data"])


def step(id: str, after_s: int = 0, cause: str | None = None, topic: str = "referral.events", **given: Any) -> Step:
    one = event(REFERRAL, id=id, time=MORNING + timedelta(seconds=after_s), causation_id=cause)
    return step_of(record_of(one, topic, **given), dead_letters=False)


def ids(steps: list[Step]) -> list[str]:
    return [one.id for one in time_line(steps)]


def test_steps_stand_in_order_of_time() -> None:
    assert ids([step("late", 20), step("early"), step("middle", 10)]) == ["early", "middle", "late"]


def test_at_the_same_time_a_cause_stands_before_what_it_caused() -> None:
    chain = [step("a3", cause="b2"), step("b2", cause="c1", topic="risk.events"), step("c1", topic="screening.events")]
    assert ids(chain) == ["c1", "b2", "a3"]


def test_a_cause_that_is_not_in_the_time_line_does_not_matter() -> None:
    assert ids([step("b", cause="elsewhere", offset=1), step("a", offset=2)]) == ["b", "a"]


def test_what_a_sent_mail_led_to_follows_what_asked_for_the_mail() -> None:
    def said(id: str, cause: str | None, offset: int) -> Step:
        one = event(REFERRAL, id=id, time=MORNING, causation_id=cause, source="//kouan/liaison")
        return step_of(record_of(one, "liaison.events", offset=offset), dead_letters=False)

    steps = [said("delivered", "mail/1/result", 8), said("queued", "registered", 7), step("registered")]
    assert ids(steps) == ["registered", "queued", "delivered"]


def test_events_that_name_each_other_as_cause_do_not_hang_the_command() -> None:
    assert sorted(ids([step("a", cause="b"), step("b", cause="a"), step("c", cause="c")])) == ["a", "b", "c"]


def test_repeats_are_dropped_and_counted() -> None:
    (one,) = time_line([step("a", offset=4), step("a", offset=9), step("a", offset=11)])
    assert (one.offset, one.repeats) == (4, 2)


def test_the_same_id_of_another_source_is_no_repeat() -> None:
    other = event(REFERRAL, id="a", source="//commerce/15")
    steps = [step("a"), step_of(record_of(other, "commerce.referrals"), dead_letters=False)]
    assert len(time_line(steps)) == 2


def test_a_dead_letter_stands_beside_the_record_it_is_of_and_says_why() -> None:
    one = event(REFERRAL, id="a")
    stamps = [
        ("kouan_dead_letter_id", b"letter-1"),
        ("kouan_reason", b"wrong-source"),
        ("kouan_text", "来源不符".encode()),
    ]
    letter = record_of(one, "referral_intake.dead-letters")
    letter = letter._replace(headers=[*letter.headers, *stamps])
    first, second = time_line([step_of(letter, dead_letters=True), step("a", 5)])
    dead = first if first.dead_letter else second
    assert (dead.type, dead.problem) == ("referral.submitted.v1", "wrong-source: 来源不符")
    assert {first.dead_letter, second.dead_letter} == {True, False}


def test_a_dead_letter_sent_twice_by_a_crash_counts_once() -> None:
    stamp = [("kouan_dead_letter_id", b"letter-1"), ("kouan_reason", b"undecodable"), ("kouan_text", b"not JSON")]
    letters = [
        step_of(record("screening.dead-letters", n, headers=stamp, value=b"?"), dead_letters=True) for n in (1, 2)
    ]
    (one,) = time_line(letters)
    assert one.repeats == 1


def test_a_record_that_is_no_event_is_shown_with_what_is_wrong() -> None:
    found = step_of(record("commerce.referrals", key=b"MZL-2026-0001", value=b"\x00\xff"), dead_letters=False)
    assert found.event is None
    assert found.problem.startswith("missing-attribute: ")
    assert found.id == "commerce.referrals/2/0"


def test_a_body_that_breaks_its_schema_is_shown_with_its_faults_and_what_was_said() -> None:
    sent = record_of(event(REFERRAL), "commerce.referrals", value=b'{"referral": {"zone": "ATLANTIS"}}')
    found = step_of(sent, dead_letters=False)
    assert "/referral/zone" in found.problem
    assert found.body == {"referral": {"zone": "ATLANTIS"}}


def test_the_summary_gives_the_most_telling_fields_first() -> None:
    payload = WithdrawalSubmitted.model_validate({"code": "financed_elsewhere", "reason": "已获得其他贷款。"})
    found = step_of(record_of(event(payload)), dead_letters=False)
    assert summary(found) == "financed_elsewhere · 已获得其他贷款。"


def test_a_long_text_is_cut_in_the_summary() -> None:
    payload = WithdrawalSubmitted.model_validate({"code": "financed_elsewhere", "reason": "长" * 500})
    assert len(summary(step_of(record_of(event(payload)), dead_letters=False))) < 100


def test_a_number_is_shown_with_its_name_and_without_the_rules_that_led_to_it() -> None:
    rules = [{"code": "direction_not_permitted", "outcome": "not_met"}]
    assert summary(replace(step("a"), body={"score": 40, "rules": rules})) == "score 40"


def test_a_dead_letter_stands_at_the_time_of_what_it_is_of() -> None:
    letter = step_of(record_of(event(REFERRAL), "screening.dead-letters"), dead_letters=True)
    assert letter.time == MORNING


def test_each_version_of_an_event_is_shown_as_it_was_written() -> None:
    reason = {"code": "not_viable", "text": "企业不具备持续经营条件。"}
    old = LoanRejectionReportedV1(loan_id="L-1", **reason)
    new = LoanRejectionReported(loan_id="L-1", reasons=(RejectionReason(**reason),))
    shown = [step_of(record_of(event(one), "bank.loans"), dead_letters=False) for one in (old, new)]
    assert [one.body for one in shown] == [{"loan_id": "L-1", **reason}, {"loan_id": "L-1", "reasons": [reason]}]
    assert [one.type for one in shown] == ["loan.rejection_reported.v1", "loan.rejection_reported.v2"]
    assert all("not_viable" in summary(one) for one in shown)


def test_an_event_is_called_by_its_chinese_name_with_its_type_beneath() -> None:
    assert (
        called("screening.conference_called.v1")
        == f"{title_of('screening.conference_called.v1').zh}\nscreening.conference_called"
    )
    assert called("nobody.knows.v1") == "nobody.knows"
    assert called("") == "不可读 unreadable"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (ScreeningConferenceCalled, "collateral_insufficient · commerce · bank · deadline "),
        (ScreeningReminded, "missing bank · deadline "),
        (CooperationPartnerInvited, "frontier-guarantee · bank_guarantee · "),
        (ConsortiumShort, "nobody_left · "),
        (ResemblanceFlagged, "地址、融资需求与合作区相同"),
        (ReferralClosed, "共同筛选未通过。 · Joint screening declined it."),
        (PlanPartRecorded, "industry · version 1 · "),
        (AdviceRouted, "exim-nmg · "),
    ],
)
def test_the_summary_of_a_new_step_says_who_and_what(kind: type[Payload], told: str) -> None:
    fields = {name: field.examples[0] for name, field in kind.model_fields.items() if field.examples}
    found = step_of(record_of(event(kind.model_validate(fields))), dead_letters=False)
    assert told in summary(found)
