"""Opinions: one person of a side makes one, another checks it; then it is the side's opinion."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from schemas.deliberation import ScreeningOpinionDrafted, ScreeningOpinionReturned
from schemas.envelope import Event, Payload
from schemas.opinion import OpinionConfirmed, OpinionGiven, OpinionReason, OpinionReturned
from schemas.reference import china_date
from schemas.screening import ScreeningOpinionRecorded
from schemas.values import Side, side_of
from services.kit.door import Early
from services.screening.domain.case import Case, Draft, Opinion, Status
from services.screening.domain.outlook import Outlook
from services.screening.domain.pace import last_moment, last_moment_if_extended
from services.screening.domain.persons import objection, same_hands
from services.screening.domain.refusals import Code, refuse
from services.screening.domain.subject import check_subject


def take_opinion(case: Case, event: Event[OpinionGiven], outlook: Outlook) -> Iterator[Payload]:
    """An opinion that its side's own system has had checked is recorded; any other waits for its checker.

    A hold stops the clock but not the opinion. One that was taken over from a forerunner gives way to the side's own.
    """
    opinion, side = event.data, _side(event)
    check_subject(event)
    code = _unfit(event, side, outlook) or _untimely(case, event, side, outlook)
    if code is not None:
        yield refuse(event, code)
    elif opinion.checked_by is None:
        yield ScreeningOpinionDrafted(
            referral_id=event.subject,
            side=side,
            opinion_id=event.id,
            verdict=opinion.verdict,
            reasons=opinion.reasons,
            given_by=opinion.given_by,
            on_behalf_of=opinion.on_behalf_of,
            given_at=event.time,
        )
    else:
        yield ScreeningOpinionRecorded(
            referral_id=event.subject,
            side=side,
            verdict=opinion.verdict,
            reasons=opinion.reasons,
            given_by=opinion.given_by,
            given_at=event.time,
            checked_by=opinion.checked_by,
            checked_at=event.time,
            on_behalf_of=opinion.on_behalf_of,
        )


def confirm_opinion(case: Case, event: Event[OpinionConfirmed], outlook: Outlook) -> Iterator[Payload]:
    """Another person of the side confirms a draft, in time: it is recorded as the side's opinion."""
    confirmed, side = event.data, _side(event)
    check_subject(event)
    draft = _draft(case, side, confirmed.opinion_id)
    code = _unfit_checker(event, side, draft, confirmed.confirmed_by, outlook)
    if code is None and is_late(case, event.time, outlook):
        code = Code.AFTER_DEADLINE
    if code is None and case.status is not Status.OPEN:
        code = Code.CLOSED
    if code is not None or draft is None:
        yield refuse(event, code or Code.NO_SUCH_DRAFT)
        return
    opinion = draft.opinion
    yield ScreeningOpinionRecorded(
        referral_id=event.subject,
        side=side,
        verdict=opinion.verdict,
        reasons=reasons_of(opinion),
        given_by=opinion.given_by,
        given_at=opinion.given_at,
        checked_by=confirmed.confirmed_by,
        checked_at=event.time,
        on_behalf_of=opinion.on_behalf_of,
    )


def return_opinion(case: Case, event: Event[OpinionReturned], outlook: Outlook) -> Iterator[Payload]:
    """Another person of the side sends a draft back: its maker, or anybody else of the side, may give a new opinion."""
    returned, side = event.data, _side(event)
    check_subject(event)
    draft = _draft(case, side, returned.opinion_id)
    code = _unfit_checker(event, side, draft, returned.returned_by, outlook)
    if code is None and case.status is not Status.OPEN:
        code = Code.CLOSED
    if code is not None or draft is None:
        yield refuse(event, code or Code.NO_SUCH_DRAFT)
        return
    yield ScreeningOpinionReturned(
        referral_id=event.subject,
        side=side,
        opinion_id=draft.id,
        given_by=draft.opinion.given_by,
        returned_by=returned.returned_by,
        text=returned.text,
        returned_at=event.time,
    )


def is_late(case: Case, moment: datetime, outlook: Outlook) -> bool:
    """Whether an opinion of this moment is too late. While a hold stands no time runs.

    Raises Early where an extension, asked for in time on the other side's topic, may not have been read yet: what it
    would bring into time waits until the case is extended or ends, and has the same answer in any order.
    """
    if moment <= case.deadline or case.held or moment <= last_moment(case, outlook):
        return False
    may_be_extended = case.status is Status.OPEN and not case.extended
    if may_be_extended and moment <= last_moment_if_extended(case, outlook):
        raise Early("it is later than the time for opinions; whether that was extended is not known until it ends")
    return True


def reasons_of(opinion: Opinion) -> tuple[OpinionReason, ...]:
    """The reasons of an opinion on record, as events carry them."""
    return tuple(OpinionReason(code=said.code, text=said.text) for said in opinion.reasons)


def _unfit(event: Event[OpinionGiven], side: Side, outlook: Outlook) -> Code | None:
    """What depends on the persons alone, and so is the same in whatever order the topics are read."""
    opinion, on = event.data, china_date(event.time)
    code = objection(outlook, on, side, opinion.given_by, opinion.on_behalf_of)
    if code is not None or opinion.checked_by is None:
        return code
    if opinion.checked_by in (opinion.given_by, opinion.on_behalf_of):
        return Code.SAME_PERSON
    return objection(outlook, on, side, opinion.checked_by, None)


def _untimely(case: Case, event: Event[OpinionGiven], side: Side, outlook: Outlook) -> Code | None:
    """What depends on the case: first what the side's own topic tells, in order, then time, then what others did."""
    known = case.opinions.get(side)
    if known is not None and known.carried_from is None:
        return Code.SECOND_OPINION
    if case.draft_of(side) is not None:
        return Code.DRAFT_WAITS
    if is_late(case, event.time, outlook):
        return Code.AFTER_DEADLINE
    return None if case.status is Status.OPEN else Code.CLOSED


def _draft(case: Case, side: Side, opinion_id: str) -> Draft | None:
    draft = case.draft_of(side)
    return draft if draft is not None and draft.id == opinion_id else None


def _unfit_checker(
    event: Event[OpinionConfirmed] | Event[OpinionReturned],
    side: Side,
    draft: Draft | None,
    checker: str,
    outlook: Outlook,
) -> Code | None:
    on_behalf_of = event.data.on_behalf_of
    code = objection(outlook, china_date(event.time), side, checker, on_behalf_of)
    if code is not None:
        return code
    if draft is None:
        return Code.NO_SUCH_DRAFT
    return Code.SAME_PERSON if same_hands(draft.opinion, checker, on_behalf_of) else None


def _side(event: Event[OpinionGiven] | Event[OpinionConfirmed] | Event[OpinionReturned]) -> Side:
    side = side_of(event.source)
    assert side is not None, "the table lets the two sides through alone"
    return side
