"""What a repaired referral's case and its forerunner tell one another inside joint screening.

Both travel on an internal topic, keyed by the case that is to read them; no party sees them.
"""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import AwareDatetime, Field

from schemas.envelope import Model, Payload
from schemas.opinion import GIVEN_BY, SUPPORT_EXAMPLE, OpinionReason
from schemas.scoring import TERMS_EXAMPLE, Terms
from schemas.values import PersonId, ReasonCode, ReferralId, Side

_ASKED_AT: Final = Field(
    description="Time of the repaired referral's registration, with offset", examples=["2020-05-06T09:30:00+08:00"]
)


class PrecedentAsked(Payload):
    """A case that repairs an earlier one asks it which supporting opinions stand on these terms."""

    TYPE: ClassVar[str] = "screening.precedent_asked.v1"

    referral_id: ReferralId = Field(description="The forerunner that is asked", examples=["NMG-2020-000087"])
    asked_by: ReferralId = Field(description="The case that asks", examples=["NMG-2020-000123"])
    terms: Terms = Field(description="What the repaired referral asks for", examples=[TERMS_EXAMPLE])
    asked_at: AwareDatetime = _ASKED_AT


class CarriedOpinion(Model):
    """A supporting opinion of the forerunner."""

    side: Side = Field(description="Side whose opinion it is", examples=["commerce"])
    reasons: tuple[OpinionReason, ...] = Field(description="Why, as given", examples=[SUPPORT_EXAMPLE])
    given_by: PersonId = GIVEN_BY
    given_at: AwareDatetime = Field(
        description="Time at which it was given, with offset", examples=["2020-04-08T15:20:00+08:00"]
    )
    checked_by: PersonId | None = Field(
        default=None, description="Id of the person who checked it", examples=["exim-nmg-02"]
    )
    checked_at: AwareDatetime | None = Field(
        default=None, description="Time at which it was checked", examples=["2020-04-08T16:05:00+08:00"]
    )


class PrecedentAnswered(Payload):
    """The forerunner answers with the opinions that supported it, or with why none can be taken over."""

    TYPE: ClassVar[str] = "screening.precedent_answered.v1"

    referral_id: ReferralId = Field(description="The case that asked", examples=["NMG-2020-000123"])
    forerunner: ReferralId = Field(description="The case that answers", examples=["NMG-2020-000087"])
    opinions: tuple[CarriedOpinion, ...] = Field(
        max_length=2,
        description="Supporting opinions; empty if none stands",
        examples=[
            [
                {
                    "side": "commerce",
                    "reasons": SUPPORT_EXAMPLE,
                    "given_by": "liaison-manzhouli",
                    "given_at": "2020-04-08T15:20:00+08:00",
                }
            ]
        ],
    )
    code: ReasonCode | None = Field(
        default=None, description="Why none stands; absent otherwise", examples=["terms_grown"]
    )
    asked_at: AwareDatetime = _ASKED_AT
