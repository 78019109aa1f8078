"""What the risk monitor remembers: of each case, and of each subject that figures or exposure are about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from schemas.envelope import Payload
from schemas.indicator import Period
from schemas.risk import (
    IndicatorFigures,
    LoanGrade,
    RiskAssessed,
    RiskExposureCounted,
    RiskLimitBreached,
    RiskReleaseRecorded,
    RiskSubject,
    RiskWarningCleared,
    RiskWarningRaised,
    WarningLevel,
)
from schemas.values import Balance, Currency, Side

ZERO = Decimal(0)
BOTH_SIDES = frozenset(Side)


@dataclass(frozen=True, slots=True)
class RiskCase:
    """One case. `outstanding` is what it counts in its zone: nothing once written off. `released_by`: sides that agreed
    to lift the hold of the present warning."""

    zone: str
    credit_code: str | None
    undecided: bool
    shortlisted: bool
    outstanding: Decimal
    currency: Currency
    overdue_days: int
    grade: LoanGrade
    level: WarningLevel | None = None
    released_by: tuple[Side, ...] = ()

    @property
    def held(self) -> bool:
        """Whether the case's own warning holds it."""
        return holds(self.level, self.released_by)


@dataclass(frozen=True, slots=True)
class KnownFigure:
    """The newest figure of one side and name that a rule looks at."""

    period: str
    value: Decimal
    unit: str
    level: WarningLevel | None


@dataclass(frozen=True, slots=True)
class RiskSubjectState:
    """A zone, enterprise or project. For zones: principal outstanding by currency, and the ids of undecided cases.

    `figures` holds the newest figure by `side/name`, and only those that a rule judges, so that it stays small.
    `limit_breached`: said already while the present warning lasts.
    """

    kind: RiskSubject
    cny: Decimal = ZERO
    usd: Decimal = ZERO
    undecided: tuple[str, ...] = ()
    figures: dict[str, KnownFigure] = field(default_factory=dict)
    level: WarningLevel | None = None
    released_by: tuple[Side, ...] = ()
    limit_breached: bool = False

    @property
    def held(self) -> bool:
        """Whether the subject's warning holds its undecided cases."""
        return self.kind is RiskSubject.ZONE and holds(self.level, self.released_by)


def holds(level: WarningLevel | None, released_by: tuple[Side, ...]) -> bool:
    """A red warning holds until both sides have agreed to lift the hold."""
    return level is WarningLevel.RED and not BOTH_SIDES.issubset(released_by)


def evolve_case(state: RiskCase | None, payload: Payload) -> RiskCase:
    """The state of a case after one of its records."""
    if isinstance(payload, RiskAssessed) and payload.case is not None:
        case = payload.case
        return RiskCase(
            zone=case.zone,
            credit_code=case.credit_code,
            undecided=case.undecided,
            shortlisted=case.shortlisted,
            outstanding=case.outstanding.amount,
            currency=case.outstanding.currency,
            overdue_days=case.overdue_days,
            grade=case.grade,
            level=state.level if state else None,
            released_by=state.released_by if state else (),
        )
    if state is None:
        raise ValueError(f"{type(payload).__name__} of a case that was never assessed")
    if isinstance(payload, RiskWarningRaised):
        return replace(state, level=payload.level)
    if isinstance(payload, RiskWarningCleared):
        return replace(state, level=None, released_by=())
    if isinstance(payload, RiskReleaseRecorded):
        return replace(state, released_by=(*state.released_by, payload.side))
    raise TypeError(f"{type(payload).__name__} is not a record of a case")


def evolve_subject(state: RiskSubjectState | None, payload: Payload) -> RiskSubjectState:
    """The state of a zone, enterprise or project after one of its records."""
    if isinstance(payload, RiskExposureCounted):
        return _counted(state or RiskSubjectState(kind=payload.subject_kind), payload)
    if isinstance(payload, RiskAssessed) and payload.indicators is not None:
        return _figured(state or RiskSubjectState(kind=payload.subject_kind), payload.indicators)
    if state is None:
        raise ValueError(f"{type(payload).__name__} of a subject that was never assessed")
    if isinstance(payload, RiskWarningRaised):
        return replace(state, level=payload.level)
    if isinstance(payload, RiskWarningCleared):
        return replace(state, level=None, released_by=(), limit_breached=False)
    if isinstance(payload, RiskLimitBreached):
        return replace(state, limit_breached=True)
    if isinstance(payload, RiskReleaseRecorded):
        return replace(state, released_by=(*state.released_by, payload.side))
    raise TypeError(f"{type(payload).__name__} is not a record of a zone, enterprise or project")


def _counted(state: RiskSubjectState, counted: RiskExposureCounted) -> RiskSubjectState:
    cny, usd = state.cny, state.usd
    for balance, sign in ((counted.outstanding_before, -1), (counted.outstanding, 1)):
        cny += sign * _in(Currency.CNY, balance)
        usd += sign * _in(Currency.USD, balance)
    undecided = state.undecided
    # The sender says what was counted before, so that neither adding nor most removals search the whole list: the
    # oldest cases stand first and are decided first.
    if counted.undecided and not counted.undecided_before:
        undecided = (*undecided, counted.referral_id)
    elif counted.undecided_before and not counted.undecided:
        place = undecided.index(counted.referral_id)
        undecided = undecided[:place] + undecided[place + 1 :]
    return replace(state, cny=cny, usd=usd, undecided=undecided)


def _in(currency: Currency, balance: Balance) -> Decimal:
    return balance.amount if balance.currency is currency else ZERO


def _figured(state: RiskSubjectState, reported: IndicatorFigures) -> RiskSubjectState:
    figures = dict(state.figures)
    for finding in reported.findings:
        if not finding.judged:
            continue
        name = f"{reported.side}/{finding.name}"
        known = figures.get(name)
        if known is None or last_day(reported.period) >= last_day(known.period):
            figures[name] = KnownFigure(reported.period, finding.value, finding.unit, finding.level)
    return replace(state, figures=figures)


def last_day(period: Period) -> date:
    """The last day of a year, half-year, quarter or month: by it periods of different length compare."""
    year, _, part = period.partition("-")
    month = {"": 12, "H1": 6, "H2": 12, "Q1": 3, "Q2": 6, "Q3": 9, "Q4": 12}.get(part) or int(part)
    first_of_next = date(int(year) + month // 12, month % 12 + 1, 1)
    return first_of_next - timedelta(days=1)
