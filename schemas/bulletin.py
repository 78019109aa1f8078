"""Policy bulletins, and the enterprises that they fit.

A bulletin is published by a headquarters on its reference topic and says itself whom it fits. Cooperation knows the
enterprises of all open cases and tells each of them once of every bulletin that fits, by way of the side that referred
it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Self

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Model, Payload
from schemas.values import (
    CreditCode,
    Day,
    FinancingNeed,
    Industry,
    KeyArea,
    LongText,
    Ownership,
    ProvinceCode,
    ReasonCode,
    ReferralId,
    ShortText,
    Side,
    SizeClass,
    ZoneCode,
    unit,
)

BulletinId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Id of a bulletin, chosen by who publishes it; told again it corrects what was said before."""

_BULLETIN: Final = Field(description="Id of the bulletin", examples=["MOFCOM-2020-017"])
_TITLE_ZH: Final = Field(description="Title in Chinese", examples=["边境地区小微企业贷款贴息办法"])
_TITLE_EN: Final = Field(
    description="Title in English", examples=["Interest subsidy for small firms of the border regions"]
)
_CREDIT_CODE: Final = Field(
    description="Unified social credit code (GB 32100-2015) of the enterprise", examples=["91330100799655058B"]
)
_CASE: Final = Field(description="Case by which the enterprise is known", examples=["NMG-2020-000123"])
_AT: Final = Field(description="Time of the event that led to it, with offset", examples=["2020-05-06T10:00:00+08:00"])


class Fits(Model):
    """Whom a bulletin fits: one list for each thing looked at; an empty one fits all. All lists have to fit."""

    industries: tuple[Industry, ...] = Field(default=(), description="Industries", examples=[["manufacturing"]])
    size_classes: tuple[SizeClass, ...] = Field(default=(), description="Size classes", examples=[["micro", "small"]])
    ownership: tuple[Ownership, ...] = Field(default=(), description="Kinds of owner", examples=[["private"]])
    provinces: tuple[ProvinceCode, ...] = Field(
        default=(), max_length=40, description="Provinces, two digits of GB/T 2260", examples=[["15"]]
    )
    zones: tuple[ZoneCode, ...] = Field(
        default=(), max_length=100, description="Cooperation zones", examples=[["manzhouli"]]
    )
    needs: tuple[FinancingNeed, ...] = Field(default=(), description="Financing needs", examples=[["working_capital"]])
    key_areas: tuple[KeyArea, ...] = Field(default=(), description="Key areas", examples=[["border_trade_chain"]])


class BulletinPublished(Payload):
    """A headquarters publishes a policy bulletin."""

    TYPE: ClassVar[str] = "bulletin.published.v1"

    bulletin_id: BulletinId = _BULLETIN
    title_zh: ShortText = _TITLE_ZH
    title_en: ShortText = _TITLE_EN
    text_zh: LongText = Field(description="What it says, in Chinese", examples=["对边境合作区小微企业贷款给予贴息。"])
    text_en: LongText = Field(
        description="What it says, in English",
        examples=["Interest on loans to small firms of the border zones is subsidised."],
    )
    valid_from: Day = Field(description="First day on which it holds (date in China)", examples=["2020-05-01"])
    valid_to: Day | None = Field(
        default=None,
        description="Last day on which it holds (date in China); absent if none is set",
        examples=["2020-12-31"],
    )
    fits: Fits = Field(
        description="Whom it fits", examples=[{"size_classes": ["micro", "small"], "key_areas": ["border_trade_chain"]}]
    )

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise PydanticCustomError(
                "period_backwards",
                "valid_to lies before valid_from; correct one of the two dates.",
                {"zh": "valid_to 早于 valid_from，请更正其中一个日期。"},
            )
        return self


