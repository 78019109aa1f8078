"""Cooperation on a case: the mode that is proposed, the partners that are invited, and what they answer.

A case is one referral; its id is the record key and the event's subject. Once it is shortlisted, rules propose a mode.
Each mode divides one whole: the loan that is lent, the risk of it, or the investment. The bank keeps its own part and
partners take up the rest. Parts are whole cents, so that they add up exactly; percentages are of the sum that the case
asks for. A partner speaks for itself alone: the source of its events is `//partner/<its code>`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import AwareDatetime, Field, JsonValue, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.directory import EntryName, PartnerKind
from schemas.envelope import Model, Payload
from schemas.scoring import PolicyVersion, RuleOutcome
from schemas.values import (
    Balance,
    CooperationMode,
    CreditCode,
    FinancingNeed,
    Industry,
    KeyArea,
    Lane,
    LongText,
    Money,
    Ownership,
    PartnerCode,
    PlanId,
    ProvinceCode,
    ReasonCode,
    ReferralId,
    ShortText,
    Side,
    SizeClass,
    SubjectKind,
    ZoneCode,
    unit,
)

SEARCHES: Final = 12
"""At most so many times the directory is searched again for a consortium that is short, a week apart."""

# --- percentages ------------------------------------------------------------------------------------------------------

_PERCENT_PATTERN: Final = re.compile(r"(?:100(?:\.00?)?|[1-9]?[0-9](?:\.[0-9]{1,2})?)")


def _percent_or_zero(value: object) -> Decimal:
    """Text like an amount, and for the same reason: a JSON number may have been rounded on its way."""
    text = format(value, "f") if isinstance(value, Decimal) else value
    if not isinstance(text, str) or _PERCENT_PATTERN.fullmatch(text) is None:
        raise PydanticCustomError(
            "percent_form",
            'A percentage is decimal text from 0 to 100 with at most two decimal places, such as "30.00".',
            {"zh": "百分比须写成 0 至 100 之间、最多两位小数的文本，例如 “30.00”。"},
        )
    return Decimal(text)


def _percent(value: object) -> Decimal:
    percent = _percent_or_zero(value)
    if not percent:
        raise PydanticCustomError(
            "percent_not_positive", "The percentage must be more than zero.", {"zh": "百分比必须大于零。"}
        )
    return percent


_PERCENT_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{_PERCENT_PATTERN.pattern}$"})
_AS_TEXT: Final = PlainSerializer(lambda percent: format(percent, "f"), return_type=str)

Percent = Annotated[Decimal, PlainValidator(_percent), _AS_TEXT, _PERCENT_SCHEMA]
"""An exact percentage above zero, at most 100, with at most two decimal places, written as text."""

PercentOrZero = Annotated[Decimal, PlainValidator(_percent_or_zero), _AS_TEXT, _PERCENT_SCHEMA]
"""Like `Percent`, zero included."""


# --- codes ------------------------------------------------------------------------------------------------------------


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


class ShareOf(StrEnum):
    """Which whole a mode divides: what is lent, what may be lost of it, or what is invested."""

    LOAN = "loan"
    RISK = "risk"
    INVESTMENT = "investment"


class DebtorKind(StrEnum):
    """Whom the bank's money is lent to. On-lending: the partner bank, not those who borrow from it."""

    ENTERPRISE = "enterprise"
    PARTNER = "partner"
    ZONE = "zone"


# --- fields that occur more than once ---------------------------------------------------------------------------------

