"""The rules of one version, and what they say of days, exposure and figures."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Protocol

from schemas.envelope import Event
from schemas.risk import LoanGrade, RiskSubject, WarningLevel

CHINA: Final = timezone(timedelta(hours=8))
"""Business dates are dates in China, which has one time zone and no summer time."""

CENT: Final = Decimal("0.01")
SEVERITY: Final[Mapping[WarningLevel | None, int]] = {
    None: 0,
    **{level: rank for rank, level in enumerate(WarningLevel, start=1)},
}


def more_severe(one: WarningLevel | None, other: WarningLevel | None) -> bool:
    """Whether `one` is more severe than `other`; None is no warning at all."""
    return SEVERITY[one] > SEVERITY[other]


@dataclass(frozen=True, slots=True)
class LoanRules:
    """How overdue days become a class, and a class a warning.

    more_than_days: (days, grade) with days ascending: overdue for more days than that, at least that grade.
    levels: level of each grade; `within_grace` is the level while days are overdue that no grade counts yet.
    """

    more_than_days: tuple[tuple[int, LoanGrade], ...]
    levels: Mapping[LoanGrade, WarningLevel]
    within_grace: WarningLevel | None

    def grade(self, overdue_days: int) -> LoanGrade:
        """The class that so many days overdue call for."""
        grade = LoanGrade.NORMAL
        for days, worse in self.more_than_days:
            if overdue_days > days:
                grade = worse
        return grade

    def level(self, grade: LoanGrade, overdue_days: int) -> WarningLevel | None:
        """The warning that a class calls for."""
        if grade is LoanGrade.NORMAL:
            return self.within_grace if overdue_days else None
        return self.levels.get(grade)


@dataclass(frozen=True, slots=True)
class ZoneRules:
    """Limits of exposure, in yuan, and the shares of them (in percent) from which warnings are raised.

    cleared_below: the share under which a warning is cleared; lower than the first level's, so that an exposure that
    moves about a threshold does not raise and clear by turns.
    usd_cny: accounting rate, yuan for one dollar, as set on `rate_date`.
    """

    default_limit: Decimal
    limits: Mapping[str, Decimal]
    from_percent: tuple[tuple[Decimal, WarningLevel], ...]
    cleared_below: Decimal
    usd_cny: Decimal
    rate_date: date

    def limit_of(self, zone: str) -> Decimal:
        """The limit of a zone in yuan."""
        return self.limits.get(zone, self.default_limit)

    def total(self, cny: Decimal, usd: Decimal) -> Decimal:
        """Both currencies together, in yuan, to the cent."""
        return (cny + usd * self.usd_cny).quantize(CENT, rounding=ROUND_HALF_UP)

    def level(self, share: Decimal) -> WarningLevel | None:
        """The warning that a share of the limit (in percent) calls for."""
        level = None
        for percent, worse in self.from_percent:
            if share >= percent:
                level = worse
        return level


@dataclass(frozen=True, slots=True)
class IndicatorRule:
    """From which value on a figure calls for a warning; `rising` tells whether higher is worse. Only in this unit."""

    unit: str
    rising: bool
    thresholds: tuple[tuple[Decimal, WarningLevel], ...]

    def level(self, value: Decimal) -> WarningLevel | None:
        """The warning that a value calls for."""
        level = None
        for threshold, worse in self.thresholds:
            if value >= threshold if self.rising else value <= threshold:
                level = worse
        return level


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of the rules, in force from a day on (date in China) until the next version's."""

    version: str
    effective_from: date
    loan: LoanRules
    zone: ZoneRules
    indicators: Mapping[tuple[RiskSubject, str], IndicatorRule]


class RuleBook:
    """All versions of the rules. What happened before the first version's day is judged by the first."""

    def __init__(self, versions: tuple[Rules, ...]) -> None:
        if not versions:
            raise ValueError("a rule book needs at least one version")
        self._versions = tuple(sorted(versions, key=lambda rules: rules.effective_from))
        self._days = [rules.effective_from for rules in self._versions]
        if len(set(self._days)) < len(self._days):
            raise ValueError("two versions of the rules are in force from the same day; give each its own")

    def at(self, moment: datetime) -> Rules:
        """The version in force on the business date of a moment."""
        index = bisect_right(self._days, moment.astimezone(CHINA).date()) - 1
        return self._versions[max(index, 0)]

    @property
    def versions(self) -> tuple[Rules, ...]:
        """All versions, oldest first."""
        return self._versions

    def learn(self, event: Event[object]) -> None:
        """No reference topic is read: the rules come with the service."""


class Rulings(Protocol):
    """What decisions look up."""

    def at(self, moment: datetime) -> Rules:
        """The version in force on the business date of a moment."""
