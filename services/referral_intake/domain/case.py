"""What intake knows of a referral, and how each recorded event changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from schemas.consent import ConsentRecorded, ConsentScope
from schemas.referral import (
    DuplicateFound,
    Referral,
    ReferralAmended,
    ReferralRegistered,
    ReferralRejected,
    ReferralWithdrawn,
)
from schemas.referral_course import ConsentAwaited, ReferralClosed, ReferralKept
from schemas.resemblance import ResemblanceCleared, ResemblanceFlagged
from schemas.values import Side
from services.kit.door import Deadline
from services.referral_intake.domain.scopes import claims_before_scopes


class Status(StrEnum):
    """Where a referral stands with intake."""

    CONSENTED = "consented"
    AWAITING_CONSENT = "awaiting_consent"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    REGISTERED = "registered"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


OPEN: Final = frozenset({Status.AWAITING_CONSENT, Status.REGISTERED})
CONSENT_DEADLINE: Final = "consent"


@dataclass(frozen=True, slots=True)
class Case:
    """One referral. `side` and `source` say who made it; the id belongs to that side from its first word on.

    `body` is the referral as it now stands, as JSON text (empty until it was found sound, and where it ended before it
    was registered); `revision` counts its versions from 1, 0 until it is registered; `claims` are the texts that no
    other open case may hold. While consent is awaited, both are known from what intake keeps to itself. `consent` is
    with whom the data may be shared, whatever became of the referral; `until` by when it has to reach both sides.
    `resembles` are open cases that a person is still to compare this one with; `alike` are those, as JSON text, of
    which a person is told only when it is registered.
    """

    status: Status
    side: Side
    source: str
    revision: int = 0
    body: str = ""
    duplicate_of: str | None = None
    claims: tuple[str, ...] = ()
    consent: tuple[ConsentScope, ...] = ()
    until: datetime | None = None
    resembles: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()

    def referral(self) -> Referral:
        """The referral as it now stands; only a case that waits or was registered has one."""
        return Referral.model_validate_json(self.body)


def claims_of(case: Case) -> tuple[str, ...]:
    """The claims that a case holds: those of its referral while it is open, none afterwards."""
    return case.claims if case.status in OPEN else ()


def deadlines(case: Case) -> Iterator[Deadline]:
    """By when consent has to come, while it is awaited."""
    if case.status is Status.AWAITING_CONSENT and case.until is not None:
        yield Deadline(CONSENT_DEADLINE, case.until)


def evolve(case: Case | None, payload: Any) -> Case:
    """The case after a recorded event.

    Raises:
        TypeError: the event is none of those that change a case, or comes where there is no case yet.
    """
    begun = _begun(case, payload)
    if begun is not None:
        return begun
    if case is None:
        raise TypeError(f"{type(payload).__name__} cannot be the first event of a case")
    match payload:
        case ReferralAmended():
            claims = _claims(payload.referral, payload.claims)
            return replace(case, revision=payload.revision, body=_text(payload.referral), claims=claims)
        case ReferralWithdrawn():
            return replace(case, status=Status.WITHDRAWN, resembles=())
        case ReferralClosed():
            closed = replace(case, status=Status.CLOSED, until=None, resembles=())
            # What nobody consented to share is not needed any more.
            return replace(closed, body="", claims=(), alike=()) if case.status is Status.AWAITING_CONSENT else closed
        case ReferralKept() if case.status is Status.AWAITING_CONSENT:
            alike = tuple(one.model_dump_json() for one in payload.resembles)
            return replace(case, body=_text(payload.referral), claims=payload.claims, alike=alike)
        case ReferralKept():
            # A rebuild folds what was kept last, when the case may have moved on long ago.
            return case
        case ConsentRecorded():
            return replace(case, consent=payload.scopes)
        case ResemblanceFlagged():
            found = tuple(one.referral_id for one in payload.resembles)
            return replace(case, resembles=tuple(dict.fromkeys((*case.resembles, *found))))
        case ResemblanceCleared():
            return replace(case, resembles=tuple(one for one in case.resembles if one != payload.other))
    raise TypeError(f"{type(payload).__name__} does not change a case")


def _begun(case: Case | None, payload: Any) -> Case | None:
    """The case after an event that answers a submission, or speaks of consent before one; None for all others."""
    consent = () if case is None else case.consent
    resembles = () if case is None else case.resembles
    match payload:
        case ConsentRecorded() if case is None and payload.side is not None and payload.source is not None:
            return Case(Status.CONSENTED, payload.side, payload.source, consent=payload.scopes)
        case ReferralRegistered():
            return Case(
                Status.REGISTERED,
                payload.side,
                payload.source,
                1,
                _text(payload.referral),
                claims=_claims(payload.referral, payload.claims),
                consent=payload.consent_scopes or consent,
                resembles=resembles,
            )
        case ConsentAwaited():
            return Case(
                Status.AWAITING_CONSENT,
                payload.side,
                payload.source,
                body="" if payload.referral is None else _text(payload.referral),
                claims=() if payload.referral is None else _claims(payload.referral, payload.claims),
                consent=payload.consent_scopes,
                until=payload.until,
                resembles=resembles,
            )
        case ReferralRejected():
            return Case(Status.REJECTED, payload.side, payload.source, consent=consent)
        case DuplicateFound():
            return Case(
                Status.DUPLICATE, payload.side, payload.source, duplicate_of=payload.duplicate_of, consent=consent
            )
    return None


def _claims(referral: Referral, told: tuple[str, ...] | None) -> tuple[str, ...]:
    return claims_before_scopes(referral) if told is None else told


def _text(referral: Referral) -> str:
    return referral.model_dump_json(exclude_none=True)
