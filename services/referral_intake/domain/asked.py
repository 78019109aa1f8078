"""What checks look at: a sound referral and, through a glimpse, the sound part of a broken one alike.

A field that can't be read is None in a glimpse, and a rule that needs it stays silent, because the schema has already
complained about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from schemas.consent import Consent
from schemas.referral import Referral
from schemas.referral_glimpse import ConsentGlimpse, ReferralGlimpse

Readable = Referral | ReferralGlimpse


@dataclass(frozen=True, slots=True)
class Asked:
    """A referral with this id from this source on this day in China, with the consent that came with it."""

    referral_id: str
    source: str
    day: date
    referral: Readable
    consent: Consent | ConsentGlimpse | None = None
