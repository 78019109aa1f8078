"""Consortia, decided: `TABLE` says who may do what, and README.md shows it; `ROUTES` are the decisions held to it."""

from __future__ import annotations

from typing import Final

from schemas.bulletin import EnterpriseCaseEnded, EnterpriseSeen
from schemas.consent import ConsentRecorded
from schemas.consortium import (
    ConsortiumClosed,
    ConsortiumComplete,
    ConsortiumSearched,
    ConsortiumShort,
    CooperationCaseNoted,
    CooperationConsentMissing,
    CooperationConsentNoted,
    CooperationHoldNoted,
    CooperationModeProposed,
)
from schemas.cooperation import CooperationRefused
from schemas.envelope import Payload
from schemas.loan import LoanContracted, LoanDisbursed
from schemas.partner import (
    CooperationInvitationEnded,
    CooperationInvitationPaused,
    CooperationInvitationResumed,
    CooperationPartnerDeclined,
    CooperationPartnerDeparted,
    CooperationPartnerInvited,
    CooperationPartnerJoined,
    CooperationPartnerSilent,
    ParticipationAnswered,
    PartnerLeft,
)
from schemas.plan import PlanProjectMoved, PlanProjectReferred, PlanProjectStageTold
from schemas.referral import ReferralAmended, ReferralRegistered
from schemas.referral_course import ReferralClosed
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningReleased,
    ScreeningShortlisted,
    ScreeningWithdrawn,
)
from schemas.terms import CooperationLoanNoted, CooperationTermsDiffer, CooperationTermsKept
from services.cooperation.domain.consortium import ANSWER, RECORDS, SEARCH, TERMS, UNDER_WAY, Status, evolve
from services.cooperation.domain.consortium_answers import let_leave, see_to_time, take_answer
from services.cooperation.domain.consortium_case import (
    NOT_REGISTERED,
    close_case,
    close_screened,
    note_case,
    note_consent,
    note_contract,
    note_disbursement,
    note_hold,
    propose_mode,
    renew_case,
)
from services.cooperation.domain.consortium_texts import Code, refuse_by_table
from services.kit.transitions import CLOCK, OURS, PARTNERS, Leads, Transition, Transitions

_ASKED: Final[dict[type[Payload], Leads]] = {
    CooperationPartnerInvited: Status.GATHERING,
    ConsortiumShort: Status.SHORT,
}
"""The next partners are asked, or nobody is left to ask."""

_PROPOSED: Final[dict[type[Payload], Leads]] = {
    CooperationModeProposed: Status.GATHERING,
    CooperationConsentMissing: Status.AWAITING_CONSENT,
    ConsortiumComplete: Status.COMPLETE,
    **_ASKED,
}
"""A mode is proposed, and what it needs is done."""

_COUNTED: Final[dict[type[Payload], Leads]] = {
    EnterpriseSeen: None,
    EnterpriseCaseEnded: None,
    PlanProjectReferred: None,
    PlanProjectMoved: None,
}
"""A case tells its enterprise and its plan, and an enterprise that it is no longer about."""

_ENDINGS: Final[tuple[type[Payload], ...]] = (ScreeningWithdrawn, ScreeningDeclined, ScreeningExpired)
_CLOSED: Final[dict[type[Payload], Leads]] = {
    CooperationInvitationEnded: None,
    ConsortiumClosed: Status.CLOSED,
    EnterpriseCaseEnded: None,
    PlanProjectStageTold: None,
}
"""The case is over, and all whom it concerned are told."""

