"""What liaison does about what it hears of cases and zones: tell the persons whom the routing table names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.liaison import NoticeFileOpened
from schemas.referral import ReferralRegistered
from schemas.values import Lane
from services.liaison.domain.context import LiaisonContext
from services.liaison.domain.description import describe
from services.liaison.domain.escalation import unnamed
from services.liaison.domain.notices import Draft, queued
from services.liaison.domain.partners import tell_partners
from services.liaison.domain.places import where
from services.liaison.domain.recipients import Place, Unit, place_of_case, resolve
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
    yield from _tell(event, case, place_of_case(case), state, context)


def decide_told(state: File | None, event: Event[Any], context: LiaisonContext) -> Iterator[Payload]:
    """Something happened: whoever the routing table names is told."""
    case, place = where(event, state, context.directory)
    return _tell(event, case, place, state, context)


def _tell(
    event: Event[Any], case: CaseFacts | None, place: Place, state: File | None, context: LiaisonContext
) -> Iterator[Payload]:
    rule = rule_for(event.data)
    if rule is None:
        return
    persons, missing = resolve(rule.to, place, event.time, context.directory)
    partners = place.partners if Unit.PARTNER in rule.to else ()
    if not (persons or missing or partners):
        return
    draft = _draft(rule, event, case, place, context)
    yield from queued(draft, persons)
    yield from unnamed(draft, missing, case, context)
    yield from tell_partners(draft, partners, state, context)


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
