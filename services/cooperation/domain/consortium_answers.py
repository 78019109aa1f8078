"""What partners bring to a consortium: they take part, decline, stay silent or leave. Each speaks for itself alone."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from schemas.cooperation import CooperationRefused
from schemas.envelope import Event
from schemas.partner import (
    CooperationPartnerDeclined,
    CooperationPartnerDeparted,
    CooperationPartnerJoined,
    CooperationPartnerSilent,
    Participation,
    ParticipationAnswered,
    PartnerLeft,
)
from services.cooperation.domain.consortium import SEARCH, TERMS, Consortium, Invitation, Standing, Status, evolve
from services.cooperation.domain.consortium_texts import Code, refuse
from services.cooperation.domain.gathering import PartnerOutlook, balance, facts_of, gather, say_short, search, share
from services.cooperation.domain.parties import unit_of
from services.cooperation.domain.shares import ZERO, percent_of, taken_by_percent
from services.cooperation.domain.terms import compare
from services.kit.door import Deadline, Invalid, Output


def take_answer(state: Consortium, event: Event[ParticipationAnswered], outlook: PartnerOutlook) -> Iterator[Output]:
    """An invited partner takes part or declines; whatever is missing then is asked of the next."""
    _check_subject(event)
    partner, told = unit_of(event.source), event.data
    invitation = state.invitation_of(partner)
    code = _not_answerable(state, invitation, event)
    if code is not None:
        yield refuse(event, state, code)
        return
    if told.answer is Participation.DECLINES and told.code is not None:
        declined = CooperationPartnerDeclined(
            referral_id=event.subject, partner=partner, code=told.code, text=told.text, declined_at=event.time
        )
        yield declined
        yield from gather(evolve(state, declined), event.subject, event.time, outlook)
        return
    taken = _taken(state, told)
    refusal = _refused_share(state, event, taken)
    if refusal is not None:
        yield refusal
        return
    joined = _joined(state, event, partner, taken)
    yield joined
    yield from gather(evolve(state, joined), event.subject, event.time, outlook)


def let_leave(state: Consortium, event: Event[PartnerLeft], outlook: PartnerOutlook) -> Iterator[Output]:
    """A partner that took part leaves: the case says so if it was complete, and the next is asked."""
    _check_subject(event)
    partner = unit_of(event.source)
    invitation = state.invitation_of(partner)
    if invitation is None or invitation.standing is not Standing.JOINED:
        yield refuse(event, state, Code.NOT_TAKING_PART)
        return
    facts = facts_of(state)
    left = state.missing + invitation.taken
    departed = CooperationPartnerDeparted(
        referral_id=event.subject,
        share=share(invitation, facts),
        code=event.data.code,
        text=event.data.text,
        missing=balance(left, facts),
        missing_percent=percent_of(facts.amount, left),
        departed_at=event.time,
    )
    yield departed
    after = evolve(state, departed)
    if state.status is Status.COMPLETE:
        said = say_short(after, event.subject, "partner_left", event.time)
        yield said
        after = evolve(after, said)
    yield from gather(after, event.subject, event.time, outlook)


def see_to_time(state: Consortium, event: Event[Deadline], outlook: PartnerOutlook) -> Iterator[Output]:
    """Who did not answer in time is not waited for, and the next is asked; who is short searches again; a loan is
    compared with what was agreed.
    """
    if event.data.name == SEARCH:
        yield from search(state, event.subject, event.time, outlook)
        return
    if event.data.name == TERMS:
        yield from compare(state, event)
        return
    late = [one for one in state.standing(Standing.OPEN) if one.deadline <= event.time]
    now = state
    for one in late:
        silent = CooperationPartnerSilent(referral_id=event.subject, partner=one.partner, deadline=one.deadline)
        yield silent
        now = evolve(now, silent)
    yield from gather(now, event.subject, event.time, outlook)


def _not_answerable(
    state: Consortium, invitation: Invitation | None, event: Event[ParticipationAnswered]
) -> Code | None:
    """Why a partner may not answer; None where it may. One that stayed silent still may while the case is short."""
    if invitation is None:
        return Code.NOT_INVITED
    if invitation.standing is Standing.ENDED:
        return Code.INVITATION_ENDED
    if invitation.standing is Standing.SILENT:
        return None if state.status is Status.SHORT else Code.AFTER_DEADLINE
    if invitation.standing is not Standing.OPEN:
        return Code.ALREADY_ANSWERED
    if invitation.days_left is not None:
        return None
    return Code.AFTER_DEADLINE if event.time > invitation.deadline else None


def _taken(state: Consortium, told: ParticipationAnswered) -> Decimal:
    if told.amount is not None:
        return told.amount.amount
    return taken_by_percent(facts_of(state).amount, state.missing, told.percent or ZERO)


def _refused_share(state: Consortium, event: Event[ParticipationAnswered], taken: Decimal) -> CooperationRefused | None:
    """Why a share can't be taken as it is; None where it can."""
    facts, told = facts_of(state), event.data
    if told.amount is not None and told.amount.currency is not facts.currency:
        return refuse(event, state, Code.OTHER_CURRENCY, currency=facts.currency)
    if taken > state.missing:
        percent = percent_of(facts.amount, state.missing)
        about = {"missing": state.missing, "currency": facts.currency, "percent": percent}
        return refuse(event, state, Code.SHARE_TOO_LARGE, **about)
    least = min(state.smallest, state.missing)
    if taken < least or not taken:
        return refuse(event, state, Code.SHARE_TOO_SMALL, least=least, currency=facts.currency)
    return None


def _joined(
    state: Consortium, event: Event[ParticipationAnswered], partner: str, taken: Decimal
) -> CooperationPartnerJoined:
    facts = facts_of(state)
    left = state.missing - taken
    return CooperationPartnerJoined(
        referral_id=event.subject,
        share=share(Invitation(partner, Standing.JOINED, event.time, taken), facts),
        missing=balance(left, facts),
        missing_percent=percent_of(facts.amount, left),
        joined_at=event.time,
    )


def _check_subject(event: Event[ParticipationAnswered] | Event[PartnerLeft]) -> None:
    if event.data.referral_id != event.subject:
        raise Invalid(
            "subject-mismatch",
            f"referral_id {event.data.referral_id} is not the event's subject {event.subject}; send the referral's id "
            "as both",
        )
