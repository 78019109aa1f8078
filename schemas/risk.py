"""What the risk monitor says: assessments, warnings, holds, and what it counts of a zone's exposure.

A *subject* is what is assessed: a case (its key is the referral id), a zone (its code), an enterprise (its credit
code) or a project (its id). Amounts are principal outstanding; days are calendar days.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.envelope import Model, Payload
from schemas.indicator import Figure, Period
from schemas.values import (
    REFERRAL_ID_PATTERN,
    Amount,
    Balance,
    CreditCode,
    LongText,
    PersonId,
    ReasonCode,
    ReferralId,
    Side,
    ZoneCode,
    unit,
)

SubjectKey = Annotated[str, StringConstraints(pattern=REFERRAL_ID_PATTERN)]
"""Referral id, zone code, credit code or project id: the record key of what is assessed."""

RulesVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Name of the rule file version with which something was decided."""


class RiskSubject(StrEnum):
    """What is assessed."""

    CASE = "case"
    ZONE = "zone"
    ENTERPRISE = "enterprise"
    PROJECT = "project"


class WarningLevel(StrEnum):
    """Levels of a warning, least severe first."""

    BLUE = "blue"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"


class LoanGrade(StrEnum):
    """The five classes of a loan, best first."""

    NORMAL = "normal"
    SPECIAL_MENTION = "special_mention"
    SUBSTANDARD = "substandard"
    DOUBTFUL = "doubtful"
    LOSS = "loss"


class HoldCause(StrEnum):
    """Whose red warning holds a case: its own, or its zone's."""

    CASE = "case"
    ZONE = "zone"


class Reason(Model):
    """Why something was said: one code for programs, one text in each language for people."""

    code: ReasonCode = Field(description="Stable code of the reason", examples=["loan_overdue"])
    zh: LongText = Field(description="The reason in Chinese", examples=["贷款已逾期95天。"])
    en: LongText = Field(description="The reason in English", examples=["The loan is 95 days overdue."])


class Cause(Reason):
    """One reason for a warning, with the level it asks for by itself."""

    level: WarningLevel = Field(description="Level that this reason asks for", examples=["orange"])


class ZoneExposure(Model):
    """Principal outstanding of all cases of a zone, held against the zone's limit."""

    cny: Figure = Field(
        description="Outstanding of loans in yuan; decimal text",
        examples=["820000000.00"],
        json_schema_extra=unit("CNY"),
    )
    usd: Figure = Field(
        description="Outstanding of loans in US dollars; decimal text",
        examples=["3000000.00"],
        json_schema_extra=unit("USD"),
    )
    total_cny: Figure = Field(
        description="Both together in yuan at the rule file's accounting rate; decimal text",
        examples=["841000000.00"],
        json_schema_extra=unit("CNY"),
    )
    limit_cny: Amount = Field(
        description="Limit of the zone in force; decimal text",
        examples=["1000000000.00"],
        json_schema_extra=unit("CNY"),
    )


class CaseFigures(Model):
    """What is known of one case."""

    zone: ZoneCode = Field(description="Zone in which the case counts", examples=["manzhouli"])
    credit_code: CreditCode | None = Field(
        default=None, description="Enterprise of the case, where there is one", examples=["914403001922038216"]
    )
    undecided: bool = Field(
        description="True while joint screening has neither shortlisted nor closed the case", examples=[False]
    )
    shortlisted: bool = Field(description="True once joint screening has shortlisted the case", examples=[True])
    outstanding: Balance = Field(
        description="Principal disbursed and not yet repaid", examples=[{"amount": "1500000.00", "currency": "CNY"}]
    )
    overdue_days: int = Field(
        ge=0,
        description="Days since the oldest unpaid due date; 0: nothing overdue",
        examples=[95],
        json_schema_extra=unit("days"),
    )
    grade: LoanGrade = Field(description="Class of the loan under the rules in force", examples=["substandard"])


class IndicatorFinding(Model):
    """One reported figure, as judged by the rules."""

    name: ReasonCode = Field(description="Name of the indicator", examples=["debt_ratio"])
    value: Figure = Field(
        description="The figure as reported; decimal text, in `unit`",
        examples=["0.82"],
        json_schema_extra=unit("as stated in `unit`"),
    )
    unit: str = Field(min_length=1, max_length=32, description="Unit of the figure", examples=["ratio"])
    judged: bool = Field(description="Whether the rules in force look at this figure, in this unit", examples=[True])
    level: WarningLevel | None = Field(
        default=None, description="Level that the figure asks for; absent: none", examples=["yellow"]
    )


class IndicatorFigures(Model):
    """Figures of one side about one subject and period, as judged by the rules."""

    side: Side = Field(description="Side that reported the figures", examples=["commerce"])
    period: Period = Field(description="Period the figures are about", examples=["2020-Q1"])
    findings: tuple[IndicatorFinding, ...] = Field(
        max_length=100,
        description="Each figure with the level it asks for",
        examples=[[{"name": "debt_ratio", "value": "0.82", "unit": "ratio", "judged": True, "level": "yellow"}]],
    )


