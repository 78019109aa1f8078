"""Zone plans, decided: what each input makes of a plan."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.envelope import Event, Payload
from schemas.plan import PlanPartRecorded, PlanPartSubmitted
from services.cooperation.domain.filing import Kind
from services.cooperation.domain.outlook import Outlook
from services.cooperation.domain.refusals import Code, refuse
from services.cooperation.domain.zone_plan import ZonePlan, evolve


def record_part(plan: ZonePlan | None, event: Event[PlanPartSubmitted], outlook: Outlook) -> Iterator[Payload]:
    """A version of a part comes in."""
    told = event.data
    if plan is not None and told.part in plan.parts:
        yield refuse(event, Code.VERSION_IN_USE, plan.zone)
        return
    yield PlanPartRecorded(
        plan_id=event.subject,
        zone=told.zone,
        part=told.part,
        version=told.version,
        title=told.title,
        summary=told.summary,
        complete_by=told.complete_by,
        submitted_by=told.submitted_by,
        submitted_at=event.time,
    )


ZONE_PLANS = Kind(
    name="zone_plan",
    records=(PlanPartRecorded,),
    evolve=evolve,
    routes={PlanPartSubmitted: record_part},
    deadlines=lambda plan: (),
    due=lambda plan, event, outlook: (),
)
