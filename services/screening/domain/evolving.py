"""How each of its own events changes a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from schemas.chain import ScreeningChainEased, ScreeningChainRaised
from schemas.deliberation import (
    ScreeningConferenceCalled,
    ScreeningConferenceOutcomeRecorded,
    ScreeningEscalated,
    ScreeningExtended,
    ScreeningOpinionDrafted,
    ScreeningOpinionReturned,
    ScreeningReminded,
)
from schemas.envelope import Payload
from schemas.opinion import OpinionReason
from schemas.scoring import ScreeningScored, Terms
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningOpened,
    ScreeningOpinionRecorded,
    ScreeningReleased,
    ScreeningShortlisted,
    ScreeningWithdrawn,
)
from schemas.values import Side
from services.screening.domain.case import Answer, Asked, Case, Conference, Draft, Opinion, Place, Said, Status, changed


def evolve(case: Case | None, payload: Payload) -> Case:
    """The case after one of its own events, refusals excepted: they change nothing."""
    if isinstance(payload, ScreeningOpened):
        return _opened(payload)
    if case is None:
        raise ValueError(f"{payload.TYPE} of a case that was never opened")
    return _CHANGES[type(payload)](case, payload)


def _opened(opened: ScreeningOpened) -> Case:
    return Case(
        status=Status.OPEN,
        lane=opened.lane,
        revision=1,
        opened_at=opened.opened_at,
        deadline=opened.deadline,
        deadline_provisional=opened.deadline_provisional,
        score=0,
        policy_version="",
        key_areas=(),
        commerce=None,
        bank=None,
        holds=(),
        days_left=None,
        resumed_at=None,
        pace=opened.lane,
        remind_at=opened.remind_at,
        grace_until=None,
        extended=False,
        commerce_draft=None,
        bank_draft=None,
        conference=None,
        asked=None,
        chain=None,
        raised=False,
    )


def _scored(case: Case, scored: ScreeningScored) -> Case:
    link = scored.chain
    stays = case.chain is not None and link is not None and case.chain.chain_id == link.chain_id
    return changed(
        case,
        lane=scored.lane,
        revision=scored.revision,
        score=scored.score,
        policy_version=scored.policy_version,
        key_areas=scored.key_areas,
        asked=None if scored.terms is None else asked_of(scored.terms),
        chain=None if link is None else Place(link.chain_id, link.role, link.key_link),
        raised=case.raised and stays,
    )


def asked_of(terms: Terms) -> Asked:
    """What a version of a referral asks for, as the state keeps it."""
    return Asked(
        credit_code=terms.credit_code,
        zone=terms.zone,
        need=terms.need,
        amount=str(terms.amount.amount),
        currency=terms.amount.currency,
        term_months=terms.term_months,
    )


def _drafted(case: Case, drafted: ScreeningOpinionDrafted) -> Case:
    opinion = Opinion(
        verdict=drafted.verdict,
        given_by=drafted.given_by,
        given_at=drafted.given_at,
        reasons=_said(drafted.reasons),
        on_behalf_of=drafted.on_behalf_of,
    )
    return _with_draft(case, drafted.side, Draft(drafted.opinion_id, opinion))


def _returned(case: Case, returned: ScreeningOpinionReturned) -> Case:
    return _with_draft(case, returned.side, None)


def _with_draft(case: Case, side: Side, draft: Draft | None) -> Case:
    return changed(case, commerce_draft=draft) if side is Side.COMMERCE else changed(case, bank_draft=draft)


def _opinion_recorded(case: Case, recorded: ScreeningOpinionRecorded) -> Case:
    opinion = Opinion(
        verdict=recorded.verdict,
        given_by=recorded.given_by,
        given_at=recorded.given_at,
        reasons=_said(recorded.reasons),
        on_behalf_of=recorded.on_behalf_of,
        checked_by=recorded.checked_by,
        checked_at=recorded.checked_at,
        carried_from=recorded.carried_from,
    )
    if recorded.side is Side.COMMERCE:
        return changed(case, commerce=opinion, commerce_draft=None)
    return changed(case, bank=opinion, bank_draft=None)


def _said(reasons: tuple[OpinionReason, ...]) -> tuple[Said, ...]:
    return tuple([Said(reason.code, reason.text) for reason in reasons])


def _reminded(case: Case, reminded: ScreeningReminded) -> Case:
    return changed(case, remind_at=None)


def _escalated(case: Case, escalated: ScreeningEscalated) -> Case:
    return changed(case, grace_until=escalated.grace_until)


def _extended(case: Case, extended: ScreeningExtended) -> Case:
    return changed(
        case,
        deadline=extended.deadline,
        deadline_provisional=extended.deadline_provisional,
        remind_at=extended.remind_at,
        grace_until=None,
        extended=True,
    )


def _conference_called(case: Case, called: ScreeningConferenceCalled) -> Case:
    return changed(case, status=Status.CONFERENCE, conference=Conference(called.called_at, called.deadline))


def _outcome_recorded(case: Case, recorded: ScreeningConferenceOutcomeRecorded) -> Case:
    if case.conference is None:
        raise ValueError("an outcome of a conference that was never called")
    answer = Answer(recorded.outcome, recorded.given_at)
    if recorded.side is Side.COMMERCE:
        return changed(case, conference=replace(case.conference, commerce=answer))
    return changed(case, conference=replace(case.conference, bank=answer))


def _held(case: Case, held: ScreeningHeld) -> Case:
    return changed(case, holds=held.holds, days_left=held.working_days_left)


def _released(case: Case, released: ScreeningReleased) -> Case:
    """With the last hold the clock that was running runs again, to its new end."""
    if released.deadline is None:
        return changed(case, holds=released.holds)
    case = changed(case, holds=released.holds, days_left=None, resumed_at=released.released_at)
    if case.status is Status.CONFERENCE and case.conference is not None:
        return changed(case, conference=replace(case.conference, deadline=released.deadline))
    if case.grace_until is not None:
        return changed(case, grace_until=released.deadline)
    return changed(
        case,
        deadline=released.deadline,
        deadline_provisional=released.deadline_provisional,
        remind_at=released.remind_at,
    )


def _raised(case: Case, raised: ScreeningChainRaised) -> Case:
    return changed(case, raised=True)


def _eased(case: Case, eased: ScreeningChainEased) -> Case:
    return changed(case, raised=False)


def _becomes(status: Status) -> Callable[[Case, Any], Case]:
    return lambda case, _: changed(case, status=status)


_CHANGES: Final[Mapping[type[Payload], Callable[[Case, Any], Case]]] = {
    ScreeningScored: _scored,
    ScreeningOpinionDrafted: _drafted,
    ScreeningOpinionReturned: _returned,
    ScreeningOpinionRecorded: _opinion_recorded,
    ScreeningReminded: _reminded,
    ScreeningEscalated: _escalated,
    ScreeningExtended: _extended,
    ScreeningConferenceCalled: _conference_called,
    ScreeningConferenceOutcomeRecorded: _outcome_recorded,
    ScreeningHeld: _held,
    ScreeningReleased: _released,
    ScreeningChainRaised: _raised,
    ScreeningChainEased: _eased,
    ScreeningShortlisted: _becomes(Status.SHORTLISTED),
    ScreeningDeclined: _becomes(Status.DECLINED),
    ScreeningExpired: _becomes(Status.EXPIRED),
    ScreeningWithdrawn: _becomes(Status.WITHDRAWN),
}

RECORDS: Final[tuple[type[Payload], ...]] = (ScreeningOpened, *_CHANGES)
"""The events that change a case."""
