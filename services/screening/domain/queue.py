"""The queue of cases that wait for a side: whom each waits for, and which goes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.values import Lane, Side
from services.screening.domain.case import Case, Status


class Awaited(StrEnum):
    """What a side still has to do."""

    OPINION = "opinion"
    CHECK = "check"
    CONFERENCE = "conference"


@dataclass(frozen=True, slots=True)
class Queued:
    """A case that waits for what these sides still have to do; `name` and `zone` are for people."""

    referral_id: str
    case: Case
    awaited: Mapping[Side, Awaited]
    name: str = ""
    zone: str = ""


def awaited_of(case: Case) -> dict[Side, Awaited]:
    """What each side still has to do; nothing once the case is decided. A hold stops the clock, not the sides."""
    if case.status is Status.CONFERENCE:
        answered = case.conference.answers if case.conference else {}
        return {side: Awaited.CONFERENCE for side in Side if side not in answered}
    if case.status is not Status.OPEN:
        return {}
    return {side: Awaited.CHECK if side in case.unchecked else Awaited.OPINION for side in case.missing}


def precedence(referral_id: str, case: Case) -> tuple[bool, bool, int, datetime, str]:
    """What goes first has the lesser one: the resumption lane, a blocked chain, the score, the age."""
    return case.lane is not Lane.RESUMPTION, not case.raised, -case.score, case.opened_at, referral_id


def in_order(queued: Iterable[Queued]) -> list[Queued]:
    """The queue, what goes first before the rest."""
    return sorted(queued, key=lambda one: precedence(one.referral_id, one.case))
