"""Zone plans: three parts in versions, signed off by both sides; the projects referred from them; their progress.

A plan's id is the record key and the event's subject. The parts are the industry plan, the investment-and-financing
plan and the promotion-and-operation plan of one zone. Who speaks follows from the event's source. Days are days in
China.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import AwareDatetime, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from schemas.document import DOCUMENT_EXAMPLE, Document
from schemas.envelope import Model, Payload
from schemas.values import (
    Day,
    LongText,
    PersonId,
    PlanId,
    ReasonCode,
    ReferralId,
    ShortText,
    Side,
    SubjectKind,
    ZoneCode,
    unit,
)


class PlanPart(StrEnum):
    """The three parts of a zone plan."""

    INDUSTRY = "industry"
    INVESTMENT_FINANCING = "investment_financing"
    PROMOTION_OPERATION = "promotion_operation"


PartVersion = Annotated[int, Field(ge=1, le=10_000, strict=True)]
"""Version of one part: 1, 2, …"""

Percent = Annotated[int, Field(ge=0, le=100, strict=True)]
"""Share of what is to be done that is done, in whole percent."""

Documents = Annotated[tuple[Document, ...], Field(max_length=50)]
"""Documents as references."""

_PLAN_ID: Final = Field(description="The plan; also the record key", examples=["MZL-PLAN-2020-01"])
_ZONE: Final = Field(description="Zone whose plan it is", examples=["manzhouli"])
_PART: Final = Field(description="Part of the plan", examples=["industry"])
_VERSION: Final = Field(
    description="Version of the part: the first is 1, each later one is one more",
    examples=[1],
    json_schema_extra=unit("versions"),
)
_TITLE: Final = Field(description="Title of the part", examples=["满洲里边合区进口木材加工产业规划"])
_SUMMARY: Final = Field(
    description="What the part says, in short, without personal data",
    examples=["以进口锯材精深加工为主导，建设木材交易与仓储基地。"],
)
_COMPLETE_BY: Final = Field(
    default=None,
    description="Last day on which it may be completed without being late; absent if there is none",
    examples=["2022-12-31"],
)
_SUBMITTED_BY: Final = Field(
    description="Id of the person who answers for the submission", examples=["liaison-manzhouli"]
)
_SIGNED_BY: Final = Field(description="Id of the person who answers for the sign-off", examples=["exim-nmg-01"])
_PERCENT: Final = Field(description="How much of it is done", examples=[40], json_schema_extra=unit("percent"))
_AS_OF: Final = Field(description="Day whose state the report tells", examples=["2021-03-31"])
_PROGRESS_TEXT: Final = Field(
    description="What was done, in words, without personal data", examples=["一期厂房封顶，设备招标完成。"]
)
_REPORTED_BY: Final = Field(description="Id of the person who answers for the report", examples=["liaison-manzhouli"])
_PROJECT: Final = Field(description="The project: id of its referral", examples=["NMG-2020-000123"])

_MOVED_TO: Final = Field(
    default=None, description="Plan that the referral names now; absent if none", examples=["MZL-PLAN-2020-02"]
)

_A_PART: Final[JsonValue] = {"part": "industry"}


class PlanItem(Model):
    """What progress is about: a part of the plan, or a project of its portfolio."""

    part: PlanPart | None = Field(default=None, description="The part; absent for a project", examples=["industry"])
    referral_id: ReferralId | None = Field(
        default=None, description="The project: id of its referral; absent for a part", examples=["NMG-2020-000123"]
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.part is None) == (self.referral_id is None):
            raise PydanticCustomError(
                "part_or_project",
                "Name either a part of the plan or a project of it, and not both.",
                {"zh": "须填写规划部分或项目之一，且只填一项。"},
            )
        return self


# --- inputs -----------------------------------------------------------------------------------------------------------


class PlanPartSubmitted(Payload):
    """The commerce side submits a version of one part; a new version takes the sign-offs of the one before away."""

    TYPE: ClassVar[str] = "plan.part_submitted.v1"

    zone: ZoneCode = _ZONE
    part: PlanPart = _PART
    version: PartVersion = _VERSION
    title: ShortText = _TITLE
    summary: LongText = _SUMMARY
    documents: Documents = Field(default=(), description="The part's documents", examples=[[DOCUMENT_EXAMPLE]])
    complete_by: Day | None = _COMPLETE_BY
    submitted_by: PersonId = _SUBMITTED_BY


class PlanPartSignedOff(Payload):
    """A side signs one version of one part off."""

    TYPE: ClassVar[str] = "plan.part_signed_off.v1"

    part: PlanPart = _PART
    version: PartVersion = _VERSION
    signed_by: PersonId = _SIGNED_BY


class PlanProgressReported(Payload):
    """The commerce side reports how far a part, or a project of the portfolio, has come."""

    TYPE: ClassVar[str] = "plan.progress_reported.v1"

    item: PlanItem = Field(description="What the report is about", examples=[_A_PART])
    percent: Percent = _PERCENT
    as_of: Day = _AS_OF
    complete_by: Day | None = Field(
        default=None,
        description="Last day on which it may be completed without being late; absent: as it was",
        examples=["2022-12-31"],
    )
    text: LongText = _PROGRESS_TEXT
    reported_by: PersonId = _REPORTED_BY


# --- between the aggregates of cooperation ----------------------------------------------------------------------------


class PlanProjectReferred(Payload):
    """A case tells the plan it is referred from that it is registered."""

    TYPE: ClassVar[str] = "plan.project_referred.v1"

    referral_id: ReferralId = _PROJECT
    zone: ZoneCode = Field(description="Zone of the referral", examples=["manzhouli"])
    subject_kind: SubjectKind = Field(description="What the referral recommends", examples=["project"])
    source: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description="CloudEvents source of the referring party's system, which is told where the plan refuses the "
        "project; absent in events from before 2026-11-23",
        examples=["//commerce/15"],
    )


class PlanProjectMoved(Payload):
    """A case tells a plan that it is referred from it no longer: an amendment names another plan, or none."""

    TYPE: ClassVar[str] = "plan.project_moved.v1"

    referral_id: ReferralId = _PROJECT
    moved_to: PlanId | None = _MOVED_TO


class PlanProjectStageTold(Payload):
    """A case tells the plan it is referred from how far it has come."""

    TYPE: ClassVar[str] = "plan.project_stage_told.v1"

    referral_id: ReferralId = _PROJECT
    stage: ReasonCode = Field(
        description="Stage of the case, for example shortlisted, declined, financed", examples=["shortlisted"]
    )


# --- outputs ----------------------------------------------------------------------------------------------------------


class PlanFact(Payload):
    """What all that is said of a zone plan has in common."""

    plan_id: PlanId = _PLAN_ID
    zone: ZoneCode = _ZONE


class PlanPartFact(PlanFact):
    """One version of one part, as submitted."""

    part: PlanPart = _PART
    version: PartVersion = _VERSION
    title: ShortText = _TITLE
    summary: LongText = _SUMMARY
    documents: Documents = Field(default=(), description="The part's documents", examples=[[DOCUMENT_EXAMPLE]])
    complete_by: Day | None = _COMPLETE_BY
    submitted_by: PersonId = _SUBMITTED_BY
    submitted_at: AwareDatetime = Field(
        description="Time of the submission, with offset", examples=["2020-05-06T10:00:00+08:00"]
    )


class PlanPartRecorded(PlanPartFact):
    """The first version of a part is on record; with the first part of all, the plan is."""

    TYPE: ClassVar[str] = "plan.part_recorded.v1"


class PlanPartReplaced(PlanPartFact):
    """A new version of a part is on record. The sign-offs of the version before are void: both sides sign anew."""

    TYPE: ClassVar[str] = "plan.part_replaced.v1"

    voided: tuple[Side, ...] = Field(
        description="Sides whose sign-offs of the version before are void now; empty if none had signed",
        examples=[["commerce", "bank"]],
    )


class PlanSignOffRecorded(PlanFact):
    """A side's sign-off of a part is on record."""

    TYPE: ClassVar[str] = "plan.sign_off_recorded.v1"

    part: PlanPart = _PART
    version: PartVersion = _VERSION
    side: Side = Field(description="Side that signed", examples=["bank"])
    source: Annotated[str, Field(max_length=200)] = Field(
        description="CloudEvents source of the signing party's system", examples=["//bank/exim-nmg"]
    )
    signed_by: PersonId = _SIGNED_BY
    signed_at: AwareDatetime = Field(
        description="Time of the sign-off, with offset", examples=["2020-05-18T15:20:00+08:00"]
    )


