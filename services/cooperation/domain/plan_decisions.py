"""Zone plans, decided: what each input makes of a plan. `TABLE` says who may do what; README.md shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from schemas.cooperation import CooperationRefused
from schemas.envelope import Event, Payload
from schemas.plan import (
    PlanLateMarked,
    PlanPart,
    PlanPartRecorded,
    PlanPartReplaced,
    PlanPartSignedOff,
    PlanPartSubmitted,
    PlanProgressRecorded,
    PlanProgressReported,
    PlanProjectAdded,
    PlanProjectMoved,
    PlanProjectReferred,
    PlanProjectRemoved,
    PlanProjectStageRecorded,
    PlanProjectStageTold,
    PlanSignedOff,
    PlanSignOffRecorded,
    SignedVersion,
)
from schemas.reference import china_date
from schemas.values import side_of
from services.cooperation.domain.filing import Kind
from services.cooperation.domain.outlook import Outlook
from services.cooperation.domain.parties import may_not_open, not_entitled
from services.cooperation.domain.refusals import Code, refuse, refuse_by_table
from services.cooperation.domain.zone_plan import (
    COMPLETION,
    LATE,
    RECORDS,
    Status,
    ZonePlan,
    deadlines,
    evolve,
    late_item,
)
from services.kit.door import Deadline, Early
from services.kit.transitions import CLOCK, OURS, SIDES, Party, Transition, Transitions

_COMMERCE: Final = frozenset({Party.COMMERCE})
_ANY: Final = tuple(Status)

_OF_SIGNATURES: Final = (
    Code.NOT_CONCERNED,
    Code.WRONG_PERSON,
    Code.NO_VERSION,
    Code.SUPERSEDED_VERSION,
    Code.SIGNED_BEFORE,
)
_NO_PART: Final = "no part of the plan has been submitted yet"

TABLE: Final = Transitions(
    "zone plan",
    (
        Transition(
            PlanPartSubmitted,
            (None,),
            _COMMERCE,
            {PlanPartRecorded: Status.IN_PREPARATION},
            (Code.UNKNOWN_ZONE, Code.NOT_CONCERNED, Code.WRONG_PERSON, Code.VERSION_SKIPPED),
        ),
        Transition(
            PlanPartSubmitted,
            (Status.IN_PREPARATION,),
            _COMMERCE,
            {PlanPartRecorded: None, PlanPartReplaced: None},
            (Code.OTHER_ZONE, Code.NOT_CONCERNED, Code.WRONG_PERSON, Code.VERSION_IN_USE, Code.VERSION_SKIPPED),
        ),
        Transition(
            PlanPartSubmitted,
            (Status.SIGNED_OFF,),
            _COMMERCE,
            {PlanPartReplaced: Status.IN_PREPARATION},
            (Code.OTHER_ZONE, Code.NOT_CONCERNED, Code.WRONG_PERSON, Code.VERSION_IN_USE, Code.VERSION_SKIPPED),
        ),
        Transition(PlanPartSignedOff, (None,), SIDES, {}, (Code.NO_PLAN,), early=True),
        Transition(PlanPartSignedOff, (Status.IN_PREPARATION,), SIDES, {PlanSignOffRecorded: None}, _OF_SIGNATURES),
        Transition(PlanPartSignedOff, (Status.SIGNED_OFF,), SIDES, {}, _OF_SIGNATURES),
        Transition(COMPLETION, (Status.IN_PREPARATION,), CLOCK, {PlanSignedOff: Status.SIGNED_OFF}),
        Transition(PlanProjectReferred, (None,), OURS, {}, (Code.NO_PLAN,), early=True),
        Transition(PlanProjectReferred, _ANY, OURS, {PlanProjectAdded: None}, (Code.OTHER_ZONE,), silent=True),
        Transition(PlanProjectMoved, (None,), OURS, {}, silent=True),
        Transition(PlanProjectMoved, _ANY, OURS, {PlanProjectRemoved: None}, silent=True),
        Transition(PlanProjectStageTold, (None,), OURS, {}, early=True),
        Transition(PlanProjectStageTold, _ANY, OURS, {PlanProjectStageRecorded: None}, silent=True),
        Transition(
            PlanProgressReported,
            _ANY,
            _COMMERCE,
            {PlanProgressRecorded: None},
            (Code.NOT_CONCERNED, Code.WRONG_PERSON, Code.NOT_IN_PLAN, Code.FUTURE_DAY, Code.OLDER_REPORT),
        ),
        Transition(LATE, _ANY, CLOCK, {PlanLateMarked: None}),
    ),
    status=lambda plan: plan.status,
    evolve=evolve,
    records=RECORDS,
    refused=CooperationRefused,
    refuse=refuse_by_table,
)


def record_part(plan: ZonePlan | None, event: Event[PlanPartSubmitted], outlook: Outlook) -> Iterator[Payload]:
    """The first version of a part, or the next one, which voids what was signed of the one before."""
    told = event.data
    if plan is None:
        code = may_not_open(event, told.zone, told.submitted_by, outlook.directory)
    elif told.zone != plan.zone:
        code = Code.OTHER_ZONE
    else:
        code = not_entitled(event, plan.zone, told.submitted_by, outlook.directory)
    before = plan.parts.get(told.part) if plan is not None else None
    version = before.version if before is not None else 0
    if code is None and told.version <= version:
        code = Code.VERSION_IN_USE
    if code is None and told.version > version + 1:
        code = Code.VERSION_SKIPPED
    if code is not None:
        yield refuse(event, code, None if plan is None else plan.zone)
        return
    body = told.model_dump() | {"plan_id": event.subject, "submitted_at": event.time}
    if before is None:
        yield PlanPartRecorded.model_validate(body)
    else:
        yield PlanPartReplaced.model_validate(body | {"voided": tuple(before.signed)})


def record_sign_off(plan: ZonePlan | None, event: Event[PlanPartSignedOff], outlook: Outlook) -> Iterator[Payload]:
    """Each side signs each part once in its latest version.

    Raises:
        Early: the version is not on record yet; it stands on another topic than the bank's signatures. Should it never
            come, the signature is refused.
    """
    told, side = event.data, side_of(event.source)
    if plan is None:
        raise Early(_NO_PART, (refuse(event, Code.NO_PLAN),))
    code = not_entitled(event, plan.zone, told.signed_by, outlook.directory)
    part = plan.parts.get(told.part)
    if code is None and (part is None or told.version > part.version):
        missing = f"version {told.version} of part {told.part} has not been submitted yet"
        raise Early(missing, (refuse(event, Code.NO_VERSION, plan.zone),))
    if code is None and part is not None and told.version < part.version:
        code = Code.SUPERSEDED_VERSION
    if code is None and part is not None and side in part.signed:
        code = Code.SIGNED_BEFORE
    if code is not None or side is None:
        yield refuse(event, code or Code.WRONG_PARTY, plan.zone)
        return
    yield PlanSignOffRecorded(
        plan_id=event.subject,
        zone=plan.zone,
        part=told.part,
        version=told.version,
        side=side,
        source=event.source,
        signed_by=told.signed_by,
        signed_at=event.time,
    )


def add_project(plan: ZonePlan | None, event: Event[PlanProjectReferred], outlook: Outlook) -> Iterator[Payload]:
    """A registered referral that names the plan is a project of its portfolio. Of one that is in it nothing is said.

    Raises:
        Early: no part of the plan is on record yet. Should none ever come, whoever referred the case is told.
    """
    told = event.data
    if plan is None:
        raise Early(_NO_PART, (_refuse_project(event, Code.NO_PLAN, told.zone),))
    if told.zone != plan.zone:
        yield _refuse_project(event, Code.OTHER_ZONE, plan.zone)
    elif told.referral_id not in plan.projects:
        yield PlanProjectAdded(
            plan_id=event.subject,
            zone=plan.zone,
            referral_id=told.referral_id,
            subject_kind=told.subject_kind,
            added_at=event.time,
        )


def remove_project(plan: ZonePlan, event: Event[PlanProjectMoved], outlook: Outlook) -> Iterator[Payload]:
    """The referral of a project names another plan now, or none."""
    told = event.data
    if told.referral_id in plan.projects:
        yield PlanProjectRemoved(
            plan_id=event.subject,
            zone=plan.zone,
            referral_id=told.referral_id,
            moved_to=told.moved_to,
            removed_at=event.time,
        )


def record_stage(plan: ZonePlan | None, event: Event[PlanProjectStageTold], outlook: Outlook) -> Iterator[Payload]:
    """The case of a project has moved on. Of what the plan would not take in, and of what it knows, nothing is said.

    Raises:
        Early: no part of the plan is on record yet. The referral waits before it, and is answered for both.
    """
    told = event.data
    if plan is None:
        raise Early(_NO_PART, ())
    project = plan.projects.get(told.referral_id)
    if project is not None and project.stage != told.stage:
        yield PlanProjectStageRecorded(
            plan_id=event.subject,
            zone=plan.zone,
            referral_id=told.referral_id,
            stage=told.stage,
            recorded_at=event.time,
        )


def record_progress(plan: ZonePlan, event: Event[PlanProgressReported], outlook: Outlook) -> Iterator[Payload]:
    """How far a part or a project has come, by the day that the report is of.

    Raises:
        Early: the project is not in the portfolio yet; its referral stands on another topic.
    """
    told = event.data
    progress = plan.progress_of(told.item)
    code = not_entitled(event, plan.zone, told.reported_by, outlook.directory)
    if code is None and progress is None and told.item.referral_id is not None:
        missing = f"project {told.item.referral_id} has not been referred from the plan yet"
        raise Early(missing, (refuse(event, Code.NOT_IN_PLAN, plan.zone),))
    if code is None and progress is None:
        code = Code.NOT_IN_PLAN
    if code is None and told.as_of > china_date(event.time):
        code = Code.FUTURE_DAY
    if code is None and progress is not None and progress.as_of is not None and told.as_of < progress.as_of:
        code = Code.OLDER_REPORT
    if code is not None or progress is None:
        yield refuse(event, code or Code.NOT_IN_PLAN, plan.zone)
        return
    yield PlanProgressRecorded(
        plan_id=event.subject,
        zone=plan.zone,
        item=told.item,
        percent=told.percent,
        as_of=told.as_of,
        complete_by=told.complete_by or progress.complete_by,
        text=told.text,
        reported_by=told.reported_by,
        recorded_at=event.time,
    )


def _refuse_project(event: Event[PlanProjectReferred], code: Code, zone: str) -> CooperationRefused:
    """The answer goes to the party that referred the case, of which the message between aggregates is no part."""
    told = event.data
    source = told.source or event.source
    changes = {"source": source, "side": side_of(source), "referral_id": told.referral_id}
    return refuse(event, code, zone).model_copy(update=changes)


def settle_due(plan: ZonePlan, event: Event[Deadline], outlook: Outlook) -> Iterator[Payload]:
    """The last signature is in, or a day that was to be kept is over."""
    if event.data.name == COMPLETION:
        yield PlanSignedOff(
            plan_id=event.subject,
            zone=plan.zone,
            versions=tuple(SignedVersion(part=part, version=plan.parts[part].version) for part in PlanPart),
            signed_off_at=plan.complete_at or event.time,
        )
        return
    item = late_item(event.data)
    progress = plan.progress_of(item)
    if progress is not None and progress.complete_by is not None:
        yield PlanLateMarked(
            plan_id=event.subject,
            zone=plan.zone,
            item=item,
            percent=progress.percent,
            complete_by=progress.complete_by,
            marked_at=event.time,
        )


ZONE_PLANS: Final = Kind(
    name="zone_plan",
    records=RECORDS,
    evolve=TABLE.fold,
    routes=TABLE.routes(
        {
            PlanPartSubmitted: record_part,
            PlanPartSignedOff: record_sign_off,
            PlanProjectReferred: add_project,
            PlanProjectMoved: remove_project,
            PlanProjectStageTold: record_stage,
            PlanProgressReported: record_progress,
        }
    ),
    deadlines=deadlines,
    due=TABLE.due(settle_due),
)
