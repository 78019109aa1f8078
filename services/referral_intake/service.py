"""Composition of referral intake: which input is decided by what, on which state."""

from __future__ import annotations

from schemas.consent import ConsentGiven, ConsentRecorded, ConsentRevoked
from schemas.reference import Directory
from schemas.referral import (
    AmendmentSubmitted,
    DuplicateFound,
    ReferralAmended,
    ReferralRegistered,
    ReferralRejected,
    ReferralSubmitted,
    ReferralWithdrawn,
    WithdrawalSubmitted,
)
from services.kit.door import Aggregate, Route, Service
from services.referral_intake.domain.case import Case, claims_of, evolve
from services.referral_intake.domain.claims import claims_wanted
from services.referral_intake.domain.decisions import (
    decide_amendment,
    decide_consent_given,
    decide_consent_revoked,
    decide_malformed_amendment,
    decide_malformed_submission,
    decide_submitted,
    decide_withdrawal,
)
from services.referral_intake.store import CaseRow


def build() -> Service:
    """Referral intake, ready for the kit."""
    return Service(
        name="referral_intake",
        aggregates=(
            Aggregate(
                name="case",
                keyed_by=("referral_id",),
                state=Case,
                table=CaseRow,
                evolve=evolve,
                records=(
                    ReferralRegistered,
                    ReferralRejected,
                    DuplicateFound,
                    ReferralAmended,
                    ReferralWithdrawn,
                    ConsentRecorded,
                ),
                routes={
                    ReferralSubmitted: Route(decide_submitted, malformed=decide_malformed_submission),
                    AmendmentSubmitted: Route(decide_amendment, malformed=decide_malformed_amendment),
                    WithdrawalSubmitted: decide_withdrawal,
                    ConsentGiven: decide_consent_given,
                    ConsentRevoked: decide_consent_revoked,
                },
                claims=claims_of,
                claims_wanted=claims_wanted,
            ),
        ),
        context=Directory,
        migrations="services.referral_intake.migrations",
    )
