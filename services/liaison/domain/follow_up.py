"""What becomes of a notice: delivered or not, acknowledged, or handed up because its time ran out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from schemas.envelope import Event, Payload
from schemas.liaison import (
    FailureCode,
    NoticeAcknowledged,
    NoticeAcknowledgementSubmitted,
    NoticeDelivered,
    NoticeFailed,
    NoticeRefusalCode,
    NoticeRefused,
)
from schemas.values import side_of
from services.kit.door import Deadline, Done, EffectResult, Refused
from services.liaison.domain.context import LiaisonContext, Pair
from services.liaison.domain.escalation import not_acknowledged, not_delivered
from services.liaison.domain.state import File, OpenNotice, Stage

GAVE_UP: Final = "attempts-exhausted"
ANSWER_LIMIT: Final = 500

_FAILURES: Final[Mapping[FailureCode, Pair]] = {
    FailureCode.MAIL_REFUSED: Pair(
        "邮件被拒收，请核对名录中联系人的邮箱地址。",
        "The mail was refused; check the person's address in the directory.",
    ),
    FailureCode.ATTEMPTS_EXHAUSTED: Pair(
        "多次尝试后邮件仍未送出，请检查邮件服务。",
        "The mail could not be sent after several attempts; check the mail service.",
    ),
}

_REFUSALS: Final[Mapping[NoticeRefusalCode, Pair]] = {
    NoticeRefusalCode.UNKNOWN_NOTICE: Pair(
        "该档案中没有等待确认的这一编号的通知，请核对通知编号和记录键。",
        "Nothing in this file that waits for acknowledgement has this notice id; check the id and the record key.",
    ),
    NoticeRefusalCode.WRONG_SIDE: Pair(
        "该通知发给了另一方的联系人，请由收件方的系统提交确认。",
        "The notice went to a person of the other side; the recipient's side has to acknowledge it.",
    ),
    NoticeRefusalCode.WRONG_PERSON: Pair(
        "该通知发给了其他联系人，请由收件人本人确认。",
        "The notice went to another person; only its recipient can acknowledge it.",
    ),
}


def decide_sent(state: File | None, event: Event[EffectResult], context: LiaisonContext) -> Iterator[Payload]:
    """The mail server took a notice; or it never will, and then both headquarters hear of it at once."""
    id, outcome, attempts = event.data.effect_id, event.data.outcome, event.data.attempts
    notice = state.notices.get(id) if state is not None else None
    if isinstance(outcome, Done):
        yield NoticeDelivered(notice_id=id, attempts=attempts, answer=outcome.detail[:ANSWER_LIMIT])
    elif state is not None and notice is not None:
        yield _failed(id, notice, outcome, attempts)
        if notice.level == 0 and notice.stage is Stage.WAITING:
            yield from not_delivered(state, id, event, context)


def decide_acknowledgement(
    state: File | None, event: Event[NoticeAcknowledgementSubmitted], context: LiaisonContext
) -> Iterator[Payload]:
    """The recipient, and nobody else, acknowledges a notice, late as well. A repeat by the same person is harmless."""
    file = state if state is not None else File()
    id, person = event.data.notice_id, event.data.person_id
    if file.acknowledged.get(id) == person:
        return
    notice = file.notices.get(id)
    refusal = _what_is_wrong(file, notice, event)
    if refusal is not None or notice is None:
        yield _refused(event.data, refusal or NoticeRefusalCode.UNKNOWN_NOTICE)
        return
    late = notice.stage is Stage.ESCALATED
    yield NoticeAcknowledged(notice_id=id, person_id=person, side=notice.side, acknowledged_at=event.time, late=late)


def decide_overdue(state: File, event: Event[Deadline], context: LiaisonContext) -> Iterator[Payload]:
    """The time for acknowledging ran out."""
    return not_acknowledged(state, event, context)


def _what_is_wrong(
    file: File, notice: OpenNotice | None, event: Event[NoticeAcknowledgementSubmitted]
) -> NoticeRefusalCode | None:
    if event.data.notice_id in file.acknowledged:
        return NoticeRefusalCode.WRONG_PERSON
    if notice is None or notice.due is None:
        return NoticeRefusalCode.UNKNOWN_NOTICE
    if side_of(event.source) is not notice.side:
        return NoticeRefusalCode.WRONG_SIDE
    return NoticeRefusalCode.WRONG_PERSON if event.data.person_id != notice.person else None


def _failed(id: str, notice: OpenNotice, outcome: Refused, attempts: int) -> NoticeFailed:
    code = FailureCode.ATTEMPTS_EXHAUSTED if outcome.code == GAVE_UP else FailureCode.MAIL_REFUSED
    text = _FAILURES[code]
    return NoticeFailed(
        notice_id=id,
        code=code,
        zh=text.zh,
        en=text.en,
        side=notice.side,
        role=notice.role,
        person_id=notice.person,
        attempts=attempts,
        answer=outcome.detail[:ANSWER_LIMIT],
    )


def _refused(asked: NoticeAcknowledgementSubmitted, code: NoticeRefusalCode) -> NoticeRefused:
    text = _REFUSALS[code]
    return NoticeRefused(notice_id=asked.notice_id, person_id=asked.person_id, code=code, zh=text.zh, en=text.en)
