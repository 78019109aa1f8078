"""What makes two referrals the same matter: texts of which each may be held by one open case only.

A claim is `<rule>:<digest>`. Claims are stored, so how they are made must not change without a migration.
"""

from __future__ import annotations

import unicodedata
from hashlib import blake2b
from typing import Any, Final

from schemas.envelope import Event
from schemas.referral import AmendmentSubmitted, DuplicateRule, Referral, ReferralSubmitted
from schemas.values import SubjectKind

_BETWEEN_PARTS: Final = "\x1f"


def claims_wanted(event: Event[Any]) -> tuple[str, ...]:
    """The claims that an input would need; empty for inputs that ask for none."""
    payload = event.data
    if isinstance(payload, ReferralSubmitted | AmendmentSubmitted):
        return claims_by(payload.referral)
    return ()


def claims_by(referral: Referral) -> tuple[str, ...]:
    """The claims that a referral makes; none while it lacks what they are made of."""
    if referral.subject_kind is SubjectKind.ZONE_PLAN:
        return (_claim(DuplicateRule.SAME_ZONE_PLAN, referral.zone, _bare(referral.name)),)
    if referral.enterprise is None:
        return ()
    code = referral.enterprise.credit_code
    if referral.subject_kind is SubjectKind.ENTERPRISE:
        return (_claim(DuplicateRule.ENTERPRISE_NEED_ZONE, code, referral.need, referral.zone),)
    if referral.project is None:
        return ()
    return (_claim(DuplicateRule.SAME_PROJECT, code, _bare(referral.project.name)),)


def rule_of(claim: str) -> DuplicateRule:
    """The rule by which a claim was made."""
    return DuplicateRule(claim.partition(":")[0])


def _claim(rule: DuplicateRule, *parts: str) -> str:
    digest = blake2b(_BETWEEN_PARTS.join(parts).encode(), digest_size=16)
    return f"{rule}:{digest.hexdigest()}"


def _bare(name: str) -> str:
    """A name without what people write now one way, now another: width, case, spaces, punctuation."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())
