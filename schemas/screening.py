"""Joint screening: what each side's opinion says, and what screening makes of it.

A case is one referral; its id is the referral's id, the record key and the event's subject. Which side an opinion
speaks for follows from the event's source. Times carry an offset; deadlines are the last second of a working day in
China.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Model, Payload
from schemas.referral import WithdrawalCode
from schemas.risk import WarningLevel
from schemas.values import KeyArea, Lane, LongText, PersonId, ReasonCode, ReferralId, Side, unit

EventId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""CloudEvents id of another event."""

EventType = Annotated[str, StringConstraints(min_length=1, max_length=100)]
"""CloudEvents type of another event."""

PolicyVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Name of an immutable policy version."""

HoldId = Annotated[str, StringConstraints(pattern=r"^(case|zone):[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Name of one hold, as the risk monitor gave it."""


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


class DeclineCause(StrEnum):
    """What declined a case."""

    HARD_STOP = "hard_stop"
    OPPOSED = "opposed"


class PolicyPart(StrEnum):
    """Part of a policy that a rule belongs to."""

    HARD_STOP = "hard_stop"
    CLASSIFICATION = "classification"
    TILT = "tilt"


class RuleOutcome(StrEnum):
    """What came of one rule."""

    MET = "met"
    NOT_MET = "not_met"
    NOT_APPLICABLE = "not_applicable"
    NOT_EVALUABLE = "not_evaluable"


class RuleFailure(StrEnum):
    """Why a rule could not be evaluated."""

    INPUT_MISSING = "input_missing"
    NOT_YES_OR_NO = "not_yes_or_no"
    EXPRESSION_FAILED = "expression_failed"


class RefusalCode(StrEnum):
    """Why screening refuses an input."""

    ALREADY_OPEN = "already_open"
    ALREADY_HELD = "already_held"
    NOT_HELD = "not_held"
    SECOND_OPINION = "second_opinion"
    AFTER_DEADLINE = "after_deadline"
    WRONG_PARTY = "wrong_party"
    CLOSED = "closed"


# --- fields that many types have --------------------------------------------------------------------------------------

_REFERRAL_ID: Final = Field(
    description="The case: id of its referral; also the record key", examples=["NMG-2020-000123"]
)
_DEADLINE: Final = Field(
    description="Last second of the working day, in China, by which both sides are to have given their opinions",
    examples=["2020-04-16T23:59:59+08:00"],
)
_PROVISIONAL: Final = Field(
    description="True where the deadline lies in a year whose official calendar is not yet known", examples=[False]
)
_SCORE: Final = Field(
    description="Sum of the tilt points; higher goes first within a lane",
    examples=[40],
    json_schema_extra=unit("points"),
)
_REVISION: Final = Field(
    ge=1,
    description="Version of the referral this is about; the registered one is 1",
    examples=[1],
    json_schema_extra=unit("versions"),
)
_POLICY: Final = Field(description="Policy version that was applied", examples=["2020-03-23"])
_LANE: Final = Field(description="Lane of the case", examples=["ordinary"])
_HOLD_ID: Final = Field(description="The hold concerned, as the risk monitor named it", examples=["zone:manzhouli"])


class OpinionReason(Model):
    """One reason of an opinion: a code for programs and the side's own words."""

    code: OpinionCode = Field(description="Coded reason", examples=["collateral_insufficient"])
    text: LongText = Field(
        description="The reason in the side's words, without personal data", examples=["抵押物评估值低于贷款金额。"]
    )


_SUPPORT_EXAMPLE: Final[list[JsonValue]] = [{"code": "sound_operation", "text": "企业连续三年盈利，订单充足。"}]
_REASONS: Final = Field(
    default=(),
    max_length=20,
    description="Why; required to oppose, welcome to support. Codes must fit the verdict",
    examples=[_SUPPORT_EXAMPLE],
)
_VERDICT: Final = Field(description="Whether the side supports or opposes the case", examples=["support"])
_GIVEN_BY: Final = Field(description="Id of the person who answers for the opinion", examples=["exim-nmg-01"])


