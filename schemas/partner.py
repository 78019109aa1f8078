"""Partners of a case: what they are asked, and what they answer.

A partner speaks for itself alone: the source of its events is `//partner/<its code>`, the record key is the referral's
id. What is said of a partner names no other one, since the partner reads it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final, Self

from pydantic import AwareDatetime, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.directory import EntryName, PartnerKind
from schemas.envelope import Model, Payload
from schemas.sharing import (
    AT,
    MISSING,
    MISSING_PERCENT,
    MODE,
    MONEY_EXAMPLE,
    PARTNER,
    REFERRAL_ID,
    SHARE_EXAMPLE,
    SHARE_OF,
    PartnerShare,
    Percent,
    PercentOrZero,
    ShareOf,
)
from schemas.values import (
    Balance,
    CooperationMode,
    FinancingNeed,
    LongText,
    Money,
    PartnerCode,
    ReasonCode,
    ReferralId,
    ShortText,
    ZoneCode,
    unit,
)


class Participation(StrEnum):
    """What a partner answers to an invitation."""

    TAKES_PART = "takes_part"
    DECLINES = "declines"


class PartnerCause(StrEnum):
    """Why a partner declines, or leaves."""

    OUTSIDE_APPETITE = "outside_appetite"
    CAPACITY_EXHAUSTED = "capacity_exhausted"
    RISK_TOO_HIGH = "risk_too_high"
    DOCUMENTS_INSUFFICIENT = "documents_insufficient"
    OUTSIDE_REGION = "outside_region"
    TERMS_UNSUITABLE = "terms_unsuitable"
    OTHER = "other"


_CAUSE: Final = Field(description="Coded reason", examples=["capacity_exhausted"])
_CAUSE_TEXT: Final = Field(
    default=None, description="The partner's own words, without personal data", examples=["本年度额度已用完。"]
)


# --- inputs: partners -------------------------------------------------------------------------------------------------


class ParticipationAnswered(Payload):
    """An invited partner takes part, with a percentage or an amount, or declines with a code."""

    TYPE: ClassVar[str] = "partner.participation_answered.v1"

    referral_id: ReferralId = REFERRAL_ID
    answer: Participation = Field(description="Whether the partner takes part", examples=["takes_part"])
    percent: Percent | None = Field(
        default=None,
        description="Part it takes in percent of the sum of the case; either this or `amount`, where it takes part. "
        "Whoever answers with the percentage said to be missing takes up exactly what is missing",
        examples=["30.00"],
        json_schema_extra=unit("percent"),
    )
    amount: Money | None = Field(
        default=None,
        description="Part it takes as a sum in the currency of the case; either this or `percent`",
        examples=[MONEY_EXAMPLE],
    )
    code: PartnerCause | None = Field(
        default=None, description="Coded reason; required to decline", examples=["capacity_exhausted"]
    )
    text: LongText | None = _CAUSE_TEXT

    @model_validator(mode="after")
    def _fits_the_answer(self) -> Self:
        given = (self.percent is not None) + (self.amount is not None)
        if self.answer is Participation.TAKES_PART and given != 1:
            raise PydanticCustomError(
                "share_unclear",
                "Whoever takes part says how much: either percent or amount, and not both.",
                {"zh": "参与时须填写份额：percent 与 amount 二者填且只填其一。"},
            )
        if self.answer is Participation.DECLINES and given:
            raise PydanticCustomError(
                "share_not_expected",
                "Whoever declines takes no share; leave out percent and amount, or take part.",
                {"zh": "不参与时不填写份额；请删去 percent 与 amount，或改为参与。"},
            )
        if self.answer is Participation.DECLINES and self.code is None:
            raise PydanticCustomError(
                "reason_missing", "To decline needs a coded reason; add `code`.", {"zh": "不参与须填写理由代码 code。"}
            )
        return self


class PartnerLeft(Payload):
    """A partner that took part leaves."""

    TYPE: ClassVar[str] = "partner.left.v1"

    referral_id: ReferralId = REFERRAL_ID
    code: PartnerCause = _CAUSE
    text: LongText | None = _CAUSE_TEXT


# --- outputs: partners ------------------------------------------------------------------------------------------------


class InvitationReason(Model):
    """One reason for a partner's place in the order of invitations."""

    code: ReasonCode = Field(description="Coded reason", examples=["serves_province"])
    points: int = Field(description="Points that it gives", examples=[20], json_schema_extra=unit("points"))
    zh: LongText = Field(description="The reason in Chinese", examples=["名录写明服务该省份"])
    en: LongText = Field(description="The reason in English", examples=["The directory names this province for it"])


