"""What notices tell of risk: warnings and limits."""

from __future__ import annotations

from typing import Final

from schemas.risk import (
    RiskFact,
    RiskLimitBreached,
    RiskRefused,
    RiskWarningCleared,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
    ZoneExposure,
)
from schemas.values import Currency
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import label, written_sum
from services.liaison.domain.lines import SHOWN, Facts, FactsOf, ValuesOf, refused


def subject_of(payload: RiskFact) -> Pair:
    """What the statement is about: 合作区 manzhouli / zone manzhouli."""
    kind = label(payload.subject_kind)
    return Pair(f"{kind.zh} {payload.subject}", f"{kind.en} {payload.subject}")


def _exposure(exposure: ZoneExposure) -> Facts:
    yield "合作区敞口", "Zone exposure", written_sum(exposure.total_cny, Currency.CNY)
    yield "合作区限额", "Zone limit", written_sum(exposure.limit_cny, Currency.CNY)


def _warning(payload: RiskWarningRaised) -> Facts:
    if isinstance(payload, RiskWarningRaisedFurther):
        yield "原级别", "Level before", label(payload.level_before)
    yield "预警级别", "Level", label(payload.level)
    for cause in payload.causes[:SHOWN]:
        yield "原因", "Cause", Pair(cause.zh, cause.en)
    if payload.exposure is not None:
        yield from _exposure(payload.exposure)


def _cleared(payload: RiskWarningCleared) -> Facts:
    yield "原级别", "Level before", label(payload.level_before)
    yield "原因", "Reason", Pair(payload.reason.zh, payload.reason.en)


def _breached(payload: RiskLimitBreached) -> Facts:
    yield "说明", "Explanation", Pair(payload.reason.zh, payload.reason.en)
    yield from _exposure(payload.exposure)


FACTS: Final[FactsOf] = {
    RiskWarningRaised: _warning,
    RiskWarningRaisedFurther: _warning,
    RiskWarningCleared: _cleared,
    RiskLimitBreached: _breached,
    RiskRefused: refused,
}

VALUES: Final[ValuesOf] = {
    RiskWarningRaised: lambda payload: {"subject": subject_of(payload), "level": label(payload.level)},
    RiskWarningRaisedFurther: lambda payload: {"subject": subject_of(payload), "level": label(payload.level)},
    RiskWarningCleared: lambda payload: {"subject": subject_of(payload), "level": label(payload.level_before)},
}
