"""What a notice tells of an event: the facts beneath its text, and the values that its text may name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.liaison import NoticeFact
from schemas.loan import (
    LoanApproved,
    LoanDeclined,
    LoanDisbursed,
    LoanExtended,
    LoanOverdue,
    LoanPosition,
    LoanRefused,
    LoanSettled,
    LoanWrittenOff,
)
from schemas.reference import Directory
from schemas.referral import (
    DuplicateFound,
    Referral,
    ReferralAmended,
    ReferralRegistered,
    ReferralRejected,
    ReferralWithdrawn,
)
from schemas.risk import (
    RiskFact,
    RiskLimitBreached,
    RiskRefused,
    RiskWarningCleared,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
    ZoneExposure,
)
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningOpened,
    ScreeningRefused,
    ScreeningReleased,
    ScreeningShortlisted,
)
from schemas.values import Currency, Lane
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import (
    TITLES,
    label,
    listed,
    written_day,
    written_deadline,
    written_moment,
    written_money,
    written_sum,
)
from services.liaison.domain.state import CaseFacts

_SHOWN: Final = 10
_VALUE_LIMIT: Final = 2000

Line = tuple[str, str, Pair]
"""Label in Chinese, label in English, value in both."""

Facts = Iterator[Line]


@dataclass(frozen=True, slots=True)
class Description:
    """`values` for the templates, `facts` for beneath the text."""

    values: dict[str, object]
    facts: tuple[NoticeFact, ...]


def describe(
    event: Event[Any], template: str, case: CaseFacts | None, zone: str | None, directory: Directory
) -> Description:
    """What is to be told of an event. `_VALUES` adds to the values what the texts of its type name."""
    payload = event.data
    place = zone_name(zone, event.time, directory)
    more = _VALUES.get(type(payload))
    values: dict[str, object] = {
        "file": event.subject,
        "name": same(case.name) if case is not None else (place if zone == event.subject else same(event.subject)),
        "zone": place,
        "urgent": case is not None and case.lane is Lane.RESUMPTION,
        "title": TITLES[template],
        **(more(payload) if more else {}),
    }
    lines = [*_lines_of_file(event, case, place), *_FACTS[type(payload)](payload)]
    return Description(values, facts_from(lines))


def facts_from(lines: list[Line]) -> tuple[NoticeFact, ...]:
    """Lines as a notice carries them."""
    return tuple(
        NoticeFact(label_zh=zh, label_en=en, value_zh=_fit(value.zh), value_en=_fit(value.en))
        for zh, en, value in lines
    )


def zone_name(zone: str | None, on: datetime, directory: Directory) -> Pair:
    """The names of a zone; its code where the directory does not know it, a dash where there is none."""
    if zone is None:
        return Pair("—", "–")
    known = directory.zone(zone, on)
    return Pair(known.name_zh, known.name_en) if known is not None else same(zone)


def same(text: str) -> Pair:
    """What reads alike in both languages: names, ids, somebody's own words."""
    return Pair(text, text)


def _fit(text: str) -> str:
    return text if len(text) <= _VALUE_LIMIT else text[: _VALUE_LIMIT - 1] + "…"


def _lines_of_file(event: Event[Any], case: CaseFacts | None, place: Pair) -> Facts:
    payload = event.data
    if case is not None:
        yield "案件编号", "Case", same(event.subject)
        yield "名称", "Name", same(case.name)
        yield "通道", "Lane", label(case.lane)
    elif isinstance(payload, RiskFact):
        yield "对象", "Subject", _subject(payload)
    else:
        yield "推荐编号", "Referral", same(event.subject)
    if place.en != "–":
        yield "合作区", "Zone", place


def _subject(payload: RiskFact) -> Pair:
    kind = label(payload.subject_kind)
    return Pair(f"{kind.zh} {payload.subject}", f"{kind.en} {payload.subject}")


# --- referral ---------------------------------------------------------------------------------------------------------


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
    for fault in payload.faults[:_SHOWN]:
        where = fault.pointer or "/"
        yield "错误", "Fault", Pair(f"{where}：{fault.zh}", f"{where}: {fault.en}")
    if len(payload.faults) > _SHOWN:
        count = len(payload.faults)
        yield "错误总数", "Faults in all", same(str(count))


def _duplicate(payload: DuplicateFound) -> Facts:
    yield "已有案件", "Existing case", same(payload.duplicate_of)
    yield "判定规则", "Rule", label(payload.rule)


# --- screening --------------------------------------------------------------------------------------------------------


def _opened(payload: ScreeningOpened) -> Facts:
    yield "意见截止", "Opinions due", written_deadline(payload.deadline, payload.deadline_provisional)


def _shortlisted(payload: ScreeningShortlisted) -> Facts:
    yield "重点领域", "Key areas", listed(label(area) for area in payload.key_areas)
    yield "政策得分", "Policy score", same(str(payload.score))
    yield "政策版本", "Policy version", same(payload.policy_version)


def _declined(payload: ScreeningDeclined) -> Facts:
    yield "性质", "Finality", label(payload.finality)
    for reason in payload.reasons[:_SHOWN]:
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


def _refused(payload: ScreeningRefused | LoanRefused | RiskRefused) -> Facts:
    yield "被拒事项", "Refused", same(payload.refused_type)
    yield "事件编号", "Event", same(payload.refused_id)
    yield "原因", "Reason", Pair(payload.zh, payload.en)


# --- loan -------------------------------------------------------------------------------------------------------------