class CooperationPartnerInvited(Payload):
    """A partner of the directory that offers the mode and serves the province is asked to take part."""

    TYPE: ClassVar[str] = "cooperation.partner_invited.v1"

    referral_id: ReferralId = REFERRAL_ID
    partner: PartnerCode = PARTNER
    kind: PartnerKind = Field(description="Kind of institution", examples=["guarantee_fund"])
    name_zh: EntryName = Field(description="Name of the partner in Chinese", examples=["边疆融资担保基金"])
    name_en: EntryName = Field(description="Name of the partner in English", examples=["Frontier Guarantee Fund"])
    directory_version: str = Field(
        description="Directory entry that was used (kind/code@valid-from)",
        examples=["partner/frontier-guarantee@2020-01-01"],
    )
    place: int = Field(
        ge=1,
        description="Place in the order of all invitations of the case",
        examples=[1],
        json_schema_extra=unit("places"),
    )
    points: int = Field(
        description="Points of its reasons; of equal ones the code decides",
        examples=[20],
        json_schema_extra=unit("points"),
    )
    reasons: tuple[InvitationReason, ...] = Field(
        description="Why it is asked before others; empty if nothing speaks for it in particular",
        examples=[
            [
                {
                    "code": "serves_province",
                    "points": 20,
                    "zh": "名录写明服务该省份",
                    "en": "The directory names this province for it",
                }
            ]
        ],
    )
    mode: CooperationMode = MODE
    share_of: ShareOf = SHARE_OF
    name: ShortText = Field(description="Name of what is to be financed", examples=["满洲里示例木业有限公司"])
    zone: ZoneCode = Field(description="Zone concerned", examples=["manzhouli"])
    need: FinancingNeed = Field(description="What the money is for", examples=["working_capital"])
    amount: Money = Field(
        description="Sum of the case, of which percentages are taken",
        examples=[{"amount": "5000000.00", "currency": "CNY"}],
    )
    term_months: int = Field(description="Term wanted", examples=[12], json_schema_extra=unit("months"))
    missing: Balance = Field(
        description="What is missing at present, and so the most that it can take",
        examples=[{"amount": "4000000.00", "currency": "CNY"}],
    )
    missing_percent: PercentOrZero = MISSING_PERCENT
    smallest: Balance = Field(
        description="The least that it may take, unless less than that is missing",
        examples=[{"amount": "500000.00", "currency": "CNY"}],
    )
    deadline: AwareDatetime = Field(
        description="Last second of the working day in China by which it is to answer",
        examples=["2020-04-16T23:59:59+08:00"],
    )
    deadline_provisional: bool = Field(
        description="True where the deadline lies in a year whose official calendar is not yet known", examples=[False]
    )
    invited_at: AwareDatetime = AT


class CooperationPartnerJoined(Payload):
    """A partner takes part."""

    TYPE: ClassVar[str] = "cooperation.partner_joined.v1"

    referral_id: ReferralId = REFERRAL_ID
    share: PartnerShare = Field(description="What it has taken up", examples=[SHARE_EXAMPLE])
    missing: Balance = MISSING
    missing_percent: PercentOrZero = MISSING_PERCENT
    joined_at: AwareDatetime = AT


class CooperationPartnerDeclined(Payload):
    """An invited partner declines."""

    TYPE: ClassVar[str] = "cooperation.partner_declined.v1"

    referral_id: ReferralId = REFERRAL_ID
    partner: PartnerCode = PARTNER
    code: PartnerCause = _CAUSE
    text: LongText | None = _CAUSE_TEXT
    declined_at: AwareDatetime = AT


class CooperationPartnerSilent(Payload):
    """An invited partner did not answer in time. While the consortium is short it may still do so."""

    TYPE: ClassVar[str] = "cooperation.partner_silent.v1"

    referral_id: ReferralId = REFERRAL_ID
    partner: PartnerCode = PARTNER
    deadline: AwareDatetime = Field(
        description="When its time was over, with offset", examples=["2020-04-16T23:59:59+08:00"]
    )


class CooperationPartnerDeparted(Payload):
    """A partner that took part has left; what it had taken up is missing again."""

    TYPE: ClassVar[str] = "cooperation.partner_departed.v1"

    referral_id: ReferralId = REFERRAL_ID
    share: PartnerShare = Field(description="What it had taken up", examples=[SHARE_EXAMPLE])
    code: PartnerCause = _CAUSE
    text: LongText | None = _CAUSE_TEXT
    missing: Balance = MISSING
    missing_percent: PercentOrZero = MISSING_PERCENT
    departed_at: AwareDatetime = AT


class CooperationInvitationEnded(Payload):
    """An invitation, or what a partner had taken up, holds no longer, and not because of the partner."""

    TYPE: ClassVar[str] = "cooperation.invitation_ended.v1"

    referral_id: ReferralId = REFERRAL_ID
    partner: PartnerCode = PARTNER
    code: ReasonCode = Field(
        description="Coded reason: complete, consent_revoked, case_amended, case_closed", examples=["complete"]
    )
    zh: LongText = Field(description="The reason in Chinese", examples=["份额已由其他机构承担，邀请终止。"])
    en: LongText = Field(
        description="The reason in English", examples=["Others have taken up what was missing; the invitation ends."]
    )
    ended_at: AwareDatetime = AT


class CooperationInvitationPaused(Payload):
    """The case is on hold: the time for an answer stands still. Who wishes to may answer all the same."""

    TYPE: ClassVar[str] = "cooperation.invitation_paused.v1"

    referral_id: ReferralId = REFERRAL_ID
    partner: PartnerCode = PARTNER
    working_days_left: int = Field(
        ge=0,
        description="Whole working days that were left for the answer",
        examples=[3],
        json_schema_extra=unit("working days"),
    )
    zh: LongText = Field(
        description="What that means, in Chinese", examples=["案件暂停办理，答复期限停止计算，恢复后另行通知新期限。"]
    )
    en: LongText = Field(
        description="What that means, in English",
        examples=["The case is on hold; the time for an answer stands still, and the new end is told when it goes on."],
    )
    paused_at: AwareDatetime = AT


class CooperationInvitationResumed(Payload):
    """The hold has ended: the time for an answer goes on with the working days that were left, at least one."""

    TYPE: ClassVar[str] = "cooperation.invitation_resumed.v1"

    referral_id: ReferralId = REFERRAL_ID
    partner: PartnerCode = PARTNER
    deadline: AwareDatetime = Field(
        description="Last second of the working day in China by which it is to answer now",
        examples=["2020-04-24T23:59:59+08:00"],
    )
    deadline_provisional: bool = Field(
        description="True where the deadline lies in a year whose official calendar is not yet known", examples=[False]
    )
    resumed_at: AwareDatetime = AT