_MONEY_EXAMPLE: Final[JsonValue] = {"amount": "1500000.00", "currency": "CNY"}
_REFERRAL_ID: Final = Field(description="Id of the referral, which is the case", examples=["NMG-2020-000123"])
_PARTNER: Final = Field(description="Code of the partner in the directory", examples=["frontier-guarantee"])
_MODE: Final = Field(description="Way of cooperation", examples=["bank_guarantee"])
_SHARE_OF: Final = Field(description="Which whole the parts are parts of", examples=["risk"])
_MISSING: Final = Field(
    description="What partners have yet to take up; zero once the parts add up",
    examples=[{"amount": "0.00", "currency": "CNY"}],
)
_MISSING_PERCENT: Final = Field(
    description="The same in percent of the sum of the case, rounded to two decimal places",
    examples=["0.00"],
    json_schema_extra=unit("percent"),
)
_CAUSE: Final = Field(description="Coded reason", examples=["capacity_exhausted"])
_CAUSE_TEXT: Final = Field(
    default=None, description="The partner's own words, without personal data", examples=["本年度额度已用完。"]
)
_AT: Final = Field(description="Time of the event that led to it, with offset", examples=["2020-04-09T10:05:00+08:00"])


class PartnerShare(Model):
    """What one partner has taken up."""

    partner: PartnerCode = _PARTNER
    percent: PercentOrZero = Field(
        description="Its part in percent of the sum of the case, rounded to two decimal places",
        examples=["30.00"],
        json_schema_extra=unit("percent"),
    )
    amount: Money = Field(description="Its part, exact", examples=[_MONEY_EXAMPLE])


_SHARE_EXAMPLE: Final[JsonValue] = {"partner": "frontier-guarantee", "percent": "30.00", "amount": _MONEY_EXAMPLE}


# --- inputs: partners -------------------------------------------------------------------------------------------------


class ParticipationAnswered(Payload):
    """An invited partner takes part, with a percentage or an amount, or declines with a code."""

    TYPE: ClassVar[str] = "partner.participation_answered.v1"

    referral_id: ReferralId = _REFERRAL_ID
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
        examples=[_MONEY_EXAMPLE],
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

    referral_id: ReferralId = _REFERRAL_ID
    code: PartnerCause = _CAUSE
    text: LongText | None = _CAUSE_TEXT


# --- outputs: what is known of the case -------------------------------------------------------------------------------


class CooperationCaseNoted(Payload):
    """What cooperation has to know of a case, as it was registered or last amended."""

    TYPE: ClassVar[str] = "cooperation.case_noted.v1"

    referral_id: ReferralId = _REFERRAL_ID
    side: Side = Field(description="Side that referred the case", examples=["commerce"])
    subject_kind: SubjectKind = Field(description="Kind of what is recommended", examples=["enterprise"])
    name: ShortText = Field(description="Name of what is recommended", examples=["满洲里示例木业有限公司"])
    zone: ZoneCode = Field(description="Zone concerned", examples=["manzhouli"])
    province: ProvinceCode = Field(description="Province of the zone, two digits of GB/T 2260", examples=["15"])
    key_area: KeyArea = Field(description="Key area of support", examples=["border_trade_chain"])
    lane: Lane = Field(description="Lane of the case", examples=["ordinary"])
    need: FinancingNeed = Field(description="What the money is for", examples=["working_capital"])
    amount: Money = Field(description="Sum wanted", examples=[{"amount": "5000000.00", "currency": "CNY"}])
    term_months: int = Field(description="Term wanted", examples=[12], json_schema_extra=unit("months"))
    wished: CooperationMode | None = Field(
        default=None, description="Way of cooperation that the referrer has in mind", examples=["bank_guarantee"]
    )
    credit_code: CreditCode | None = Field(
        default=None, description="Enterprise; absent for a zone plan", examples=["91330100799655058B"]
    )
    enterprise: ShortText | None = Field(
        default=None, description="Its registered name", examples=["满洲里示例木业有限公司"]
    )
    size_class: SizeClass | None = Field(default=None, description="Its size class", examples=["small"])
    ownership: Ownership | None = Field(default=None, description="Who owns it", examples=["private"])
    industry: Industry | None = Field(default=None, description="Its industry", examples=["manufacturing"])
    plan: PlanId | None = Field(
        default=None, description="Zone plan that the case is referred from or about", examples=["MZL-PLAN-2020-01"]
    )
    noted_at: AwareDatetime = _AT


