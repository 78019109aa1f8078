"""Holds: they stop whatever clock runs; with the last release it goes on with the working days that were left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from schemas.envelope import Event, Payload
from schemas.risk import RiskHeld, RiskReleased
from schemas.screening import ScreeningHeld, ScreeningReleased
from services.screening.domain.case import UNDECIDED, Case, Status
from services.screening.domain.outlook import Outlook
from services.screening.domain.pace import remind_at
from services.screening.domain.refusals import Code, refuse
from services.screening.domain.subject import check_subject


def hold_case(case: Case, event: Event[RiskHeld], outlook: Outlook) -> Iterator[Payload]:
    """A hold suspends what is undecided and stops its clock; a shortlisted case is marked as held."""
    hold = event.data
    check_subject(event)
    if hold.hold_id in case.holds:
        yield refuse(event, Code.ALREADY_HELD)
        return
    yield ScreeningHeld(
        referral_id=event.subject,
        hold_id=hold.hold_id,
        level=hold.level,
        code=hold.code,
        zh=hold.zh,
        en=hold.en,
        holds=tuple(sorted((*case.holds, hold.hold_id))),
        working_days_left=_days_left(case, event.time, outlook),
        held_at=event.time,
    )


def release_case(case: Case, event: Event[RiskReleased], outlook: Outlook) -> Iterator[Payload]:
    """A hold is lifted. With the last one the clock goes on with the working days that were left, at least one."""
    hold = event.data
    check_subject(event)
    if hold.hold_id not in case.holds:
        yield refuse(event, Code.NOT_HELD)
        return
    holds = tuple(one for one in case.holds if one != hold.hold_id)
    deadline, provisional, reminder = None, False, None
    if case.status in UNDECIDED and not holds:
        days = max(1, case.days_left or 0)
        deadline, provisional = outlook.working_days.after(event.time, days)
        if case.status is Status.OPEN and case.grace_until is None:
            reminder = remind_at(event.time, days, case.pace, outlook)
    yield ScreeningReleased(
        referral_id=event.subject,
        hold_id=hold.hold_id,
        level=hold.level,
        code=hold.code,
        zh=hold.zh,
        en=hold.en,
        holds=holds,
        deadline=deadline,
        deadline_provisional=provisional,
        remind_at=reminder,
        released_at=event.time,
    )


def _days_left(case: Case, held_at: datetime, outlook: Outlook) -> int | None:
    if case.status not in UNDECIDED:
        return None
    if case.held:
        return case.days_left
    return outlook.working_days.between(max(held_at, case.opened_at), case.clock_ends)
