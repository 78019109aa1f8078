"""What a case brings to its consortium: it is registered, amended, consented to, shortlisted, held, and over one day.

Besides, a case tells its enterprise and its plan, which have keys of their own, what they count of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.bulletin import EnterpriseCase, EnterpriseCaseEnded, EnterpriseSeen
from schemas.consent import ConsentRecorded, ConsentScope
from schemas.consortium import ConsortiumClosed, CooperationCaseNoted, CooperationConsentNoted, CooperationHoldNoted
from schemas.envelope import Event, Payload
from schemas.loan import LoanContracted, LoanDisbursed
from schemas.plan import PlanProjectMoved, PlanProjectReferred, PlanProjectStageTold
from schemas.referral import Referral, ReferralAmended, ReferralRegistered
from schemas.referral_course import ReferralClosed
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningReleased,
    ScreeningShortlisted,
    ScreeningWithdrawn,
)
from schemas.values import Side
from services.cooperation.domain.consortium import UNDER_WAY, Consortium, Facts, Status, evolve
from services.cooperation.domain.gathering import PartnerOutlook, end, facts_of, gather, pause, propose, resume
from services.cooperation.domain.terms import note_loan
from services.kit.door import Early, Output, To

NOT_REGISTERED: Final = "the referral is not registered yet"
_OF_LOANS: Final = "loan."
_ENDS: Final[Mapping[type[Payload], str]] = {
    ScreeningDeclined: "screening_declined",
    ScreeningExpired: "screening_expired",
}
"""What joint screening ends a case with → the code under which referral intake closes it."""


def note_case(state: Consortium | None, event: Event[ReferralRegistered], outlook: PartnerOutlook) -> Iterator[Output]:
    """A registered case is noted, with what its consent covers; its enterprise and its plan are told."""
    if state is not None and state.status is not Status.NOTED:
        return
    told, referral = event.data, event.data.referral
    yield _noted(event, referral, told.side, told.source)
    # Where no enterprise is named, there is nobody whose data would need consent.
    covered = referral.enterprise is None or ConsentScope.PARTNER in told.consent_scopes
    if covered and not (state is not None and state.covers_partners):
        yield CooperationConsentNoted(referral_id=event.subject, covers_partners=True, noted_at=event.time)
    yield from _tell_enterprise(event.subject, referral, told.side)
    yield from _refer_to_plan(event.subject, referral, told.source)


def renew_case(state: Consortium, event: Event[ReferralAmended], outlook: PartnerOutlook) -> Iterator[Output]:
    """An amended case is noted anew. Where the mode, the sum or the province is another, all is gathered afresh.

    Raises Early where only a consent is known of it.
    """
    if state.status is Status.CLOSED:
        return
    if state.facts is None:
        raise Early(NOT_REGISTERED)
    was = facts_of(state)
    noted = _noted(event, event.data.referral, was.side, was.source)
    yield noted
    now = evolve(state, noted)
    if state.status is not Status.NOTED and _is_another(state, facts_of(now), outlook):
        for ended in end(now, event.subject, "case_amended", event.time):
            yield ended
            now = evolve(now, ended)
        yield from propose(now, event.subject, event.time, outlook)
    if was.credit_code is not None and was.credit_code != noted.credit_code:
        yield _case_ended(was.credit_code, event.subject)
    yield from _tell_enterprise(event.subject, event.data.referral, was.side)
    yield from _move_to_plan(now, event.subject, event.data.referral, was)


def note_consent(state: Consortium | None, event: Event[ConsentRecorded], outlook: PartnerOutlook) -> Iterator[Output]:
    """Consent that covers partners lets invitations go out; without it they end, and what was taken up with them."""
    covers = ConsentScope.PARTNER in event.data.scopes
    if state is not None and (state.status is Status.CLOSED or state.covers_partners is covers):
        return
    noted = CooperationConsentNoted(referral_id=event.subject, covers_partners=covers, noted_at=event.time)
    yield noted
    if state is None or state.status is Status.NOTED:
        return
    now = evolve(state, noted)
    if not covers:
        for ended in end(now, event.subject, "consent_revoked", event.time):
            yield ended
            now = evolve(now, ended)
    # What needs no partner is complete and stays so, whatever the consent covers.
    if now.missing:
        yield from gather(now, event.subject, event.time, outlook)


def note_hold(
    state: Consortium, event: Event[ScreeningHeld] | Event[ScreeningReleased], outlook: PartnerOutlook
) -> Iterator[Output]:
    """The first hold on a case stops invitations and their time, the release of the last lets them go on."""
    held = isinstance(event.data, ScreeningHeld)
    if state.held is held or (not held and event.data.holds):
        return
    noted = CooperationHoldNoted(referral_id=event.subject, held=held, noted_at=event.time)
    yield noted
    after = pause if held else resume
    yield from after(evolve(state, noted), event.subject, event.time, outlook)


def propose_mode(state: Consortium, event: Event[ScreeningShortlisted], outlook: PartnerOutlook) -> Iterator[Output]:
    """A shortlisted case gets its mode. Raises Early where only a consent is known of it."""
    if state.status is not Status.NOTED:
        return
    if state.facts is None:
        raise Early(NOT_REGISTERED)
    yield from propose(state, event.subject, event.time, outlook)
    yield from _tell_plan(state, event.subject, "shortlisted")


def note_contract(state: Consortium, event: Event[LoanContracted], outlook: PartnerOutlook) -> Iterator[Output]:
    """A loan was signed. Raises Early where the shortlist, which stands on another topic, has not been read yet."""
    if state.status is Status.NOTED:
        raise Early("a loan was signed, so the case was shortlisted, which has not been read yet")
    yield from note_loan(event)


def note_disbursement(
    state: Consortium | None, event: Event[LoanDisbursed], outlook: PartnerOutlook
) -> Iterator[Output]:
    """Money has flowed: the plan is told, and the first time the loan is looked at again."""
    if state is not None and state.status is not Status.NOTED:
        yield from note_loan(event)
    yield from _tell_plan(state, event.subject, "financed")


def close_screened(
    state: Consortium,
    event: Event[ScreeningWithdrawn] | Event[ScreeningDeclined] | Event[ScreeningExpired],
    outlook: PartnerOutlook,
) -> Iterator[Output]:
    """Joint screening says that the case is over, on the topic on which it says that a case is shortlisted.

    So neither can overtake the other. Raises Early where the registration has not been read yet.
    """
    if state.facts is None:
        raise Early(NOT_REGISTERED)
    told = event.data
    code = str(told.code) if isinstance(told, ScreeningWithdrawn) else _ENDS[type(told)]
    yield from _close(state, event, code)


def close_case(state: Consortium, event: Event[ReferralClosed], outlook: PartnerOutlook) -> Iterator[Output]:
    """A loan ended the case; of all other ends screening tells itself.

    Raises Early where the shortlist, which stands on another topic, has not been read yet.
    """
    if not event.data.by_type.startswith(_OF_LOANS):
        return
    if state.status is Status.NOTED:
        raise Early("a loan ended the case, so it was shortlisted, which has not been read yet")
    yield from _close(state, event, str(event.data.code))


def _close(state: Consortium, event: Event[Any], code: str) -> Iterator[Output]:
    """Invitations end; the enterprise and the plan of the case are told."""
    yield from end(state, event.subject, "case_closed", event.time)
    yield ConsortiumClosed(referral_id=event.subject, code=code, closed_at=event.time)
    if state.facts is not None and state.facts.credit_code is not None:
        yield _case_ended(state.facts.credit_code, event.subject)
    yield from _tell_plan(state, event.subject, code)


def _noted(event: Event[Any], referral: Referral, side: Side, source: str | None) -> CooperationCaseNoted:
    enterprise = referral.enterprise
    return CooperationCaseNoted(
        referral_id=event.subject,
        side=side,
        subject_kind=referral.subject_kind,
        name=referral.name,
        zone=referral.zone,
        province=referral.province,
        key_area=referral.key_area,
        lane=referral.lane,
        need=referral.need,
        amount=referral.amount,
        term_months=referral.term_months,
        wished=referral.cooperation_mode,
        credit_code=enterprise and enterprise.credit_code,
        enterprise=enterprise and enterprise.name,
        size_class=enterprise and enterprise.size_class,
        ownership=enterprise and enterprise.ownership,
        industry=enterprise and enterprise.industry,
        plan=referral.zone_plan,
        source=source,
        noted_at=event.time,
    )


def _is_another(state: Consortium, now: Facts, outlook: PartnerOutlook) -> bool:
    """Whether what was gathered so far can't stand with the facts as they are now."""
    was = facts_of(state)
    if (was.amount, was.currency, was.province) != (now.amount, now.currency, now.province):
        return True
    return outlook.modes.judge(now)[0].mode is not state.mode


