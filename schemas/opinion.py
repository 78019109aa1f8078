"""Opinions on a case and the conference of both headquarters: what people of the two sides say in joint screening.

A case is one referral; its id is the referral's id, the record key and the event's subject. Which side somebody speaks
for follows from the event's source. An opinion has a maker and a checker, two persons of one side: either the side's
own system saw to that and names the checker, or the opinion waits as a draft until another person confirms it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Model, Payload
from schemas.values import LongText, PersonId, ReferralId

EventId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""CloudEvents id of another event."""

CASE_ID: Final = Field(description="The case: id of its referral; also the record key", examples=["NMG-2020-000123"])


# --- codes ------------------------------------------------------------------------------------------------------------


class Verdict(StrEnum):
    """What a side says of a case."""

    SUPPORT = "support"
    OPPOSE = "oppose"


class Finality(StrEnum):
    """Whether the matter can be put right and referred again."""

    REPAIRABLE = "repairable"
    FINAL = "final"


class OpinionCode(StrEnum):
    """Why a side supports or opposes. What each code means stands in `OPINION_CODES`."""

    KEY_AREA_FIT = "key_area_fit"
    SOUND_OPERATION = "sound_operation"
    SOUND_PROJECT = "sound_project"
    STEADY_TRADE_RECORD = "steady_trade_record"
    KEY_LINK_OF_CHAIN = "key_link_of_chain"
    LOCAL_BENEFIT = "local_benefit"
    REPAYMENT_SECURED = "repayment_secured"
    DOCUMENTS_INCOMPLETE = "documents_incomplete"
    APPROVALS_MISSING = "approvals_missing"
    ACCOUNTS_UNRELIABLE = "accounts_unreliable"
    COLLATERAL_INSUFFICIENT = "collateral_insufficient"
    OWN_FUNDS_INSUFFICIENT = "own_funds_insufficient"
    REPAYMENT_SOURCE_UNCLEAR = "repayment_source_unclear"
    PLAN_IMMATURE = "plan_immature"
    AMOUNT_OR_TERM_UNSUITABLE = "amount_or_term_unsuitable"
    OUTSIDE_KEY_AREAS = "outside_key_areas"
    COMPLIANCE_BREACH = "compliance_breach"
    FALSE_INFORMATION = "false_information"
    DISHONEST_DEBTOR = "dishonest_debtor"
    DIRECTION_NOT_PERMITTED = "direction_not_permitted"
    NOT_VIABLE = "not_viable"


@dataclass(frozen=True, slots=True)
class OpinionMeaning:
    """What an opinion code means: the verdict it is a reason for; for opposition also whether and how to repair it."""

    verdict: Verdict
    zh: str
    en: str
    finality: Finality | None = None
    remedy_zh: str | None = None
    remedy_en: str | None = None


def _for(zh: str, en: str) -> OpinionMeaning:
    return OpinionMeaning(Verdict.SUPPORT, zh, en)


def _repairable(zh: str, en: str, remedy_zh: str, remedy_en: str) -> OpinionMeaning:
    return OpinionMeaning(Verdict.OPPOSE, zh, en, Finality.REPAIRABLE, remedy_zh, remedy_en)


def _final(zh: str, en: str) -> OpinionMeaning:
    return OpinionMeaning(Verdict.OPPOSE, zh, en, Finality.FINAL)


