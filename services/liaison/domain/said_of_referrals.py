"""What notices tell of referrals: what was registered, changed, taken back or turned away."""

from __future__ import annotations

from typing import Final

from schemas.referral import (
    DuplicateFound,
    Referral,
    ReferralAmended,
    ReferralRegistered,
    ReferralRejected,
    ReferralWithdrawn,
)
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import label, listed, written_money
from services.liaison.domain.lines import SHOWN, Facts, FactsOf, ValuesOf, same


def _referral(referral: Referral) -> Facts:
    yield "推荐对象", "Subject", label(referral.subject_kind)
    yield "重点领域", "Key area", label(referral.key_area)
    yield "融资需求", "Financing need", label(referral.need)
    yield "金额", "Amount", written_money(referral.amount)
    yield "期限", "Term", Pair(f"{referral.term_months}个月", f"{referral.term_months} months")


def _registered(payload: ReferralRegistered) -> Facts:
    yield "推荐方", "Referred by", label(payload.side)
    yield from _referral(payload.referral)


def _amended(payload: ReferralAmended) -> Facts:
    yield "版本", "Version", same(str(payload.revision))
    yield "变更项", "Changed", listed(same(pointer) for pointer in payload.changed)
    yield "变更原因", "Reason", same(payload.reason)
    yield from _referral(payload.referral)


def _withdrawn(payload: ReferralWithdrawn) -> Facts:
    yield "撤回原因", "Reason", label(payload.code)
    yield "说明", "Explanation", same(payload.reason)


def _rejected(payload: ReferralRejected) -> Facts:
    for fault in payload.faults[:SHOWN]:
        where = fault.pointer or "/"
        yield "错误", "Fault", Pair(f"{where}：{fault.zh}", f"{where}: {fault.en}")
    if len(payload.faults) > SHOWN:
        count = len(payload.faults)
        yield "错误总数", "Faults in all", same(str(count))


def _duplicate(payload: DuplicateFound) -> Facts:
    yield "已有案件", "Existing case", same(payload.duplicate_of)
    yield "判定规则", "Rule", label(payload.rule)


FACTS: Final[FactsOf] = {
    ReferralRegistered: _registered,
    ReferralAmended: _amended,
    ReferralWithdrawn: _withdrawn,
    ReferralRejected: _rejected,
    DuplicateFound: _duplicate,
}

VALUES: Final[ValuesOf] = {
    ReferralRegistered: lambda payload: {"side": label(payload.side), "lane": label(payload.referral.lane)},
}