class SignedVersion(Model):
    """A part in the version that both sides signed."""

    part: PlanPart = _PART
    version: PartVersion = _VERSION


class PlanSignedOff(PlanFact):
    """Both sides have signed the latest version of all three parts: the plan holds."""

    TYPE: ClassVar[str] = "plan.signed_off.v1"

    versions: tuple[SignedVersion, ...] = Field(
        min_length=3,
        max_length=3,
        description="The three parts in the versions that were signed",
        examples=[
            [
                {"part": "industry", "version": 2},
                {"part": "investment_financing", "version": 1},
                {"part": "promotion_operation", "version": 1},
            ]
        ],
    )
    signed_off_at: AwareDatetime = Field(
        description="Time of the sign-off that was the last one missing, with offset",
        examples=["2020-05-20T10:05:00+08:00"],
    )


class PlanProjectAdded(PlanFact):
    """A project is in the plan's portfolio: a registered referral names the plan."""

    TYPE: ClassVar[str] = "plan.project_added.v1"

    referral_id: ReferralId = _PROJECT
    subject_kind: SubjectKind = Field(description="What the referral recommends", examples=["project"])
    added_at: AwareDatetime = Field(
        description="Time of the registration, with offset", examples=["2020-06-01T09:30:00+08:00"]
    )


