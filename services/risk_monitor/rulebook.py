"""Reads the rule files: strictly, all faults of a file at once, so that a wrong file stops the service at its start."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.indicator import IndicatorSubject
from schemas.risk import LoanGrade, RiskSubject, RulesVersion, WarningLevel
from schemas.values import Amount, ReasonCode, ZoneCode
from services.risk_monitor.domain.rules import IndicatorRule, LoanRules, RuleBook, Rules, ZoneRules

SHIPPED = Path(__file__).with_name("rules")
"""The folder of the rule files that come with the service."""

Percent = Annotated[Decimal, Field(gt=0, le=1000)]


class RuleFileError(ValueError):
    """A rule file cannot be used: says which file, where in it, and what is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Levels(_Part):
    """A threshold for each level that there is to be, from blue to red."""

    blue: Decimal | None = None
    yellow: Decimal | None = None
    orange: Decimal | None = None
    red: Decimal | None = None

    def ascending(self) -> tuple[tuple[Decimal, WarningLevel], ...]:
        """(threshold, level), least severe first."""
        pairs = ((getattr(self, level.value), level) for level in WarningLevel)
        return tuple((threshold, level) for threshold, level in pairs if threshold is not None)


class _MoreThanDays(_Part):
    special_mention: Annotated[int, Field(ge=0)]
    substandard: int
    doubtful: int
    loss: int

    @model_validator(mode="after")
    def _grow(self) -> Self:
        if not self.special_mention < self.substandard < self.doubtful < self.loss:
            raise ValueError("days must grow from special_mention to loss")
        return self


class _LoanLevels(_Part):
    within_grace: WarningLevel | None
    special_mention: WarningLevel
    substandard: WarningLevel
    doubtful: WarningLevel
    loss: WarningLevel


class _Loan(_Part):
    more_than_days: _MoreThanDays
    levels: _LoanLevels


class _Limits(_Part):
    default: Amount
    zones: dict[ZoneCode, Amount]


class _Shares(_Part):
    cleared_below: Percent
    blue: Percent
    yellow: Percent
    orange: Percent
    red: Percent

    @model_validator(mode="after")
    def _grow(self) -> Self:
        if not self.cleared_below <= self.blue < self.yellow < self.orange < self.red:
            raise ValueError("percentages must grow from cleared_below over blue to red")
        return self


class _Rate(_Part):
    usd_cny: Annotated[Decimal, Field(gt=0)]
    set_on: date


class _Zone(_Part):
    limit_cny: _Limits
    percent_of_limit: _Shares
    accounting_rate: _Rate


class _Indicator(_Part):
    unit: Annotated[str, Field(min_length=1, max_length=32)]
    worse: Annotated[str, Field(pattern="^(higher|lower)$")]
    levels: _Levels

    @model_validator(mode="after")
    def _move_one_way(self) -> Self:
        thresholds = [threshold for threshold, _ in self.levels.ascending()]
        if not thresholds:
            raise ValueError("at least one level needs a threshold")
        if thresholds != sorted(set(thresholds), reverse=self.worse == "lower"):
            raise ValueError(f"thresholds must move one way from blue to red, because {self.worse} is worse")
        return self


class _File(_Part):
    version: RulesVersion
    effective_from: date
    basis: Annotated[str, Field(min_length=1)]
    loan: _Loan
    zone: _Zone
    indicators: dict[IndicatorSubject, dict[ReasonCode, _Indicator]]


def load_rules(folder: Path = SHIPPED) -> RuleBook:
    """All versions in a folder.

    Raises:
        RuleFileError: a file is wrong, or there is none.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise RuleFileError(f"{folder}: no rule file (*.yaml); name a folder that holds at least one")
    try:
        return RuleBook(tuple(read_rules(path) for path in paths))
    except RuleFileError:
        raise
    except ValueError as error:
        raise RuleFileError(f"{folder}: {error}") from error


def read_rules(path: Path) -> Rules:
    """One version.

    Raises:
        RuleFileError: the file is not readable as YAML or breaks its form; all faults are named.
    """
    try:
        parsed: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _rules_of(_File.model_validate(parsed))
    except yaml.YAMLError as error:
        raise RuleFileError(f"{path.name}: not YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'/'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors())
        raise RuleFileError(f"{path.name}: {faults}") from error


def _rules_of(file: _File) -> Rules:
    levels = file.loan.levels
    shares = file.zone.percent_of_limit
    grades = (LoanGrade.SPECIAL_MENTION, LoanGrade.SUBSTANDARD, LoanGrade.DOUBTFUL, LoanGrade.LOSS)
    return Rules(
        version=file.version,
        effective_from=file.effective_from,
        loan=LoanRules(
            more_than_days=tuple((getattr(file.loan.more_than_days, grade.value), grade) for grade in grades),
            levels={grade: getattr(levels, grade.value) for grade in grades},
            within_grace=levels.within_grace,
        ),
        zone=ZoneRules(
            default_limit=file.zone.limit_cny.default,
            limits=file.zone.limit_cny.zones,
            from_percent=tuple((getattr(shares, level.value), level) for level in WarningLevel),
            cleared_below=shares.cleared_below,
            usd_cny=file.zone.accounting_rate.usd_cny,
            rate_date=file.zone.accounting_rate.set_on,
        ),
        indicators={
            (RiskSubject(kind), name): IndicatorRule(rule.unit, rule.worse == "higher", rule.levels.ascending())
            for kind, named in file.indicators.items()
            for name, rule in named.items()
        },
    )