class RiskFact(Payload):
    """What every statement about a subject says first."""

    subject_kind: RiskSubject = Field(description="What kind of thing is assessed", examples=["case"])
    subject: SubjectKey = Field(description="Key of what is assessed", examples=["NMG-2020-000123"])
    rules: RulesVersion = Field(description="Version of the rule file that was applied", examples=["2023-07-01"])


class RiskAssessed(RiskFact):
    """A subject was looked at anew because its figures changed: either `case` or `indicators` is there."""

    TYPE = "risk.assessed.v1"

    case: CaseFigures | None = Field(
        default=None,
        description="Figures of the case; absent for other subjects",
        examples=[
            {
                "zone": "manzhouli",
                "credit_code": "914403001922038216",
                "undecided": False,
                "shortlisted": True,
                "outstanding": {"amount": "1500000.00", "currency": "CNY"},
                "overdue_days": 95,
                "grade": "substandard",
            }
        ],
    )
    indicators: IndicatorFigures | None = Field(
        default=None,
        description="Figures reported about the subject; absent for cases",
        examples=[
            {
                "side": "commerce",
                "period": "2020-Q1",
                "findings": [
                    {"name": "debt_ratio", "value": "0.82", "unit": "ratio", "judged": True, "level": "yellow"}
                ],
            }
        ],
    )


class RiskWarning(RiskFact):
    """What every statement about a warning says."""

    zone: ZoneCode | None = Field(
        default=None, description="Zone concerned; absent where the subject has none", examples=["manzhouli"]
    )
    credit_code: CreditCode | None = Field(
        default=None, description="Enterprise concerned; absent where there is none", examples=["914403001922038216"]
    )


class RiskWarningRaised(RiskWarning):
    """A subject without a warning now has one."""

    TYPE = "risk.warning_raised.v1"

    level: WarningLevel = Field(description="Level of the warning", examples=["orange"])
    causes: tuple[Cause, ...] = Field(
        min_length=1,
        max_length=100,
        description="Why, most severe first",
        examples=[
            [
                {
                    "code": "loan_overdue",
                    "zh": "贷款已逾期95天。",
                    "en": "The loan is 95 days overdue.",
                    "level": "orange",
                }
            ]
        ],
    )
    exposure: ZoneExposure | None = Field(
        default=None,
        description="Exposure of the zone at that moment; absent for other subjects",
        examples=[
            {"cny": "820000000.00", "usd": "3000000.00", "total_cny": "841000000.00", "limit_cny": "1000000000.00"}
        ],
    )


class RiskWarningRaisedFurther(RiskWarningRaised):
    """A warning in force became more severe."""

    TYPE = "risk.warning_raised_further.v1"

    level_before: WarningLevel = Field(description="Level of the warning until now", examples=["yellow"])


class RiskWarningCleared(RiskWarning):
    """The causes of a warning are gone; it is no longer in force."""

    TYPE = "risk.warning_cleared.v1"

    level_before: WarningLevel = Field(description="Level of the warning until now", examples=["orange"])
    reason: Reason = Field(
        description="Why it was cleared",
        examples=[{"code": "causes_gone", "zh": "预警原因已消除。", "en": "What caused the warning is gone."}],
    )


class RiskLimitBreached(RiskFact):
    """The exposure of a zone exceeds its limit. Said once for as long as the zone's warning lasts."""

    TYPE = "risk.limit_breached.v1"

    exposure: ZoneExposure = Field(
        description="Exposure of the zone and the limit it exceeds",
        examples=[{"cny": "1000000000.00", "usd": "0.00", "total_cny": "1000000000.00", "limit_cny": "900000000.00"}],
    )
    reason: Reason = Field(
        description="The breach in words",
        examples=[
            {
                "code": "zone_limit_exceeded",
                "zh": "合作区敞口超过限额。",
                "en": "The zone's exposure exceeds its limit.",
            }
        ],
    )


class HoldNotice(Payload):
    """What holds and releases of one case have in common.

    A case may stand under several holds at once (its own and its zone's): it goes on when every `hold_id` that was
    held has been released.
    """

    referral_id: ReferralId = Field(description="The case concerned; also the record key", examples=["NMG-2020-000123"])
    hold_id: str = Field(
        pattern=r"^(case|zone):[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Names the hold: its cause and the key of the subject whose warning it comes from",
        examples=["zone:manzhouli"],
    )
    cause: HoldCause = Field(description="Whose warning the hold comes from", examples=["zone"])
    level: WarningLevel = Field(description="Level of the warning behind the hold", examples=["red"])
    code: ReasonCode = Field(description="Stable code of the reason", examples=["zone_warning_red"])
    zh: LongText = Field(
        description="The reason in Chinese",
        examples=["合作区处于红色预警，未决案件暂停办理。"],
    )
    en: LongText = Field(
        description="The reason in English",
        examples=["The zone is under a red warning; its undecided cases are on hold."],
    )
    rules: RulesVersion = Field(description="Version of the rule file that was applied", examples=["2023-07-01"])


class RiskHeld(HoldNotice):
    """A case must not go on until this hold is released."""

    TYPE = "risk.held.v1"