class CooperationConsentNoted(Payload):
    """Whether the enterprise's consent covers partners now: nobody is invited without it."""

    TYPE: ClassVar[str] = "cooperation.consent_noted.v1"

    referral_id: ReferralId = _REFERRAL_ID
    covers_partners: bool = Field(description="Whether data of the case may be shared with partners", examples=[True])
    noted_at: AwareDatetime = _AT


# --- outputs: the mode ------------------------------------------------------------------------------------------------


class ModeRuleResult(Model):
    """What one rule made of the case."""

    code: ReasonCode = Field(description="Code of the rule in its file", examples=["micro_or_small"])
    required: bool = Field(
        description="True: the mode is open only where the rule is met; false: it gives points", examples=[False]
    )
    outcome: RuleOutcome = Field(description="What came of it", examples=["met"])
    points: int = Field(description="Points that it gives", examples=[30], json_schema_extra=unit("points"))
    inputs: dict[str, JsonValue] = Field(
        description="What the rule looked at, by name; amounts are decimal text", examples=[{"size_class": "small"}]
    )
    missing: tuple[str, ...] = Field(
        default=(), description="Names of inputs that the referral leaves open", examples=[["size_class"]]
    )
    zh: LongText = Field(description="What the rule says, in Chinese", examples=["借款人为小微企业"])
    en: LongText = Field(description="What the rule says, in English", examples=["The borrower is micro or small"])


_RULE_EXAMPLE: Final[JsonValue] = {
    "code": "micro_or_small",
    "required": False,
    "outcome": "met",
    "points": 30,
    "inputs": {"size_class": "small"},
    "zh": "借款人为小微企业",
    "en": "The borrower is micro or small",
}


class ModeStanding(Model):
    """How one mode fared."""

    mode: CooperationMode = _MODE
    open: bool = Field(description="Whether all that the mode requires is met", examples=[True])
    points: int = Field(description="Sum of its points", examples=[50], json_schema_extra=unit("points"))
    rules: tuple[ModeRuleResult, ...] = Field(
        description="Every rule of the mode, in the order of the file", examples=[[_RULE_EXAMPLE]]
    )


class CooperationModeProposed(Payload):
    """A shortlisted case has a mode: of those that are open to it the one with most points."""

    TYPE: ClassVar[str] = "cooperation.mode_proposed.v1"

    referral_id: ReferralId = _REFERRAL_ID
    mode: CooperationMode = _MODE
    wished: CooperationMode | None = Field(
        default=None, description="What the referrer had in mind; absent if nothing", examples=["bank_guarantee"]
    )
    wish_granted: bool = Field(description="Whether the proposal is what the referrer had in mind", examples=[True])
    rules_version: PolicyVersion = Field(description="Version of the rules that were applied", examples=["2020-03-23"])
    share_of: ShareOf = _SHARE_OF
    own_percent: PercentOrZero = Field(
        description="Part that the bank keeps, in percent of the sum of the case",
        examples=["20.00"],
        json_schema_extra=unit("percent"),
    )
    own: Balance = Field(
        description="The bank's part, exact; with that of the partners it is the sum of the case",
        examples=[{"amount": "1000000.00", "currency": "CNY"}],
    )
    wanted: Balance = Field(
        description="What partners are to take up; zero where the mode needs none",
        examples=[{"amount": "4000000.00", "currency": "CNY"}],
    )
    smallest: Balance = Field(
        description="The least that a partner may take, unless less than that is missing",
        examples=[{"amount": "500000.00", "currency": "CNY"}],
    )
    modes: tuple[ModeStanding, ...] = Field(
        description="How every mode fared, the proposed one first, then by points",
        examples=[[{"mode": "bank_guarantee", "open": True, "points": 50, "rules": [_RULE_EXAMPLE]}]],
    )
    proposed_at: AwareDatetime = _AT