def _position(loan: LoanPosition) -> Facts:
    yield "贷款编号", "Loan", same(loan.loan_id)
    yield "累计发放", "Disbursed so far", written_sum(loan.disbursed, loan.currency)
    yield "未偿本金", "Principal outstanding", written_sum(loan.outstanding, loan.currency)
    if loan.matures_on is not None:
        yield "到期日", "Matures on", written_day(loan.matures_on)


def _approved(payload: LoanApproved) -> Facts:
    loan = payload.loan
    yield "贷款编号", "Loan", same(loan.loan_id)
    yield "批准金额", "Approved", written_sum(loan.approved, loan.currency)
    yield "期限", "Term", Pair(f"{loan.term_months}个月", f"{loan.term_months} months")


def _loan_declined(payload: LoanDeclined) -> Facts:
    yield "贷款编号", "Loan", same(payload.loan.loan_id)
    yield "申请金额", "Applied for", written_sum(payload.loan.applied, payload.loan.currency)
    # Events of former releases name the decisive reason alone.
    for text in [reason.text for reason in payload.reasons] or [payload.text]:
        yield "理由", "Reason", same(text)


def _disbursed(payload: LoanDisbursed) -> Facts:
    yield "本次发放", "Paid out", written_money(payload.amount)
    yield from _position(payload.loan)


def _overdue(payload: LoanOverdue) -> Facts:
    loan = payload.loan
    yield "逾期天数", "Days overdue", same(str(loan.overdue_days))
    yield "逾期本金", "Principal overdue", written_sum(loan.overdue_principal, loan.currency)
    yield "逾期利息", "Interest overdue", written_sum(loan.overdue_interest, loan.currency)
    yield from _position(loan)


def _extended(payload: LoanExtended) -> Facts:
    yield "原到期日", "Matured on", written_day(payload.matured_on)
    yield "原因", "Reason", same(payload.text)
    yield from _position(payload.loan)


def _settled(payload: LoanSettled) -> Facts:
    yield from _position(payload.loan)


def _written_off(payload: LoanWrittenOff) -> Facts:
    yield "核销本金", "Principal written off", written_sum(payload.loan.written_off, payload.loan.currency)
    yield from _position(payload.loan)


# --- risk -------------------------------------------------------------------------------------------------------------


def _exposure(exposure: ZoneExposure) -> Facts:
    yield "合作区敞口", "Zone exposure", written_sum(exposure.total_cny, Currency.CNY)
    yield "合作区限额", "Zone limit", written_sum(exposure.limit_cny, Currency.CNY)


def _warning(payload: RiskWarningRaised) -> Facts:
    if isinstance(payload, RiskWarningRaisedFurther):
        yield "原级别", "Level before", label(payload.level_before)
    yield "预警级别", "Level", label(payload.level)
    for cause in payload.causes[:_SHOWN]:
        yield "原因", "Cause", Pair(cause.zh, cause.en)
    if payload.exposure is not None:
        yield from _exposure(payload.exposure)


def _cleared(payload: RiskWarningCleared) -> Facts:
    yield "原级别", "Level before", label(payload.level_before)
    yield "原因", "Reason", Pair(payload.reason.zh, payload.reason.en)


def _breached(payload: RiskLimitBreached) -> Facts:
    yield "说明", "Explanation", Pair(payload.reason.zh, payload.reason.en)
    yield from _exposure(payload.exposure)


_FACTS: Final[Mapping[type[Payload], Callable[[Any], Facts]]] = {
    ReferralRegistered: _registered,
    ReferralAmended: _amended,
    ReferralWithdrawn: _withdrawn,
    ReferralRejected: _rejected,
    DuplicateFound: _duplicate,
    ScreeningOpened: _opened,
    ScreeningShortlisted: _shortlisted,
    ScreeningDeclined: _declined,
    ScreeningExpired: _expired,
    ScreeningHeld: _held,
    ScreeningReleased: _released,
    ScreeningRefused: _refused,
    LoanApproved: _approved,
    LoanDeclined: _loan_declined,
    LoanDisbursed: _disbursed,
    LoanOverdue: _overdue,
    LoanExtended: _extended,
    LoanSettled: _settled,
    LoanWrittenOff: _written_off,
    LoanRefused: _refused,
    RiskWarningRaised: _warning,
    RiskWarningRaisedFurther: _warning,
    RiskWarningCleared: _cleared,
    RiskLimitBreached: _breached,
    RiskRefused: _refused,
}

_VALUES: Final[Mapping[type[Payload], Callable[[Any], dict[str, object]]]] = {
    ReferralRegistered: lambda payload: {"side": label(payload.side), "lane": label(payload.referral.lane)},
    ScreeningOpened: lambda payload: {"deadline": written_moment(payload.deadline)},
    ScreeningDeclined: lambda payload: {"repairable": payload.finality == "repairable"},
    ScreeningExpired: lambda payload: {"missing": listed(label(side) for side in payload.missing)},
    ScreeningReleased: lambda payload: {"still_held": bool(payload.holds)},
    LoanDisbursed: lambda payload: {"amount": written_money(payload.amount)},
    LoanOverdue: lambda payload: {"days": payload.loan.overdue_days},
    LoanApproved: lambda payload: {"amount": written_sum(payload.loan.approved, payload.loan.currency)},
    LoanExtended: lambda payload: {"day": written_day(payload.loan.matures_on) if payload.loan.matures_on else None},
    RiskWarningRaised: lambda payload: {"subject": _subject(payload), "level": label(payload.level)},
    RiskWarningRaisedFurther: lambda payload: {"subject": _subject(payload), "level": label(payload.level)},
    RiskWarningCleared: lambda payload: {"subject": _subject(payload), "level": label(payload.level_before)},
}
