"""Resemblance: two cases that may be one matter, which only a person can tell."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import AwareDatetime, Field, JsonValue

from schemas.envelope import Model, Payload
from schemas.values import LongText, PersonId, ReasonCode, ReferralId

_OTHER: Final = Field(description="Id of the earlier case", examples=["MZL-2020-0042"])
_JUDGED_BY: Final = Field(description="Person who judged, by directory id", examples=["mzl-clerk-1"])
_TEXT: Final = Field(description="Why, in the person's words", examples=["两家企业法定代表人不同，场地为分租。"])
RESEMBLANCE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "referral_id": "MZL-2020-0042",
    "rule": "same_site",
    "zh": "建设地址、融资需求与合作区相同。",
    "en": "Same site, need and zone.",
}


class Resemblance(Model):
    """Another open case that this one resembles, and in what."""

    referral_id: ReferralId = _OTHER
    rule: ReasonCode = Field(description="Rule that found it", examples=["same_site"])
    zh: LongText = Field(description="In what they are alike, in Chinese", examples=["地址、融资需求与合作区相同。"])
    en: LongText = Field(description="In what they are alike, in English", examples=["Same site, need and zone."])


class ResemblanceFlagged(Payload):
    """The referral goes on, but resembles open cases: a person of either side is to look whether it is one of them."""

    TYPE: ClassVar[str] = "referral.resemblance_flagged.v1"

    resembles: tuple[Resemblance, ...] = Field(
        min_length=1, description="Which cases it resembles, and in what", examples=[[RESEMBLANCE_EXAMPLE]]
    )
    source: str | None = Field(
        default=None,
        max_length=200,
        description="CloudEvents source of the referring party's system, which alone is told before registration",
        examples=["//commerce/15"],
    )
    flagged_at: AwareDatetime = Field(
        description="Time of the submission or amendment, with offset", examples=["2020-04-01T09:30:00+08:00"]
    )


class ResemblanceJudged(Payload):
    """A person of either side says whether two cases that resemble each other are one matter."""

    TYPE: ClassVar[str] = "referral.resemblance_judged.v1"

    other: ReferralId = _OTHER
    same: bool = Field(description="Whether both are one matter; the later case then ends", examples=[False])
    judged_by: PersonId = _JUDGED_BY
    text: LongText = _TEXT


class ResemblanceCleared(Payload):
    """A person found that the two cases are different matters; nobody need look at them again."""

    TYPE: ClassVar[str] = "referral.resemblance_cleared.v1"

    other: ReferralId = _OTHER
    judged_by: PersonId = _JUDGED_BY
    text: LongText = _TEXT
    cleared_at: AwareDatetime = Field(
        description="Time of the judgement, with offset", examples=["2020-04-02T15:00:00+08:00"]
    )