class CooperationConsentMissing(Payload):
    """The mode needs partners, but the enterprise has not agreed that they are told: nobody is invited until then."""

    TYPE: ClassVar[str] = "cooperation.consent_missing.v1"

    referral_id: ReferralId = _REFERRAL_ID
    mode: CooperationMode = _MODE
    zh: LongText = Field(description="What to do, in Chinese", examples=["请推荐方补充企业对合作机构的授权。"])
    en: LongText = Field(
        description="What to do, in English",
        examples=["The referrer is asked for the enterprise's consent that covers partners."],
    )
    missed_at: AwareDatetime = _AT


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

    referral_id: ReferralId = _REFERRAL_ID
    partner: PartnerCode = _PARTNER
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
    mode: CooperationMode = _MODE
    share_of: ShareOf = _SHARE_OF
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
    missing_percent: PercentOrZero = _MISSING_PERCENT
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
    invited_at: AwareDatetime = _AT


class CooperationPartnerJoined(Payload):
    """A partner takes part."""

    TYPE: ClassVar[str] = "cooperation.partner_joined.v1"

    referral_id: ReferralId = _REFERRAL_ID
    share: PartnerShare = Field(description="What it has taken up", examples=[_SHARE_EXAMPLE])
    missing: Balance = _MISSING
    missing_percent: PercentOrZero = _MISSING_PERCENT
    joined_at: AwareDatetime = _AT


class CooperationPartnerDeclined(Payload):
    """An invited partner declines."""

    TYPE: ClassVar[str] = "cooperation.partner_declined.v1"

    referral_id: ReferralId = _REFERRAL_ID
    partner: PartnerCode = _PARTNER
    code: PartnerCause = _CAUSE
    text: LongText | None = _CAUSE_TEXT
    declined_at: AwareDatetime = _AT


class CooperationPartnerSilent(Payload):
    """An invited partner did not answer in time. While the consortium is short it may still do so."""

    TYPE: ClassVar[str] = "cooperation.partner_silent.v1"

    referral_id: ReferralId = _REFERRAL_ID
    partner: PartnerCode = _PARTNER
    deadline: AwareDatetime = Field(
        description="When its time was over, with offset", examples=["2020-04-16T23:59:59+08:00"]
    )


class CooperationPartnerDeparted(Payload):
    """A partner that took part has left; what it had taken up is missing again."""

    TYPE: ClassVar[str] = "cooperation.partner_departed.v1"

    referral_id: ReferralId = _REFERRAL_ID
    share: PartnerShare = Field(description="What it had taken up", examples=[_SHARE_EXAMPLE])
    code: PartnerCause = _CAUSE
    text: LongText | None = _CAUSE_TEXT
    missing: Balance = _MISSING
    missing_percent: PercentOrZero = _MISSING_PERCENT
    departed_at: AwareDatetime = _AT


class CooperationInvitationEnded(Payload):
    """An invitation, or what a partner had taken up, holds no longer, and not because of the partner."""

    TYPE: ClassVar[str] = "cooperation.invitation_ended.v1"

    referral_id: ReferralId = _REFERRAL_ID
    partner: PartnerCode = _PARTNER
    code: ReasonCode = Field(
        description="Coded reason: complete, consent_revoked, case_amended, case_closed", examples=["complete"]
    )
    zh: LongText = Field(description="The reason in Chinese", examples=["份额已由其他机构承担，邀请终止。"])
    en: LongText = Field(
        description="The reason in English", examples=["Others have taken up what was missing; the invitation ends."]
    )
    ended_at: AwareDatetime = _AT


# --- outputs: the consortium ------------------------------------------------------------------------------------------


class BankExposure(Model):
    """Whom the bank's own money is lent to."""

    debtor_kind: DebtorKind = Field(description="Kind of debtor", examples=["enterprise"])
    debtor: str = Field(
        max_length=64,
        description="Credit code of the enterprise, code of the partner bank, or code of the zone",
        examples=["91330100799655058B"],
    )
    amount: Balance = Field(
        description="What the bank lends to it", examples=[{"amount": "5000000.00", "currency": "CNY"}]
    )
    at_risk: Balance = Field(
        description="What of it the bank itself may lose; the rest is covered by partners",
        examples=[{"amount": "1000000.00", "currency": "CNY"}],
    )


