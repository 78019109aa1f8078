"""Matchmaking: enterprises that want to move are brought together with the zones that seek them.

A wish's id is the record key and the event's subject. Either side may submit one. It is held against the profiles of
the zones, at once and then every week while it is open; zones answer for themselves.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final, Self

from pydantic import AwareDatetime, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Model, Payload
from schemas.values import (
    CreditCode,
    FinancingNeed,
    Industry,
    KeyArea,
    LongText,
    PlanId,
    ProvinceCode,
    ReasonCode,
    ShortText,
    Side,
    ZoneCode,
    unit,
)

ROUNDS: Final = 12
"""At most so many rounds are held for one wish, the first one included."""


class WishCause(StrEnum):
    """Why a wish is taken back."""

    SETTLED_ELSEWHERE = "settled_elsewhere"
    NO_LONGER_WANTED = "no_longer_wanted"
    SUBMITTED_IN_ERROR = "submitted_in_error"
    OTHER = "other"


class TurnDownCause(StrEnum):
    """Why a zone declines an enterprise."""

    NO_LAND_OR_PREMISES = "no_land_or_premises"
    OUTSIDE_INDUSTRY_PLAN = "outside_industry_plan"
    ENVIRONMENTAL_LIMITS = "environmental_limits"
    INVESTMENT_TOO_SMALL = "investment_too_small"
    OTHER = "other"


class ZoneAnswer(StrEnum):
    """What a zone answers to a match."""

    TAKEN_UP = "taken_up"
    TURNED_DOWN = "turned_down"


# --- fields that occur more than once ---------------------------------------------------------------------------------

_WISH_ID: Final = Field(description="Id of the wish; also the record key", examples=["WISH-2020-0007"])
_ZONE: Final = Field(description="Zone that answers", examples=["manzhouli"])
_TEXT: Final = Field(
    default=None, description="In the party's own words, without personal data", examples=["现有标准厂房可供入驻。"]
)
_CREDIT_CODE: Final = Field(
    description="Unified social credit code (GB 32100-2015) of the enterprise that wants to move",
    examples=["91330100799655058B"],
)
_ENTERPRISE: Final = Field(description="Its registered name", examples=["杭州示例家具有限公司"])
_INDUSTRY: Final = Field(description="Its industry", examples=["manufacturing"])
_FROM: Final = Field(description="Province that it is to move from, two digits of GB/T 2260", examples=["33"])
_NEEDS: Final = Field(
    description="What it would need money for, the most important first",
    min_length=1,
    max_length=11,
    examples=[["plant_construction", "equipment_purchase"]],
)
_KEY_AREA: Final = Field(description="Key area of support", examples=["industrial_transfer"])
_PROVINCES: Final = Field(
    default=(),
    max_length=10,
    description="Provinces that it would like to move to, the dearest first; empty: any",
    examples=[["15", "23"]],
)
_JOBS: Final = Field(
    default=None,
    ge=0,
    le=5_000_000,
    description="Jobs that it would bring",
    examples=[180],
    json_schema_extra=unit("persons"),
)
_INVESTMENT: Final = Field(
    default=None,
    ge=0,
    le=1_000_000_000,
    description="What it would invest; absent if it does not know yet",
    examples=[3600],
    json_schema_extra=unit("10 000 CNY"),
)
_ROUND: Final = Field(
    ge=1,
    le=ROUNDS,
    description="Number of the round; the one held when the wish came is 1",
    examples=[1],
    json_schema_extra=unit("rounds"),
)
_NEXT: Final = Field(
    description="When the next round is due, or, after the last one, when the wish is closed",
    examples=["2020-05-13T10:00:00+08:00"],
)
_SUBMITTED_FROM: Final = Field(
    default=None,
    max_length=200,
    description="CloudEvents source of the system that submitted the wish, which is told; absent in events from before "
    "2026-11-23",
    examples=["//commerce/15"],
)
_AT: Final = Field(description="Time of the event that led to it, with offset", examples=["2020-05-06T10:00:00+08:00"])


# --- inputs -----------------------------------------------------------------------------------------------------------


class WishSubmitted(Payload):
    """An enterprise wants to move and looks for a zone."""

    TYPE: ClassVar[str] = "matchmaking.wish_submitted.v1"

    wish_id: PlanId = _WISH_ID
    credit_code: CreditCode = _CREDIT_CODE
    enterprise: ShortText = _ENTERPRISE
    industry: Industry = _INDUSTRY
    from_province: ProvinceCode = _FROM
    needs: tuple[FinancingNeed, ...] = _NEEDS
    key_area: KeyArea = _KEY_AREA
    provinces: tuple[ProvinceCode, ...] = _PROVINCES
    jobs: int | None = _JOBS
    investment_10k_cny: int | None = _INVESTMENT
    note: LongText | None = _TEXT


class WishWithdrawn(Payload):
    """The side that submitted a wish takes it back."""

    TYPE: ClassVar[str] = "matchmaking.wish_withdrawn.v1"

    wish_id: PlanId = _WISH_ID
    code: WishCause = Field(description="Coded reason", examples=["settled_elsewhere"])
    text: LongText | None = _TEXT


class MatchAnswered(Payload):
    """A zone to which a wish was matched takes the enterprise up, or turns it down with a code."""

    TYPE: ClassVar[str] = "matchmaking.answered.v1"

    wish_id: PlanId = _WISH_ID
    zone: ZoneCode = _ZONE
    answer: ZoneAnswer = Field(description="Whether the zone takes the enterprise up", examples=["taken_up"])
    code: TurnDownCause | None = Field(
        default=None, description="Coded reason; required to turn down", examples=["no_land_or_premises"]
    )
    text: LongText | None = _TEXT

    @model_validator(mode="after")
    def _turns_down_with_a_reason(self) -> Self:
        if self.answer is ZoneAnswer.TURNED_DOWN and self.code is None:
            raise PydanticCustomError(
                "reason_missing",
                "To turn an enterprise down needs a coded reason; add `code`.",
                {"zh": "谢绝须填写理由代码 code。"},
            )
        return self


# --- outputs ----------------------------------------------------------------------------------------------------------


class WishOpened(Payload):
    """A wish is on record and the first round is held."""

    TYPE: ClassVar[str] = "matchmaking.wish_opened.v1"

    wish_id: PlanId = _WISH_ID
    side: Side = Field(description="Side that submitted it", examples=["commerce"])
    credit_code: CreditCode = _CREDIT_CODE
    enterprise: ShortText = _ENTERPRISE
    industry: Industry = _INDUSTRY
    from_province: ProvinceCode = _FROM
    needs: tuple[FinancingNeed, ...] = _NEEDS
    key_area: KeyArea = _KEY_AREA
    provinces: tuple[ProvinceCode, ...] = _PROVINCES
    jobs: int | None = _JOBS
    investment_10k_cny: int | None = _INVESTMENT
    submitted_from: str | None = _SUBMITTED_FROM
    opened_at: AwareDatetime = _AT


class MatchReason(Model):
    """One reason for a match, and its points."""

    code: ReasonCode = Field(description="Coded reason", examples=["industry_sought"])
    points: int = Field(description="Points that it gives", examples=[40], json_schema_extra=unit("points"))
    zh: LongText = Field(description="The reason in Chinese", examples=["合作区招引该行业：manufacturing"])
    en: LongText = Field(description="The reason in English", examples=["The zone seeks the industry: manufacturing"])


_REASON_EXAMPLE: Final[JsonValue] = {
    "code": "industry_sought",
    "points": 40,
    "zh": "合作区招引该行业：manufacturing",
    "en": "The zone seeks the industry: manufacturing",
}


class ZoneMatch(Model):
    """One zone that fits."""

    zone: ZoneCode = Field(description="Code of the zone", examples=["manzhouli"])
    name_zh: ShortText = Field(description="Its name in Chinese", examples=["满洲里边境经济合作区"])
    name_en: ShortText = Field(
        description="Its name in English", examples=["Manzhouli Border Economic Cooperation Zone"]
    )
    profile: str = Field(
        max_length=200,
        description="Directory entry that was used (kind/code@valid-from)",
        examples=["zone_profile/manzhouli@2020-01-01"],
    )
    points: int = Field(description="Sum of its points", examples=[70], json_schema_extra=unit("points"))
    reasons: tuple[MatchReason, ...] = Field(description="Why it fits", min_length=1, examples=[[_REASON_EXAMPLE]])


_MATCH_EXAMPLE: Final[JsonValue] = {
    "zone": "manzhouli",
    "name_zh": "满洲里边境经济合作区",
    "name_en": "Manzhouli Border Economic Cooperation Zone",
    "profile": "zone_profile/manzhouli@2020-01-01",
    "points": 40,
    "reasons": [_REASON_EXAMPLE],
}


class WishMatched(Payload):
    """Zones that fit the wish and were not named before, best first."""

    TYPE: ClassVar[str] = "matchmaking.matched.v1"

    wish_id: PlanId = _WISH_ID
    round: int = _ROUND
    enterprise: ShortText = _ENTERPRISE
    industry: Industry = _INDUSTRY
    matches: tuple[ZoneMatch, ...] = Field(
        description="New zones, by points; of equal ones the code decides", min_length=1, examples=[[_MATCH_EXAMPLE]]
    )
    next_round_at: AwareDatetime = _NEXT
    submitted_from: str | None = _SUBMITTED_FROM
    matched_at: AwareDatetime = _AT


class WhyNot(Model):
    """One reason for which zones do not fit, and how many it holds for."""

    code: ReasonCode = Field(
        description="Coded reason: no_profile, industry_not_sought, investment_too_small, too_few_points",
        examples=["industry_not_sought"],
    )
    zones: tuple[ZoneCode, ...] = Field(description="Zones that it holds for", examples=[["heihe", "horgos"]])
    zh: LongText = Field(description="The reason in Chinese", examples=["合作区未招引该行业"])
    en: LongText = Field(description="The reason in English", examples=["The zone does not seek the industry"])


class WishUnmatched(Payload):
    """No zone fits the wish in its first round; it stays open, and later rounds may find one."""

    TYPE: ClassVar[str] = "matchmaking.unmatched.v1"

    wish_id: PlanId = _WISH_ID
    round: int = _ROUND
    why: tuple[WhyNot, ...] = Field(
        description="Why not, by reason",
        examples=[
            [
                {
                    "code": "industry_not_sought",
                    "zones": ["heihe"],
                    "zh": "合作区未招引该行业",
                    "en": "The zone does not seek the industry",
                }
            ]
        ],
    )
    next_round_at: AwareDatetime = _NEXT
    submitted_from: str | None = _SUBMITTED_FROM
    unmatched_at: AwareDatetime = _AT


class WishRoundHeld(Payload):
    """A later round found nothing new."""

    TYPE: ClassVar[str] = "matchmaking.round_held.v1"

    wish_id: PlanId = _WISH_ID
    round: int = _ROUND
    next_round_at: AwareDatetime = _NEXT
    held_at: AwareDatetime = _AT


class MatchTakenUp(Payload):
    """A zone takes the enterprise up; no further zones are looked for."""

    TYPE: ClassVar[str] = "matchmaking.taken_up.v1"

    wish_id: PlanId = _WISH_ID
    zone: ZoneCode = _ZONE
    enterprise: ShortText = _ENTERPRISE
    text: LongText | None = _TEXT
    submitted_from: str | None = _SUBMITTED_FROM
    taken_up_at: AwareDatetime = _AT


class MatchTurnedDown(Payload):
    """A zone turns the enterprise down; the wish stays open for others."""

    TYPE: ClassVar[str] = "matchmaking.turned_down.v1"

    wish_id: PlanId = _WISH_ID
    zone: ZoneCode = _ZONE
    code: TurnDownCause = Field(description="Coded reason", examples=["no_land_or_premises"])
    text: LongText | None = _TEXT
    submitted_from: str | None = _SUBMITTED_FROM
    turned_down_at: AwareDatetime = _AT


class WishClosed(Payload):
    """A wish is open no longer."""

    TYPE: ClassVar[str] = "matchmaking.wish_closed.v1"

    wish_id: PlanId = _WISH_ID
    code: ReasonCode = Field(
        description="Coded reason: that of the withdrawal, or rounds_over", examples=["settled_elsewhere"]
    )
    submitted_from: str | None = _SUBMITTED_FROM
    closed_at: AwareDatetime = _AT
