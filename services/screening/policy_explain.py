"""A recorded score, explained: whether its points add up, and what another version would make of the referral."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.faults import Fault
from schemas.referral import Referral
from schemas.scoring import PolicyPart, RuleOutcome, RuleResult, ScreeningScored
from services.screening.domain.outlook import Scoring
from services.screening.policy import Policy


@dataclass(frozen=True, slots=True)
class Change:
    """A rule that comes out otherwise; None where one of the versions does not have it."""

    code: str
    before: RuleResult | None
    after: RuleResult | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What another version makes of the recorded referral, beside what is on record."""

    after: Scoring
    difference: int
    changes: tuple[Change, ...]


def proof(scored: ScreeningScored, policy: Policy | None = None, referral: Referral | None = None) -> tuple[Fault, ...]:
    """What contradicts a recorded score; nothing if it holds.

    The record is held against itself: points add up, and stops are what its rules say. With the policy that was
    applied (the same digest) and the referral that was scored, that is scored anew and has to come out the same.
    """
    return (*_sums(scored), *_stops(scored), *(_anew(scored, policy, referral) if policy and referral else ()))


def points_of(scored: ScreeningScored) -> int:
    """What the points of the rules add up to."""
    return sum(rule.points for rule in scored.rules)


def compare(scored: ScreeningScored, policy: Policy, referral: Referral) -> Comparison:
    """Score a recorded referral by another version, and tell the rules that come out otherwise."""
    after = policy.score(referral)
    before_by_code = {rule.code: rule for rule in scored.rules}
    after_by_code = {rule.code: rule for rule in after.rules}
    pairs = [(code, before_by_code.get(code), after_by_code.get(code)) for code in {**before_by_code, **after_by_code}]
    changes = tuple(Change(*pair) for pair in pairs if _told(pair[1]) != _told(pair[2]))
    return Comparison(after, after.score - scored.score, changes)


def _told(rule: RuleResult | None) -> tuple[RuleOutcome, int] | None:
    return None if rule is None else (rule.outcome, rule.points)


def _sums(scored: ScreeningScored) -> Iterator[Fault]:
    total = points_of(scored)
    if total != scored.score:
        yield Fault(
            code="points_do_not_add_up",
            pointer="/score",
            zh=f"各规则得分合计 {total}，与记录的得分 {scored.score} 不符。",
            en=f"The points of the rules add up to {total}, but the score on record is {scored.score}.",
        )
    for position, rule in enumerate(scored.rules):
        if rule.points and (rule.outcome is not RuleOutcome.MET or rule.part is not PolicyPart.TILT):
            yield Fault(
                code="points_without_reason",
                pointer=f"/rules/{position}/points",
                zh=f"规则 {rule.code} 未满足或不计分，却记了 {rule.points} 分。",
                en=f"Rule {rule.code} bears {rule.points} points, but is not met, or of a part that gives none.",
            )


def _stops(scored: ScreeningScored) -> Iterator[Fault]:
    met = tuple(
        rule.code for rule in scored.rules if rule.part is PolicyPart.HARD_STOP and rule.outcome is RuleOutcome.MET
    )
    if met != scored.hard_stops:
        yield Fault(
            code="stops_differ",
            pointer="/hard_stops",
            zh=f"满足的硬性条件为 {_list(met)}，记录为 {_list(scored.hard_stops)}。",
            en=f"The hard stops that are met are {_list(met)}, but those on record are {_list(scored.hard_stops)}.",
        )


def _anew(scored: ScreeningScored, policy: Policy, referral: Referral) -> Iterator[Fault]:
    found = policy.score(referral)
    recorded = {rule.code: rule for rule in scored.rules}
    differing = [rule.code for rule in found.rules if recorded.get(rule.code) != rule]
    differing += [code for code in recorded if code not in {rule.code for rule in found.rules}]
    if differing or found.key_areas != scored.key_areas:
        told = _list(differing) if differing else "key_areas"
        yield Fault(
            code="differs_when_scored_anew",
            pointer="/rules" if differing else "/key_areas",
            zh=f"按同一版本重新评分，结果与记录不同：{told}。",
            en=f"Scored anew by the same version, the referral comes out otherwise than on record: {told}.",
        )


def _list(codes: tuple[str, ...] | list[str]) -> str:
    return ", ".join(codes) or "–"
