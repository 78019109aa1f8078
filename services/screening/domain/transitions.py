"""The life of a case as a table: what may come in which state, from whom, and where it leads. The code runs from it."""

from __future__ import annotations

from typing import Any, Final

from schemas.chain import ScreeningChainEased, ScreeningChainLinkTold, ScreeningChainRaised, ScreeningChainStateTold
from schemas.deliberation import (
    ScreeningConferenceCalled,
    ScreeningConferenceOutcomeRecorded,
    ScreeningEscalated,
    ScreeningExtended,
    ScreeningOpinionDrafted,
    ScreeningOpinionReturned,
    ScreeningPrecedentWeighed,
    ScreeningReminded,
)
from schemas.envelope import Event, Payload
from schemas.opinion import (
    ConferenceOutcomeGiven,
    OpinionConfirmed,
    OpinionExtensionAsked,
    OpinionGiven,
    OpinionReturned,
)
from schemas.precedent import PrecedentAnswered, PrecedentAsked
from schemas.referral import ReferralAmended, ReferralRegistered, ReferralWithdrawn
from schemas.risk import RiskHeld, RiskReleased
from schemas.scoring import ScreeningScored
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningOpened,
    ScreeningOpinionRecorded,
    ScreeningRefused,
    ScreeningReleased,
    ScreeningShortlisted,
    ScreeningWithdrawn,
)
from services.kit.transitions import CLOCK, HQS, OURS, SIDES, Transition, Transitions, Wrong
from services.screening.domain.case import CONFERENCE, DECISION, EXPIRY, REMINDER, Case, Status
from services.screening.domain.evolving import RECORDS, evolve
from services.screening.domain.refusals import Code, refuse

_S = Status
_UNDECIDED = (_S.OPEN, _S.CONFERENCE)
_ALIVE = (*_UNDECIDED, _S.SHORTLISTED)
_OVER = tuple(status for status in Status if status is not _S.OPEN)

_CHAIN: dict[type[Payload], Any] = {ScreeningChainLinkTold: None}
"""What moves a case may be told to its supply chain."""

_PERSON = (Code.WRONG_PARTY, Code.PERSON_ABSENT, Code.NOT_DEPUTY)
_GIVEN = (*_PERSON, Code.SAME_PERSON, Code.SECOND_OPINION, Code.DRAFT_WAITS, Code.AFTER_DEADLINE)
_RETURNED = (*_PERSON, Code.SAME_PERSON, Code.NO_SUCH_DRAFT)
_CONFIRMED = (*_RETURNED, Code.AFTER_DEADLINE)
_EXTENSION = (*_PERSON, Code.ALREADY_EXTENDED, Code.AFTER_DEADLINE, Code.NOT_AWAITED)
_OUTCOME = (*_PERSON, Code.SECOND_OUTCOME, Code.AFTER_DEADLINE)


def _spoken(on: type[Payload], emits: dict[type[Payload], Any], refuses: tuple[Code, ...]) -> tuple[Transition, ...]:
    """What a side says while opinions are awaited. Later it is refused, first for what no order of reading changes."""
    return (
        Transition(on, (_S.OPEN,), SIDES, emits, refuses, early=True),
        Transition(on, _OVER, SIDES, {}, (*dict.fromkeys((*refuses, Code.CLOSED)),)),
    )


ROWS: Final = (
    Transition(
        ReferralRegistered,
        (None,),
        OURS,
        {
            ScreeningOpened: _S.OPEN,
            ScreeningScored: None,
            ScreeningDeclined: _S.DECLINED,
            PrecedentAsked: None,
            **_CHAIN,
        },
    ),
    Transition(
        ReferralAmended, _UNDECIDED, OURS, {ScreeningScored: None, ScreeningDeclined: _S.DECLINED, **_CHAIN}, early=True
    ),
    Transition(ReferralWithdrawn, _ALIVE, OURS, {ScreeningWithdrawn: _S.WITHDRAWN, **_CHAIN}, early=True),
    Transition(PrecedentAsked, (None, *Status), OURS, {PrecedentAnswered: None}),
    Transition(
        PrecedentAnswered,
        (_S.OPEN,),
        OURS,
        {ScreeningOpinionRecorded: None, ScreeningPrecedentWeighed: None},
        early=True,
    ),
    Transition(PrecedentAnswered, _OVER, OURS, {}, silent=True),
    *_spoken(OpinionGiven, {ScreeningOpinionDrafted: None, ScreeningOpinionRecorded: None}, _GIVEN),
    *_spoken(OpinionConfirmed, {ScreeningOpinionRecorded: None}, _CONFIRMED),
    *_spoken(OpinionReturned, {ScreeningOpinionReturned: None}, _RETURNED),
    *_spoken(OpinionExtensionAsked, {ScreeningExtended: None}, (*_EXTENSION, Code.CLOCK_STOPPED)),
    Transition(ConferenceOutcomeGiven, (_S.OPEN,), HQS, {}, (*_PERSON, Code.NOT_IN_CONFERENCE), early=True),
    Transition(ConferenceOutcomeGiven, (_S.CONFERENCE,), HQS, {ScreeningConferenceOutcomeRecorded: None}, _OUTCOME),
    Transition(
        ConferenceOutcomeGiven,
        tuple(status for status in _OVER if status is not _S.CONFERENCE),
        HQS,
        {},
        (*_OUTCOME, Code.NOT_IN_CONFERENCE),
    ),
    Transition(RiskHeld, _ALIVE, OURS, {ScreeningHeld: None, **_CHAIN}, (Code.ALREADY_HELD,), early=True),
    Transition(RiskReleased, _ALIVE, OURS, {ScreeningReleased: None, **_CHAIN}, (Code.NOT_HELD,), early=True),
    Transition(
        ScreeningChainStateTold,
        tuple(Status),
        OURS,
        {ScreeningChainRaised: None, ScreeningChainEased: None},
        early=True,
        silent=True,
    ),
    Transition(REMINDER, (_S.OPEN,), CLOCK, {ScreeningReminded: None}),
    Transition(
        EXPIRY,
        (_S.OPEN,),
        CLOCK,
        {ScreeningEscalated: None, ScreeningExpired: _S.EXPIRED, ScreeningDeclined: _S.DECLINED, **_CHAIN},
    ),
    Transition(
        DECISION,
        (_S.OPEN,),
        CLOCK,
        {
            ScreeningShortlisted: _S.SHORTLISTED,
            ScreeningDeclined: _S.DECLINED,
            ScreeningConferenceCalled: _S.CONFERENCE,
            **_CHAIN,
        },
    ),
    Transition(
        CONFERENCE,
        (_S.CONFERENCE,),
        CLOCK,
        {ScreeningShortlisted: _S.SHORTLISTED, ScreeningDeclined: _S.DECLINED, **_CHAIN},
    ),
)


def _refuse(event: Event[Any], case: Case | None, wrong: Wrong) -> ScreeningRefused:
    if wrong is Wrong.PARTY:
        return refuse(event, Code.WRONG_PARTY)
    return refuse(event, Code.ALREADY_OPEN if isinstance(event.data, ReferralRegistered) else Code.CLOSED)


TRANSITIONS: Final = Transitions(
    "case",
    ROWS,
    status=lambda case: case.status,
    evolve=evolve,
    records=RECORDS,
    refused=ScreeningRefused,
    refuse=_refuse,
    early="the referral is not registered yet",
)
