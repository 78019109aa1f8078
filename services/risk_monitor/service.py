"""Composition of the risk monitor: what it reads, who decides, where its state stands, which rules are in force."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.envelope import Payload
from schemas.risk import RiskFact, RiskSubject
from services.kit.door import Aggregate, Service
from services.risk_monitor.domain.cases import CASE_RECORDS, CASE_ROUTES
from services.risk_monitor.domain.state import RiskCase, RiskSubjectState, evolve_case, evolve_subject
from services.risk_monitor.domain.subjects import SUBJECT_RECORDS, SUBJECT_ROUTES
from services.risk_monitor.rulebook import SHIPPED, load_rules
from services.risk_monitor.store import RiskCaseRow, RiskSubjectRow


class Settings(BaseSettings):
    """The risk monitor's own settings, from the environment."""

    model_config = SettingsConfigDict(env_prefix="KOUAN_RISK_MONITOR_", extra="ignore")

    rules_dir: Path = Field(SHIPPED, description="Folder of the rule files; unset: those that come with the service")


def is_of_case(payload: Payload) -> bool:
    """Whether a record is about a case; all others are about a zone, an enterprise or a project."""
    return isinstance(payload, RiskFact) and payload.subject_kind is RiskSubject.CASE


def is_of_subject(payload: Payload) -> bool:
    """Whether a record is about a zone, an enterprise or a project."""
    return not is_of_case(payload)


def build() -> Service:
    """The risk monitor, ready for the kit.

    Raises:
        RuleFileError: a rule file cannot be used.
    """
    rules = load_rules(Settings().rules_dir)
    return Service(
        name="risk_monitor",
        aggregates=(
            Aggregate(
                name="case",
                keyed_by=("referral_id", "referral_id_or_zone"),
                state=RiskCase,
                table=RiskCaseRow,
                evolve=evolve_case,
                records=CASE_RECORDS,
                owns=is_of_case,
                routes=CASE_ROUTES,
            ),
            Aggregate(
                name="subject",
                keyed_by=("zone", "indicator_subject"),
                state=RiskSubjectState,
                table=RiskSubjectRow,
                evolve=evolve_subject,
                records=SUBJECT_RECORDS,
                owns=is_of_subject,
                routes=SUBJECT_ROUTES,
            ),
        ),
        context=lambda: rules,
        migrations="services.risk_monitor.migrations",
    )
