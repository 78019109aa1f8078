"""A work plan: what is known of it, and how each event changes that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, Final

from schemas.envelope import Payload
from schemas.values import FinancingNeed, Industry, Side
from schemas.work_plan import (
    Action,
    WorkPlanActionDone,
    WorkPlanActionLate,
    WorkPlanBody,
    WorkPlanClosed,
    WorkPlanOpened,
    WorkPlanRevised,
)
from services.cooperation.domain.days import end_of
from services.kit.door import Deadline

ACTION_LATE: Final = "action_late"


class Status(StrEnum):
    """Where a work plan stands."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Task:
    """One action and what became of it. `late` once it was marked for the day it has now."""

    text: str
    owner_side: Side
    owner: str
    due_on: date
    done_on: date | None = None
    late: bool = False

    @property
    def may_be_late(self) -> bool:
        """Whether its day is to be watched: not for what was done by then, and not twice."""
        return not self.late and (self.done_on is None or self.done_on > self.due_on)


@dataclass(frozen=True, slots=True)
class WorkPlan:
    """The work plan of one zone; tasks stand under the ids of their actions."""

    zone: str
    status: Status
    side: Side
    revision: int
    situation: str
    industries: tuple[Industry, ...]
    needs: tuple[FinancingNeed, ...]
    tasks: dict[str, Task]

    def body(self) -> WorkPlanBody:
        """What the plan says, as it would be submitted."""
        return WorkPlanBody(
            situation=self.situation,
            industries=self.industries,
            needs=self.needs,
            actions=tuple(
                Action(action_id=name, text=task.text, owner_side=task.owner_side, owner=task.owner, due_on=task.due_on)
                for name, task in self.tasks.items()
            ),
        )


def deadlines(plan: WorkPlan) -> Iterator[Deadline]:
    """The ends of the days that actions are to keep, while the plan is open."""
    if plan.status is Status.OPEN:
        for name, task in plan.tasks.items():
            if task.may_be_late:
                yield Deadline(f"{ACTION_LATE}:{name}", end_of(task.due_on))


def late_action(deadline: Deadline) -> str:
    """The action that a deadline is about."""
    return deadline.name.partition(":")[2]


def evolve(plan: WorkPlan | None, payload: Payload) -> WorkPlan:
    """The plan after one of its own events."""
    if isinstance(payload, WorkPlanOpened):
        empty = WorkPlan(payload.zone, Status.OPEN, payload.side, 1, "", (), (), {})
        return _with_body(empty, payload.plan)
    if plan is None:
        raise ValueError(f"{payload.TYPE} of a work plan that was never opened")
    return _CHANGES[type(payload)](plan, payload)


def _with_body(plan: WorkPlan, body: WorkPlanBody) -> WorkPlan:
    tasks = {action.action_id: _continued(plan.tasks.get(action.action_id), action) for action in body.actions}
    return replace(plan, situation=body.situation, industries=body.industries, needs=body.needs, tasks=tasks)


def _continued(before: Task | None, action: Action) -> Task:
    """The task of an action; one that goes on keeps what was reported, and its mark if its day is the same."""
    task = Task(action.text, action.owner_side, action.owner, action.due_on)
    if before is None:
        return task
    return replace(task, done_on=before.done_on, late=before.late and before.due_on == action.due_on)


def _revised(plan: WorkPlan, told: WorkPlanRevised) -> WorkPlan:
    return replace(_with_body(plan, told.plan), revision=told.revision)


def _action_done(plan: WorkPlan, told: WorkPlanActionDone) -> WorkPlan:
    return _with_task(plan, told.action_id, done_on=told.done_on)


def _action_late(plan: WorkPlan, told: WorkPlanActionLate) -> WorkPlan:
    return _with_task(plan, told.action_id, late=True)


def _with_task(plan: WorkPlan, name: str, **changes: Any) -> WorkPlan:
    return replace(plan, tasks={**plan.tasks, name: replace(plan.tasks[name], **changes)})


def _closed(plan: WorkPlan, told: WorkPlanClosed) -> WorkPlan:
    return replace(plan, status=Status.CLOSED)


_CHANGES: Final[Mapping[type[Payload], Callable[[WorkPlan, Any], WorkPlan]]] = {
    WorkPlanRevised: _revised,
    WorkPlanActionDone: _action_done,
    WorkPlanActionLate: _action_late,
    WorkPlanClosed: _closed,
}
RECORDS: Final[tuple[type[Payload], ...]] = (WorkPlanOpened, *_CHANGES)
