"""Which event is told to whom: one table, from which the service runs and which its README shows.

Whether an event is told depends on nothing but the event and its case's registration, so that what people receive does
not depend on the order in which topics happened to be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.advice import AdviceAnswered, AdviceEscalated, AdviceFurtherRouted, AdviceReminded, AdviceRouted
from schemas.bulletin import BulletinMatched
from schemas.chain import ScreeningChainRaised
from schemas.consortium import ConsortiumComplete, ConsortiumShort, CooperationConsentMissing, CooperationModeProposed
from schemas.cooperation import CooperationRefused
from schemas.deliberation import (
    ScreeningConferenceCalled,
    ScreeningEscalated,
    ScreeningExtended,
    ScreeningOpinionDrafted,
    ScreeningOpinionReturned,
    ScreeningPrecedentWeighed,
    ScreeningReminded,
)
from schemas.envelope import Payload
from schemas.loan import (
    LoanApproved,
    LoanDeclined,
    LoanDisbursed,
    LoanExtended,
    LoanOverdue,
    LoanRefused,
    LoanSettled,
    LoanWrittenOff,
)
from schemas.matchmaking import MatchTakenUp, MatchTurnedDown, WishClosed, WishMatched, WishUnmatched
from schemas.partner import (
    CooperationInvitationEnded,
    CooperationInvitationPaused,
    CooperationInvitationResumed,
    CooperationPartnerInvited,
)
from schemas.plan import PlanLateMarked, PlanPartRecorded, PlanPartReplaced, PlanSignedOff
from schemas.referral import (
    DuplicateFound,
    ReferralAmended,
    ReferralRefused,
    ReferralRegistered,
    ReferralRejected,
    ReferralWithdrawn,
)
from schemas.referral_course import ConsentAwaited, ReferralClosed
from schemas.resemblance import ResemblanceFlagged
from schemas.risk import (
    RiskLimitBreached,
    RiskRefused,
    RiskWarningCleared,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
    WarningLevel,
)
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningOpened,
    ScreeningRefused,
    ScreeningReleased,
    ScreeningShortlisted,
)
from schemas.terms import CooperationTermsDiffer
from schemas.work_plan import WorkPlanActionLate, WorkPlanOpened
from services.liaison.domain.recipients import Unit


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: events of this type (of these warning levels, if any are named) go to the persons of these units.

    `acknowledge` asks everybody but the headquarters to acknowledge.
    """

    event: type[Payload]
    template: str
    to: tuple[Unit, ...]
    acknowledge: bool = False
    levels: tuple[WarningLevel, ...] = ()


_GROUND: Final = (Unit.ZONE, Unit.BRANCH)
_SCREENERS: Final = (Unit.DEPARTMENT, Unit.BRANCH)
_PROVINCE: Final = (Unit.ZONE, Unit.DEPARTMENT, Unit.BRANCH)
_HEADQUARTERS: Final = (Unit.COMMERCE_HQ, Unit.BANK_HQ)

_BLUE: Final = (WarningLevel.BLUE,)
_YELLOW: Final = (WarningLevel.YELLOW,)
_ORANGE: Final = (WarningLevel.ORANGE,)
_RED: Final = (WarningLevel.RED,)
_BELOW_RED: Final = (WarningLevel.BLUE, WarningLevel.YELLOW, WarningLevel.ORANGE)

