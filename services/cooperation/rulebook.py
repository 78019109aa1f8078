"""Reads the rule files of modes and matchmaking: strictly, all faults at once, so that a wrong one stops the start."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.scoring import PolicyVersion
from schemas.sharing import Percent, PercentOrZero, ShareOf
from schemas.values import (
    Amount,
    CooperationMode,
    Currency,
    FinancingNeed,
    Industry,
    KeyArea,
    Lane,
    LongText,
    Ownership,
    ReasonCode,
    SizeClass,
    SubjectKind,
)
from services.cooperation.domain.matching import MatchRules
from services.cooperation.domain.modes import Condition, Mode, ModeRule, ModeRules, Preference, Range

MODES: Final = Path(__file__).with_name("modes.yaml")
MATCHMAKING: Final = Path(__file__).with_name("matchmaking.yaml")

Points = Annotated[int, Field(ge=0, le=100, strict=True)]


class RuleFileError(ValueError):
    """A rule file cannot be used: says which file, where in it, and what is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Months(_Part):
    at_least: Annotated[int, Field(ge=1)] | None = None
    at_most: Annotated[int, Field(ge=1)] | None = None

    def range(self) -> Range:
        return Range(*(None if end is None else Decimal(end) for end in (self.at_least, self.at_most)))


class _Sum(_Part):
    at_least: Amount | None = None
    at_most: Amount | None = None


class _When(_Part):
    """What a rule may look at, by name: codes, months, sums by currency."""

    subject_kind: tuple[SubjectKind, ...] = ()
    key_area: tuple[KeyArea, ...] = ()
    lane: tuple[Lane, ...] = ()
    need: tuple[FinancingNeed, ...] = ()
    size_class: tuple[SizeClass, ...] = ()
    ownership: tuple[Ownership, ...] = ()
    industry: tuple[Industry, ...] = ()
    province: tuple[str, ...] = ()
    term_months: _Months | None = None
    amount: dict[Currency, _Sum] | None = None

    def conditions(self) -> dict[str, Condition]:
        found: dict[str, Condition] = {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            if isinstance(value, tuple):
                found[name] = frozenset(str(code) for code in value)
            elif isinstance(value, _Months):
                found[name] = value.range()
            elif isinstance(value, dict):
                found[name] = {currency: Range(one.at_least, one.at_most) for currency, one in value.items()}
        return {name: found[name] for name in type(self).model_fields if name in found}


class _Rule(_Part):
    code: ReasonCode
    zh: LongText
    en: LongText
    required: bool = False
    points: Points
    when: _When


class _Mode(_Part):
    mode: CooperationMode
    share_of: ShareOf
    own_percent: PercentOrZero
    smallest_percent: Percent = Decimal("100.00")
    at_once: Annotated[int, Field(ge=1, le=10, strict=True)] = 1
    rules: Annotated[tuple[_Rule, ...], Field(min_length=1)]


class _Preference(_Part):
    points: Points
    zh: LongText
    en: LongText


class _Modes(_Part):
    version: PolicyVersion
    wish_points: Points
    answer_working_days: dict[Lane, Annotated[int, Field(ge=1, le=60, strict=True)]]
    order: dict[Literal["serves_province", "specialised"], _Preference]
    modes: tuple[_Mode, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        named = [mode.mode for mode in self.modes]
        if sorted(named) != sorted(CooperationMode):
            raise ValueError("each mode is to stand here exactly once: " + ", ".join(CooperationMode))
        if set(self.answer_working_days) != set(Lane):
            raise ValueError("answer_working_days needs each lane: " + ", ".join(Lane))
        if not any(all(not rule.required for rule in mode.rules) for mode in self.modes):
            raise ValueError("at least one mode must require nothing, so that every case has one")
        return self


class _Matchmaking(_Part):
    industry_sought: Points
    need_served: Points
    needs_at_most: Annotated[int, Field(ge=1, le=11, strict=True)]
    key_area_of_zone: Points
    province_wished: Points
    first_choice: Points
    at_least: Points
    days_between_rounds: Annotated[int, Field(ge=1, le=60, strict=True)]


F = TypeVar("F", bound=_Part)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of cooperation."""

    modes: ModeRules
    matching: MatchRules


def load_rules() -> Rules:
    """The rules that come with the service. Raises RuleFileError where a file has faults."""
    return Rules(load_mode_rules(), load_match_rules())


def load_mode_rules(path: Path = MODES) -> ModeRules:
    """The rules of modes.

    Raises:
        RuleFileError: the file is not readable as YAML or breaks its form; all faults are named.
    """
    file = _read(path, _Modes)
    return ModeRules(
        version=file.version,
        wish_points=file.wish_points,
        answer_working_days=file.answer_working_days,
        order=tuple(Preference(code, one.points, one.zh, one.en) for code, one in file.order.items()),
        modes=tuple(_mode(mode) for mode in file.modes),
    )


def load_match_rules(path: Path = MATCHMAKING) -> MatchRules:
    """The points of matchmaking. Raises RuleFileError like `load_mode_rules`."""
    return MatchRules(**_read(path, _Matchmaking).model_dump())


def _mode(file: _Mode) -> Mode:
    rules = (
        ModeRule(rule.code, rule.zh, rule.en, rule.required, rule.points, rule.when.conditions()) for rule in file.rules
    )
    return Mode(file.mode, file.share_of, file.own_percent, file.smallest_percent, file.at_once, tuple(rules))


def _read(path: Path, form: type[F]) -> F:
    try:
        parsed: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return form.model_validate(parsed)
    except (OSError, yaml.YAMLError) as error:
        raise RuleFileError(f"{path.name}: can't be read as YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'/'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors())
        raise RuleFileError(f"{path.name}: {faults}") from error