class EnterpriseCase(Model):
    """What a case says of its enterprise, as far as bulletins ask for it."""

    referral_id: ReferralId = _CASE
    side: Side = Field(description="Side that referred the case", examples=["commerce"])
    industry: Industry = Field(description="Industry of the enterprise", examples=["manufacturing"])
    size_class: SizeClass = Field(description="Its size class", examples=["small"])
    ownership: Ownership = Field(description="Who owns it", examples=["private"])
    province: ProvinceCode = Field(description="Province, two digits of GB/T 2260", examples=["15"])
    zone: ZoneCode = Field(description="Zone of the case", examples=["manzhouli"])
    need: FinancingNeed = Field(description="What the money is for", examples=["working_capital"])
    key_area: KeyArea = Field(description="Key area of the case", examples=["border_trade_chain"])


CASE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "referral_id": "NMG-2020-000123",
    "side": "commerce",
    "industry": "manufacturing",
    "size_class": "small",
    "ownership": "private",
    "province": "15",
    "zone": "manzhouli",
    "need": "working_capital",
    "key_area": "border_trade_chain",
}


# --- what cooperation tells itself ------------------------------------------------------------------------------------


class EnterpriseSeen(Payload):
    """A case tells the enterprise it is about that it was registered or amended."""

    TYPE: ClassVar[str] = "enterprise.seen.v1"

    credit_code: CreditCode = _CREDIT_CODE
    case: EnterpriseCase = Field(description="What the case says of it", examples=[CASE_EXAMPLE])


class EnterpriseCaseEnded(Payload):
    """A case tells the enterprise it was about that it is over."""

    TYPE: ClassVar[str] = "enterprise.case_ended.v1"

    credit_code: CreditCode = _CREDIT_CODE
    referral_id: ReferralId = _CASE


# --- outputs ----------------------------------------------------------------------------------------------------------


class EnterpriseNoted(Payload):
    """What an open case says of an enterprise is on record."""

    TYPE: ClassVar[str] = "enterprise.noted.v1"

    credit_code: CreditCode = _CREDIT_CODE
    case: EnterpriseCase = Field(description="What the case says of it", examples=[CASE_EXAMPLE])
    noted_at: AwareDatetime = _AT


class EnterpriseCaseClosed(Payload):
    """A case of an enterprise is over; with the last one no more bulletins are looked for."""

    TYPE: ClassVar[str] = "enterprise.case_closed.v1"

    credit_code: CreditCode = _CREDIT_CODE
    referral_id: ReferralId = _CASE
    closed_at: AwareDatetime = _AT


class FitReason(Model):
    """One thing that was looked at, and what fits."""

    code: ReasonCode = Field(
        description="What was looked at: industry, size_class, ownership, province, zone, need, key_area; or for_all",
        examples=["size_class"],
    )
    value: str = Field(max_length=64, description="What the case has; * where it fits all", examples=["small"])


class BulletinMatched(Payload):
    """A bulletin fits an enterprise: told once of each bulletin and enterprise."""

    TYPE: ClassVar[str] = "bulletin.matched.v1"

    bulletin_id: BulletinId = _BULLETIN
    title_zh: ShortText = _TITLE_ZH
    title_en: ShortText = _TITLE_EN
    valid_to: Day | None = Field(
        default=None, description="Last day on which it holds (date in China)", examples=["2020-12-31"]
    )
    credit_code: CreditCode = _CREDIT_CODE
    referral_id: ReferralId = _CASE
    side: Side = Field(description="Side that referred the case", examples=["commerce"])
    province: ProvinceCode = Field(description="Province of the case, two digits of GB/T 2260", examples=["15"])
    zone: ZoneCode = Field(description="Zone of the case", examples=["manzhouli"])
    reasons: tuple[FitReason, ...] = Field(
        description="Why it fits", min_length=1, examples=[[{"code": "size_class", "value": "small"}]]
    )
    matched_at: AwareDatetime = _AT


class BulletinRoundHeld(Payload):
    """The bulletins were looked through again for an enterprise that has an open case."""

    TYPE: ClassVar[str] = "bulletin.round_held.v1"

    credit_code: CreditCode = _CREDIT_CODE
    new: int = Field(
        ge=0, description="How many fit that were not told before", examples=[0], json_schema_extra=unit("bulletins")
    )
    held_at: AwareDatetime = _AT
