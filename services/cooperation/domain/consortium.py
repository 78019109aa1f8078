"""The consortium of a case: its mode, who was invited, what was taken up; and how each event changes that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from schemas.consortium import (
    SEARCHES,
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
from schemas.envelope import Payload
from schemas.partner import (
    CooperationInvitationEnded,
    CooperationInvitationPaused,
    CooperationInvitationResumed,
    CooperationPartnerDeclined,
    CooperationPartnerDeparted,
    CooperationPartnerInvited,
    CooperationPartnerJoined,
    CooperationPartnerSilent,
)
from schemas.reference import china_date
from schemas.sharing import ShareOf
from schemas.terms import CooperationLoanNoted, CooperationTermsDiffer, CooperationTermsKept
from schemas.values import (
    CooperationMode,
    Currency,
    FinancingNeed,
    Industry,
    KeyArea,
    Lane,
    Ownership,
    Side,
    SizeClass,
    SubjectKind,
)
from services.cooperation.domain.days import end_of
from services.cooperation.domain.shares import ZERO
from services.kit.door import Deadline

ANSWER: Final = "answer"
"""Deadline: the first of the open invitations runs out."""

SEARCH: Final = "search"
"""Deadline: the directory is searched again, because the consortium is short."""

CONTRACTED: Final = "contracted"
DISBURSED: Final = "disbursed"
"""Steps of a loan that are looked at."""

TERMS: Final = "terms"
"""Deadline: the terms of a loan are compared with what was agreed."""

_BETWEEN_SEARCHES: Final = timedelta(days=7)


class Status(StrEnum):
    """Where a consortium stands."""

    NOTED = "noted"
    AWAITING_CONSENT = "awaiting_consent"
    GATHERING = "gathering"
    SHORT = "short"
    COMPLETE = "complete"
    CLOSED = "closed"


class Standing(StrEnum):
    """Where an invitation stands."""

    OPEN = "open"
    JOINED = "joined"
    DECLINED = "declined"
    SILENT = "silent"
    LEFT = "left"
    ENDED = "ended"


UNDER_WAY: Final = (Status.AWAITING_CONSENT, Status.GATHERING, Status.SHORT, Status.COMPLETE)
"""From the mode to the end of the case."""

IN_FORCE: Final = frozenset({Standing.OPEN, Standing.JOINED})


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules and invitations have to know of a case. Of the enterprise, None where none is named.

    `source` is the system that referred it; None where it was noted by a release that did not keep it.
    """

    side: Side
    subject_kind: SubjectKind
    name: str
    zone: str
    province: str
    key_area: KeyArea
    lane: Lane
    need: FinancingNeed
    amount: Decimal
    currency: Currency
    term_months: int
    wished: CooperationMode | None
    credit_code: str | None
    enterprise: str | None
    size_class: SizeClass | None
    ownership: Ownership | None
    industry: Industry | None
    plan: str | None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """One partner that was asked, and what it has taken up. `days_left`: working days, while a hold stops its time."""

    partner: str
    standing: Standing
    deadline: datetime
    taken: Decimal = ZERO
    days_left: int | None = None


@dataclass(frozen=True, slots=True)
class LoanTerms:
    """How a loan was signed or paid out at a moment; `compared` once that was held against what was agreed."""

    loan_id: str
    step: str
    mode: CooperationMode
    contracted: Decimal
    currency: Currency
    at: datetime
    compared: bool = False


@dataclass(frozen=True, slots=True)
class Consortium:
    """One case. `facts` is None while nothing but a consent is known, `mode` and `share_of` until it is shortlisted.

    `own` is the bank's part and `wanted` that of partners; together they are the sum of the case. Whoever takes part
    takes `smallest` at least. While the case is `held`, nobody is invited and no clock runs. `searches` counts those
    since it was said to be short, `searched_at` is the last of them.
    """

    status: Status
    covers_partners: bool = False
    held: bool = False
    facts: Facts | None = None
    mode: CooperationMode | None = None
    share_of: ShareOf | None = None
    own: Decimal = ZERO
    wanted: Decimal = ZERO
    smallest: Decimal = ZERO
    invitations: tuple[Invitation, ...] = ()
    searches: int = 0
    searched_at: datetime | None = None
    loan: LoanTerms | None = None

    @property
    def missing(self) -> Decimal:
        """What partners have yet to take up."""
        return self.wanted - sum((one.taken for one in self.standing(Standing.JOINED)), ZERO)

    @property
    def financed(self) -> bool:
        """Whether money of its loan has flowed."""
        return self.loan is not None and self.loan.step == DISBURSED

    def standing(self, *standings: Standing) -> tuple[Invitation, ...]:
        """The invitations that stand so, in the order in which partners were asked."""
        return tuple(one for one in self.invitations if one.standing in standings)

    def invitation_of(self, partner: str) -> Invitation | None:
        """How a partner was asked; None if it was not."""
        return next((one for one in self.invitations if one.partner == partner), None)


def deadlines(state: Consortium | None) -> Iterator[Deadline]:
    """The first of the open invitations to run out; while the consortium is short, the next search; none on hold.

    A loan is compared at the end of the day after it was signed or paid out: by then what partners said before is
    known, whichever topic was read first, and the bank had a day to correct its report.
    """
    if state is None:
        return
    if state.loan is not None and not state.loan.compared and state.status in UNDER_WAY:
        yield Deadline(TERMS, end_of(china_date(state.loan.at) + timedelta(days=1)))
    if state.held:
        return
    if state.status is Status.SHORT and state.searched_at is not None and state.searches < SEARCHES:
        yield Deadline(SEARCH, state.searched_at + _BETWEEN_SEARCHES)
    waiting = state.standing(Standing.OPEN)
    if waiting:
        yield Deadline(ANSWER, min(one.deadline for one in waiting))


