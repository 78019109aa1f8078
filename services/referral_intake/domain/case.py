"""What intake knows of a referral, and how each recorded event changes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from schemas.consent import ConsentRecorded, ConsentScope
from schemas.referral import (
    DuplicateFound,
    Referral,
    ReferralAmended,
    ReferralRegistered,
    ReferralRejected,
    ReferralWithdrawn,
)
from schemas.values import Side
from services.referral_intake.domain.claims import claims_by


class Status(StrEnum):
    """Where a referral stands with intake."""

    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    REGISTERED = "registered"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Case:
    """One referral. `side` and `source` say who made it; the id belongs to that side from its first submission on.

    `body` is the referral as it now stands, as JSON text (empty until it was registered); `revision` counts its
    versions from 1; `claims` are the texts that no other open case may hold.
    """

    status: Status
    side: Side
    source: str
    revision: int = 0
    body: str = ""
    duplicate_of: str | None = None
    claims: tuple[str, ...] = ()
    consent: tuple[ConsentScope, ...] = ()

    def referral(self) -> Referral:
        """The referral as it now stands; only a registered or withdrawn case has one."""
        return Referral.model_validate_json(self.body)


def claims_of(case: Case) -> tuple[str, ...]:
    """The claims that a case holds: those of its referral while it is open, none afterwards."""
    return case.claims if case.status is Status.REGISTERED else ()


def evolve(case: Case | None, payload: Any) -> Case:
    """The case after a recorded event.

    Raises:
        TypeError: the event is none of those that change a case, or comes where there is no case yet.
    """
    match payload:
        case ReferralRegistered():
            claims = claims_by(payload.referral)
            return Case(Status.REGISTERED, payload.side, payload.source, 1, _text(payload.referral), claims=claims)
        case ReferralRejected():
            return Case(Status.REJECTED, payload.side, payload.source)
        case DuplicateFound():
            return Case(Status.DUPLICATE, payload.side, payload.source, duplicate_of=payload.duplicate_of)
    if case is None:
        raise TypeError(f"{type(payload).__name__} cannot be the first event of a case")
    match payload:
        case ReferralAmended():
            claims = claims_by(payload.referral)
            return replace(case, revision=payload.revision, body=_text(payload.referral), claims=claims)
        case ReferralWithdrawn():
            return replace(case, status=Status.WITHDRAWN)
        case ConsentRecorded():
            return replace(case, consent=payload.scopes)
    raise TypeError(f"{type(payload).__name__} does not change a case")


def _text(referral: Referral) -> str:
    return referral.model_dump_json(exclude_none=True)
