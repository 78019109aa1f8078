"""Work plans, decided: what each input makes of a plan. `TABLE` says who may do what; README.md shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from schemas.cooperation import CooperationRefused
from schemas.envelope import Event, Payload
from schemas.reference import china_date
from schemas.values import Side, side_of
from schemas.work_plan import (
    WorkPlanActionDone,
    WorkPlanActionLate,
    WorkPlanActionReported,
    WorkPlanBody,
    WorkPlanClosed,
    WorkPlanClosureSubmitted,
    WorkPlanOpened,
    WorkPlanRevised,
    WorkPlanRevisionSubmitted,
    WorkPlanSubmitted,
)
from services.cooperation.domain.filing import Kind
from services.cooperation.domain.outlook import Outlook
from services.cooperation.domain.parties import may_not_open, not_entitled
from services.cooperation.domain.refusals import Code, refuse, refuse_by_table
from services.cooperation.domain.work_plan import (
    ACTION_LATE,
    RECORDS,
    Status,
    WorkPlan,
    deadlines,
    evolve,
    late_action,
)
from services.kit.door import Deadline, Early
from services.kit.transitions import CLOCK, REFERRER, SIDES, Transition, Transitions

_OPEN: Final = (Status.OPEN,)

TABLE: Final = Transitions(
    "work plan",
    (
        Transition(
            WorkPlanSubmitted,
            (None,),
            SIDES,
            {WorkPlanOpened: Status.OPEN},
            (Code.UNKNOWN_ZONE, Code.NOT_CONCERNED, Code.WRONG_PERSON),
        ),
        Transition(
            WorkPlanRevisionSubmitted,
            _OPEN,
            REFERRER,
            {WorkPlanRevised: None},
            (Code.NOT_CONCERNED, Code.WRONG_PERSON, Code.NOTHING_CHANGED),
        ),
        Transition(WorkPlanActionReported, (None,), SIDES, {}, (Code.NO_WORK_PLAN,), early=True),
        Transition(
            WorkPlanActionReported,
            _OPEN,
            SIDES,
            {WorkPlanActionDone: None},
            (
                Code.NOT_CONCERNED,
                Code.WRONG_PERSON,
                Code.UNKNOWN_ACTION,
                Code.NOT_OWNERS_SIDE,
                Code.DONE_BEFORE,
                Code.FUTURE_DAY,
            ),
        ),
        Transition(ACTION_LATE, _OPEN, CLOCK, {WorkPlanActionLate: None}),
        Transition(
            WorkPlanClosureSubmitted,
            _OPEN,
            REFERRER,
            {WorkPlanClosed: Status.CLOSED},
            (Code.NOT_CONCERNED, Code.WRONG_PERSON),
        ),
    ),
    status=lambda plan: plan.status,
    evolve=evolve,
    records=RECORDS,
    refused=CooperationRefused,
    refuse=refuse_by_table,
    referrer=lambda plan: plan.side,
)


def open_plan(plan: None, event: Event[WorkPlanSubmitted], outlook: Outlook) -> Iterator[Payload]:
    """A work plan comes in."""
    told, side = event.data, side_of(event.source)
    code = may_not_open(event, told.zone, told.submitted_by, outlook.directory)
    if code is not None or side is None:
        yield refuse(event, code or Code.WRONG_PARTY)
        return
    yield WorkPlanOpened(
        plan_id=event.subject,
        zone=told.zone,
        side=side,
        plan=told.plan,
        submitted_by=told.submitted_by,
        opened_at=event.time,
    )


def revise_plan(plan: WorkPlan, event: Event[WorkPlanRevisionSubmitted], outlook: Outlook) -> Iterator[Payload]:
    """The whole plan is replaced."""
    told, before = event.data, plan.body()
    code = not_entitled(event, plan.zone, told.submitted_by, outlook.directory)
    if code is None and told.plan == before:
        code = Code.NOTHING_CHANGED
    if code is not None:
        yield refuse(event, code, plan.zone)
        return
    old, new = _by_id(before), _by_id(told.plan)
    yield WorkPlanRevised(
        plan_id=event.subject,
        zone=plan.zone,
        revision=plan.revision + 1,
        plan=told.plan,
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in new if name in old and old[name] != new[name]),
        dropped=tuple(name for name in old if name not in new),
        reason=told.reason,
        submitted_by=told.submitted_by,
        revised_at=event.time,
    )


def record_done(plan: WorkPlan | None, event: Event[WorkPlanActionReported], outlook: Outlook) -> Iterator[Payload]:
    """An action is done, as the side says that has to do it.

    Raises:
        Early: the plan, or a revision that adds the action, would stand on the other side's topic and has not come yet.
            Should it never come, the report is refused.
    """
    told, side = event.data, side_of(event.source)
    if plan is None:
        raise Early("the work plan has not been submitted yet", (refuse(event, Code.NO_WORK_PLAN),))
    code = not_entitled(event, plan.zone, told.reported_by, outlook.directory)
    task = plan.tasks.get(told.action_id)
    if code is None and task is None and side is not plan.side:
        missing = f"the work plan has no action {told.action_id} yet"
        raise Early(missing, (refuse(event, Code.UNKNOWN_ACTION, plan.zone),))
    if code is not None or task is None:
        yield refuse(event, code or Code.UNKNOWN_ACTION, plan.zone)
        return
    if task.owner_side is not side:
        code = Code.NOT_OWNERS_SIDE
    elif task.done_on is not None:
        code = Code.DONE_BEFORE
    elif told.done_on > china_date(event.time):
        code = Code.FUTURE_DAY
    if code is not None:
        yield refuse(event, code, plan.zone)
        return
    yield WorkPlanActionDone(
        plan_id=event.subject,
        zone=plan.zone,
        action_id=told.action_id,
        text=task.text,
        owner_side=task.owner_side,
        owner=task.owner,
        due_on=task.due_on,
        done_on=told.done_on,
        late=told.done_on > task.due_on,
        result=told.result,
        reported_by=told.reported_by,
        reported_at=event.time,
    )


def close_plan(plan: WorkPlan, event: Event[WorkPlanClosureSubmitted], outlook: Outlook) -> Iterator[Payload]:
    """The plan ends; what was not done is told."""
    told = event.data
    code = not_entitled(event, plan.zone, told.closed_by, outlook.directory)
    if code is not None:
        yield refuse(event, code, plan.zone)
        return
    yield WorkPlanClosed(
        plan_id=event.subject,
        zone=plan.zone,
        done=tuple(name for name, task in plan.tasks.items() if task.done_on is not None),
        undone=tuple(name for name, task in plan.tasks.items() if task.done_on is None),
        outcome=told.outcome,
        closed_by=told.closed_by,
        closed_at=event.time,
    )


def mark_late(plan: WorkPlan, event: Event[Deadline], outlook: Outlook) -> Iterator[Payload]:
    """The day of an action is over."""
    name = late_action(event.data)
    task = plan.tasks[name]
    yield WorkPlanActionLate(
        plan_id=event.subject,
        zone=plan.zone,
        action_id=name,
        text=task.text,
        owner_side=task.owner_side,
        owner=task.owner,
        due_on=task.due_on,
        late_at=event.time,
    )


def _by_id(body: WorkPlanBody) -> dict[str, tuple[str, Side, str, object]]:
    return {one.action_id: (one.text, one.owner_side, one.owner, one.due_on) for one in body.actions}


WORK_PLANS: Final = Kind(
    name="work_plan",
    records=RECORDS,
    evolve=TABLE.fold,
    routes=TABLE.routes(
        {
            WorkPlanSubmitted: open_plan,
            WorkPlanRevisionSubmitted: revise_plan,
            WorkPlanActionReported: record_done,
            WorkPlanClosureSubmitted: close_plan,
        }
    ),
    deadlines=deadlines,
    due=TABLE.due(mark_late),
)