TABLE: Final = Transitions(
    "consortium",
    (
        Transition(
            ReferralRegistered,
            (None, Status.NOTED),
            OURS,
            {
                CooperationCaseNoted: Status.NOTED,
                CooperationConsentNoted: None,
                EnterpriseSeen: None,
                PlanProjectReferred: None,
            },
        ),
        Transition(ReferralRegistered, (*UNDER_WAY, Status.CLOSED), OURS, {}, silent=True),
        Transition(ReferralAmended, (Status.NOTED,), OURS, {CooperationCaseNoted: None, **_COUNTED}, early=True),
        Transition(
            ReferralAmended,
            UNDER_WAY,
            OURS,
            {
                CooperationCaseNoted: None,
                CooperationInvitationEnded: None,
                **_PROPOSED,
                **_COUNTED,
                PlanProjectStageTold: None,
            },
        ),
        Transition(ReferralAmended, (Status.CLOSED,), OURS, {}, silent=True),
        Transition(ConsentRecorded, (None, Status.NOTED), OURS, {CooperationConsentNoted: Status.NOTED}, silent=True),
        Transition(
            ConsentRecorded,
            UNDER_WAY,
            OURS,
            {
                CooperationConsentNoted: None,
                CooperationInvitationEnded: None,
                CooperationConsentMissing: Status.AWAITING_CONSENT,
                **_ASKED,
            },
            silent=True,
        ),
        Transition(ConsentRecorded, (Status.CLOSED,), OURS, {}, silent=True),
        Transition(
            ScreeningShortlisted,
            (Status.NOTED,),
            OURS,
            {**_PROPOSED, PlanProjectStageTold: None},
            early=True,
        ),
        Transition(ScreeningShortlisted, (*UNDER_WAY, Status.CLOSED), OURS, {}, silent=True),
        Transition(
            ScreeningHeld,
            (Status.NOTED, *UNDER_WAY),
            OURS,
            {CooperationHoldNoted: None, CooperationInvitationPaused: None},
            early=True,
            silent=True,
        ),
        Transition(
            ScreeningReleased,
            (Status.NOTED, *UNDER_WAY),
            OURS,
            {CooperationHoldNoted: None, CooperationInvitationResumed: None, **_ASKED},
            early=True,
            silent=True,
        ),
        *(Transition(hold, (Status.CLOSED,), OURS, {}, silent=True) for hold in (ScreeningHeld, ScreeningReleased)),
        # Noted of a case that is over as well: intake's word of its end may be read before the bank's of the loan.
        Transition(
            LoanContracted,
            (Status.NOTED, *UNDER_WAY, Status.CLOSED),
            OURS,
            {CooperationLoanNoted: None},
            early=True,
        ),
        Transition(
            LoanDisbursed,
            (*UNDER_WAY, Status.CLOSED),
            OURS,
            {CooperationLoanNoted: None, PlanProjectStageTold: None},
            silent=True,
        ),
        Transition(LoanDisbursed, (None, Status.NOTED), OURS, {PlanProjectStageTold: None}, silent=True),
        *(
            row
            for ending in _ENDINGS
            for row in (
                Transition(ending, (Status.NOTED, *UNDER_WAY), OURS, _CLOSED, early=True),
                Transition(ending, (Status.CLOSED,), OURS, {}, silent=True),
            )
        ),
        Transition(ReferralClosed, (Status.NOTED, *UNDER_WAY), OURS, _CLOSED, silent=True),
        Transition(ReferralClosed, (None, Status.CLOSED), OURS, {}, silent=True),
        Transition(
            ParticipationAnswered,
            (Status.GATHERING, Status.SHORT),
            PARTNERS,
            {
                CooperationPartnerJoined: None,
                CooperationPartnerDeclined: None,
                CooperationInvitationEnded: None,
                ConsortiumComplete: Status.COMPLETE,
                **_ASKED,
            },
            (
                Code.NOT_INVITED,
                Code.ALREADY_ANSWERED,
                Code.AFTER_DEADLINE,
                Code.INVITATION_ENDED,
                Code.OTHER_CURRENCY,
                Code.SHARE_TOO_LARGE,
                Code.SHARE_TOO_SMALL,
            ),
        ),
        Transition(
            PartnerLeft,
            (Status.GATHERING, Status.SHORT, Status.COMPLETE),
            PARTNERS,
            {CooperationPartnerDeparted: None, **_ASKED},
            (Code.NOT_TAKING_PART,),
        ),
        Transition(
            SEARCH,
            (Status.SHORT,),
            CLOCK,
            {ConsortiumSearched: None, CooperationPartnerInvited: Status.GATHERING},
        ),
        Transition(TERMS, UNDER_WAY, CLOCK, {CooperationTermsKept: None, CooperationTermsDiffer: None}),
        Transition(ANSWER, (Status.GATHERING,), CLOCK, {CooperationPartnerSilent: None, **_ASKED}),
    ),
    status=lambda state: state.status,
    evolve=evolve,
    records=RECORDS,
    refused=CooperationRefused,
    refuse=refuse_by_table,
    early=NOT_REGISTERED,
)

ROUTES: Final = TABLE.routes(
    {
        ReferralRegistered: note_case,
        ReferralAmended: renew_case,
        ConsentRecorded: note_consent,
        ScreeningShortlisted: propose_mode,
        ScreeningHeld: note_hold,
        ScreeningReleased: note_hold,
        LoanContracted: note_contract,
        LoanDisbursed: note_disbursement,
        **dict.fromkeys(_ENDINGS, close_screened),
        ReferralClosed: close_case,
        ParticipationAnswered: take_answer,
        PartnerLeft: let_leave,
    }
)
DUE: Final = TABLE.due(see_to_time)
