"""What liaison does about what it hears of cases and zones: tell the persons whom the routing table names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.liaison import NoticeFileOpened
from schemas.loan import LoanRefused
from schemas.referral import DuplicateFound, ReferralRegistered, ReferralRejected
from schemas.risk import RiskFact, RiskRefused, RiskSubject, RiskWarning
from schemas.screening import ScreeningRefused
from schemas.values import BANK_HQ, COMMERCE_HQ, Lane, Side
from services.kit.door import Early
from services.liaison.domain.context import LiaisonContext
from services.liaison.domain.description import describe
from services.liaison.domain.escalation import unnamed
from services.liaison.domain.notices import Draft, queued
from services.liaison.domain.recipients import Place, place_of_case, place_of_zone, resolve
from services.liaison.domain.routing import Rule, rule_for
from services.liaison.domain.state import CaseFacts, File, case_from

ACKNOWLEDGE_WITHIN: Final[Mapping[Lane, int]] = {Lane.ORDINARY: 2, Lane.RESUMPTION: 1}
"""Working days for acknowledging a notice."""


def decide_registration(
    state: File | None, event: Event[ReferralRegistered], context: LiaisonContext
) -> Iterator[Payload]:
    """A registered case gets its file; zone and branch are told whose counterpart they now are."""
    referral = event.data.referral
    opened = NoticeFileOpened(
        name=referral.name,
        zone=referral.zone,
        province=referral.province,
        branch=referral.branch,
        lane=referral.lane,
        side=event.data.side,
        source=event.data.source,
    )
    yield opened
    case = case_from(opened)
    yield from _tell(event, case, place_of_case(case), context)


def decide_unregistered(
    state: File | None, event: Event[ReferralRejected | DuplicateFound], context: LiaisonContext
) -> Iterator[Payload]:
    """What was not registered concerns the party that referred, and nobody else."""
    return _tell(event, None, Place(party=event.data.source), context)


def decide_case(state: File | None, event: Event[Any], context: LiaisonContext) -> Iterator[Payload]:
    """Something happened in a case: the persons in charge since its registration are told."""
    case = _case_of(state, event)
    return _tell(event, case, place_of_case(case), context)


def decide_refusal(
    state: File | None, event: Event[ScreeningRefused | LoanRefused], context: LiaisonContext
) -> Iterator[Payload]:
    """A step was refused: whoever asked for it is told. Our own services need no mail."""
    case, payload = _case_of(state, event), event.data
    if isinstance(payload, LoanRefused):
        return _tell(event, case, place_of_case(case, payload.refused_source), context)
    if payload.side is None:
        return iter(())
    screener = f"//commerce/{case.province}" if payload.side is Side.COMMERCE else f"//bank/{case.branch}"
    return _tell(event, case, place_of_case(case, screener), context)


def decide_risk(state: File | None, event: Event[RiskFact], context: LiaisonContext) -> Iterator[Payload]:
    """A statement about risk: of a case it goes to those in charge of the case, otherwise to those of the zone."""
    payload = event.data
    if payload.subject_kind is RiskSubject.CASE:
        return decide_case(state, event, context)
    place = place_of_zone(_zone_of(payload), event.time, context.directory)
    return _tell(event, None, place, context)


def decide_hold_refusal(state: File | None, event: Event[RiskRefused], context: LiaisonContext) -> Iterator[Payload]:
    """A release of a hold was refused: the headquarters that asked are told, whether or not there is such a case."""
    hq = f"//commerce/{COMMERCE_HQ}" if event.data.side is Side.COMMERCE else f"//bank/{BANK_HQ}"
    return _tell(event, None, Place(party=hq), context)


def _tell(event: Event[Any], case: CaseFacts | None, place: Place, context: LiaisonContext) -> Iterator[Payload]:
    rule = rule_for(event.data)
    if rule is None:
        return
    persons, missing = resolve(rule.to, place, event.time, context.directory)
    draft = _draft(rule, event, case, place, context)
    yield from queued(draft, persons)
    yield from unnamed(draft, missing, case, context)


def _draft(rule: Rule, event: Event[Any], case: CaseFacts | None, place: Place, context: LiaisonContext) -> Draft:
    description = describe(event, rule.template, case, place.zone, context.directory)
    due, provisional = None, False
    if rule.acknowledge:
        lane = case.lane if case is not None else Lane.ORDINARY
        due, provisional = context.working_days.after(event.time, ACKNOWLEDGE_WITHIN[lane])
    return Draft(
        origin=f"{event.source} {event.id}",
        file=event.subject,
        about_id=event.id,
        about_type=event.type,
        occurred_at=event.time,
        template=rule.template,
        texts=context.render(rule.template, description.values),
        facts=description.facts,
        acknowledge_by=due,
        provisional=provisional,
    )


def _case_of(state: File | None, event: Event[Any]) -> CaseFacts:
    if state is None or state.facts is None:
        raise Early(f"{event.type} of case {event.subject}, which is not registered here yet")
    return state.facts


def _zone_of(payload: RiskFact) -> str | None:
    if payload.subject_kind is RiskSubject.ZONE:
        return payload.subject
    return payload.zone if isinstance(payload, RiskWarning) else None
