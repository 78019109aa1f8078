"""What notices tell of referrals: what was registered, changed, taken back or turned away."""

from __future__ import annotations

from typing import Final

from schemas.faults import Fault
from schemas.referral import (
    DuplicateFound,
    Referral,
    ReferralAmended,
    ReferralRefused,
    ReferralRegistered,
    ReferralRejected,
    ReferralWithdrawn,
)
from schemas.referral_course import ConsentAwaited, ReferralClosed
from schemas.resemblance import ResemblanceFlagged
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import label, listed, written_deadline, written_moment, written_money
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
    return _faults(payload.faults)


def _faults(faults: tuple[Fault, ...]) -> Facts:
    for fault in faults[:SHOWN]:
        where = fault.pointer or "/"
        yield "错误", "Fault", Pair(f"{where}：{fault.zh}", f"{where}: {fault.en}")
    if len(faults) > SHOWN:
        yield "错误总数", "Faults in all", same(str(len(faults)))


def _duplicate(payload: DuplicateFound) -> Facts:
    yield "已有案件", "Existing case", same(payload.duplicate_of)
    yield "判定规则", "Rule", label(payload.rule)


def _refused(payload: ReferralRefused) -> Facts:
    yield "被拒事项", "Refused", same(payload.refused_type)
    if payload.refused_id is not None:
        yield "事件编号", "Event", same(payload.refused_id)
    yield "原因", "Reason", Pair(payload.zh, payload.en)
    yield from _faults(payload.faults)


def _awaited(payload: ConsentAwaited) -> Facts:
    yield "缺少授权的一方", "Consent is missing for", listed(label(scope) for scope in payload.missing)
    yield "补充截止", "Due by", written_deadline(payload.until, payload.until_provisional)


def _closed(payload: ReferralClosed) -> Facts:
    yield "结束原因", "What ended it", Pair(payload.zh, payload.en)
    if payload.duplicate_of is not None:
        yield "同一事项的案件", "The case that it repeats", same(payload.duplicate_of)


def _flagged(payload: ResemblanceFlagged) -> Facts:
    for one in payload.resembles[:SHOWN]:
        alike = Pair(f"{one.referral_id}：{one.zh}", f"{one.referral_id}: {one.en}")
        yield "相似案件", "Resembles", alike


FACTS: Final[FactsOf] = {
    ReferralRegistered: _registered,
    ReferralAmended: _amended,
    ReferralWithdrawn: _withdrawn,
    ReferralRejected: _rejected,
    DuplicateFound: _duplicate,
    ReferralRefused: _refused,
    ConsentAwaited: _awaited,
    ReferralClosed: _closed,
    ResemblanceFlagged: _flagged,
}

VALUES: Final[ValuesOf] = {
    ReferralRegistered: lambda payload: {"side": label(payload.side), "lane": label(payload.referral.lane)},
    ConsentAwaited: lambda payload: {"until": written_moment(payload.until)},
    ReferralClosed: lambda payload: {"repairable": payload.repairable},
}
