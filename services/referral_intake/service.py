"""Composition of referral intake: which input is decided by what, on which state, by which rules of the operators."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.reference import Directory
from services.kit.door import Aggregate, Service
from services.kit.working_days import WorkingDays
from services.referral_intake.domain.case import Case, claims_of, deadlines
from services.referral_intake.domain.decisions import DUE, ROUTES
from services.referral_intake.domain.matters import claims_wanted
from services.referral_intake.domain.outlook import Outlook
from services.referral_intake.domain.transitions import RECORDS, TRANSITIONS
from services.referral_intake.settings_files import DUPLICATES, LIMITS, load_limits, load_scopes
from services.referral_intake.store import CaseRow


class IntakeSettings(BaseSettings):
    """Settings of referral intake, from the environment."""

    model_config = SettingsConfigDict(env_prefix="KOUAN_REFERRAL_INTAKE_", extra="ignore")

    duplicates: Path = Field(DUPLICATES, description="File of the scopes of duplicates; unset: the one here")
    limits: Path = Field(LIMITS, description="File of the limits of what is plausible; unset: the one here")


def build() -> Service:
    """Referral intake, ready for the kit. Raises SettingsFileError or OverridesError where its files have faults."""
    settings = IntakeSettings()
    scopes, limits, working_days = load_scopes(settings.duplicates), load_limits(settings.limits), WorkingDays()
    return Service(
        name="referral_intake",
        aggregates=(
            Aggregate(
                name="case",
                keyed_by=("referral_id",),
                state=Case,
                table=CaseRow,
                evolve=TRANSITIONS.fold,
                records=RECORDS,
                routes=ROUTES,
                deadlines=deadlines,
                due=DUE,
                claims=claims_of,
                claims_wanted=partial(claims_wanted, scopes),
            ),
        ),
        context=lambda: Outlook(Directory(), working_days, limits, scopes),
        migrations="services.referral_intake.migrations",
    )