RULES: Final[tuple[Rule, ...]] = (
    Rule(ReferralRegistered, "case_registered", _GROUND, acknowledge=True),
    Rule(ReferralAmended, "case_amended", _GROUND),
    Rule(ReferralWithdrawn, "case_withdrawn", _GROUND),
    Rule(ReferralRejected, "referral_rejected", (Unit.PARTY,)),
    Rule(DuplicateFound, "referral_duplicate", (Unit.PARTY,)),
    Rule(ReferralRefused, "step_refused", (Unit.PARTY,)),
    Rule(ConsentAwaited, "consent_awaited", (Unit.PARTY,)),
    Rule(ResemblanceFlagged, "resemblance_flagged", (*_GROUND, Unit.PARTY), acknowledge=True),
    Rule(ReferralClosed, "case_closed", (Unit.PARTY,)),
    Rule(ScreeningOpened, "screening_opened", _SCREENERS),
    Rule(ScreeningOpinionDrafted, "opinion_drafted", (Unit.PARTY,)),
    Rule(ScreeningOpinionReturned, "opinion_returned", (Unit.PARTY,)),
    Rule(ScreeningPrecedentWeighed, "precedent_carried", (Unit.PARTY,)),
    Rule(ScreeningReminded, "screening_reminded", (Unit.PARTY,)),
    Rule(ScreeningExtended, "screening_extended", _SCREENERS),
    Rule(ScreeningEscalated, "screening_escalated", (Unit.PARTY, *_HEADQUARTERS)),
    Rule(ScreeningConferenceCalled, "conference_called", (*_SCREENERS, *_HEADQUARTERS)),
    Rule(ScreeningChainRaised, "chain_raised", _SCREENERS),
    Rule(ScreeningShortlisted, "case_shortlisted", _GROUND, acknowledge=True),
    Rule(ScreeningDeclined, "case_declined", _GROUND),
    Rule(ScreeningExpired, "case_expired", (*_SCREENERS, *_HEADQUARTERS)),
    Rule(ScreeningHeld, "case_held", _GROUND, acknowledge=True),
    Rule(ScreeningReleased, "case_released", _GROUND),
    Rule(ScreeningRefused, "step_refused", (Unit.PARTY,)),
    Rule(CooperationModeProposed, "mode_proposed", (Unit.BRANCH,)),
    Rule(CooperationConsentMissing, "partner_consent_missing", (Unit.PARTY,)),
    Rule(CooperationPartnerInvited, "partner_invited", (Unit.PARTNER,)),
    Rule(CooperationInvitationEnded, "invitation_ended", (Unit.PARTNER,)),
    Rule(CooperationInvitationPaused, "invitation_paused", (Unit.PARTNER,)),
    Rule(CooperationInvitationResumed, "invitation_resumed", (Unit.PARTNER,)),
    Rule(ConsortiumComplete, "consortium_complete", _GROUND),
    Rule(ConsortiumShort, "consortium_short", (Unit.BRANCH, Unit.BANK_HQ)),
    Rule(CooperationTermsDiffer, "terms_differ", _GROUND),
    Rule(CooperationRefused, "step_refused", (Unit.PARTY, Unit.PARTNER)),
    Rule(PlanPartRecorded, "plan_part_submitted", _SCREENERS),
    Rule(PlanPartReplaced, "plan_part_submitted", _SCREENERS),
    Rule(PlanSignedOff, "plan_signed_off", _PROVINCE),
    Rule(PlanLateMarked, "plan_late", (Unit.ZONE, Unit.DEPARTMENT)),
    Rule(WorkPlanOpened, "work_plan_opened", (Unit.NAMED,)),
    Rule(WorkPlanActionLate, "work_plan_action_late", (Unit.NAMED, Unit.PARTY)),
    Rule(AdviceRouted, "advice_routed", (Unit.PARTY,)),
    Rule(AdviceFurtherRouted, "advice_routed", (Unit.PARTY,)),
    Rule(AdviceReminded, "advice_reminded", (Unit.PARTY,)),
    Rule(AdviceEscalated, "advice_escalated", (Unit.PARTY, Unit.BANK_HQ)),
    Rule(AdviceAnswered, "advice_answered", (Unit.ZONE,)),
    Rule(WishMatched, "match_found", (Unit.PARTY,)),
    Rule(WishUnmatched, "wish_outcome", (Unit.PARTY,)),
    Rule(MatchTakenUp, "match_taken_up", (*_SCREENERS, Unit.PARTY)),
    Rule(MatchTurnedDown, "wish_outcome", (Unit.PARTY,)),
    Rule(WishClosed, "wish_outcome", (Unit.PARTY,)),
    Rule(BulletinMatched, "bulletin_matched", (Unit.ZONE,)),
    Rule(LoanApproved, "loan_approved", (Unit.ZONE,)),
    Rule(LoanDeclined, "loan_declined", (Unit.ZONE,)),
    Rule(LoanDisbursed, "loan_disbursed", (Unit.ZONE,)),
    Rule(LoanOverdue, "loan_overdue", (Unit.ZONE,)),
    Rule(LoanExtended, "loan_extended", (Unit.ZONE,)),
    Rule(LoanSettled, "loan_settled", (Unit.ZONE,)),
    Rule(LoanWrittenOff, "loan_written_off", (Unit.ZONE, *_HEADQUARTERS)),
    Rule(LoanRefused, "step_refused", (Unit.PARTY,)),
    Rule(RiskWarningRaised, "warning_raised", _GROUND, levels=_BLUE),
    Rule(RiskWarningRaised, "warning_raised", _GROUND, acknowledge=True, levels=_YELLOW),
    Rule(RiskWarningRaised, "warning_raised", _PROVINCE, acknowledge=True, levels=_ORANGE),
    Rule(RiskWarningRaised, "warning_raised", (*_PROVINCE, *_HEADQUARTERS), acknowledge=True, levels=_RED),
    Rule(RiskWarningRaisedFurther, "warning_raised_further", _GROUND, acknowledge=True, levels=_YELLOW),
    Rule(RiskWarningRaisedFurther, "warning_raised_further", _PROVINCE, acknowledge=True, levels=_ORANGE),
    Rule(
        RiskWarningRaisedFurther,
        "warning_raised_further",
        (*_PROVINCE, *_HEADQUARTERS),
        acknowledge=True,
        levels=_RED,
    ),
    Rule(RiskWarningCleared, "warning_cleared", _GROUND, levels=_BELOW_RED),
    Rule(RiskWarningCleared, "warning_cleared", (*_PROVINCE, *_HEADQUARTERS), levels=_RED),
    Rule(RiskLimitBreached, "limit_breached", (Unit.BRANCH, *_HEADQUARTERS)),
    Rule(RiskRefused, "step_refused", (Unit.PARTY,)),
)

_INDEX: Final = {(rule.event, level): rule for rule in RULES for level in (rule.levels or (None,))}


def rule_for(payload: Payload) -> Rule | None:
    """The row that applies to an event, or None where it is told to nobody."""
    return _INDEX.get((type(payload), _level(payload)))


def _level(payload: Payload) -> WarningLevel | None:
    if isinstance(payload, RiskWarningRaised):
        return payload.level
    return payload.level_before if isinstance(payload, RiskWarningCleared) else None
