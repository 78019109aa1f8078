"""Referrals: what a side submits about an enterprise, a project or a zone plan, and what intake answers.

The referral's id is the record key and the event's subject, so it is not repeated in the payloads. Which side refers
follows from the event's source.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, Field, JsonValue

from schemas.consent import CONSENT_EXAMPLE, Consent, ConsentScope
from schemas.document import DOCUMENT_EXAMPLE, Document
from schemas.envelope import Model, Payload
from schemas.faults import Fault
from schemas.values import (
    BranchCode,
    ChainId,
    CooperationMode,
    CountryCode,
    CreditCode,
    Day,
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
    Sha256,
    ShortText,
    Side,
    SizeClass,
    SubjectKind,
    ZoneCode,
    unit,
)

Employees = Annotated[int, Field(ge=0, le=5_000_000, strict=True)]
"""A number of persons."""

TenThousandCny = Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)]
"""A sum in units of 10 000 yuan, as enterprises report their figures."""

ENTERPRISE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "credit_code": "91330100799655058B",
    "name": "满洲里示例木业有限公司",
    "size_class": "small",
    "ownership": "private",
    "industry": "manufacturing",
    "employees": 126,
    "revenue_10k_cny": 4200,
}
REFERRAL_EXAMPLE: Final[dict[str, JsonValue]] = {
    "subject_kind": "enterprise",
    "name": "满洲里示例木业有限公司",
    "enterprise": ENTERPRISE_EXAMPLE,
    "zone": "manzhouli",
    "province": "15",
    "branch": "exim-nmg",
    "key_area": "border_trade_chain",
    "lane": "ordinary",
    "need": "working_capital",
    "amount": {"amount": "5000000.00", "currency": "CNY"},
    "term_months": 12,
    "country": "RU",
    "goods": "锯材",
    "purpose": "采购进口原木，恢复生产线运转。",
}


class Enterprise(Model):
    """The enterprise that is recommended or that carries the project. No personal data."""

    credit_code: CreditCode = Field(
        description="Unified social credit code (GB 32100-2015)", examples=["91330100799655058B"]
    )
    name: ShortText = Field(description="Registered name", examples=["满洲里示例木业有限公司"])
    size_class: SizeClass = Field(description="Size class that the referrer claims", examples=["small"])
    ownership: Ownership = Field(description="Who owns the enterprise", examples=["private"])
    industry: Industry = Field(description="Industry by which size is classified", examples=["manufacturing"])
    employees: Employees | None = Field(
        default=None,
        description="Number of employees at the end of the last year",
        examples=[126],
        json_schema_extra=unit("persons"),
    )
    revenue_10k_cny: TenThousandCny | None = Field(
        default=None,
        description="Operating revenue of the last year",
        examples=[4200],
        json_schema_extra=unit("10 000 CNY"),
    )
    assets_10k_cny: TenThousandCny | None = Field(
        default=None,
        description="Total assets at the end of the last year; construction is classified by it",
        examples=[3100],
        json_schema_extra=unit("10 000 CNY"),
    )
    legal_person_digest: Sha256 | None = Field(
        default=None,
        description="HMAC-SHA-256 of the legal person's identity number, computed by the referrer with the key that "
        "the headquarters gave out for it; never the number, nor its plain hash, which can be guessed",
        examples=["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"],
    )


class Project(Model):
    """A project that needs financing."""

    name: ShortText = Field(description="Name of the project", examples=["进口木材精深加工二期"])
    total_investment: Money = Field(
        description="Total investment planned", examples=[{"amount": "36000000.00", "currency": "CNY"}]
    )
    starts_on: Day | None = Field(default=None, description="Planned start of works", examples=["2020-06-01"])


class ChainRole(StrEnum):
    """Where an enterprise stands in its supply chain."""

    UPSTREAM = "upstream"
    CORE = "core"
    DOWNSTREAM = "downstream"


class ChainLink(Model):
    """The place of a referral in a supply chain whose enterprises unblock each other."""

    chain_id: ChainId = Field(description="Id of the chain, the same in all its referrals", examples=["MZL-TIMBER-1"])
    role: ChainRole = Field(description="Where the enterprise stands in the chain", examples=["upstream"])
    key_link: bool = Field(
        default=False, description="Whether the others stand still without this enterprise", examples=[True]
    )


class OutboundDirection(StrEnum):
    """How the rules on outbound investment class what the money goes into (国办发〔2017〕74号)."""

    ENCOURAGED = "encouraged"
    ORDINARY = "ordinary"
    RESTRICTED = "restricted"
    PROHIBITED = "prohibited"


class Referral(Model):
    """A recommendation as the referring side wrote it."""

    subject_kind: SubjectKind = Field(
        description="Whether an enterprise, a project or a zone plan is recommended", examples=["enterprise"]
    )
    name: ShortText = Field(
        description="Name of what is recommended, as people call it", examples=["满洲里示例木业有限公司"]
    )
    enterprise: Enterprise | None = Field(
        default=None,
        description="The enterprise; required unless a zone plan is recommended",
        examples=[ENTERPRISE_EXAMPLE],
    )
    project: Project | None = Field(
        default=None,
        description="The project; required if and only if a project is recommended",
        examples=[{"name": "进口木材精深加工二期", "total_investment": {"amount": "36000000.00", "currency": "CNY"}}],
    )
    zone: ZoneCode = Field(description="Cooperation zone concerned", examples=["manzhouli"])
    province: ProvinceCode = Field(description="Province of the zone, two digits of GB/T 2260", examples=["15"])
    branch: BranchCode = Field(description="Bank branch that serves the case", examples=["exim-nmg"])
    key_area: KeyArea = Field(description="Key area of support", examples=["border_trade_chain"])
    lane: Lane = Field(description="Resumption of work goes before ordinary cases", examples=["ordinary"])
    need: FinancingNeed = Field(description="What the money is for", examples=["working_capital"])
    amount: Money = Field(description="Sum wanted", examples=[{"amount": "5000000.00", "currency": "CNY"}])
    term_months: Annotated[int, Field(ge=1, le=360, strict=True)] = Field(
        description="Term wanted; more than 12 is medium or long term",
        examples=[12],
        json_schema_extra=unit("months"),
    )
    cooperation_mode: CooperationMode | None = Field(
        default=None, description="Way of cooperation that the referrer has in mind", examples=["direct_loan"]
    )
    country: CountryCode | None = Field(
        default=None, description="Foreign country the trade or investment is with", examples=["RU"]
    )
    goods: ShortText | None = Field(default=None, description="Goods or technology traded", examples=["锯材"])
    purpose: LongText = Field(
        description="What the financing achieves, in the referrer's words, without personal data",
        examples=["采购进口原木，恢复生产线运转。"],
    )
    site: ShortText | None = Field(
        default=None,
        description="Address of the works that the money is for, from the county down",
        examples=["满洲里市互贸区华埠大街 18 号"],
    )
    direction: OutboundDirection | None = Field(
        default=None,
        description="Class of an outbound investment; needed if and only if the need is outbound_investment",
        examples=["encouraged"],
    )
    outbound_approval: ShortText | None = Field(
        default=None,
        description="Reference of the approval of an outbound investment in a restricted direction",
        examples=["商境外投资证第N1500202000001号"],
    )
    zone_plan: PlanId | None = Field(
        default=None,
        description="Id of the zone plan: the one recommended, or the one whose portfolio the project is from",
        examples=["HC-2020-01"],
    )
    chain: ChainLink | None = Field(
        default=None,
        description="Place in a supply chain whose enterprises unblock each other",
        examples=[{"chain_id": "MZL-TIMBER-1", "role": "upstream", "key_link": True}],
    )
    repairs: ReferralId | None = Field(
        default=None,
        description="Id of the earlier referral, over by now, whose failure this one repairs",
        examples=["MZL-2020-0042"],
    )
    documents: Annotated[tuple[Document, ...], Field(max_length=50)] = Field(
        default=(), description="Documents that belong to it, as references", examples=[[DOCUMENT_EXAMPLE]]
    )


# --- inputs -----------------------------------------------------------------------------------------------------------


class ReferralSubmitted(Payload):
    """A side recommends an enterprise, a project or a zone plan."""

    TYPE: ClassVar[str] = "referral.submitted.v1"

    referral: Referral = Field(description="The whole referral", examples=[REFERRAL_EXAMPLE])
    consent: Consent | None = Field(
        default=None,
        description="The enterprise's consent to share its data; without one that covers both sides the referral waits",
        examples=[CONSENT_EXAMPLE],
    )


class AmendmentSubmitted(Payload):
    """The referring side changes its referral; the whole new body replaces the old one."""

    TYPE: ClassVar[str] = "referral.amendment_submitted.v1"

    referral: Referral = Field(description="The whole referral as it is to be", examples=[REFERRAL_EXAMPLE])
    reason: LongText = Field(description="Why it is changed", examples=["企业调整了融资金额。"])


class WithdrawalCode(StrEnum):
    """Why a referral is withdrawn."""

    NO_LONGER_NEEDED = "no_longer_needed"
    FINANCED_ELSEWHERE = "financed_elsewhere"
    SUBMITTED_IN_ERROR = "submitted_in_error"
    ENTERPRISE_REQUEST = "enterprise_request"
    CONSENT_REVOKED = "consent_revoked"
    OTHER = "other"


class WithdrawalSubmitted(Payload):
    """The referring side takes its referral back."""

    TYPE: ClassVar[str] = "referral.withdrawal_submitted.v1"

    code: WithdrawalCode = Field(description="Coded reason", examples=["financed_elsewhere"])
    reason: LongText = Field(description="The reason in words", examples=["企业已从其他银行获得贷款。"])


# --- outputs ----------------------------------------------------------------------------------------------------------


class DuplicateRule(StrEnum):
    """What made two referrals the same matter."""

    ENTERPRISE_NEED_ZONE = "enterprise_need_zone"
    SAME_PROJECT = "same_project"
    SAME_ZONE_PLAN = "same_zone_plan"


SOURCE: Final = Field(
    description="CloudEvents source of the referring party's system", examples=["//commerce/15"], max_length=200
)
SIDE: Final = Field(description="Referring side", examples=["commerce"])
CLAIMS: Final = Field(
    default=None,
    description="Digests of the matters that no other open case may be about, each after its scope's name; absent from "
    "events from before scopes were configured",
    examples=[["same_project:385f18d2ca1c5e0aa9eab04524a7045f"]],
)


class ReferralRegistered(Payload):
    """The referral is accepted: a case exists. Carries all that later services need."""

    TYPE: ClassVar[str] = "referral.registered.v1"

    referral: Referral = Field(description="The whole referral", examples=[REFERRAL_EXAMPLE])
    side: Side = SIDE
    source: str = SOURCE
    registered_at: AwareDatetime = Field(
        description="Time of the submission, with offset", examples=["2020-04-01T09:30:00+08:00"]
    )
    directory_versions: tuple[str, ...] = Field(
        description="Directory entries (kind/code@valid-from) that the referral was checked against",
        examples=[["zone/manzhouli@2020-01-01", "branch/exim-nmg@2020-01-01"]],
    )
    consent_scopes: tuple[ConsentScope, ...] = Field(
        default=(),
        description="With whom the enterprise's data may be shared; empty where no enterprise is named",
        examples=[["commerce", "bank"]],
    )
    consent: Consent | None = Field(
        default=None, description="The consent that came with the referral", examples=[CONSENT_EXAMPLE]
    )
    claims: tuple[str, ...] | None = CLAIMS
    not_classifiable: bool = Field(
        default=False,
        description="Whether the size class is only claimed: the industry has no row in the standard, or figures lack",
        examples=[False],
    )


class ReferralRejected(Payload):
    """The referral has faults: all of them are listed. It may be corrected and submitted again under the same id."""

    TYPE: ClassVar[str] = "referral.rejected.v1"

    faults: tuple[Fault, ...] = Field(
        description="Everything that is wrong",
        examples=[
            [
                {
                    "code": "missing",
                    "pointer": "/referral/amount/currency",
                    "zh": "缺少必填字段，请补充。",
                    "en": "A required field is missing; add it.",
                }
            ]
        ],
    )
    side: Side = SIDE
    source: str = SOURCE
    rejected_at: AwareDatetime = Field(
        description="Time of the submission, with offset", examples=["2020-04-01T09:30:00+08:00"]
    )


class DuplicateFound(Payload):
    """The referral is about a matter that an open case already holds."""

    TYPE: ClassVar[str] = "referral.duplicate_found.v1"

    duplicate_of: ReferralId = Field(description="Id of the open case", examples=["MZL-2020-0042"])
    rule: DuplicateRule = Field(
        description="Rule that found it; of a scope that operators added, the nearest",
        examples=["enterprise_need_zone"],
    )
    scope: ReasonCode | None = Field(
        default=None, description="Name of the configured scope that found it", examples=["any_open_case"]
    )
    side: Side = SIDE
    source: str = SOURCE
    found_at: AwareDatetime = Field(
        description="Time of the submission, with offset", examples=["2020-04-01T09:30:00+08:00"]
    )


class ReferralAmended(Payload):
    """The referral has a new version; the whole new body replaces the old one."""

    TYPE: ClassVar[str] = "referral.amended.v1"

    referral: Referral = Field(description="The whole referral as it now is", examples=[REFERRAL_EXAMPLE])
    revision: int = Field(
        ge=2,
        description="Number of the new version; the registered one is 1",
        examples=[2],
        json_schema_extra=unit("versions"),
    )
    changed: tuple[str, ...] = Field(
        description="JSON Pointers, inside the referral, to what changed", examples=[["/amount/amount", "/term_months"]]
    )
    reason: LongText = Field(description="Why it was changed", examples=["企业调整了融资金额。"])
    amended_at: AwareDatetime = Field(
        description="Time of the amendment, with offset", examples=["2020-04-03T10:00:00+08:00"]
    )
    directory_versions: tuple[str, ...] = Field(
        description="Directory entries (kind/code@valid-from) that the new body was checked against",
        examples=[["zone/manzhouli@2020-01-01", "branch/exim-nmg@2020-01-01"]],
    )
    claims: tuple[str, ...] | None = CLAIMS


class ReferralWithdrawn(Payload):
    """The referral was taken back: by its side, for want of consent, or because a person found it to be a duplicate."""

    TYPE: ClassVar[str] = "referral.withdrawn.v1"

    code: WithdrawalCode = Field(description="Coded reason", examples=["financed_elsewhere"])
    reason: LongText = Field(description="The reason in words", examples=["企业已从其他银行获得贷款。"])
    withdrawn_at: AwareDatetime = Field(
        description="Time of the withdrawal, with offset", examples=["2020-04-10T16:00:00+08:00"]
    )
    duplicate_of: ReferralId | None = Field(
        default=None, description="The case that a person judged it to repeat", examples=["MZL-2020-0042"]
    )


class ReferralRefused(Payload):
    """What was asked for cannot be done to this referral now, or not by this party. Nothing has changed."""

    TYPE: ClassVar[str] = "referral.refused.v1"

    code: ReasonCode = Field(description="Coded reason", examples=["wrong_party"])
    zh: LongText = Field(description="The reason in Chinese", examples=["只有推荐方可以修改或撤回推荐。"])
    en: LongText = Field(
        description="The reason in English", examples=["Only the side that referred may amend or withdraw."]
    )
    refused_type: str = Field(
        description="Type of the event that was refused", examples=["referral.amendment_submitted.v1"], max_length=100
    )
    refused_id: str | None = Field(
        default=None,
        max_length=256,
        description="Id of the event that was refused; absent from events of former releases",
        examples=["mofcom-15-000981"],
    )
    source: str | None = Field(
        default=None,
        max_length=200,
        description="CloudEvents source of the refused event, whose party is told; absent as `refused_id` is",
        examples=["//commerce/15"],
    )
    faults: tuple[Fault, ...] = Field(
        default=(),
        description="What is wrong with a refused amendment; empty otherwise",
        examples=[
            [
                {
                    "code": "zone_unknown",
                    "pointer": "/referral/zone",
                    "zh": "合作区不存在，请核对代码。",
                    "en": "There is no such zone; check the code.",
                }
            ]
        ],
    )
    refused_at: AwareDatetime = Field(
        description="Time of the refused event, with offset", examples=["2020-04-03T10:00:00+08:00"]
    )
