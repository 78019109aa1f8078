"""A case begins, changes with its referral, and ends with it."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.envelope import Event, Payload
from schemas.reference import china_date
from schemas.referral import Referral, ReferralAmended, ReferralRegistered, ReferralWithdrawn
from schemas.screening import ScreeningOpened, ScreeningWithdrawn
from services.kit.door import Output
from services.screening.domain.case import Case
from services.screening.domain.declines import decline_stopped
from services.screening.domain.outlook import Outlook, scored
from services.screening.domain.pace import PACES, remind_at
from services.screening.domain.precedents import ask_forerunner


def open_case(case: None, event: Event[ReferralRegistered], outlook: Outlook) -> Iterator[Output]:
    """A registered referral is opened for both sides, and scored; a hard stop declines it at once.

    One that repairs an earlier case asks that case which opinions stand.
    """
    registered = event.data
    lane, repairs = registered.referral.lane, registered.referral.repairs
    days = PACES[lane].opinions
    deadline, provisional = outlook.working_days.after(event.time, days)
    yield ScreeningOpened(
        referral_id=event.subject,
        lane=lane,
        side=registered.side,
        opened_at=event.time,
        working_days=days,
        deadline=deadline,
        deadline_provisional=provisional,
        remind_at=remind_at(event.time, days, lane, outlook),
        repairs=repairs,
    )
    yield from _score(event, registered.referral, 1, outlook)
    if repairs is not None:
        yield ask_forerunner(event, repairs)


def rescore_case(case: Case, event: Event[ReferralAmended], outlook: Outlook) -> Iterator[Payload]:
    """An amended referral is scored anew while nothing is decided. Opinions given stand, and so do the deadlines."""
    return _score(event, event.data.referral, event.data.revision, outlook)


def close_withdrawn(case: Case, event: Event[ReferralWithdrawn], outlook: Outlook) -> Iterator[Payload]:
    """A withdrawn referral closes its case, held or shortlisted ones too."""
    yield ScreeningWithdrawn(
        referral_id=event.subject, code=event.data.code, text=event.data.reason, withdrawn_at=event.time
    )


def _score(
    event: Event[ReferralRegistered] | Event[ReferralAmended], referral: Referral, revision: int, outlook: Outlook
) -> Iterator[Payload]:
    scoring = outlook.score(referral, china_date(event.time))
    yield scored(scoring, referral, event.subject, revision, event.time)
    if scoring.hard_stops:
        yield decline_stopped(scoring, event.subject, event.time)
