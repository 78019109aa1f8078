"""Consortia, decided: `TABLE` says who may do what, and README.md shows it; `ROUTES` are the decisions held to it."""

from __future__ import annotations

from typing import Final

from schemas.bulletin import EnterpriseCaseEnded, EnterpriseSeen
from schemas.consent import ConsentRecorded
from schemas.consortium import (
    ConsortiumClosed,
    ConsortiumComplete,
    ConsortiumShort,
    CooperationCaseNoted,
    CooperationConsentMissing,
    CooperationConsentNoted,
    CooperationInvitationEnded,
    CooperationModeProposed,
    CooperationPartnerDeclined,
    CooperationPartnerDeparted,
    CooperationPartnerInvited,
    CooperationPartnerJoined,
    CooperationPartnerSilent,
    ParticipationAnswered,
    PartnerLeft,
)
from schemas.cooperation import CooperationRefused
from schemas.envelope import Payload
from schemas.loan import LoanDisbursed
from schemas.plan import PlanProjectReferred, PlanProjectStageTold
from schemas.referral import ReferralAmended, ReferralRegistered, ReferralWithdrawn
from schemas.referral_course import ReferralClosed
from schemas.screening import ScreeningShortlisted
from services.cooperation.domain.consortium import ANSWER, RECORDS, Status, evolve
from services.cooperation.domain.consortium_answers import end_silence, let_leave, take_answer
from services.cooperation.domain.consortium_case import (
    NOT_REGISTERED,
    close_case,
    note_case,
    note_consent,
    note_disbursement,
    propose_mode,
    renew_case,
)
from services.cooperation.domain.consortium_texts import Code, refuse_by_table
from services.kit.transitions import CLOCK, OURS, PARTNERS, Leads, Transition, Transitions

_UNDER_WAY: Final = (Status.AWAITING_CONSENT, Status.GATHERING, Status.SHORT, Status.COMPLETE)
_STEPS: Final[dict[type[Payload], Leads]] = {
    CooperationInvitationEnded: None,
    CooperationConsentMissing: Status.AWAITING_CONSENT,
    CooperationPartnerInvited: Status.GATHERING,
    ConsortiumComplete: Status.COMPLETE,
    ConsortiumShort: Status.SHORT,
}
"""What `gather` may lead to."""

_TOLD: Final[dict[type[Payload], Leads]] = {
    EnterpriseSeen: None,
    EnterpriseCaseEnded: None,
    PlanProjectReferred: None,
    PlanProjectStageTold: None,
}
"""What a case tells its enterprise and its plan."""

TABLE: Final = Transitions(
    "consortium",
    (
        Transition(
            ReferralRegistered,
            (None, Status.NOTED),
            OURS,
            {CooperationCaseNoted: Status.NOTED, CooperationConsentNoted: None, **_TOLD},
        ),
        Transition(ReferralRegistered, (*_UNDER_WAY, Status.CLOSED), OURS, {}, silent=True),
        Transition(ReferralAmended, (Status.NOTED,), OURS, {CooperationCaseNoted: None, **_TOLD}, early=True),
        Transition(
            ReferralAmended,
            _UNDER_WAY,
            OURS,
            {CooperationCaseNoted: None, CooperationModeProposed: Status.GATHERING, **_STEPS, **_TOLD},
        ),
        Transition(ReferralAmended, (Status.CLOSED,), OURS, {}, silent=True),
        Transition(ConsentRecorded, (None, Status.NOTED), OURS, {CooperationConsentNoted: Status.NOTED}, silent=True),
        Transition(ConsentRecorded, _UNDER_WAY, OURS, {CooperationConsentNoted: None, **_STEPS}, silent=True),
        Transition(ConsentRecorded, (Status.CLOSED,), OURS, {}, silent=True),
        Transition(
            ScreeningShortlisted,
            (Status.NOTED,),
            OURS,
            {CooperationModeProposed: Status.GATHERING, **_STEPS, PlanProjectStageTold: None},
            early=True,
        ),
        Transition(ScreeningShortlisted, (*_UNDER_WAY, Status.CLOSED), OURS, {}, silent=True),
        Transition(LoanDisbursed, (None, *Status), OURS, {PlanProjectStageTold: None}, silent=True),
        *(
            row
            for ending in (ReferralWithdrawn, ReferralClosed)
            for row in (
                Transition(
                    ending,
                    (Status.NOTED, *_UNDER_WAY),
                    OURS,
                    {CooperationInvitationEnded: None, ConsortiumClosed: Status.CLOSED, **_TOLD},
                ),
                Transition(ending, (None, Status.CLOSED), OURS, {PlanProjectStageTold: None}, silent=True),
            )
        ),
        Transition(
            ParticipationAnswered,
            (Status.GATHERING, Status.SHORT),
            PARTNERS,
            {CooperationPartnerJoined: None, CooperationPartnerDeclined: None, **_STEPS},
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
            {CooperationPartnerDeparted: None, **_STEPS},
            (Code.NOT_TAKING_PART,),
        ),
        Transition(ANSWER, (Status.GATHERING,), CLOCK, {CooperationPartnerSilent: None, **_STEPS}),
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
        LoanDisbursed: note_disbursement,
        ReferralWithdrawn: close_case,
        ReferralClosed: close_case,
        ParticipationAnswered: take_answer,
        PartnerLeft: let_leave,
    }
)
DUE: Final = TABLE.due(end_silence)
