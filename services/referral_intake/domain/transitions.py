"""Who may do what to a referral, in which state, and where it leads. The code runs from this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.consent import ConsentGiven, ConsentRecorded, ConsentRevoked
from schemas.envelope import Event, Payload
from schemas.loan import LoanDeclined, LoanSettled, LoanWrittenOff
from schemas.referral import (
    AmendmentSubmitted,
    DuplicateFound,
    ReferralAmended,
    ReferralRefused,
    ReferralRegistered,
    ReferralRejected,
    ReferralSubmitted,
    ReferralWithdrawn,
    WithdrawalSubmitted,
)
from schemas.referral_course import ConsentAwaited, ReferralClosed, ReferralKept, ReferralRepeated
from schemas.resemblance import ResemblanceCleared, ResemblanceFlagged, ResemblanceJudged
from schemas.screening import ScreeningDeclined, ScreeningExpired
from schemas.values import side_of
from services.kit.door import Invalid
from services.kit.transitions import CLOCK, OURS, REFERRER, SIDES, Leads, Transition, Transitions, Wrong
from services.referral_intake.domain.case import CONSENT_DEADLINE, Case, Status, evolve
from services.referral_intake.domain.refusals import (
    AWAITING_CONSENT,
    CLOSED_BEFORE,
    NOT_REGISTERED,
    UNKNOWN_CASE,
    WITHDRAWN_BEFORE,
    WRONG_PARTY,
    Refusal,
)

RECORDS: Final[tuple[type[Payload], ...]] = (
    ReferralRegistered,
    ReferralRejected,
    DuplicateFound,
    ReferralAmended,
    ReferralWithdrawn,
    ReferralClosed,
    ConsentRecorded,
    ConsentAwaited,
    ReferralKept,
    ResemblanceFlagged,
    ResemblanceCleared,
)

_S = Status
_NOT_OPEN: Final = (_S.CONSENTED, _S.REJECTED, _S.DUPLICATE)
_OVER: Final = (_S.WITHDRAWN, _S.CLOSED)
_ANSWERS: Final[Mapping[type[Payload], Leads]] = {
    ReferralRejected: _S.REJECTED,
    DuplicateFound: _S.DUPLICATE,
    ConsentAwaited: _S.AWAITING_CONSENT,
    ReferralKept: None,
    ReferralRegistered: _S.REGISTERED,
    ResemblanceFlagged: None,
}


def _ends(end: type[Payload]) -> tuple[Transition, ...]:
    """What ends a registered case, and finds one that has ended already as it is."""
    return (
        Transition(end, (_S.REGISTERED,), OURS, {ReferralClosed: _S.CLOSED}, early=True),
        Transition(end, _OVER, OURS, {}, silent=True),
    )


ROWS: Final = (
    Transition(ReferralSubmitted, (None, *_NOT_OPEN), REFERRER, _ANSWERS),
    Transition(ReferralSubmitted, (_S.AWAITING_CONSENT,), REFERRER, {**_ANSWERS, ReferralRepeated: None}),
    Transition(
        ReferralSubmitted,
        (_S.REGISTERED,),
        REFERRER,
        {ReferralRepeated: None, ConsentRecorded: None},
        refuses=("id_in_use",),
    ),
    Transition(
        AmendmentSubmitted,
        (_S.REGISTERED,),
        REFERRER,
        {ReferralAmended: None, ResemblanceFlagged: None},
        refuses=("nothing_changed", "faulty_amendment", "other_subject", "would_duplicate"),
    ),
    Transition(WithdrawalSubmitted, (_S.AWAITING_CONSENT,), REFERRER, {ReferralClosed: _S.CLOSED}),
    Transition(WithdrawalSubmitted, (_S.REGISTERED,), REFERRER, {ReferralWithdrawn: _S.WITHDRAWN}),
    Transition(ConsentGiven, (None,), REFERRER, {ConsentRecorded: _S.CONSENTED}, refuses=("consent_in_future",)),
    Transition(
        ConsentGiven,
        (*_NOT_OPEN, _S.REGISTERED, *_OVER),
        REFERRER,
        {ConsentRecorded: None},
        refuses=("consent_in_future", "consent_unchanged"),
    ),
    Transition(
        ConsentGiven,
        (_S.AWAITING_CONSENT,),
        REFERRER,
        {ConsentRecorded: None, ReferralRegistered: _S.REGISTERED, ResemblanceFlagged: None},
        refuses=("consent_in_future", "consent_unchanged", "consent_late"),
    ),
    Transition(
        ConsentRevoked,
        (*_NOT_OPEN, _S.AWAITING_CONSENT, *_OVER),
        REFERRER,
        {ConsentRecorded: None},
        refuses=("consent_unchanged",),
    ),
    Transition(
        ConsentRevoked,
        (_S.REGISTERED,),
        REFERRER,
        {ConsentRecorded: None, ReferralWithdrawn: _S.WITHDRAWN},
        refuses=("consent_unchanged",),
    ),
    Transition(CONSENT_DEADLINE, (_S.AWAITING_CONSENT,), CLOCK, {ReferralRejected: _S.REJECTED}),
    Transition(
        ResemblanceJudged,
        (_S.REGISTERED,),
        SIDES,
        {ResemblanceCleared: None, ReferralWithdrawn: _S.WITHDRAWN},
        refuses=("not_flagged",),
    ),
    *_ends(ScreeningDeclined),
    *_ends(ScreeningExpired),
    *_ends(LoanDeclined),
    *_ends(LoanSettled),
    *_ends(LoanWrittenOff),
)

_BY_STATE: Final[Mapping[Status | None, Refusal]] = {
    None: UNKNOWN_CASE,
    _S.CONSENTED: UNKNOWN_CASE,
    _S.AWAITING_CONSENT: AWAITING_CONSENT,
    _S.REJECTED: NOT_REGISTERED,
    _S.DUPLICATE: NOT_REGISTERED,
    _S.WITHDRAWN: WITHDRAWN_BEFORE,
    _S.CLOSED: CLOSED_BEFORE,
}
"""Why an input that the table does not name is refused in a state; in every other state all inputs have a row."""


def _refuse(event: Event[Any], case: Case | None, wrong: Wrong) -> ReferralRefused:
    if wrong is Wrong.STATE:
        return _BY_STATE[None if case is None else case.status].of(event)
    if side_of(event.source) is None and not event.source.startswith("//kouan/"):
        raise Invalid("wrong-source", f"{event.source} speaks for neither side; referrals come from one of the two")
    return WRONG_PARTY.of(event)


TRANSITIONS: Final = Transitions(
    "referral",
    ROWS,
    status=lambda case: case.status,
    evolve=evolve,
    records=RECORDS,
    refused=ReferralRefused,
    refuse=_refuse,
    referrer=lambda case: case.side,
    early="the referral is not registered yet",
)