OPINION_CODES: Final[Mapping[OpinionCode, OpinionMeaning]] = {
    OpinionCode.KEY_AREA_FIT: _for("符合重点领域", "Fits a key area"),
    OpinionCode.SOUND_OPERATION: _for("企业经营稳健", "The enterprise is soundly run"),
    OpinionCode.SOUND_PROJECT: _for("项目可行，前景良好", "The project is feasible and has prospects"),
    OpinionCode.STEADY_TRADE_RECORD: _for("边贸业务稳定", "Steady record in border trade"),
    OpinionCode.KEY_LINK_OF_CHAIN: _for("产业链关键环节", "Key link of its supply chain"),
    OpinionCode.LOCAL_BENEFIT: _for("带动当地就业和产业", "Brings work and industry to the place"),
    OpinionCode.REPAYMENT_SECURED: _for("还款来源有保障", "Repayment is secured"),
    OpinionCode.DOCUMENTS_INCOMPLETE: _repairable(
        "材料不齐全", "Documents are incomplete", "补齐所列材料后重新推荐。", "Add what is missing and refer again."
    ),
    OpinionCode.APPROVALS_MISSING: _repairable(
        "缺少必要的批准或备案",
        "Required approvals or filings are missing",
        "取得批准或备案后重新推荐。",
        "Obtain the approval or filing and refer again.",
    ),
    OpinionCode.ACCOUNTS_UNRELIABLE: _repairable(
        "财务信息不可靠",
        "The accounts cannot be relied upon",
        "提供经审计的财务报表后重新推荐。",
        "Provide audited accounts and refer again.",
    ),
    OpinionCode.COLLATERAL_INSUFFICIENT: _repairable(
        "担保不足",
        "Security is insufficient",
        "增加抵质押物，或引入担保、保险机构后重新推荐。",
        "Add security, or bring in a guarantor or insurer, and refer again.",
    ),
    OpinionCode.OWN_FUNDS_INSUFFICIENT: _repairable(
        "自有资金不足", "Own funds are insufficient", "落实自有资金后重新推荐。", "Secure own funds and refer again."
    ),
    OpinionCode.REPAYMENT_SOURCE_UNCLEAR: _repairable(
        "还款来源不明确",
        "The source of repayment is unclear",
        "说明并证明还款来源后重新推荐。",
        "State and prove the source of repayment and refer again.",
    ),
    OpinionCode.PLAN_IMMATURE: _repairable(
        "方案或项目前期工作不充分",
        "The plan or project is not ready",
        "完善方案和前期工作后重新推荐。",
        "Complete the plan and its preparation and refer again.",
    ),
    OpinionCode.AMOUNT_OR_TERM_UNSUITABLE: _repairable(
        "金额或期限不合适",
        "Amount or term is unsuitable",
        "调整金额或期限后重新推荐。",
        "Change the amount or term and refer again.",
    ),
    OpinionCode.OUTSIDE_KEY_AREAS: _final("不属于重点领域", "Outside the key areas"),
    OpinionCode.COMPLIANCE_BREACH: _final("违反法律法规或监管要求", "Breaks law or regulation"),
    OpinionCode.FALSE_INFORMATION: _final("提供虚假信息", "False information was given"),
    OpinionCode.DISHONEST_DEBTOR: _final("企业或其负责人为失信被执行人", "Listed as a dishonest debtor"),
    OpinionCode.DIRECTION_NOT_PERMITTED: _final(
        "不符合境外投资方向", "Outside the permitted direction of outbound investment"
    ),
    OpinionCode.NOT_VIABLE: _final("企业或项目不具备持续经营条件", "The enterprise or project is not viable"),
}


class ConferenceOutcome(StrEnum):
    """What a headquarters wants to become of a case on which the sides disagree."""

    SHORTLIST = "shortlist"
    DECLINE = "decline"


class ExtensionCode(StrEnum):
    """Why a side needs more time."""

    DOCUMENTS_AWAITED = "documents_awaited"
    SITE_VISIT = "site_visit"
    APPROVAL_AWAITED = "approval_awaited"
    PARTNER_AWAITED = "partner_awaited"
    OTHER = "other"


# --- fields that many types have --------------------------------------------------------------------------------------

SUPPORT_EXAMPLE: Final[list[JsonValue]] = [{"code": "sound_operation", "text": "企业连续三年盈利，订单充足。"}]
VERDICT: Final = Field(description="Whether the side supports or opposes the case", examples=["support"])
GIVEN_BY: Final = Field(description="Id of the person who answers for the opinion", examples=["exim-nmg-01"])
OPINION_ID: Final = Field(
    description="Id of the event that gave the opinion, so that nothing else is confirmed than what was read",
    examples=["exim-nmg-000417"],
)
ON_BEHALF_OF: Final = Field(
    default=None,
    description="Id of the absent person for whom the speaker stands in; the directory must name the speaker as deputy",
    examples=["exim-nmg-02"],
)


class OpinionReason(Model):
    """One reason of an opinion: a code for programs and the side's own words."""

    code: OpinionCode = Field(description="Coded reason", examples=["collateral_insufficient"])
    text: LongText = Field(
        description="The reason in the side's words, without personal data", examples=["抵押物评估值低于贷款金额。"]
    )


# --- inputs -----------------------------------------------------------------------------------------------------------