def evolve(state: Consortium | None, payload: Payload) -> Consortium:
    """The consortium after one of its own events, refusals excepted: they change nothing."""
    before = state or Consortium(Status.NOTED)
    return _CHANGES[type(payload)](before, payload)


def _case_noted(state: Consortium, noted: CooperationCaseNoted) -> Consortium:
    facts = Facts(
        side=noted.side,
        subject_kind=noted.subject_kind,
        name=noted.name,
        zone=noted.zone,
        province=noted.province,
        key_area=noted.key_area,
        lane=noted.lane,
        need=noted.need,
        amount=noted.amount.amount,
        currency=noted.amount.currency,
        term_months=noted.term_months,
        wished=noted.wished,
        credit_code=noted.credit_code,
        enterprise=noted.enterprise,
        size_class=noted.size_class,
        ownership=noted.ownership,
        industry=noted.industry,
        plan=noted.plan,
        source=noted.source,
    )
    return replace(state, facts=facts)


def _consent_noted(state: Consortium, noted: CooperationConsentNoted) -> Consortium:
    return replace(state, covers_partners=noted.covers_partners)


def _hold_noted(state: Consortium, noted: CooperationHoldNoted) -> Consortium:
    if noted.held or state.status is not Status.SHORT:
        return replace(state, held=noted.held)
    # The week until the next search begins anew: a search in the past would invite before the hold had ended.
    return replace(state, held=False, searched_at=noted.noted_at)


def _mode_proposed(state: Consortium, proposed: CooperationModeProposed) -> Consortium:
    return replace(
        state,
        status=Status.GATHERING,
        mode=proposed.mode,
        share_of=proposed.share_of,
        own=proposed.own.amount,
        wanted=proposed.wanted.amount,
        smallest=proposed.smallest.amount,
        invitations=(),
    )


def _invited(state: Consortium, invited: CooperationPartnerInvited) -> Consortium:
    invitation = Invitation(invited.partner, Standing.OPEN, invited.deadline)
    others = tuple(one for one in state.invitations if one.partner != invited.partner)
    return replace(state, status=Status.GATHERING, invitations=(*others, invitation))


def _short(state: Consortium, short: ConsortiumShort) -> Consortium:
    return replace(state, status=Status.SHORT, searches=0, searched_at=short.short_at)


def _searched(state: Consortium, searched: ConsortiumSearched) -> Consortium:
    return replace(state, searches=searched.round, searched_at=searched.searched_at)


def _loan_noted(state: Consortium, noted: CooperationLoanNoted) -> Consortium:
    contracted = noted.contracted
    loan = LoanTerms(noted.loan_id, noted.step, noted.mode, contracted.amount, contracted.currency, noted.noted_at)
    return replace(state, loan=loan)


def _compared(state: Consortium, told: CooperationTermsKept | CooperationTermsDiffer) -> Consortium:
    return state if state.loan is None else replace(state, loan=replace(state.loan, compared=True))


def _joined(state: Consortium, joined: CooperationPartnerJoined) -> Consortium:
    return _standing(state, joined.share.partner, Standing.JOINED, joined.share.amount.amount)


def _standing(state: Consortium, partner: str, standing: Standing, taken: Decimal = ZERO) -> Consortium:
    return _changed(state, partner, standing=standing, taken=taken, days_left=None)


def _paused(state: Consortium, paused: CooperationInvitationPaused) -> Consortium:
    return _changed(state, paused.partner, days_left=paused.working_days_left)


def _resumed(state: Consortium, resumed: CooperationInvitationResumed) -> Consortium:
    return _changed(state, resumed.partner, deadline=resumed.deadline, days_left=None)


def _changed(state: Consortium, partner: str, **changes: Any) -> Consortium:
    changed = (replace(one, **changes) if one.partner == partner else one for one in state.invitations)
    return replace(state, invitations=tuple(changed))


def _stands(standing: Standing) -> Callable[[Consortium, Any], Consortium]:
    return lambda state, told: _standing(state, told.partner, standing)


def _becomes(status: Status) -> Callable[[Consortium, Any], Consortium]:
    return lambda state, _: replace(state, status=status)


_CHANGES: Final[Mapping[type[Payload], Callable[[Consortium, Any], Consortium]]] = {
    CooperationCaseNoted: _case_noted,
    CooperationConsentNoted: _consent_noted,
    CooperationHoldNoted: _hold_noted,
    CooperationModeProposed: _mode_proposed,
    CooperationConsentMissing: _becomes(Status.AWAITING_CONSENT),
    CooperationPartnerInvited: _invited,
    CooperationPartnerJoined: _joined,
    CooperationPartnerDeclined: _stands(Standing.DECLINED),
    CooperationPartnerSilent: _stands(Standing.SILENT),
    CooperationPartnerDeparted: lambda state, told: _standing(state, told.share.partner, Standing.LEFT),
    CooperationInvitationEnded: _stands(Standing.ENDED),
    CooperationInvitationPaused: _paused,
    CooperationInvitationResumed: _resumed,
    ConsortiumComplete: _becomes(Status.COMPLETE),
    ConsortiumShort: _short,
    ConsortiumSearched: _searched,
    ConsortiumClosed: _becomes(Status.CLOSED),
    CooperationLoanNoted: _loan_noted,
    CooperationTermsKept: _compared,
    CooperationTermsDiffer: _compared,
}

RECORDS: Final = tuple(_CHANGES)
