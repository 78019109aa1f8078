"""Composition of joint screening: what it reads, who decides, where its state stands."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import structlog
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.chain import ScreeningChainLinkTold, ScreeningChainStateTold
from schemas.envelope import Event
from schemas.opinion import (
    ConferenceOutcomeGiven,
    OpinionConfirmed,
    OpinionExtensionAsked,
    OpinionGiven,
    OpinionReturned,
)
from schemas.precedent import PrecedentAnswered, PrecedentAsked
from schemas.reference import Directory
from schemas.referral import Referral, ReferralAmended, ReferralRegistered, ReferralWithdrawn
from schemas.risk import RiskHeld, RiskReleased
from schemas.values import Side, side_of
from services.kit import metrics
from services.kit.door import Aggregate, Service
from services.kit.working_days import WorkingDays
from services.screening.domain.case import Case, deadlines
from services.screening.domain.chain import (
    CHAIN_RECORDS,
    CHAIN_TABLE,
    Chain,
    become_late,
    chain_deadlines,
    follow_chain,
    follow_link,
    telling_the_chain,
)
from services.screening.domain.conference import take_outcome
from services.screening.domain.deadlines import extend_case, settle_due
from services.screening.domain.evolving import RECORDS
from services.screening.domain.holds import hold_case, release_case
from services.screening.domain.opening import close_withdrawn, open_case, rescore_case
from services.screening.domain.opinions import confirm_opinion, return_opinion, take_opinion
from services.screening.domain.outlook import Scoring
from services.screening.domain.precedents import answer_precedent, take_precedent
from services.screening.domain.transitions import TRANSITIONS
from services.screening.policy import POLICIES, Policies, load_policies
from services.screening.policy_agreed import UNUSABLE, PolicyBook
from services.screening.store import ScreeningCaseRow, ScreeningChainRow

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

    def deputy_of(self, person: str, on: date) -> str | None:
        """Who stands in for a person who is away on a day; None where the person is there."""
        absence = self._directory.absence(person, on)
        return None if absence is None else absence.deputy


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
                evolve=TRANSITIONS.fold,
                records=RECORDS,
                routes=TRANSITIONS.routes(
                    {
                        ReferralRegistered: telling_the_chain(open_case),
                        ReferralAmended: telling_the_chain(rescore_case),
                        ReferralWithdrawn: telling_the_chain(close_withdrawn),
                        PrecedentAsked: answer_precedent,
                        PrecedentAnswered: take_precedent,
                        OpinionGiven: take_opinion,
                        OpinionConfirmed: confirm_opinion,
                        OpinionReturned: return_opinion,
                        OpinionExtensionAsked: extend_case,
                        ConferenceOutcomeGiven: take_outcome,
                        RiskHeld: telling_the_chain(hold_case),
                        RiskReleased: telling_the_chain(release_case),
                        ScreeningChainStateTold: follow_chain,
                    }
                ),
                deadlines=deadlines,
                due=TRANSITIONS.due(telling_the_chain(settle_due)),
            ),
            Aggregate(
                name="chain",
                keyed_by=("chain",),
                state=Chain,
                table=ScreeningChainRow,
                evolve=CHAIN_TABLE.fold,
                records=CHAIN_RECORDS,
                routes=CHAIN_TABLE.routes({ScreeningChainLinkTold: follow_link}),
                deadlines=chain_deadlines,
                due=CHAIN_TABLE.due(become_late),
            ),
        ),
        context=lambda: ScreeningContext(policies, working_days),
        migrations="services.screening.migrations",
    )