# --- inputs -----------------------------------------------------------------------------------------------------------


class OpinionGiven(Payload):
    """A side gives its opinion on a case: once, by the deadline."""

    # An opposing opinion that leaves its reasons out must not pass.
    model_config = ConfigDict(validate_default=True)

    TYPE: ClassVar[str] = "opinion.given.v1"

    referral_id: ReferralId = _REFERRAL_ID
    verdict: Verdict = _VERDICT
    reasons: tuple[OpinionReason, ...] = _REASONS
    given_by: PersonId = _GIVEN_BY

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


# --- outputs ----------------------------------------------------------------------------------------------------------


class ScreeningOpened(Payload):
    """Joint screening of a registered referral begins; both sides are asked for their opinions."""

    TYPE: ClassVar[str] = "screening.opened.v1"

    referral_id: ReferralId = _REFERRAL_ID
    lane: Lane = _LANE
    side: Side = Field(description="Side that referred the case", examples=["commerce"])
    opened_at: AwareDatetime = Field(
        description="Time of the registration, with offset", examples=["2020-04-01T09:30:00+08:00"]
    )
    working_days: int = Field(
        ge=1, description="Time allowed for the opinions", examples=[10], json_schema_extra=unit("working days")
    )
    deadline: AwareDatetime = _DEADLINE
    deadline_provisional: bool = _PROVISIONAL


class RuleResult(Model):
    """What one rule of the policy made of the case."""

    part: PolicyPart = Field(description="Part of the policy", examples=["tilt"])
    code: ReasonCode = Field(description="Code of the rule in its policy version", examples=["private_enterprise"])
    outcome: RuleOutcome = Field(description="What came of it", examples=["met"])
    points: int = Field(
        default=0, description="Points that it adds to the score", examples=[20], json_schema_extra=unit("points")
    )
    inputs: dict[str, JsonValue] = Field(
        description="What the rule looked at, by name; empty where it does not apply. Amounts are decimal text",
        examples=[{"ownership": "private"}],
    )
    missing: tuple[str, ...] = Field(
        default=(), description="Names of inputs that the referral leaves open", examples=[["country"]]
    )
    failure: RuleFailure | None = Field(
        default=None, description="Why it could not be evaluated; absent otherwise", examples=["input_missing"]
    )


class ScreeningScored(Payload):
    """The case was scored by a policy version. Explains itself: each rule, what it looked at, its points."""

    TYPE: ClassVar[str] = "screening.scored.v1"

    referral_id: ReferralId = _REFERRAL_ID
    revision: int = _REVISION
    lane: Lane = _LANE
    policy_version: PolicyVersion = _POLICY
    policy_digest: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the policy file, to prove which text was applied",
        examples=["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"],
    )
    policy_effective_from: date = Field(
        description="First day on which the policy version applies", examples=["2020-03-23"]
    )
    score: int = _SCORE
    hard_stops: tuple[ReasonCode, ...] = Field(
        description="Codes of the hard stops that the case meets; empty if none",
        examples=[["outbound_direction_not_permitted"]],
    )
    key_areas: tuple[KeyArea, ...] = Field(
        description="Key areas that the policy finds in the case", examples=[["border_trade_chain"]]
    )
    key_area_claimed: KeyArea = Field(
        description="Key area that the referrer claims; differs from the above where the policy does not bear it out",
        examples=["border_trade_chain"],
    )
    rules: tuple[RuleResult, ...] = Field(
        description="Every rule of the policy version, in its order",
        examples=[
            [
                {
                    "part": "tilt",
                    "code": "private_enterprise",
                    "outcome": "met",
                    "points": 20,
                    "inputs": {"ownership": "private"},
                }
            ]
        ],
    )
    scored_at: AwareDatetime = Field(
        description="Time of the registration or amendment that was scored", examples=["2020-04-01T09:30:00+08:00"]
    )


