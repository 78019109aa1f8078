"""What notices tell while opinions are awaited or a conference sits: drafts, reminders, more time, precedents."""

from __future__ import annotations

from typing import Final

from schemas.deliberation import (
    ScreeningConferenceCalled,
    ScreeningEscalated,
    ScreeningExtended,
    ScreeningOpinionDrafted,
    ScreeningOpinionReturned,
    ScreeningPrecedentWeighed,
    ScreeningReminded,
)
from schemas.opinion import OPINION_CODES, OpinionReason
from schemas.values import Side
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import label, listed, written_deadline, written_moment
from services.liaison.domain.lines import SHOWN, Facts, FactsOf, ValuesOf, same


def _reasons(reasons: tuple[OpinionReason, ...]) -> Facts:
    for reason in reasons[:SHOWN]:
        meaning = OPINION_CODES[reason.code]
        yield "理由", "Reason", Pair(f"{meaning.zh}（{reason.text}）", f"{meaning.en} ({reason.text})")


def _drafted(payload: ScreeningOpinionDrafted) -> Facts:
    yield "结论", "Verdict", label(payload.verdict)
    yield from _reasons(payload.reasons)
    yield "经办人", "Given by", same(payload.given_by)
    yield "意见编号", "Opinion", same(payload.opinion_id)


def _returned(payload: ScreeningOpinionReturned) -> Facts:
    yield "需要修改之处", "What is to be changed", same(payload.text)
    yield "经办人", "Given by", same(payload.given_by)
    yield "复核人", "Checked by", same(payload.returned_by)
    yield "意见编号", "Opinion", same(payload.opinion_id)


def _missing(payload: ScreeningReminded | ScreeningEscalated) -> Facts:
    yield "未发表意见", "Opinion missing from", _sides(payload.missing)
    if payload.unchecked:
        yield "意见待复核", "Opinion not checked yet by", _sides(payload.unchecked)


def _reminded(payload: ScreeningReminded) -> Facts:
    yield from _missing(payload)
    yield "意见截止", "Opinions due", written_deadline(payload.deadline, payload.deadline_provisional)


def _escalated(payload: ScreeningEscalated) -> Facts:
    yield from _missing(payload)
    yield "原定截止", "Opinions were due", written_moment(payload.deadline)
    yield "宽限至", "Last moment", written_deadline(payload.grace_until, payload.grace_provisional)


def _extended(payload: ScreeningExtended) -> Facts:
    yield "申请方", "Asked for by", label(payload.side)
    yield "原因", "Reason", label(payload.code)
    yield "说明", "Explanation", same(payload.text)
    yield "新的意见截止", "Opinions now due", written_deadline(payload.deadline, payload.deadline_provisional)


def _conference(payload: ScreeningConferenceCalled) -> Facts:
    yield "支持方", "Supported by", label(payload.supported_by)
    yield "反对方", "Opposed by", label(payload.opposed_by)
    yield from _reasons(payload.reasons)
    yield "会商截止", "Outcomes due", written_deadline(payload.deadline, payload.deadline_provisional)


def _precedent(payload: ScreeningPrecedentWeighed) -> Facts:
    yield "原案件", "Case that it repairs", same(payload.forerunner)
    yield "沿用意见", "Opinions taken over", _sides(payload.carried)


def _sides(sides: tuple[Side, ...]) -> Pair:
    return listed(label(side) for side in sides)


FACTS: Final[FactsOf] = {
    ScreeningOpinionDrafted: _drafted,
    ScreeningOpinionReturned: _returned,
    ScreeningReminded: _reminded,
    ScreeningEscalated: _escalated,
    ScreeningExtended: _extended,
    ScreeningConferenceCalled: _conference,
    ScreeningPrecedentWeighed: _precedent,
}

VALUES: Final[ValuesOf] = {
    ScreeningReminded: lambda payload: {"deadline": written_moment(payload.deadline)},
    ScreeningEscalated: lambda payload: {
        "missing": _sides(payload.missing),
        "until": written_moment(payload.grace_until),
    },
    ScreeningExtended: lambda payload: {"side": label(payload.side), "deadline": written_moment(payload.deadline)},
    ScreeningConferenceCalled: lambda payload: {
        "supporters": label(payload.supported_by),
        "opponents": label(payload.opposed_by),
        "deadline": written_moment(payload.deadline),
    },
    ScreeningPrecedentWeighed: lambda payload: {"forerunner": same(payload.forerunner)},
}