class RiskReleased(HoldNotice):
    """A hold on a case is lifted: its warning was cleared, or both sides released it."""

    TYPE = "risk.released.v1"


class RiskExposureChanged(Payload):
    """What one case counts in its zone, before and after; told by the case to its zone."""

    TYPE = "risk.exposure_changed.v1"

    referral_id: ReferralId = Field(description="The case that counts differently", examples=["NMG-2020-000123"])
    zone: ZoneCode = Field(description="The zone it counts in; also the record key", examples=["manzhouli"])
    outstanding_before: Balance = Field(
        description="Principal outstanding that the zone has counted for this case so far",
        examples=[{"amount": "0.00", "currency": "CNY"}],
    )
    outstanding: Balance = Field(
        description="Principal outstanding that it is to count from now on",
        examples=[{"amount": "1500000.00", "currency": "CNY"}],
    )
    undecided_before: bool = Field(
        description="Whether the zone has counted the case among its undecided ones so far", examples=[True]
    )
    undecided: bool = Field(
        description="Whether it is to count it among them from now on: these are held by a red zone", examples=[False]
    )


class RiskExposureCounted(RiskFact):
    """A zone took over what one case told it: the record from which the zone's totals are added up."""

    TYPE = "risk.exposure_counted.v1"

    referral_id: ReferralId = Field(description="The case that counts differently", examples=["NMG-2020-000123"])
    outstanding_before: Balance = Field(
        description="Principal outstanding counted for this case so far",
        examples=[{"amount": "0.00", "currency": "CNY"}],
    )
    outstanding: Balance = Field(
        description="Principal outstanding counted from now on",
        examples=[{"amount": "1500000.00", "currency": "CNY"}],
    )
    undecided_before: bool = Field(description="Whether the case was among the undecided so far", examples=[True])
    undecided: bool = Field(description="Whether the case is among the undecided from now on", examples=[False])


class HoldReleaseSubmitted(Payload):
    """A side agrees to lift the hold that a red warning put on a case, or on all undecided cases of a zone.

    The record key is the referral id where `cause` is `case`, the zone code where it is `zone`. The side is the
    source's. A hold is lifted when both sides agree, or when its warning is cleared.
    """

    TYPE = "hold.release_submitted.v1"

    cause: HoldCause = Field(description="Which hold: the case's own, or the zone's", examples=["zone"])
    subject: SubjectKey = Field(description="Referral id or zone code; also the record key", examples=["manzhouli"])
    person_id: PersonId = Field(description="Who answers for it on that side", examples=["exim-hq-01"])
    reason_code: ReasonCode = Field(description="Stable code of the side's reason", examples=["collateral_added"])
    text: LongText = Field(
        description="The side's reason in its own words",
        examples=["企业已追加抵押物，风险可控。"],
    )


class RiskReleaseForwarded(Payload):
    """A side's agreement to lift a zone's hold, passed on to the zone."""

    TYPE = "risk.release_forwarded.v1"

    zone: ZoneCode = Field(description="The zone whose hold is meant; also the record key", examples=["manzhouli"])
    submitted_id: str = Field(min_length=1, max_length=256, description="Id of the submitted event", examples=["a-17"])
    side: Side = Field(description="The side that agrees", examples=["bank"])
    person_id: PersonId = Field(description="Who answers for it on that side", examples=["exim-hq-01"])
    reason_code: ReasonCode = Field(description="Stable code of the side's reason", examples=["collateral_added"])
    text: LongText = Field(
        description="The side's reason in its own words",
        examples=["企业已追加抵押物，风险可控。"],
    )


class RiskReleaseRecorded(RiskFact):
    """A side's agreement to lift a hold is on record; with the second side's the hold is lifted."""

    TYPE = "risk.release_recorded.v1"

    side: Side = Field(description="The side that agrees", examples=["bank"])
    person_id: PersonId = Field(description="Who answers for it on that side", examples=["exim-hq-01"])
    reason_code: ReasonCode = Field(description="Stable code of the side's reason", examples=["collateral_added"])
    text: LongText = Field(
        description="The side's reason in its own words",
        examples=["企业已追加抵押物，风险可控。"],
    )
    lifted: bool = Field(description="True where both sides now agree and the hold is lifted", examples=[False])


class RiskRefused(RiskFact):
    """Something asked of the risk monitor cannot be done; nothing changed."""

    TYPE = "risk.refused.v1"

    refused_type: str = Field(
        min_length=1, max_length=100, description="Type of the input refused", examples=["hold.release_submitted.v1"]
    )
    refused_id: str = Field(min_length=1, max_length=256, description="Id of the input refused", examples=["a-17"])
    side: Side = Field(description="The side that asked", examples=["bank"])
    code: ReasonCode = Field(description="Stable code of the reason", examples=["not_held"])
    zh: LongText = Field(
        description="What is wrong and what to do, in Chinese",
        examples=["该对象没有生效中的暂停，无需解除。"],
    )
    en: LongText = Field(
        description="What is wrong and what to do, in English",
        examples=["There is no hold in force on this subject; nothing to release."],
    )