class ScreeningOpinionRecorded(Payload):
    """A side's opinion is on record."""

    TYPE: ClassVar[str] = "screening.opinion_recorded.v1"

    referral_id: ReferralId = _REFERRAL_ID
    side: Side = Field(description="Side whose opinion it is", examples=["bank"])
    verdict: Verdict = _VERDICT
    reasons: tuple[OpinionReason, ...] = Field(description="Why, as given", examples=[_SUPPORT_EXAMPLE])
    given_by: PersonId = _GIVEN_BY
    given_at: AwareDatetime = Field(
        description="Time at which the opinion was given, with offset", examples=["2020-04-08T15:20:00+08:00"]
    )


class ScreeningShortlisted(Payload):
    """Both sides support the case: it is on the shortlist."""

    TYPE: ClassVar[str] = "screening.shortlisted.v1"

    referral_id: ReferralId = _REFERRAL_ID
    lane: Lane = _LANE
    revision: int = _REVISION
    score: int = _SCORE
    key_areas: tuple[KeyArea, ...] = Field(
        description="Key areas that the policy finds in the case", examples=[["border_trade_chain"]]
    )
    policy_version: PolicyVersion = _POLICY
    decided_at: AwareDatetime = Field(
        description="Time of the opinion, or release, that completed the decision",
        examples=["2020-04-09T10:05:00+08:00"],
    )


class DeclineReason(Model):
    """One reason for which a case was declined, and what would repair it."""

    code: ReasonCode = Field(
        description="Code of the hard stop, or of the side's reason", examples=["collateral_insufficient"]
    )
    finality: Finality = Field(description="Whether it can be repaired", examples=["repairable"])
    zh: LongText = Field(description="The reason in Chinese", examples=["担保不足"])
    en: LongText = Field(description="The reason in English", examples=["Security is insufficient"])
    side: Side | None = Field(default=None, description="Side that gave it; absent for a hard stop", examples=["bank"])
    text: LongText | None = Field(
        default=None,
        description="The side's own words; absent for a hard stop",
        examples=["抵押物评估值低于贷款金额。"],
    )
    remedy_zh: LongText | None = Field(
        default=None, description="What would repair it, in Chinese", examples=["增加抵质押物后重新推荐。"]
    )
    remedy_en: LongText | None = Field(
        default=None, description="What would repair it, in English", examples=["Add security and refer again."]
    )


class ScreeningDeclined(Payload):
    """The case is declined: by a hard stop of the policy at once, or because a side opposes."""

    TYPE: ClassVar[str] = "screening.declined.v1"

    referral_id: ReferralId = _REFERRAL_ID
    cause: DeclineCause = Field(description="What declined it", examples=["opposed"])
    finality: Finality = Field(description="Final if any reason is; repairable otherwise", examples=["repairable"])
    reasons: tuple[DeclineReason, ...] = Field(
        min_length=1,
        description="All reasons, those of the commerce side before those of the bank",
        examples=[
            [
                {
                    "code": "collateral_insufficient",
                    "finality": "repairable",
                    "zh": "担保不足",
                    "en": "Security is insufficient",
                    "side": "bank",
                    "text": "抵押物评估值低于贷款金额。",
                }
            ]
        ],
    )
    opposed_by: tuple[Side, ...] = Field(
        default=(), description="Sides that oppose; empty for a hard stop", examples=[["bank"]]
    )
    policy_version: PolicyVersion = _POLICY
    decided_at: AwareDatetime = Field(
        description="Time of what completed the decision, or of the deadline", examples=["2020-04-09T10:05:00+08:00"]
    )


