"""What notices tell of questions to the bank."""

from __future__ import annotations

from typing import Final

from schemas.advice import (
    AdviceAnswered,
    AdviceEscalated,
    AdviceFact,
    AdviceFurtherRouted,
    AdviceReminded,
    AdviceRouted,
    AdviceTerm,
    AdviceTopic,
)
from services.liaison.domain.labels import label_of, written_deadline, written_moment
from services.liaison.domain.lines import SHOWN, Facts, FactsOf, ValuesOf, same


def _routed(payload: AdviceRouted) -> Facts:
    yield "咨询类别", "Topic", label_of(AdviceTopic, payload.topic)
    if payload.enterprise is not None:
        yield "企业", "Enterprise", same(payload.enterprise.name)
    yield from _asked(payload)


def _asked(payload: AdviceTerm) -> Facts:
    yield "问题", "Question", same(payload.question)
    for document in payload.documents[:SHOWN]:
        yield "文件", "Document", same(document.uri)
    yield "提问人", "Asked by", same(payload.asked_by)
    yield "答复截止", "Answer due", written_deadline(payload.deadline, payload.deadline_provisional)


def _reminded(payload: AdviceReminded) -> Facts:
    yield from _round(payload)
    yield "答复截止", "Answer due", written_moment(payload.deadline)


def _round(payload: AdviceFact) -> Facts:
    yield "第几问", "Which question", same(str(payload.round))
    yield "承办单位", "Routed to", same(payload.routed_to)


def _answered(payload: AdviceAnswered) -> Facts:
    yield from _round(payload)
    yield "答复", "Answer", same(payload.answer)
    for document in payload.documents[:SHOWN]:
        yield "文件", "Document", same(document.uri)
    yield "可继续提问至", "Further questions until", written_moment(payload.closes_at)


FACTS: Final[FactsOf] = {
    AdviceRouted: _routed,
    AdviceFurtherRouted: _asked,
    AdviceReminded: _reminded,
    AdviceEscalated: _round,
    AdviceAnswered: _answered,
}

VALUES: Final[ValuesOf] = {
    AdviceRouted: lambda payload: {"deadline": written_moment(payload.deadline)},
    AdviceFurtherRouted: lambda payload: {"deadline": written_moment(payload.deadline)},
    AdviceReminded: lambda payload: {"deadline": written_moment(payload.deadline)},
}
