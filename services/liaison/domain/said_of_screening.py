"""What notices tell of joint screening."""

from __future__ import annotations

from typing import Final

from schemas.chain import ScreeningChainRaised
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningOpened,
    ScreeningRefused,
    ScreeningReleased,
    ScreeningShortlisted,
)
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import label, listed, written_deadline, written_moment
from services.liaison.domain.lines import SHOWN, Facts, FactsOf, ValuesOf, refused, same


def _opened(payload: ScreeningOpened) -> Facts:
    yield "意见截止", "Opinions due", written_deadline(payload.deadline, payload.deadline_provisional)


def _shortlisted(payload: ScreeningShortlisted) -> Facts:
    yield "重点领域", "Key areas", listed(label(area) for area in payload.key_areas)
    yield "政策得分", "Policy score", same(str(payload.score))
    yield "政策版本", "Policy version", same(payload.policy_version)


def _declined(payload: ScreeningDeclined) -> Facts:
    yield "性质", "Finality", label(payload.finality)
    for reason in payload.reasons[:SHOWN]:
        own = f"（{reason.text}）" if reason.text else ""
        own_en = f" ({reason.text})" if reason.text else ""
        yield "理由", "Reason", Pair(f"{reason.zh}{own}", f"{reason.en}{own_en}")
        if reason.remedy_zh and reason.remedy_en:
            yield "如何补正", "How to repair", Pair(reason.remedy_zh, reason.remedy_en)


def _expired(payload: ScreeningExpired) -> Facts:
    yield "未发表意见", "Opinion missing from", listed(label(side) for side in payload.missing)
    yield "截止时间", "Deadline", written_deadline(payload.deadline, payload.deadline_provisional)


def _held(payload: ScreeningHeld) -> Facts:
    yield "预警级别", "Warning level", label(payload.level)
    yield "原因", "Reason", Pair(payload.zh, payload.en)


def _released(payload: ScreeningReleased) -> Facts:
    yield "原因", "Reason", Pair(payload.zh, payload.en)
    if payload.holds:
        yield "仍有暂停", "Still held by", listed(same(hold) for hold in payload.holds)
    if payload.deadline is not None:
        yield "新的截止时间", "New deadline", written_deadline(payload.deadline, payload.deadline_provisional)


def _chain(payload: ScreeningChainRaised) -> Facts:
    yield "供应链编号", "Supply chain", same(payload.chain_id)
    for link in payload.blocked_by[:SHOWN]:
        standing = label(link.standing)
        blocked = Pair(f"案件 {link.referral_id}：{standing.zh}", f"case {link.referral_id}: {standing.en}")
        yield "受阻环节", "Blocked link", blocked


FACTS: Final[FactsOf] = {
    ScreeningOpened: _opened,
    ScreeningShortlisted: _shortlisted,
    ScreeningDeclined: _declined,
    ScreeningExpired: _expired,
    ScreeningHeld: _held,
    ScreeningReleased: _released,
    ScreeningRefused: refused,
    ScreeningChainRaised: _chain,
}

VALUES: Final[ValuesOf] = {
    ScreeningOpened: lambda payload: {"deadline": written_moment(payload.deadline)},
    ScreeningDeclined: lambda payload: {"repairable": payload.finality == "repairable"},
    ScreeningExpired: lambda payload: {"missing": listed(label(side) for side in payload.missing)},
    ScreeningReleased: lambda payload: {"still_held": bool(payload.holds)},
}