def _tell_enterprise(case: str, referral: Referral, side: Side) -> Iterator[To]:
    enterprise = referral.enterprise
    if enterprise is None:
        return
    seen = EnterpriseCase(
        referral_id=case,
        side=side,
        industry=enterprise.industry,
        size_class=enterprise.size_class,
        ownership=enterprise.ownership,
        province=referral.province,
        zone=referral.zone,
        need=referral.need,
        key_area=referral.key_area,
    )
    yield To(enterprise.credit_code, EnterpriseSeen(credit_code=enterprise.credit_code, case=seen))


def _case_ended(credit_code: str, case: str) -> To:
    return To(credit_code, EnterpriseCaseEnded(credit_code=credit_code, referral_id=case))


def _refer_to_plan(case: str, referral: Referral, source: str | None) -> Iterator[To]:
    if referral.zone_plan is not None:
        kind = referral.subject_kind
        referred = PlanProjectReferred(referral_id=case, zone=referral.zone, subject_kind=kind, source=source)
        yield To(referral.zone_plan, referred)


def _move_to_plan(state: Consortium, case: str, referral: Referral, was: Facts) -> Iterator[To]:
    """An amended case leaves the plan that it named before and tells the one that it names how far it has come.

    It does so though the plan is the same: one that had never been submitted refused the case, and may know it now.
    """
    if was.plan is not None and was.plan != referral.zone_plan:
        yield To(was.plan, PlanProjectMoved(referral_id=case, moved_to=referral.zone_plan))
    yield from _refer_to_plan(case, referral, was.source)
    if state.status in UNDER_WAY:
        yield from _tell_plan(state, case, "financed" if state.financed else "shortlisted")


def _tell_plan(state: Consortium | None, case: str, stage: str) -> Iterator[To]:
    plan = None if state is None or state.facts is None else state.facts.plan
    if plan is not None:
        yield To(plan, PlanProjectStageTold(referral_id=case, stage=stage))
