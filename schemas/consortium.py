"""Cooperation on a case: what is known of it, the mode that is proposed, and whether the parts add up.

A case is one referral; its id is the record key and the event's subject. Once it is shortlisted, rules propose a mode.
Each mode divides one whole: the loan that is lent, the risk of it, or the investment. The bank keeps its own part and
partners take up the rest (see `partner.py` and `sharing.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

from pydantic import AwareDatetime, Field, JsonValue

from schemas.envelope import Model, Payload
from schemas.scoring import PolicyVersion, RuleOutcome
from schemas.sharing import (
    AT,
    MISSING,
    MISSING_PERCENT,
    MODE,
    REFERRAL_ID,
    SHARE_EXAMPLE,
    SHARE_OF,
    PartnerShare,
    PercentOrZero,
    ShareOf,
)
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


class DebtorKind(StrEnum):
    """Whom the bank's money is lent to. On-lending: the partner bank, not those who borrow from it."""

    ENTERPRISE = "enterprise"
    PARTNER = "partner"
    ZONE = "zone"


# --- outputs: what is known of the case -------------------------------------------------------------------------------


class CooperationCaseNoted(Payload):
    """What cooperation has to know of a case, as it was registered or last amended."""

    TYPE: ClassVar[str] = "cooperation.case_noted.v1"

    referral_id: ReferralId = REFERRAL_ID
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
    source: str | None = Field(
        default=None,
        max_length=200,
        description="CloudEvents source of the referring party's system; absent in events from before 2026-11-23",
        examples=["//commerce/15"],
    )
    noted_at: AwareDatetime = AT


class CooperationConsentNoted(Payload):
    """Whether the enterprise's consent covers partners now: nobody is invited without it."""

    TYPE: ClassVar[str] = "cooperation.consent_noted.v1"

    referral_id: ReferralId = REFERRAL_ID
    covers_partners: bool = Field(description="Whether data of the case may be shared with partners", examples=[True])
    noted_at: AwareDatetime = AT


class CooperationHoldNoted(Payload):
    """Whether the case is on hold: while it is, nobody is invited and no time for an answer runs."""

    TYPE: ClassVar[str] = "cooperation.hold_noted.v1"

    referral_id: ReferralId = REFERRAL_ID
    held: bool = Field(description="True: the first hold was put on it; false: the last was released", examples=[True])
    noted_at: AwareDatetime = AT


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

    mode: CooperationMode = MODE
    open: bool = Field(description="Whether all that the mode requires is met", examples=[True])
    points: int = Field(description="Sum of its points", examples=[50], json_schema_extra=unit("points"))
    rules: tuple[ModeRuleResult, ...] = Field(
        description="Every rule of the mode, in the order of the file", examples=[[_RULE_EXAMPLE]]
    )


class CooperationModeProposed(Payload):
    """A shortlisted case has a mode: of those that are open to it the one with most points."""

    TYPE: ClassVar[str] = "cooperation.mode_proposed.v1"

    referral_id: ReferralId = REFERRAL_ID
    mode: CooperationMode = MODE
    wished: CooperationMode | None = Field(
        default=None, description="What the referrer had in mind; absent if nothing", examples=["bank_guarantee"]
    )
    wish_granted: bool = Field(description="Whether the proposal is what the referrer had in mind", examples=[True])
    rules_version: PolicyVersion = Field(description="Version of the rules that were applied", examples=["2020-03-23"])
    share_of: ShareOf = SHARE_OF
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
    proposed_at: AwareDatetime = AT


class CooperationConsentMissing(Payload):
    """The mode needs partners, but the enterprise has not agreed that they are told: nobody is invited until then."""

    TYPE: ClassVar[str] = "cooperation.consent_missing.v1"

    referral_id: ReferralId = REFERRAL_ID
    mode: CooperationMode = MODE
    zh: LongText = Field(description="What to do, in Chinese", examples=["请推荐方补充企业对合作机构的授权。"])
    en: LongText = Field(
        description="What to do, in English",
        examples=["The referrer is asked for the enterprise's consent that covers partners."],
    )
    missed_at: AwareDatetime = AT


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

    referral_id: ReferralId = REFERRAL_ID
    mode: CooperationMode = MODE
    share_of: ShareOf = SHARE_OF
    amount: Money = Field(description="Sum of the case", examples=[{"amount": "5000000.00", "currency": "CNY"}])
    own: Balance = Field(description="The bank's own part", examples=[{"amount": "1000000.00", "currency": "CNY"}])
    shares: tuple[PartnerShare, ...] = Field(
        description="What partners have taken up, in the order in which they joined", examples=[[SHARE_EXAMPLE]]
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
    completed_at: AwareDatetime = AT


class ConsortiumShort(Payload):
    """The parts do not add up, and the case says what is missing: nobody is left to ask, or a partner left."""

    TYPE: ClassVar[str] = "consortium.short.v1"

    referral_id: ReferralId = REFERRAL_ID
    mode: CooperationMode = MODE
    share_of: ShareOf = SHARE_OF
    code: ReasonCode = Field(
        description="Coded reason: no_partner, nobody_left, partner_left", examples=["nobody_left"]
    )
    zh: LongText = Field(description="What is missing and what to do, in Chinese", examples=["尚缺 4000000.00 CNY。"])
    en: LongText = Field(
        description="What is missing and what to do, in English", examples=["4000000.00 CNY are still missing."]
    )
    own: Balance = Field(description="The bank's own part", examples=[{"amount": "1000000.00", "currency": "CNY"}])
    shares: tuple[PartnerShare, ...] = Field(description="What partners have taken up", examples=[[SHARE_EXAMPLE]])
    missing: Balance = MISSING
    missing_percent: PercentOrZero = MISSING_PERCENT
    short_at: AwareDatetime = AT


class ConsortiumSearched(Payload):
    """The directory was searched again for partners of a consortium that is short; who was found is invited."""

    TYPE: ClassVar[str] = "consortium.searched.v1"

    referral_id: ReferralId = REFERRAL_ID
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
    searched_at: AwareDatetime = AT


class ConsortiumClosed(Payload):
    """The case is over; nothing more is asked of partners."""

    TYPE: ClassVar[str] = "consortium.closed.v1"

    referral_id: ReferralId = REFERRAL_ID
    code: ReasonCode = Field(description="Coded reason, from referral intake", examples=["financed_elsewhere"])
    closed_at: AwareDatetime = AT
