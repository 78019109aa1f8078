"""Composition of cooperation: what it reads, who decides, where its state stands.

One aggregate for each kind of key: plan ids, referral ids, advice ids.
"""

from __future__ import annotations

from typing import Any

from schemas.envelope import Event
from schemas.reference import Directory
from services.cooperation.domain import advice, advice_decisions
from services.cooperation.domain.advice import Advice
from services.cooperation.domain.filing import Filed, Kinds
from services.cooperation.domain.plan_decisions import ZONE_PLANS
from services.cooperation.domain.work_plan_decisions import WORK_PLANS
from services.cooperation.store import AdviceRow, PlanRow
from services.kit.door import Aggregate, Service
from services.kit.working_days import WorkingDays


class CooperationContext:
    """What decisions look up: the calendar and the directory."""

    def __init__(self, working_days: WorkingDays) -> None:
        self.working_days = working_days
        self.directory = Directory()

    def learn(self, event: Event[Any]) -> None:
        """Take in one event of a directory topic."""
        self.directory.learn(event)


def build() -> Service:
    """Cooperation, ready for the kit. Raises OverridesError where the calendar's file has faults."""
    working_days = WorkingDays()
    kinds = Kinds(ZONE_PLANS, WORK_PLANS)
    return Service(
        name="cooperation",
        aggregates=(
            Aggregate(
                name="plan",
                keyed_by=("plan_id",),
                state=Filed,
                table=PlanRow,
                evolve=kinds.evolve,
                records=kinds.records,
                routes=kinds.routes,
                deadlines=kinds.deadlines,
                due=kinds.due,
            ),
            Aggregate(
                name="advice",
                keyed_by=("advice_id",),
                state=Advice,
                table=AdviceRow,
                evolve=advice.evolve,
                records=advice.RECORDS,
                routes=advice_decisions.ROUTES,
                deadlines=advice.deadlines,
                due=advice_decisions.DUE,
            ),
        ),
        context=lambda: CooperationContext(working_days),
        migrations="services.cooperation.migrations",
    )