class ScreeningExpired(Payload):
    """The deadline passed without the opinions that a decision needs, and nobody opposed."""

    TYPE: ClassVar[str] = "screening.expired.v1"

    referral_id: ReferralId = _REFERRAL_ID
    missing: tuple[Side, ...] = Field(
        min_length=1, description="Sides that did not give their opinion", examples=[["bank"]]
    )
    deadline: AwareDatetime = _DEADLINE
    deadline_provisional: bool = _PROVISIONAL


class HoldChange(Payload):
    """What the two changes of a hold have in common."""

    referral_id: ReferralId = _REFERRAL_ID
    hold_id: HoldId = _HOLD_ID
    level: WarningLevel = Field(description="Level of the warning behind the hold", examples=["red"])
    code: ReasonCode = Field(description="Coded reason, from the risk monitor", examples=["zone_warning_red"])
    zh: LongText = Field(description="The reason in Chinese", examples=["合作区处于红色预警。"])
    en: LongText = Field(description="The reason in English", examples=["The zone is under a red warning."])


class ScreeningHeld(HoldChange):
    """A hold stands on the case: nothing is decided until all its holds are released. Opinions are still recorded."""

    TYPE: ClassVar[str] = "screening.held.v1"

    holds: tuple[HoldId, ...] = Field(
        min_length=1, description="All holds that now stand on the case", examples=[["zone:manzhouli"]]
    )
    working_days_left: int | None = Field(
        default=None,
        ge=0,
        description="Whole working days that were left when the clock stopped; absent once the case is decided",
        examples=[6],
        json_schema_extra=unit("working days"),
    )
    held_at: AwareDatetime = Field(description="Time of the hold, with offset", examples=["2020-04-08T09:00:00+08:00"])


class ScreeningReleased(HoldChange):
    """A hold on the case was released; with the last one the clock runs again."""

    TYPE: ClassVar[str] = "screening.released.v1"

    holds: tuple[HoldId, ...] = Field(
        description="Holds that still stand on the case", examples=[["case:NMG-2020-000123"]]
    )
    deadline: AwareDatetime | None = Field(
        default=None,
        description="New deadline; absent while other holds stand, and once the case is decided",
        examples=["2020-04-24T23:59:59+08:00"],
    )
    deadline_provisional: bool = _PROVISIONAL
    released_at: AwareDatetime = Field(
        description="Time of the release, with offset", examples=["2020-04-16T09:00:00+08:00"]
    )


class ScreeningWithdrawn(Payload):
    """The referral was withdrawn: the case is closed."""

    TYPE: ClassVar[str] = "screening.withdrawn.v1"

    referral_id: ReferralId = _REFERRAL_ID
    code: WithdrawalCode = Field(description="Coded reason, from the referrer", examples=["financed_elsewhere"])
    text: LongText = Field(description="The referrer's own words", examples=["企业已从其他银行获得贷款。"])
    withdrawn_at: AwareDatetime = Field(
        description="Time of the withdrawal, with offset", examples=["2020-04-10T16:00:00+08:00"]
    )


class ScreeningRefused(Payload):
    """Something asked of screening cannot be done to this case now, or not by this party. Nothing has changed."""

    TYPE: ClassVar[str] = "screening.refused.v1"

    referral_id: ReferralId = _REFERRAL_ID
    refused_type: EventType = Field(description="Type of the event that was refused", examples=["opinion.given.v1"])
    refused_id: EventId = Field(description="Id of the event that was refused", examples=["mofcom-15-000981"])
    side: Side | None = Field(
        default=None, description="Side that sent it; absent where it is one of our own services", examples=["commerce"]
    )
    code: RefusalCode = Field(description="Coded reason", examples=["second_opinion"])
    zh: LongText = Field(
        description="What is wrong and what to do, in Chinese", examples=["本方已发表意见，不能重复发表。"]
    )
    en: LongText = Field(
        description="What is wrong and what to do, in English",
        examples=["This side has already given its opinion; it cannot give another."],
    )
    refused_at: AwareDatetime = Field(
        description="Time of the refused event, with offset", examples=["2020-04-09T11:00:00+08:00"]
    )