class OpinionGiven(Payload):
    """A side gives its opinion on a case: once, by the deadline. It counts once a second person has checked it."""

    # An opposing opinion that leaves its reasons out must not pass.
    model_config = ConfigDict(validate_default=True)

    TYPE: ClassVar[str] = "opinion.given.v1"

    referral_id: ReferralId = CASE_ID
    verdict: Verdict = VERDICT
    reasons: tuple[OpinionReason, ...] = Field(
        default=(),
        max_length=20,
        description="Why; required to oppose, welcome to support. Codes must fit the verdict",
        examples=[SUPPORT_EXAMPLE],
    )
    given_by: PersonId = GIVEN_BY
    checked_by: PersonId | None = Field(
        default=None,
        description="Id of the checker, where the side's own system saw to the check; absent: a draft until confirmed",
        examples=["exim-nmg-02"],
    )
    on_behalf_of: PersonId | None = ON_BEHALF_OF

    @field_validator("reasons", mode="after")
    @classmethod
    def _fit_the_verdict(cls, reasons: tuple[OpinionReason, ...], info: ValidationInfo) -> tuple[OpinionReason, ...]:
        verdict = info.data.get("verdict")
        if verdict is Verdict.OPPOSE and not reasons:
            raise PydanticCustomError(
                "reason_missing",
                "An opinion that opposes needs at least one coded reason; add it.",
                {"zh": "反对意见须至少有一条编码理由，请补充。"},
            )
        misfits = [reason.code for reason in reasons if verdict and OPINION_CODES[reason.code].verdict is not verdict]
        if misfits:
            raise PydanticCustomError(
                "reason_contradicts_verdict",
                "The codes {codes} are not reasons for the verdict {verdict}; change one or the other.",
                {
                    "codes": ", ".join(misfits),
                    "verdict": str(verdict),
                    "zh": f"理由代码 {'、'.join(misfits)} 与结论 {verdict} 不符，请更正其一。",
                },
            )
        return reasons


class OpinionConfirmed(Payload):
    """The checker confirms a draft: it becomes the side's opinion. Another person of the same side than the maker."""

    TYPE: ClassVar[str] = "opinion.confirmed.v1"

    referral_id: ReferralId = CASE_ID
    opinion_id: EventId = OPINION_ID
    confirmed_by: PersonId = Field(description="Id of the person who checked the opinion", examples=["exim-nmg-02"])
    on_behalf_of: PersonId | None = ON_BEHALF_OF


class OpinionReturned(Payload):
    """The checker sends a draft back: the side has no opinion until its maker gives a new one."""

    TYPE: ClassVar[str] = "opinion.returned.v1"

    referral_id: ReferralId = CASE_ID
    opinion_id: EventId = OPINION_ID
    returned_by: PersonId = Field(description="Id of the person who checked the opinion", examples=["exim-nmg-02"])
    text: LongText = Field(
        description="What is to be changed, without personal data", examples=["请补充抵押物的最新评估情况。"]
    )
    on_behalf_of: PersonId | None = ON_BEHALF_OF


class OpinionExtensionAsked(Payload):
    """A side needs more time for its opinion: once for a case, with a reason, and before the deadline."""

    TYPE: ClassVar[str] = "opinion.extension_asked.v1"

    referral_id: ReferralId = CASE_ID
    code: ExtensionCode = Field(description="Coded reason", examples=["site_visit"])
    text: LongText = Field(description="The reason in the side's words", examples=["需到企业现场核实生产情况。"])
    asked_by: PersonId = Field(description="Id of the person who asks", examples=["exim-nmg-01"])
    on_behalf_of: PersonId | None = ON_BEHALF_OF


class ConferenceOutcomeGiven(Payload):
    """A headquarters says what came of the conference on a case; it takes both headquarters to shortlist it."""

    TYPE: ClassVar[str] = "conference.outcome_given.v1"

    referral_id: ReferralId = CASE_ID
    outcome: ConferenceOutcome = Field(description="What is to become of the case", examples=["shortlist"])
    text: LongText = Field(
        description="Why, without personal data", examples=["担保机构承担七成风险，双方同意列入名单。"]
    )
    given_by: PersonId = Field(
        description="Id of the person at the headquarters who answers for it", examples=["hq-01"]
    )
    on_behalf_of: PersonId | None = ON_BEHALF_OF
