"""Composition of joint screening: what it reads, who decides, where its state stands."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import structlog
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.envelope import Event
from schemas.reference import Directory
from schemas.referral import Referral, ReferralAmended, ReferralRegistered, ReferralWithdrawn
from schemas.risk import RiskHeld, RiskReleased
from schemas.screening import (
    OpinionGiven,
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningOpened,
    ScreeningOpinionRecorded,
    ScreeningReleased,
    ScreeningScored,
    ScreeningShortlisted,
    ScreeningWithdrawn,
)
from schemas.values import Side, side_of
from services.kit import metrics
from services.kit.door import Aggregate, Service
from services.kit.working_days import WorkingDays
from services.screening.domain.case import Case, deadlines, evolve
from services.screening.domain.decisions import (
    close_withdrawn,
    hold_case,
    open_case,
    record_opinion,
    release_case,
    rescore_case,
    settle_due,
)
from services.screening.domain.outlook import Scoring
from services.screening.policy import POLICIES, Policies, load_policies
from services.screening.policy_agreed import UNUSABLE, PolicyBook
from services.screening.store import ScreeningCaseRow

log = structlog.get_logger()


class ScreeningSettings(BaseSettings):
    """Settings of joint screening, from the environment."""

    model_config = SettingsConfigDict(env_prefix="KOUAN_SCREENING_", extra="ignore")

    policies: Path = POLICIES
    """Folder of the policy versions."""


class ScreeningContext:
    """What decisions look up: the calendar, the policy versions, the directory."""

    def __init__(self, policies: Policies, working_days: WorkingDays) -> None:
        self.working_days = working_days
        self._policies = PolicyBook(policies)
        self._directory = Directory()

    def learn(self, event: Event[Any]) -> None:
        """Take in one event of a directory or policy topic. A policy that can't be applied is logged and counted."""
        self._directory.learn(event)
        text = self._policies.learn(event)
        if text is not None and text.standing in UNUSABLE:
            metrics.REFERENCE_INVALID.labels(f"{side_of(event.source)}.policies").inc()
            log.error(
                "policy text can't be applied; see `kouan policy status`",
                version=text.version,
                digest=text.digest,
                standing=text.standing,
                faults=[str(one) for one in text.faults],
            )

    def score(self, referral: Referral, on: date) -> Scoring:
        """What the policy in force on a day makes of a referral."""
        return self._policies.policies.in_force(on).score(referral)

    def side_of_person(self, person: str, on: date) -> Side | None:
        """The side for which the directory names a person on a day; None where it does not know the person."""
        entry = self._directory.person(person, on)
        return None if entry is None else entry.side


def build() -> Service:
    """Joint screening, ready for the kit. Raises PolicyError or OverridesError where its files have faults."""
    policies = load_policies(ScreeningSettings().policies)
    working_days = WorkingDays()
    return Service(
        name="screening",
        aggregates=(
            Aggregate(
                name="case",
                keyed_by=("referral_id",),
                state=Case,
                table=ScreeningCaseRow,
                evolve=evolve,
                records=(
                    ScreeningOpened,
                    ScreeningScored,
                    ScreeningOpinionRecorded,
                    ScreeningShortlisted,
                    ScreeningDeclined,
                    ScreeningExpired,
                    ScreeningHeld,
                    ScreeningReleased,
                    ScreeningWithdrawn,
                ),
                routes={
                    ReferralRegistered: open_case,
                    ReferralAmended: rescore_case,
                    ReferralWithdrawn: close_withdrawn,
                    OpinionGiven: record_opinion,
                    RiskHeld: hold_case,
                    RiskReleased: release_case,
                },
                deadlines=deadlines,
                due=settle_due,
            ),
        ),
        context=lambda: ScreeningContext(policies, working_days),
        migrations="services.screening.migrations",
    )