class PlanProjectRemoved(PlanFact):
    """A project has left the plan's portfolio: the referral was amended and names another plan, or none."""

    TYPE: ClassVar[str] = "plan.project_removed.v1"

    referral_id: ReferralId = _PROJECT
    moved_to: PlanId | None = _MOVED_TO
    removed_at: AwareDatetime = Field(
        description="Time of the amendment, with offset", examples=["2020-06-20T09:30:00+08:00"]
    )


class PlanProjectStageRecorded(PlanFact):
    """A project of the portfolio has come to another stage as a case."""

    TYPE: ClassVar[str] = "plan.project_stage_recorded.v1"

    referral_id: ReferralId = _PROJECT
    stage: ReasonCode = Field(
        description="Stage of the case, for example shortlisted, declined, financed", examples=["shortlisted"]
    )
    recorded_at: AwareDatetime = Field(
        description="Time at which the case came there, with offset", examples=["2020-06-12T10:05:00+08:00"]
    )


class PlanProgressRecorded(PlanFact):
    """How far a part or a project has come is on record."""

    TYPE: ClassVar[str] = "plan.progress_recorded.v1"

    item: PlanItem = Field(description="What has come so far", examples=[_A_PART])
    percent: Percent = _PERCENT
    as_of: Day = _AS_OF
    complete_by: Day | None = _COMPLETE_BY
    text: LongText = _PROGRESS_TEXT
    reported_by: PersonId = _REPORTED_BY
    recorded_at: AwareDatetime = Field(
        description="Time of the report, with offset", examples=["2021-04-02T09:00:00+08:00"]
    )


class PlanLateMarked(PlanFact):
    """A part or a project was not complete on the last day that it had."""

    TYPE: ClassVar[str] = "plan.late_marked.v1"

    item: PlanItem = Field(description="What is late", examples=[_A_PART])
    percent: Percent = _PERCENT
    complete_by: Day = Field(description="The day that was to be kept", examples=["2022-12-31"])
    marked_at: AwareDatetime = Field(
        description="End of that day in China, with offset", examples=["2022-12-31T23:59:59+08:00"]
    )
