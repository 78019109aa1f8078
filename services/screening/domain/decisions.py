"""Joint screening, decided: what each input makes of a case.

Business time is the time of the event, never the order of arrival: opinions, registrations and holds come from topics
that may overtake one another. README.md holds the transition table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from schemas.envelope import Event, Payload
from schemas.opinion import OPINION_CODES, Finality, OpinionGiven, Verdict
from schemas.reference import china_date
from schemas.referral import Referral, ReferralAmended, ReferralRegistered, ReferralWithdrawn
from schemas.risk import RiskHeld, RiskReleased
from schemas.screening import (
    DeclineCause,
    DeclineReason,
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningOpened,
    ScreeningOpinionRecorded,
    ScreeningReleased,
    ScreeningShortlisted,
    ScreeningWithdrawn,
)
from schemas.values import Lane, Side, side_of
from services.kit.door import Deadline, Early, Invalid
from services.screening.domain.case import CLOSED, DECISION, Case, Opinion, Status
from services.screening.domain.outlook import HardStop, Outlook, Scoring, scored
from services.screening.domain.refusals import Code, refuse

WORKING_DAYS: Final[Mapping[Lane, int]] = {Lane.ORDINARY: 10, Lane.RESUMPTION: 5}
"""Working days that both sides have for their opinions, by lane."""

_NOT_REGISTERED: Final = "the referral is not registered yet"


def open_case(case: Case | None, event: Event[ReferralRegistered], outlook: Outlook) -> Iterator[Payload]:
    """A registered referral is opened for both sides, and scored; a hard stop declines it at once."""
    if case is not None:
        yield refuse(event, Code.ALREADY_OPEN)
        return
    registered = event.data
    days = WORKING_DAYS[registered.referral.lane]
    deadline, provisional = outlook.working_days.after(event.time, days)
    yield ScreeningOpened(
        referral_id=event.subject,
        lane=registered.referral.lane,
        side=registered.side,
        opened_at=event.time,
        working_days=days,
        deadline=deadline,
        deadline_provisional=provisional,
    )
    yield from _score(event, registered.referral, 1, outlook)


def rescore_case(case: Case | None, event: Event[ReferralAmended], outlook: Outlook) -> Iterator[Payload]:
    """An amended referral is scored anew while it is open. Opinions given stand, and the deadline stays."""
    if case is None:
        raise Early(_NOT_REGISTERED)
    if case.status is not Status.OPEN:
        yield refuse(event, Code.CLOSED)
        return
    yield from _score(event, event.data.referral, event.data.revision, outlook)


def record_opinion(case: Case | None, event: Event[OpinionGiven], outlook: Outlook) -> Iterator[Payload]:
    """Each side gives one opinion, in time; a hold stops the clock but not the opinion.

    The checks that do not depend on what else has arrived come first, so that a refusal has the same code in whatever
    order the topics are read.
    """
    opinion, side = event.data, _side(event)
    _check_subject(event, opinion.referral_id)
    if case is None:
        raise Early(_NOT_REGISTERED)
    if outlook.side_of_person(opinion.given_by, china_date(event.time)) not in (side, None):
        yield refuse(event, Code.WRONG_PARTY)
    elif side in case.opinions:
        yield refuse(event, Code.SECOND_OPINION)
    elif event.time > case.deadline and not case.held:
        yield refuse(event, Code.AFTER_DEADLINE)
    elif case.status is not Status.OPEN:
        yield refuse(event, Code.CLOSED)
    else:
        yield ScreeningOpinionRecorded(
            referral_id=event.subject,
            side=side,
            verdict=opinion.verdict,
            reasons=opinion.reasons,
            given_by=opinion.given_by,
            given_at=event.time,
        )


def hold_case(case: Case | None, event: Event[RiskHeld], outlook: Outlook) -> Iterator[Payload]:
    """A hold suspends the decision of an open case and stops its clock; a shortlisted case is marked as held."""
    hold = event.data
    _check_subject(event, hold.referral_id)
    if case is None:
        raise Early(_NOT_REGISTERED)
    if case.status in CLOSED:
        yield refuse(event, Code.CLOSED)
    elif hold.hold_id in case.holds:
        yield refuse(event, Code.ALREADY_HELD)
    else:
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


def release_case(case: Case | None, event: Event[RiskReleased], outlook: Outlook) -> Iterator[Payload]:
    """A hold is lifted. With the last one an open case goes on, with the working days that were left, at least one."""
    hold = event.data
    _check_subject(event, hold.referral_id)
    if case is None:
        raise Early(_NOT_REGISTERED)
    if case.status in CLOSED:
        yield refuse(event, Code.CLOSED)
        return
    if hold.hold_id not in case.holds:
        yield refuse(event, Code.NOT_HELD)
        return
    holds = tuple(one for one in case.holds if one != hold.hold_id)
    deadline, provisional = None, False
    if case.status is Status.OPEN and not holds:
        deadline, provisional = outlook.working_days.after(event.time, max(1, case.days_left or 0))
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
        released_at=event.time,
    )


def close_withdrawn(case: Case | None, event: Event[ReferralWithdrawn], outlook: Outlook) -> Iterator[Payload]:
    """A withdrawn referral closes its case, held or shortlisted ones too."""
    if case is None:
        raise Early(_NOT_REGISTERED)
    if case.status in CLOSED:
        yield refuse(event, Code.CLOSED)
        return
    yield ScreeningWithdrawn(
        referral_id=event.subject, code=event.data.code, text=event.data.reason, withdrawn_at=event.time
    )


def settle_due(case: Case, event: Event[Deadline], outlook: Outlook) -> Iterator[Payload]:
    """What was due is decided: with both opinions in, or when the time for them is over.

    A side that opposes declines the case even if the other never spoke; only silence without opposition expires it.
    """
    decided_at = (case.complete_at or event.time) if event.data.name == DECISION else case.deadline
    if case.opposed_by:
        yield _decline_opposed(case, event.subject, decided_at)
    elif event.data.name == DECISION:
        yield ScreeningShortlisted(
            referral_id=event.subject,
            lane=case.lane,
            revision=case.revision,
            score=case.score,
            key_areas=case.key_areas,
            policy_version=case.policy_version,
            decided_at=decided_at,
        )
    else:
        yield ScreeningExpired(
            referral_id=event.subject,
            missing=tuple(side for side in Side if side not in case.opinions),
            deadline=case.deadline,
            deadline_provisional=case.deadline_provisional,
        )


def _score(
    event: Event[ReferralRegistered] | Event[ReferralAmended], referral: Referral, revision: int, outlook: Outlook
) -> Iterator[Payload]:
    scoring = outlook.score(referral, china_date(event.time))
    yield scored(scoring, referral, event.subject, revision, event.time)
    if scoring.hard_stops:
        yield _decline_stopped(scoring, event.subject, event.time)


def _decline_stopped(scoring: Scoring, referral_id: str, decided_at: datetime) -> ScreeningDeclined:
    return ScreeningDeclined(
        referral_id=referral_id,
        cause=DeclineCause.HARD_STOP,
        finality=Finality.FINAL,
        reasons=tuple(_stop_reason(stop) for stop in scoring.hard_stops),
        policy_version=scoring.version,
        decided_at=decided_at,
    )


def _stop_reason(stop: HardStop) -> DeclineReason:
    return DeclineReason(code=stop.code, finality=Finality.FINAL, zh=stop.zh, en=stop.en)


def _decline_opposed(case: Case, referral_id: str, decided_at: datetime) -> ScreeningDeclined:
    opposed = {side: case.opinions[side] for side in case.opposed_by}
    reasons = tuple(reason for side, opinion in opposed.items() for reason in _side_reasons(side, opinion))
    final = any(reason.finality is Finality.FINAL for reason in reasons)
    return ScreeningDeclined(
        referral_id=referral_id,
        cause=DeclineCause.OPPOSED,
        finality=Finality.FINAL if final else Finality.REPAIRABLE,
        reasons=reasons,
        opposed_by=tuple(opposed),
        policy_version=case.policy_version,
        decided_at=decided_at,
    )


def _side_reasons(side: Side, opinion: Opinion) -> Iterator[DeclineReason]:
    for said in opinion.reasons:
        meaning = OPINION_CODES[said.code]
        if meaning.verdict is Verdict.OPPOSE:
            yield DeclineReason(
                code=said.code,
                finality=meaning.finality or Finality.FINAL,
                zh=meaning.zh,
                en=meaning.en,
                side=side,
                text=said.text,
                remedy_zh=meaning.remedy_zh,
                remedy_en=meaning.remedy_en,
            )


def _days_left(case: Case, held_at: datetime, outlook: Outlook) -> int | None:
    if case.status is not Status.OPEN:
        return None
    if case.held:
        return case.days_left
    return outlook.working_days.between(max(held_at, case.opened_at), case.deadline)


def _side(event: Event[OpinionGiven]) -> Side:
    side = side_of(event.source)
    if side is None:
        raise Invalid("wrong-source", f"{event.source} is neither side; opinions come from //commerce/… or //bank/…")
    return side


def _check_subject(event: Event[OpinionGiven] | Event[RiskHeld] | Event[RiskReleased], referral_id: str) -> None:
    if referral_id != event.subject:
        raise Invalid(
            "subject-mismatch",
            f"referral_id {referral_id} is not the event's subject {event.subject}; send the referral's id as both",
        )
