"""A zone plan: what is known of it, and how each event changes that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from schemas.envelope import Payload
from schemas.plan import (
    PlanItem,
    PlanLateMarked,
    PlanPart,
    PlanPartRecorded,
    PlanPartReplaced,
    PlanProgressRecorded,
    PlanProjectAdded,
    PlanProjectRemoved,
    PlanProjectStageRecorded,
    PlanSignedOff,
    PlanSignOffRecorded,
)
from schemas.values import Side
from services.cooperation.domain.days import end_of, whole_second
from services.kit.door import Deadline

COMPLETION: Final = "completion"
LATE: Final = "late"
UNDER_WAY: Final = frozenset({"registered", "shortlisted", "financed"})
"""Stages of a case in which its project is waited for; all others say by what the case ended."""


class Status(StrEnum):
    """Where a plan stands."""

    IN_PREPARATION = "in_preparation"
    SIGNED_OFF = "signed_off"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something has come. `late` once it was marked for the day it has now."""

    percent: int = 0
    as_of: date | None = None
    complete_by: date | None = None
    late: bool = False

    @property
    def may_be_late(self) -> bool:
        """Whether its day is to be watched: not for what was complete by then, and not twice."""
        if self.complete_by is None or self.late:
            return False
        return self.percent < 100 or self.as_of is None or self.as_of > self.complete_by

    def due_on(self, day: date | None) -> Progress:
        """The same with the day that it has from now on; another day begins without a mark."""
        return self if day == self.complete_by else replace(self, complete_by=day, late=False)


@dataclass(frozen=True, slots=True)
class Part:
    """The latest version of one part; `signed` says when each side signed it."""

    version: int
    signed: dict[Side, datetime]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Project:
    """One project of the portfolio. `stage` is that of its case."""

    stage: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """The plan of one zone; projects stand under the ids of their referrals."""

    zone: str
    status: Status
    parts: dict[PlanPart, Part]
    projects: dict[str, Project]

    @property
    def complete_at(self) -> datetime | None:
        """When the last signature came that all three parts need of both sides; None while one is missing."""
        signed = [part.signed.get(side) for part in self.parts.values() for side in Side]
        times = [at for at in signed if at is not None]
        return max(times) if len(times) == len(PlanPart) * len(Side) else None

    def progress_of(self, item: PlanItem) -> Progress | None:
        """How far a part or project has come; None where the plan has no such thing."""
        if item.part is not None:
            part = self.parts.get(item.part)
            return None if part is None else part.progress
        project = self.projects.get(item.referral_id or "")
        return None if project is None else project.progress

    def items_to_do(self) -> Iterator[tuple[PlanItem, Progress]]:
        """All parts, and the projects whose cases are not over."""
        for name, part in self.parts.items():
            yield PlanItem(part=name), part.progress
        for referral_id, project in self.projects.items():
            if project.stage in UNDER_WAY:
                yield PlanItem(referral_id=referral_id), project.progress


def deadlines(plan: ZonePlan) -> Iterator[Deadline]:
    """The moment at which the plan is signed off, and the ends of the days that parts and projects are to keep.

    Being signed off is a deadline of its own, due with the last signature: the two sides sign on topics that may
    overtake one another, and so the same signatures make the same event.
    """
    if plan.status is Status.IN_PREPARATION and plan.complete_at is not None:
        yield Deadline(COMPLETION, whole_second(plan.complete_at))
    for item, progress in plan.items_to_do():
        if progress.may_be_late and progress.complete_by is not None:
            yield Deadline(f"{LATE}:{item.part or ''}:{item.referral_id or ''}", end_of(progress.complete_by))


def late_item(deadline: Deadline) -> PlanItem:
    """What a deadline of lateness is about."""
    _, part, referral_id = deadline.name.split(":")
    return PlanItem(part=PlanPart(part)) if part else PlanItem(referral_id=referral_id)


def evolve(plan: ZonePlan | None, payload: Payload) -> ZonePlan:
    """The plan after one of its own events."""
    if isinstance(payload, PlanPartRecorded | PlanPartReplaced):
        return _part_recorded(plan or ZonePlan(payload.zone, Status.IN_PREPARATION, {}, {}), payload)
    if plan is None:
        raise ValueError(f"{payload.TYPE} of a plan of which no part is known")
    return _CHANGES[type(payload)](plan, payload)


def _part_recorded(plan: ZonePlan, told: PlanPartRecorded | PlanPartReplaced) -> ZonePlan:
    before = plan.parts.get(told.part)
    progress = (before.progress if before else Progress()).due_on(told.complete_by)
    parts = {**plan.parts, told.part: Part(told.version, {}, progress)}
    return replace(plan, status=Status.IN_PREPARATION, parts=parts)


def _sign_off_recorded(plan: ZonePlan, told: PlanSignOffRecorded) -> ZonePlan:
    part = plan.parts[told.part]
    signed = {**part.signed, told.side: told.signed_at}
    # In one order, whichever side was read first.
    in_order = {side: signed[side] for side in Side if side in signed}
    return replace(plan, parts={**plan.parts, told.part: replace(part, signed=in_order)})


def _signed_off(plan: ZonePlan, told: PlanSignedOff) -> ZonePlan:
    return replace(plan, status=Status.SIGNED_OFF)


def _project_added(plan: ZonePlan, told: PlanProjectAdded) -> ZonePlan:
    return replace(plan, projects={**plan.projects, told.referral_id: Project("registered", Progress())})


def _project_removed(plan: ZonePlan, told: PlanProjectRemoved) -> ZonePlan:
    projects = {name: project for name, project in plan.projects.items() if name != told.referral_id}
    return replace(plan, projects=projects)


def _stage_recorded(plan: ZonePlan, told: PlanProjectStageRecorded) -> ZonePlan:
    project = replace(plan.projects[told.referral_id], stage=told.stage)
    return replace(plan, projects={**plan.projects, told.referral_id: project})


def _progress_recorded(plan: ZonePlan, told: PlanProgressRecorded) -> ZonePlan:
    def advance(before: Progress) -> Progress:
        return replace(before, percent=told.percent, as_of=told.as_of).due_on(told.complete_by)

    return _advanced(plan, told.item, advance)


def _late_marked(plan: ZonePlan, told: PlanLateMarked) -> ZonePlan:
    return _advanced(plan, told.item, lambda before: replace(before, late=True))


def _advanced(plan: ZonePlan, item: PlanItem, advance: Callable[[Progress], Progress]) -> ZonePlan:
    if item.part is not None:
        part = plan.parts[item.part]
        return replace(plan, parts={**plan.parts, item.part: replace(part, progress=advance(part.progress))})
    referral_id = item.referral_id or ""
    project = plan.projects[referral_id]
    moved = replace(project, progress=advance(project.progress))
    return replace(plan, projects={**plan.projects, referral_id: moved})


_CHANGES: Final[Mapping[type[Payload], Callable[[ZonePlan, Any], ZonePlan]]] = {
    PlanSignOffRecorded: _sign_off_recorded,
    PlanSignedOff: _signed_off,
    PlanProjectAdded: _project_added,
    PlanProjectRemoved: _project_removed,
    PlanProjectStageRecorded: _stage_recorded,
    PlanProgressRecorded: _progress_recorded,
    PlanLateMarked: _late_marked,
}
RECORDS: Final[tuple[type[Payload], ...]] = (PlanPartRecorded, PlanPartReplaced, *_CHANGES)
