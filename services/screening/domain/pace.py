"""How many Chinese working days everything takes, by lane, and the moments that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.values import Lane
from services.screening.domain.case import Case
from services.screening.domain.outlook import Outlook


@dataclass(frozen=True, slots=True)
class Pace:
    """Working days of one lane: for both opinions; how long before the deadline those who are silent are reminded; the
    grace after it; what the one extension adds; for the conference.
    """

    opinions: int
    reminder: int
    grace: int
    extension: int
    conference: int


PACES: Final[Mapping[Lane, Pace]] = {
    Lane.ORDINARY: Pace(opinions=10, reminder=2, grace=3, extension=5, conference=5),
    Lane.RESUMPTION: Pace(opinions=5, reminder=1, grace=1, extension=2, conference=2),
}


def remind_at(start: datetime, days: int, lane: Lane, outlook: Outlook) -> datetime | None:
    """When to remind of a deadline `days` working days after a start; None where it is too near."""
    left = days - PACES[lane].reminder
    return outlook.working_days.after(start, left)[0] if left > 0 else None


def last_moment(case: Case, outlook: Outlook) -> datetime:
    """The last second in which an opinion counts: the grace is part of the time, whether it was begun or not yet."""
    return case.grace_until or outlook.working_days.after(case.deadline, PACES[case.pace].grace)[0]


def last_moment_if_extended(case: Case, outlook: Outlook) -> datetime:
    """The last second in which an opinion would count, were the case extended."""
    pace = PACES[case.pace]
    extended, _ = outlook.working_days.after(case.deadline, pace.extension)
    return outlook.working_days.after(extended, pace.grace)[0]
