"""How zones fit an enterprise that wants to move: points by its wish and the zone's profile, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.directory import ZoneEntered
from schemas.matchmaking import MatchReason, WhyNot, ZoneMatch
from schemas.values import FinancingNeed, Industry, KeyArea
from schemas.zone_profile import ZoneProfileEntered

_WHY_NOT: Final[Mapping[str, tuple[str, str]]] = {
    "no_profile": ("名录中没有该合作区的承接方向", "The directory holds no profile of the zone"),
    "industry_not_sought": ("合作区未招引该行业", "The zone does not seek the industry"),
    "investment_too_small": ("投资额低于合作区门槛", "The investment is below what the zone takes in"),
    "too_few_points": ("契合程度不足", "Too little fits"),
}


@dataclass(frozen=True, slots=True)
class MatchRules:
    """Points of matchmaking, as `matchmaking.yaml` explains them."""

    industry_sought: int
    need_served: int
    needs_at_most: int
    key_area_of_zone: int
    province_wished: int
    first_choice: int
    at_least: int
    days_between_rounds: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an enterprise that wants to move brings and looks for."""

    industry: Industry
    needs: tuple[FinancingNeed, ...]
    key_area: KeyArea
    provinces: tuple[str, ...]
    investment_10k_cny: int | None


def match(
    wanted: Wanted, zones: Iterable[tuple[ZoneEntered, ZoneProfileEntered | None]], rules: MatchRules
) -> tuple[tuple[ZoneMatch, ...], tuple[WhyNot, ...]]:
    """The zones that fit, best first, and why the others do not."""
    found: list[ZoneMatch] = []
    why: dict[str, list[str]] = {}
    for zone, profile in zones:
        code = _ruled_out(wanted, profile)
        fit = None if code is not None or profile is None else _fit(wanted, zone, profile, rules)
        if fit is not None and fit.points >= rules.at_least:
            found.append(fit)
        else:
            why.setdefault(code or "too_few_points", []).append(zone.code)
    reasons = (
        WhyNot(code=code, zones=tuple(sorted(why[code])), zh=zh, en=en)
        for code, (zh, en) in _WHY_NOT.items()
        if code in why
    )
    return tuple(sorted(found, key=lambda one: (-one.points, one.zone))), tuple(reasons)


def _ruled_out(wanted: Wanted, profile: ZoneProfileEntered | None) -> str | None:
    if profile is None:
        return "no_profile"
    if wanted.industry not in profile.industries:
        return "industry_not_sought"
    least, brings = profile.smallest_investment_10k_cny, wanted.investment_10k_cny
    # An enterprise that does not know its investment yet is told of the zone; the zone will ask.
    return "investment_too_small" if least is not None and brings is not None and brings < least else None


def _fit(wanted: Wanted, zone: ZoneEntered, profile: ZoneProfileEntered, rules: MatchRules) -> ZoneMatch:
    reasons = tuple(_reasons(wanted, zone, profile, rules))
    return ZoneMatch(
        zone=zone.code,
        name_zh=zone.name_zh,
        name_en=zone.name_en,
        profile=profile.entry_key,
        points=sum(reason.points for reason in reasons),
        reasons=reasons,
    )


def _reasons(
    wanted: Wanted, zone: ZoneEntered, profile: ZoneProfileEntered, rules: MatchRules
) -> Iterator[MatchReason]:
    yield _reason("industry_sought", rules.industry_sought, "招引该行业", "It seeks the industry", wanted.industry)
    served = [need for need in wanted.needs if need in profile.needs][: rules.needs_at_most]
    for need in served:
        yield _reason("need_served", rules.need_served, "可满足该融资需求", "It serves the need", need)
    if wanted.key_area in profile.key_areas:
        area = wanted.key_area
        yield _reason("key_area", rules.key_area_of_zone, "属于其重点领域", "It concentrates on the key area", area)
    if zone.province in wanted.provinces:
        there = zone.province
        yield _reason("province_wished", rules.province_wished, "位于意向省份", "It lies in a wished province", there)
        if there == wanted.provinces[0]:
            yield _reason(
                "first_choice", rules.first_choice, "位于首选省份", "It lies in the province wished most", there
            )


def _reason(code: str, points: int, zh: str, en: str, what: str) -> MatchReason:
    return MatchReason(code=code, points=points, zh=f"{zh}：{what}", en=f"{en}: {what}")
