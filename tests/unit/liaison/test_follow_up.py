"""What becomes of notices: delivery, acknowledgement, and what happens when time runs out."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pydantic import TypeAdapter

from schemas.liaison import (
    EscalationCode,
    FailureCode,
    NoticeAcknowledged,
    NoticeDelivered,
    NoticeFailed,
    NoticeQueued,
    NoticeRefusalCode,
    NoticeRefused,
)
from schemas.loan import LoanDisbursed
from schemas.risk import RiskWarningRaised
from schemas.screening import ScreeningShortlisted
from services.kit.door import Done, Refused
from services.kit.store import dumps
from services.liaison.domain.state import File, evolve
from services.liaison.store import LiaisonFile
from tests.unit.liaison.builders import (
    BANK_HQ,
    COMMERCE_HQ,
    MORNING,
    Desk,
    escalations,
    event,
    failures,
    notices,
    payload,
    recipients,
    registered,
    without,
)

NO_MAILBOX = Refused("smtp-550", "550 no such mailbox")


def opened() -> tuple[Desk, NoticeQueued, NoticeQueued]:
    """A registered case with its notices to branch and zone."""
    desk = Desk()
    branch, zone = sorted(notices(desk.hear(registered())), key=lambda one: one.person_id)
    return desk, branch, zone


def notice_without_acknowledgement(desk: Desk) -> NoticeQueued:
    (notice,) = notices(desk.hear(event(payload(LoanDisbursed), id="disbursed")))
    return notice


def test_a_mail_that_the_server_took_is_delivered() -> None:
    desk, branch, _ = opened()
    assert desk.mail(branch, Done("250 OK"), attempts=3) == [
        NoticeDelivered(notice_id=branch.notice_id, attempts=3, answer="250 OK")
    ]


def test_a_delivered_notice_that_nobody_has_to_acknowledge_is_forgotten() -> None:
    desk, *_ = opened()
    notice = notice_without_acknowledgement(desk)
    desk.mail(notice)
    assert desk.state is not None
    assert notice.notice_id not in desk.state.notices


def test_a_delivered_notice_still_waits_for_its_acknowledgement() -> None:
    desk, branch, _ = opened()
    desk.mail(branch)
    assert desk.state is not None
    assert branch.notice_id in desk.state.notices


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (NO_MAILBOX, FailureCode.MAIL_REFUSED),
        (Refused("attempts-exhausted", "no route"), FailureCode.ATTEMPTS_EXHAUSTED),
    ],
)
def test_a_mail_refused_for_good_is_recorded_and_both_headquarters_hear_of_it(
    outcome: Refused, code: FailureCode
) -> None:
    desk, branch, _ = opened()
    said = desk.mail(branch, outcome, attempts=2)
    (failed,), (escalated,) = failures(said), escalations(said)
    assert (failed.code, failed.person_id, failed.answer) == (code, "branch-person", outcome.detail)
    assert (escalated.code, escalated.to) == (EscalationCode.NOT_DELIVERED, ("hq-commerce", "hq-bank"))
    assert recipients(said) == ["hq-bank", "hq-commerce"]


def test_a_refused_mail_to_the_headquarters_goes_no_higher() -> None:
    desk, branch, _ = opened()
    up = notices(desk.mail(branch, NO_MAILBOX))[0]
    assert [type(one) for one in desk.mail(up, NO_MAILBOX)] == [NoticeFailed]


def test_an_acknowledged_notice_whose_mail_fails_afterwards_is_not_handed_up() -> None:
    desk, branch, _ = opened()
    desk.acknowledge(branch)
    assert [type(one) for one in desk.mail(branch, NO_MAILBOX)] == [NoticeFailed]


def test_the_recipient_acknowledges() -> None:
    desk, branch, _ = opened()
    at = MORNING + timedelta(hours=3)
    assert desk.acknowledge(branch, at=at) == [
        NoticeAcknowledged(
            notice_id=branch.notice_id, person_id="branch-person", side=branch.side, acknowledged_at=at, late=False
        )
    ]


def test_a_settled_notice_leaves_only_who_acknowledged_it() -> None:
    desk, branch, _ = opened()
    desk.mail(branch)
    desk.acknowledge(branch)
    assert desk.state is not None
    assert branch.notice_id not in desk.state.notices
    assert desk.state.acknowledged == {branch.notice_id: "branch-person"}


def test_acknowledging_again_says_nothing_new() -> None:
    desk, branch, _ = opened()
    desk.acknowledge(branch)
    assert desk.acknowledge(branch) == []


def test_somebody_else_cannot_acknowledge_even_what_is_acknowledged_already() -> None:
    desk, branch, _ = opened()
    (before,) = desk.acknowledge(branch, by="other-person")
    desk.acknowledge(branch)
    (after,) = desk.acknowledge(branch, by="other-person")
    assert before.code == after.code == NoticeRefusalCode.WRONG_PERSON


def test_the_other_side_cannot_acknowledge() -> None:
    desk, branch, zone = opened()
    (bank,) = desk.acknowledge(zone, source="//bank/exim-nmg")
    (commerce,) = desk.acknowledge(branch, source="//commerce/15")
    assert bank.code == commerce.code == NoticeRefusalCode.WRONG_SIDE
    assert len(desk.deadlines()) == 1


def test_an_unknown_notice_and_one_that_asks_for_nothing_are_refused() -> None:
    desk, branch, _ = opened()
    unknown = branch.model_copy(update={"notice_id": "00000000-0000-5000-8000-000000000000"})
    answers = [*desk.acknowledge(unknown), *desk.acknowledge(notice_without_acknowledgement(desk))]
    assert [one.code for one in answers] == [NoticeRefusalCode.UNKNOWN_NOTICE] * 2


def test_an_acknowledgement_for_a_file_that_does_not_exist_is_refused() -> None:
    _, branch, _ = opened()
    (answer,) = Desk().acknowledge(branch)
    assert isinstance(answer, NoticeRefused)


def test_all_notices_of_one_event_share_one_deadline() -> None:
    desk, branch, _ = opened()
    (deadline,) = desk.deadlines()
    assert deadline.due == branch.acknowledge_by == datetime.fromisoformat("2020-04-03T23:59:59+08:00")
    desk.acknowledge(branch)
    assert desk.deadlines() == [deadline]


def test_once_everybody_acknowledged_no_deadline_is_left() -> None:
    desk, branch, zone = opened()
    desk.acknowledge(branch)
    desk.acknowledge(zone)
    assert desk.deadlines() == []


def test_when_time_runs_out_what_nobody_acknowledged_goes_up_and_each_headquarters_gets_one_notice() -> None:
    desk, branch, zone = opened()
    said = desk.fall_due(desk.deadlines()[0])
    assert {one.notice_id for one in escalations(said)} == {branch.notice_id, zone.notice_id}
    assert recipients(said) == ["hq-bank", "hq-commerce"]
    assert all("zone-person先生（商务侧·合作区）" in one.text_zh for one in notices(said))
    assert desk.deadlines() == []


def test_only_those_who_did_not_acknowledge_are_handed_up() -> None:
    desk, branch, zone = opened()
    desk.acknowledge(zone)
    said = desk.fall_due(desk.deadlines()[0])
    assert [one.notice_id for one in escalations(said)] == [branch.notice_id]
    assert all("zone-person" not in one.text_zh for one in notices(said))


def test_handing_up_happens_once_for_each_event() -> None:
    desk, *_ = opened()
    desk.hear(event(payload(ScreeningShortlisted), id="shortlisted", at=MORNING + timedelta(days=7)))
    first, second = sorted(desk.deadlines(), key=lambda one: one.due)
    ids = {one.notice_id for one in [*notices(desk.fall_due(first)), *notices(desk.fall_due(second))]}
    assert len(ids) == 4
    assert desk.deadlines() == []


def test_a_late_acknowledgement_counts_and_is_marked() -> None:
    desk, branch, _ = opened()
    desk.mail(branch)
    desk.fall_due(desk.deadlines()[0])
    (answer,) = desk.acknowledge(branch, at=MORNING + timedelta(days=9))
    assert answer.late
    assert desk.state is not None
    assert branch.notice_id not in desk.state.notices


def test_handing_up_with_no_headquarters_named_is_recorded_all_the_same() -> None:
    desk = Desk(without(COMMERCE_HQ, BANK_HQ))
    desk.hear(registered())
    said = desk.fall_due(desk.deadlines()[0])
    assert [one.to for one in escalations(said)] == [(), ()]
    assert len(failures(said)) == 2
    assert notices(said) == []


def test_every_notice_is_accounted_for() -> None:
    desk, branch, zone = opened()
    desk.mail(branch)
    desk.mail(zone, NO_MAILBOX)
    desk.acknowledge(branch)
    for up in notices(desk.said):
        if up.level == 1:
            desk.mail(up)
    assert desk.state is not None
    tally = desk.state.tally
    assert (tally.queued, tally.delivered, tally.failed, tally.acknowledged, tally.escalated) == (4, 3, 1, 1, 1)


def test_folding_the_record_gives_the_state_again_also_after_storing_it() -> None:
    desk, branch, zone = opened()
    desk.hear(event(payload(RiskWarningRaised, level="red"), id="warning"))
    desk.mail(branch)
    desk.acknowledge(branch)
    desk.mail(zone, NO_MAILBOX)
    desk.fall_due(desk.deadlines()[0])
    folded: File | None = None
    for record in desk.said:
        folded = evolve(folded, record)
    assert folded == desk.state
    assert TypeAdapter(File).validate_json(dumps(desk.state)) == desk.state


def test_the_table_has_the_fields_of_the_state() -> None:
    assert set(LiaisonFile.model_fields) - {"key", "version"} == set(File.__dataclass_fields__)
