"""Composition of cooperation: what it reads, who decides, where its state stands.

One aggregate for each kind of key: plan ids, referral ids, advice ids.
"""

from __future__ import annotations

from typing import Any

from schemas.envelope import Event
from schemas.reference import Directory
from services.cooperation.domain import advice, advice_decisions, consortium, consortium_decisions, enterprise
from services.cooperation.domain.advice import Advice
from services.cooperation.domain.bulletins import Bulletins
from services.cooperation.domain.consortium import Consortium
from services.cooperation.domain.enterprise import Enterprise
from services.cooperation.domain.filing import Filed, Kinds
from services.cooperation.domain.plan_decisions import ZONE_PLANS
from services.cooperation.domain.wish_decisions import WISHES
from services.cooperation.domain.work_plan_decisions import WORK_PLANS
from services.cooperation.rulebook import Rules, load_rules
from services.cooperation.store import AdviceRow, PlanRow
from services.cooperation.store_partners import ConsortiumRow, EnterpriseRow
from services.kit.door import Aggregate, Service
from services.kit.working_days import WorkingDays


class CooperationContext:
    """What decisions look up: the calendar, the directory, the bulletins, the rules of modes and of matchmaking."""

    def __init__(self, working_days: WorkingDays, rules: Rules) -> None:
        self.working_days = working_days
        self.modes = rules.modes
        self.matching = rules.matching
        self.directory = Directory()
        self.bulletins = Bulletins()

    def learn(self, event: Event[Any]) -> None:
        """Take in one event of a directory topic or of one that carries bulletins."""
        self.directory.learn(event)
        self.bulletins.learn(event)


def build() -> Service:
    """Cooperation, ready for the kit. Raises OverridesError or RuleFileError where its files have faults."""
    working_days, rules = WorkingDays(), load_rules()
    kinds = Kinds(ZONE_PLANS, WORK_PLANS, WISHES)
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
                evolve=advice_decisions.TABLE.fold,
                records=advice.RECORDS,
                routes=advice_decisions.ROUTES,
                deadlines=advice.deadlines,
                due=advice_decisions.DUE,
            ),
            Aggregate(
                name="consortium",
                keyed_by=("referral_id",),
                state=Consortium,
                table=ConsortiumRow,
                evolve=consortium_decisions.TABLE.fold,
                records=consortium.RECORDS,
                routes=consortium_decisions.ROUTES,
                deadlines=consortium.deadlines,
                due=consortium_decisions.DUE,
            ),
            Aggregate(
                name="enterprise",
                keyed_by=("credit_code",),
                state=Enterprise,
                table=EnterpriseRow,
                evolve=enterprise.TABLE.fold,
                records=enterprise.RECORDS,
                routes=enterprise.ROUTES,
                deadlines=enterprise.deadlines,
                due=enterprise.DUE,
            ),
        ),
        context=lambda: CooperationContext(working_days, rules),
        migrations="services.cooperation.migrations",
    )
