"""What notices tell of sharing a case with partners. What a partner itself is told comes from its invitation alone."""

from __future__ import annotations

from typing import Final

from schemas.consortium import ConsortiumComplete, ConsortiumShort, CooperationConsentMissing, CooperationModeProposed
from schemas.partner import (
    CooperationInvitationEnded,
    CooperationInvitationPaused,
    CooperationInvitationResumed,
    CooperationPartnerInvited,
)
from schemas.sharing import PartnerShare
from schemas.terms import CooperationTermsDiffer
from schemas.values import Balance
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import label, written_deadline, written_moment, written_money, written_sum
from services.liaison.domain.lines import SHOWN, Facts, FactsOf, ValuesOf, same


def _mode(payload: CooperationModeProposed) -> Facts:
    yield "合作方式", "Mode", label(payload.mode)
    if payload.wished is not None and not payload.wish_granted:
        yield "推荐方意向", "What the referrer had in mind", label(payload.wished)
    yield "本行承担", "The bank keeps", _sum(payload.own)
    yield "合作机构承担", "Partners are to take", _sum(payload.wanted)
    yield "规则版本", "Version of the rules", same(payload.rules_version)


def _consent(payload: CooperationConsentMissing) -> Facts:
    yield "合作方式", "Mode", label(payload.mode)
    yield "需要办理", "What to do", Pair(payload.zh, payload.en)


def _invited(payload: CooperationPartnerInvited) -> Facts:
    yield "名称", "Name", same(payload.name)
    yield "融资需求", "Financing need", label(payload.need)
    yield "金额", "Amount", written_money(payload.amount)
    yield "期限", "Term", Pair(f"{payload.term_months}个月", f"{payload.term_months} months")
    yield "合作方式", "Mode", label(payload.mode)
    yield "份额所指", "Parts are parts of", label(payload.share_of)
    percent = f"{payload.missing_percent}%"
    most = _sum(payload.missing)
    yield "最多可承担", "The most that you can take", Pair(f"{most.zh}（{percent}）", f"{most.en} ({percent})")
    yield "最少须承担", "The least that you can take", _sum(payload.smallest)
    yield "答复截止", "Answer due", written_deadline(payload.deadline, payload.deadline_provisional)


def _ended(payload: CooperationInvitationEnded) -> Facts:
    yield "原因", "Reason", Pair(payload.zh, payload.en)


def _paused(payload: CooperationInvitationPaused) -> Facts:
    yield "说明", "Explanation", Pair(payload.zh, payload.en)
    yield "剩余工作日", "Working days left", same(str(payload.working_days_left))


def _resumed(payload: CooperationInvitationResumed) -> Facts:
    yield "新的答复截止", "Answer due now", written_deadline(payload.deadline, payload.deadline_provisional)


def _complete(payload: ConsortiumComplete) -> Facts:
    yield "合作方式", "Mode", label(payload.mode)
    yield "金额", "Amount", written_money(payload.amount)
    yield "本行承担", "The bank keeps", _sum(payload.own)
    yield from _shares(payload.shares)


def _short(payload: ConsortiumShort) -> Facts:
    yield "合作方式", "Mode", label(payload.mode)
    yield "尚缺", "Missing", _sum(payload.missing)
    yield "说明", "Explanation", Pair(payload.zh, payload.en)
    yield "本行承担", "The bank keeps", _sum(payload.own)
    yield from _shares(payload.shares)


def _terms(payload: CooperationTermsDiffer) -> Facts:
    yield "贷款编号", "Loan", same(payload.loan_id)
    yield "约定方式", "Mode agreed on", label(payload.agreed_mode)
    yield "贷款方式", "Mode of the loan", label(payload.mode)
    yield "约定由银行发放", "The bank was to lend", _sum(payload.agreed)
    yield "合同金额", "Sum of the contract", _sum(payload.contracted)
    for one in payload.differences:
        yield "差异", "Difference", Pair(one.zh, one.en)


def _shares(shares: tuple[PartnerShare, ...]) -> Facts:
    for share in shares[:SHOWN]:
        sum = written_money(share.amount)
        yield "合作机构份额", "Partner's part", Pair(f"{share.partner}：{sum.zh}", f"{share.partner}: {sum.en}")


def _sum(balance: Balance) -> Pair:
    return written_sum(balance.amount, balance.currency)


FACTS: Final[FactsOf] = {
    CooperationModeProposed: _mode,
    CooperationConsentMissing: _consent,
    CooperationPartnerInvited: _invited,
    CooperationInvitationEnded: _ended,
    CooperationInvitationPaused: _paused,
    CooperationInvitationResumed: _resumed,
    ConsortiumComplete: _complete,
    ConsortiumShort: _short,
    CooperationTermsDiffer: _terms,
}

VALUES: Final[ValuesOf] = {
    CooperationModeProposed: lambda payload: {"mode": label(payload.mode), "shared": bool(payload.wanted.amount)},
    CooperationConsentMissing: lambda payload: {"mode": label(payload.mode)},
    CooperationPartnerInvited: lambda payload: {
        "mode": label(payload.mode),
        "deadline": written_moment(payload.deadline),
    },
    CooperationInvitationResumed: lambda payload: {"deadline": written_moment(payload.deadline)},
    ConsortiumShort: lambda payload: {"missing": _sum(payload.missing)},
}