class FinalBorrower(Model):
    """Who uses the money in the end, by whom policy shares are counted."""

    credit_code: CreditCode = Field(
        description="Unified social credit code (GB 32100-2015)", examples=["91330100799655058B"]
    )
    name: ShortText = Field(description="Registered name", examples=["满洲里示例木业有限公司"])
    size_class: SizeClass = Field(description="Size class", examples=["small"])


class ConsortiumComplete(Payload):
    """The bank's own part and those of the partners add up exactly to the sum of the case."""

    TYPE: ClassVar[str] = "consortium.complete.v1"

    referral_id: ReferralId = _REFERRAL_ID
    mode: CooperationMode = _MODE
    share_of: ShareOf = _SHARE_OF
    amount: Money = Field(description="Sum of the case", examples=[{"amount": "5000000.00", "currency": "CNY"}])
    own: Balance = Field(description="The bank's own part", examples=[{"amount": "1000000.00", "currency": "CNY"}])
    shares: tuple[PartnerShare, ...] = Field(
        description="What partners have taken up, in the order in which they joined", examples=[[_SHARE_EXAMPLE]]
    )
    exposures: tuple[BankExposure, ...] = Field(
        description="Whom the bank's money is lent to; empty if the bank lends nothing itself",
        examples=[
            [
                {
                    "debtor_kind": "enterprise",
                    "debtor": "91330100799655058B",
                    "amount": {"amount": "5000000.00", "currency": "CNY"},
                    "at_risk": {"amount": "1000000.00", "currency": "CNY"},
                }
            ]
        ],
    )
    final_borrowers: tuple[FinalBorrower, ...] = Field(
        description="Who uses the money in the end; empty for a zone plan",
        examples=[[{"credit_code": "91330100799655058B", "name": "满洲里示例木业有限公司", "size_class": "small"}]],
    )
    completed_at: AwareDatetime = _AT


class ConsortiumShort(Payload):
    """The parts do not add up, and the case says what is missing: nobody is left to ask, or a partner left."""

    TYPE: ClassVar[str] = "consortium.short.v1"

    referral_id: ReferralId = _REFERRAL_ID
    mode: CooperationMode = _MODE
    share_of: ShareOf = _SHARE_OF
    code: ReasonCode = Field(
        description="Coded reason: no_partner, nobody_left, partner_left", examples=["nobody_left"]
    )
    zh: LongText = Field(description="What is missing and what to do, in Chinese", examples=["尚缺 4000000.00 CNY。"])
    en: LongText = Field(
        description="What is missing and what to do, in English", examples=["4000000.00 CNY are still missing."]
    )
    own: Balance = Field(description="The bank's own part", examples=[{"amount": "1000000.00", "currency": "CNY"}])
    shares: tuple[PartnerShare, ...] = Field(description="What partners have taken up", examples=[[_SHARE_EXAMPLE]])
    missing: Balance = _MISSING
    missing_percent: PercentOrZero = _MISSING_PERCENT
    short_at: AwareDatetime = _AT


class ConsortiumSearched(Payload):
    """The directory was searched again for partners of a consortium that is short; who was found is invited."""

    TYPE: ClassVar[str] = "consortium.searched.v1"

    referral_id: ReferralId = _REFERRAL_ID
    round: int = Field(
        ge=1,
        le=SEARCHES,
        description="Number of the search since the consortium was said to be short",
        examples=[1],
        json_schema_extra=unit("rounds"),
    )
    found: int = Field(
        ge=0, description="Partners that were found and are invited", examples=[0], json_schema_extra=unit("partners")
    )
    searched_at: AwareDatetime = _AT


class ConsortiumClosed(Payload):
    """The case is over; nothing more is asked of partners."""

    TYPE: ClassVar[str] = "consortium.closed.v1"

    referral_id: ReferralId = _REFERRAL_ID
    code: ReasonCode = Field(description="Coded reason, from referral intake", examples=["financed_elsewhere"])
    closed_at: AwareDatetime = _AT
