"""Work plans: what both sides set out to do for one zone, each action with an owner and a day.

A work plan's id is the record key and the event's subject. The side that submits it owns it; who speaks follows from
the event's source. Days are days in China.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue, StringConstraints
from pydantic_core import PydanticCustomError

from schemas.envelope import Model, Payload
from schemas.values import (
    Day,
    FinancingNeed,
    Industry,
    LongText,
    PersonId,
    PlanId,
    ShortText,
    Side,
    ZoneCode,
    unit,
)

ActionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
"""Name of an action within its work plan."""

ACTION_EXAMPLE: Final[dict[str, JsonValue]] = {
    "action_id": "A1",
    "text": "走访区内 20 家木材加工企业，摸清流动资金缺口。",
    "owner_side": "bank",
    "owner": "exim-nmg-01",
    "due_on": "2020-06-30",
}

_ACTION_ID: Final = Field(description="The action", examples=["A1"])
_ACTION_TEXT: Final = Field(description="What is to be done", examples=["走访区内 20 家木材加工企业。"])
_OWNER_SIDE: Final = Field(description="Side that has to do it", examples=["bank"])
_OWNER: Final = Field(description="Id of the person who answers for it", examples=["exim-nmg-01"])
_DUE_ON: Final = Field(description="Last day on which it is done in time", examples=["2020-06-30"])


class Action(Model):
    """One thing to do, who does it and by when."""

    action_id: ActionId = Field(description="Name of the action, unique within the plan", examples=["A1"])
    text: ShortText = _ACTION_TEXT
    owner_side: Side = _OWNER_SIDE
    owner: PersonId = _OWNER
    due_on: Day = _DUE_ON


def _each_once(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    names = [action.action_id for action in actions]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise PydanticCustomError(
            "action_repeated",
            "Actions with the same id: {names}; give each an id of its own.",
            {"names": ", ".join(repeated), "zh": f"行动编号重复：{'、'.join(repeated)}；请逐一编号。"},
        )
    return actions


Actions = Annotated[tuple[Action, ...], Field(min_length=1, max_length=100), AfterValidator(_each_once)]
"""What is to be done, each under a name of its own."""

_SITUATION: Final = Field(
    description="Where the zone stands: resumption, strengths, difficulties; without personal data",
    examples=["区内木材加工企业复工率 92%，原料进口受阻，流动资金普遍紧张。"],
)
_INDUSTRIES: Final = Field(
    min_length=1, max_length=10, description="Industries concerned", examples=[["manufacturing"]]
)
_NEEDS: Final = Field(min_length=1, max_length=11, description="Financing needs found", examples=[["working_capital"]])
_ACTIONS: Final = Field(description="What is to be done", examples=[[ACTION_EXAMPLE]])
_ZONE: Final = Field(description="Zone that the plan is for", examples=["manzhouli"])
_SUBMITTED_BY: Final = Field(
    description="Id of the person who answers for the submission", examples=["liaison-manzhouli"]
)
_REASON: Final = Field(description="Why it is revised", examples=["口岸恢复通关，增加设备进口事项。"])
_DONE_ON: Final = Field(description="Day on which it was done", examples=["2020-06-18"])
_RESULT: Final = Field(description="What came of it, without personal data", examples=["走访 22 家，推荐 6 家。"])
_REPORTED_BY: Final = Field(description="Id of the person who answers for the report", examples=["exim-nmg-01"])
_OUTCOME: Final = Field(
    description="What the plan achieved, without personal data", examples=["推荐 6 家企业，5 家获得贷款。"]
)
_CLOSED_BY: Final = Field(description="Id of the person who answers for the closing", examples=["liaison-manzhouli"])


class WorkPlanBody(Model):
    """What a work plan says."""

    situation: LongText = _SITUATION
    industries: tuple[Industry, ...] = _INDUSTRIES
    needs: tuple[FinancingNeed, ...] = _NEEDS
    actions: Actions = _ACTIONS


BODY_EXAMPLE: Final[dict[str, JsonValue]] = {
    "situation": "区内木材加工企业复工率 92%，原料进口受阻，流动资金普遍紧张。",
    "industries": ["manufacturing"],
    "needs": ["working_capital"],
    "actions": [ACTION_EXAMPLE],
}
_BODY: Final = Field(description="The whole plan", examples=[BODY_EXAMPLE])


# --- inputs -----------------------------------------------------------------------------------------------------------


class WorkPlanSubmitted(Payload):
    """A side submits a work plan for a zone."""

    TYPE: ClassVar[str] = "work_plan.submitted.v1"

    zone: ZoneCode = _ZONE
    plan: WorkPlanBody = _BODY
    submitted_by: PersonId = _SUBMITTED_BY


class WorkPlanRevisionSubmitted(Payload):
    """The side that owns a work plan changes it; the whole new plan replaces the old one."""

    TYPE: ClassVar[str] = "work_plan.revision_submitted.v1"

    plan: WorkPlanBody = _BODY
    reason: LongText = _REASON
    submitted_by: PersonId = _SUBMITTED_BY


class WorkPlanActionReported(Payload):
    """The side that has to do an action reports that it is done."""

    TYPE: ClassVar[str] = "work_plan.action_reported.v1"

    action_id: ActionId = _ACTION_ID
    done_on: Day = _DONE_ON
    result: LongText = _RESULT
    reported_by: PersonId = _REPORTED_BY


class WorkPlanClosureSubmitted(Payload):
    """The side that owns a work plan closes it, whether or not all is done."""

    TYPE: ClassVar[str] = "work_plan.closure_submitted.v1"

    outcome: LongText = _OUTCOME
    closed_by: PersonId = _CLOSED_BY


# --- outputs ----------------------------------------------------------------------------------------------------------


class WorkPlanFact(Payload):
    """What all that is said of a work plan has in common."""

    plan_id: PlanId = Field(description="The work plan; also the record key", examples=["MZL-WORK-2020-01"])
    zone: ZoneCode = _ZONE


class WorkPlanOpened(WorkPlanFact):
    """A work plan is on record, and its actions are watched."""

    TYPE: ClassVar[str] = "work_plan.opened.v1"

    side: Side = Field(description="Side that owns the plan", examples=["commerce"])
    plan: WorkPlanBody = _BODY
    submitted_by: PersonId = _SUBMITTED_BY
    opened_at: AwareDatetime = Field(
        description="Time of the submission, with offset", examples=["2020-05-06T10:00:00+08:00"]
    )


class WorkPlanRevised(WorkPlanFact):
    """A work plan was changed. Actions that go on under their id keep what was reported of them."""

    TYPE: ClassVar[str] = "work_plan.revised.v1"

    revision: int = Field(
        ge=2,
        description="Number of the new version; the opened one is 1",
        examples=[2],
        json_schema_extra=unit("versions"),
    )
    plan: WorkPlanBody = _BODY
    added: tuple[ActionId, ...] = Field(description="Actions that are new", examples=[["A2"]])
    changed: tuple[ActionId, ...] = Field(description="Actions that were changed", examples=[["A1"]])
    dropped: tuple[ActionId, ...] = Field(description="Actions that are no longer to be done", examples=[["A3"]])
    reason: LongText = _REASON
    submitted_by: PersonId = _SUBMITTED_BY
    revised_at: AwareDatetime = Field(
        description="Time of the revision, with offset", examples=["2020-06-10T10:00:00+08:00"]
    )


class WorkPlanActionFact(WorkPlanFact):
    """One action, with its owner and its day."""

    action_id: ActionId = _ACTION_ID
    text: ShortText = _ACTION_TEXT
    owner_side: Side = _OWNER_SIDE
    owner: PersonId = _OWNER
    due_on: Day = _DUE_ON


class WorkPlanActionDone(WorkPlanActionFact):
    """An action is done."""

    TYPE: ClassVar[str] = "work_plan.action_done.v1"

    done_on: Day = _DONE_ON
    late: bool = Field(description="Whether it was done after its day", examples=[False])
    result: LongText = _RESULT
    reported_by: PersonId = _REPORTED_BY
    reported_at: AwareDatetime = Field(
        description="Time of the report, with offset", examples=["2020-06-18T17:00:00+08:00"]
    )


class WorkPlanActionLate(WorkPlanActionFact):
    """An action was not done on the last day that it had."""

    TYPE: ClassVar[str] = "work_plan.action_late.v1"

    late_at: AwareDatetime = Field(
        description="End of that day in China, with offset", examples=["2020-06-30T23:59:59+08:00"]
    )


class WorkPlanClosed(WorkPlanFact):
    """A work plan is closed: nothing of it is watched any more."""

    TYPE: ClassVar[str] = "work_plan.closed.v1"

    done: tuple[ActionId, ...] = Field(description="Actions that were done", examples=[["A1"]])
    undone: tuple[ActionId, ...] = Field(description="Actions that were not done", examples=[["A2"]])
    outcome: LongText = _OUTCOME
    closed_by: PersonId = _CLOSED_BY
    closed_at: AwareDatetime = Field(
        description="Time of the closing, with offset", examples=["2020-12-25T16:00:00+08:00"]
    )
