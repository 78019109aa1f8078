"""Modes of cooperation: which one the rules propose to a case, and which partners they would ask first.

Rules are data (see `modes.yaml`); a rule that can't be evaluated has a named result and counts as not met.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from schemas.consortium import ModeRuleResult, ModeStanding
from schemas.directory import PartnerEntered
from schemas.partner import InvitationReason
from schemas.scoring import RuleOutcome
from schemas.sharing import ShareOf
from schemas.values import CooperationMode, Currency, Lane
from services.cooperation.domain.consortium import Facts

WISH: Final = "wished_by_referrer"
"""Code of the rule that every mode has besides its own."""

_WISH_ZH: Final = "推荐方希望采用本合作方式"
_WISH_EN: Final = "The referrer has this mode in mind"
_NOTHING: Final = "nothing"


@dataclass(frozen=True, slots=True)
class Range:
    """What a number may be; both ends are included, None is open."""

    at_least: Decimal | None = None
    at_most: Decimal | None = None

    def holds(self, number: Decimal) -> bool:
        """Whether a number lies within."""
        above = self.at_least is None or number >= self.at_least
        return above and (self.at_most is None or number <= self.at_most)


Condition = frozenset[str] | Range | Mapping[Currency, Range]
"""What one input has to be: one of these codes, a number within a range, or a sum within that of its currency."""


@dataclass(frozen=True, slots=True)
class ModeRule:
    """One rule: met where all conditions hold, by name of the input."""

    code: str
    zh: str
    en: str
    required: bool
    points: int
    when: Mapping[str, Condition]


@dataclass(frozen=True, slots=True)
class Mode:
    """One mode: which whole is divided, what the bank keeps, how partners are asked, and when it suits a case."""

    mode: CooperationMode
    share_of: ShareOf
    own_percent: Decimal
    smallest_percent: Decimal
    at_once: int
    rules: tuple[ModeRule, ...]


@dataclass(frozen=True, slots=True)
class Preference:
    """What brings a partner forward."""

    code: str
    points: int
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class ModeRules:
    """All of `modes.yaml`."""

    version: str
    wish_points: int
    answer_working_days: Mapping[Lane, int]
    order: tuple[Preference, ...]
    modes: tuple[Mode, ...]

    def of(self, mode: CooperationMode) -> Mode:
        """What is written about a mode."""
        return next(one for one in self.modes if one.mode is mode)

    def judge(self, facts: Facts) -> tuple[ModeStanding, ...]:
        """How every mode fares with a case: the one to propose first, then the others, open ones before closed ones."""
        standings = [self._standing(mode, facts) for mode in self.modes]
        return tuple(sorted(standings, key=lambda one: (not one.open, -one.points)))

    def ranked(
        self, partners: Iterable[PartnerEntered], mode: CooperationMode, province: str
    ) -> tuple[tuple[PartnerEntered, tuple[InvitationReason, ...]], ...]:
        """The partners that offer a mode and serve a province, in the order of invitation, with the reasons."""
        fit = [one for one in partners if mode in one.modes and (not one.provinces or province in one.provinces)]
        ranked = [(one, tuple(self._reasons(one, province))) for one in fit]
        return tuple(sorted(ranked, key=lambda pair: (-points_of(pair[1]), pair[0].code)))

    def _standing(self, mode: Mode, facts: Facts) -> ModeStanding:
        results = [_result(rule, facts) for rule in mode.rules]
        wish = ModeRule(WISH, _WISH_ZH, _WISH_EN, False, self.wish_points, {"wished": frozenset({mode.mode.value})})
        results.append(_result(wish, facts))
        return ModeStanding(
            mode=mode.mode,
            open=all(one.outcome is RuleOutcome.MET for one in results if one.required),
            points=sum(one.points for one in results),
            rules=tuple(results),
        )

    def _reasons(self, partner: PartnerEntered, province: str) -> Iterator[InvitationReason]:
        holds = {"serves_province": province in partner.provinces, "specialised": len(partner.modes) == 1}
        for one in self.order:
            if holds[one.code]:
                yield InvitationReason(code=one.code, points=one.points, zh=one.zh, en=one.en)


def points_of(reasons: Iterable[InvitationReason]) -> int:
    """The sum of the points of reasons."""
    return sum(reason.points for reason in reasons)


def _result(rule: ModeRule, facts: Facts) -> ModeRuleResult:
    inputs = {name: _input(facts, name) for name in rule.when}
    held = [_holds(condition, inputs[name], facts) for name, condition in rule.when.items()]
    outcome = RuleOutcome.MET if all(held) else RuleOutcome.NOT_MET
    if None in held:
        outcome = RuleOutcome.NOT_EVALUABLE
    return ModeRuleResult(
        code=rule.code,
        required=rule.required,
        outcome=outcome,
        points=rule.points if outcome is RuleOutcome.MET else 0,
        inputs={name: value for name, value in inputs.items() if value is not None},
        missing=tuple(name for name, value in inputs.items() if value is None),
        zh=rule.zh,
        en=rule.en,
    )


def _input(facts: Facts, name: str) -> str | int | None:
    """What a rule looks at: a code, a number, or the sum with its currency; None where the referral leaves it open."""
    if name == "amount":
        return f"{facts.amount:f} {facts.currency}"
    if name == "wished":
        return facts.wished.value if facts.wished else _NOTHING
    value: StrEnum | str | int | None = getattr(facts, name)
    return value.value if isinstance(value, StrEnum) else value


def _holds(condition: Condition, value: str | int | None, facts: Facts) -> bool | None:
    """Whether a condition holds; None where that can't be said, also of a sum in a currency without a range."""
    if value is None:
        return None
    if isinstance(condition, Range):
        return condition.holds(Decimal(value))
    if isinstance(condition, Mapping):
        within = condition.get(facts.currency)
        return None if within is None else within.holds(facts.amount)
    return value in condition
