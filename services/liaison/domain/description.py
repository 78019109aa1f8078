"""What a notice tells of an event: the facts beneath its text, and the values that its text may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.bulletin import BulletinMatched
from schemas.cooperation import CooperationRefused
from schemas.envelope import Event, Payload
from schemas.liaison import NoticeFact
from schemas.matchmaking import MatchTakenUp, MatchTurnedDown, WishClosed, WishMatched, WishUnmatched
from schemas.plan import PlanLateMarked, PlanPartRecorded, PlanPartReplaced, PlanSignedOff
from schemas.reference import Directory
from schemas.risk import RiskFact
from schemas.values import Lane
from schemas.work_plan import WorkPlanActionLate, WorkPlanOpened
from services.liaison.domain import (
    said_of_advice,
    said_of_deliberation,
    said_of_loans,
    said_of_partners,
    said_of_plans,
    said_of_referrals,
    said_of_risk,
    said_of_screening,
)
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import TITLES, label
from services.liaison.domain.lines import Facts, FactsOf, ValuesOf, facts_from, same, zone_name
from services.liaison.domain.said_of_risk import subject_of
from services.liaison.domain.state import CaseFacts

_SAID = (
    said_of_referrals,
    said_of_screening,
    said_of_deliberation,
    said_of_partners,
    said_of_plans,
    said_of_advice,
    said_of_loans,
    said_of_risk,
)
_FACTS: Final[FactsOf] = {kind: facts for said in _SAID for kind, facts in said.FACTS.items()}
_VALUES: Final[ValuesOf] = {kind: values for said in _SAID for kind, values in said.VALUES.items()}

_KINDS: Final[Mapping[type[Payload], tuple[str, str]]] = {
    **dict.fromkeys((PlanPartRecorded, PlanPartReplaced, PlanSignedOff, PlanLateMarked), ("方案编号", "Plan")),
    **dict.fromkeys(said_of_advice.FACTS, ("咨询编号", "Question")),
    **dict.fromkeys((WorkPlanOpened, WorkPlanActionLate), ("工作方案编号", "Work plan")),
    **dict.fromkeys((WishMatched, WishUnmatched, MatchTakenUp, MatchTurnedDown, WishClosed), ("意向编号", "Wish")),
    BulletinMatched: ("企业", "Enterprise"),
    CooperationRefused: ("编号", "Id"),
}
"""What the subject of an event is the id of, where it is no referral's."""


@dataclass(frozen=True, slots=True)
class Description:
    """`values` for the templates, `facts` for beneath the text."""

    values: dict[str, object]
    facts: tuple[NoticeFact, ...]


def describe(
    event: Event[Any], template: str, case: CaseFacts | None, zone: str | None, directory: Directory
) -> Description:
    """What is to be told of an event; what the texts of its type name besides is added to the values."""
    payload = event.data
    place = zone_name(zone, event.time, directory)
    more = _VALUES.get(type(payload))
    values: dict[str, object] = {
        "file": event.subject,
        "name": _name(event, case, zone, place),
        "zone": place,
        "urgent": case is not None and case.lane is Lane.RESUMPTION,
        "title": TITLES[template],
        **(more(payload) if more else {}),
    }
    return Description(values, facts_from([*_lines_of_file(event, case, place), *_FACTS[type(payload)](payload)]))


def _name(event: Event[Any], case: CaseFacts | None, zone: str | None, place: Pair) -> Pair:
    """What the subject line calls it: the case's name, else the zone with the id, else the id alone."""
    if case is not None:
        return same(case.name)
    if zone is None:
        return same(event.subject)
    return place if zone == event.subject else Pair(f"{place.zh} {event.subject}", f"{place.en} {event.subject}")


def _lines_of_file(event: Event[Any], case: CaseFacts | None, place: Pair) -> Facts:
    payload = event.data
    if case is not None:
        yield "案件编号", "Case", same(event.subject)
        yield "名称", "Name", same(case.name)
        yield "通道", "Lane", label(case.lane)
    elif isinstance(payload, RiskFact):
        yield "对象", "Subject", subject_of(payload)
    else:
        zh, en = _KINDS.get(type(payload), ("推荐编号", "Referral"))
        yield zh, en, same(event.subject)
    if place.en != "–":
        yield "合作区", "Zone", place
