"""What time does to a case: reminder, escalation, expiry, the decisions that fall due; and the one extension."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from schemas.deliberation import ScreeningEscalated, ScreeningExtended, ScreeningReminded
from schemas.envelope import Event, Payload
from schemas.opinion import OpinionExtensionAsked, Verdict
from schemas.reference import china_date
from schemas.screening import ConferenceResult, ScreeningExpired, ScreeningShortlisted
from schemas.values import Side, side_of
from services.kit.door import Deadline
from services.screening.domain.case import DECISION, EXPIRY, REMINDER, Case, Status
from services.screening.domain.conference import agreed_to_shortlist, call_conference, result_of
from services.screening.domain.declines import decline_opposed
from services.screening.domain.outlook import Outlook
from services.screening.domain.pace import PACES, remind_at
from services.screening.domain.persons import objection
from services.screening.domain.refusals import Code, refuse
from services.screening.domain.subject import check_subject


def settle_due(case: Case, event: Event[Deadline], outlook: Outlook) -> Iterator[Payload]:
    """What is done when a moment has come, with one event."""
    name = event.data.name
    if name == REMINDER:
        yield _remind(case, event)
    elif name == EXPIRY:
        yield _escalate(case, event.subject, outlook) if case.grace_until is None else _end(case, event.subject)
    elif name == DECISION:
        yield _decide(case, event.subject, case.complete_at or event.time, outlook)
    else:
        decided_at = case.conferred_at or case.clock_ends
        if agreed_to_shortlist(case):
            yield _shortlist(case, event.subject, decided_at, ConferenceResult.AGREED)
        else:
            yield decline_opposed(case, event.subject, decided_at, result_of(case))


def extend_case(case: Case, event: Event[OpinionExtensionAsked], outlook: Outlook) -> Iterator[Payload]:
    """One extension for both sides, asked for with a reason before the deadline; it counts from that."""
    asked, side = event.data, side_of(event.source)
    assert side is not None, "the table lets the two sides through alone"
    check_subject(event)
    code = _against_extension(case, event, side, outlook)
    if code is not None:
        yield refuse(event, code)
        return
    days = PACES[case.pace].extension
    deadline, provisional = outlook.working_days.after(case.deadline, days)
    yield ScreeningExtended(
        referral_id=event.subject,
        side=side,
        code=asked.code,
        text=asked.text,
        asked_by=asked.asked_by,
        working_days=days,
        deadline=deadline,
        deadline_provisional=provisional,
        remind_at=remind_at(case.deadline, days, case.pace, outlook),
        extended_at=event.time,
    )


def _against_extension(case: Case, event: Event[OpinionExtensionAsked], side: Side, outlook: Outlook) -> Code | None:
    asked = event.data
    code = objection(outlook, china_date(event.time), side, asked.asked_by, asked.on_behalf_of)
    if code is not None:
        return code
    if case.extended:
        return Code.ALREADY_EXTENDED
    if event.time > case.deadline and not case.held:
        return Code.AFTER_DEADLINE
    if not case.missing:
        return Code.NOT_AWAITED
    if case.status is not Status.OPEN:
        return Code.CLOSED
    return Code.CLOCK_STOPPED if case.held else None


def _remind(case: Case, event: Event[Deadline]) -> ScreeningReminded:
    return ScreeningReminded(
        referral_id=event.subject,
        lane=case.lane,
        missing=case.missing,
        unchecked=case.unchecked,
        deadline=case.deadline,
        deadline_provisional=case.deadline_provisional,
        reminded_at=event.time,
    )


def _escalate(case: Case, referral_id: str, outlook: Outlook) -> ScreeningEscalated:
    days = PACES[case.pace].grace
    grace_until, provisional = outlook.working_days.after(case.deadline, days)
    return ScreeningEscalated(
        referral_id=referral_id,
        lane=case.lane,
        missing=case.missing,
        unchecked=case.unchecked,
        deadline=case.deadline,
        working_days=days,
        grace_until=grace_until,
        grace_provisional=provisional,
    )


def _end(case: Case, referral_id: str) -> Payload:
    """A side that opposes declines the case even if the other never spoke; only silence without opposition expires."""
    if case.of_verdict(Verdict.OPPOSE):
        return decline_opposed(case, referral_id, case.clock_ends)
    return ScreeningExpired(
        referral_id=referral_id,
        missing=case.missing,
        unchecked=case.unchecked,
        deadline=case.deadline,
        deadline_provisional=case.deadline_provisional,
        grace_until=case.grace_until,
    )


def _decide(case: Case, referral_id: str, decided_at: datetime, outlook: Outlook) -> Payload:
    if not case.of_verdict(Verdict.OPPOSE):
        return _shortlist(case, referral_id, decided_at, None)
    if not case.of_verdict(Verdict.SUPPORT):
        return decline_opposed(case, referral_id, decided_at)
    return call_conference(case, referral_id, decided_at, outlook)


def _shortlist(
    case: Case, referral_id: str, decided_at: datetime, conference: ConferenceResult | None
) -> ScreeningShortlisted:
    return ScreeningShortlisted(
        referral_id=referral_id,
        lane=case.lane,
        revision=case.revision,
        score=case.score,
        key_areas=case.key_areas,
        policy_version=case.policy_version,
        decided_at=decided_at,
        conference=conference,
    )
