"""Zone plans: three parts in versions, signed off by both sides; the projects referred from them; their progress.

A plan's id is the record key and the event's subject. The parts are the industry plan, the investment-and-financing
plan and the promotion-and-operation plan of one zone. Who speaks follows from the event's source.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, Field

from schemas.envelope import Payload
from schemas.values import Day, LongText, PersonId, PlanId, ShortText, ZoneCode, unit


class PlanPart(StrEnum):
    """The three parts of a zone plan."""

    INDUSTRY = "industry"
    INVESTMENT_FINANCING = "investment_financing"
    PROMOTION_OPERATION = "promotion_operation"


PartVersion = Annotated[int, Field(ge=1, le=10_000, strict=True)]
"""Version of one part: 1, 2, …"""

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
    description="Day by which the part is to be carried out (date in China); absent if it has none",
    examples=["2022-12-31"],
)


# --- inputs -----------------------------------------------------------------------------------------------------------


class PlanPartSubmitted(Payload):
    """The commerce side submits a version of one part; a new version takes the sign-offs of the one before away."""

    TYPE: ClassVar[str] = "plan.part_submitted.v1"

    zone: ZoneCode = _ZONE
    part: PlanPart = _PART
    version: PartVersion = _VERSION
    title: ShortText = _TITLE
    summary: LongText = _SUMMARY
    complete_by: Day | None = _COMPLETE_BY
    submitted_by: PersonId = Field(
        description="Id of the person who answers for the submission", examples=["liaison-manzhouli"]
    )


# --- outputs ----------------------------------------------------------------------------------------------------------


class PlanFact(Payload):
    """What all that is said of a zone plan has in common."""

    plan_id: PlanId = _PLAN_ID
    zone: ZoneCode = _ZONE


class PlanPartRecorded(PlanFact):
    """The first version of a part is on record; with the first part of all, the plan is."""

    TYPE: ClassVar[str] = "plan.part_recorded.v1"

    part: PlanPart = _PART
    version: PartVersion = _VERSION
    title: ShortText = _TITLE
    summary: LongText = _SUMMARY
    complete_by: Day | None = _COMPLETE_BY
    submitted_by: PersonId = Field(
        description="Id of the person who answers for the submission", examples=["liaison-manzhouli"]
    )
    submitted_at: AwareDatetime = Field(
        description="Time of the submission, with offset", examples=["2020-05-06T10:00:00+08:00"]
    )
