"""What decisions look up: the calendar, the policy, the directory. Said as protocols; the adapters are outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from schemas.referral import Referral
from schemas.scoring import RuleResult, ScreeningScored, Terms
from schemas.values import KeyArea, Side


@dataclass(frozen=True, slots=True)
class HardStop:
    """A hard stop that a case meets, with its reason."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a policy version makes of a referral. `digest` is the SHA-256 of the version's file."""

    version: str
    digest: str
    effective_from: date
    score: int
    hard_stops: tuple[HardStop, ...]
    key_areas: tuple[KeyArea, ...]
    rules: tuple[RuleResult, ...]


def scored(scoring: Scoring, referral: Referral, referral_id: str, revision: int, at: datetime) -> ScreeningScored:
    """The score of one revision of a referral as it goes on record; `at` is when that was registered or amended.

    Its parts were checked when they were read or made, and are not checked again: that takes as long as scoring.
    """
    return ScreeningScored.model_construct(
        referral_id=referral_id,
        revision=revision,
        lane=referral.lane,
        policy_version=scoring.version,
        policy_digest=scoring.digest,
        policy_effective_from=scoring.effective_from,
        score=scoring.score,
        hard_stops=tuple([stop.code for stop in scoring.hard_stops]),
        key_areas=scoring.key_areas,
        key_area_claimed=referral.key_area,
        rules=scoring.rules,
        scored_at=at,
        terms=terms_of(referral),
        chain=referral.chain,
    )


def terms_of(referral: Referral) -> Terms:
    """What a referral asks for. Its parts were checked when it was read, so that they are not checked again."""
    return Terms.model_construct(
        credit_code=None if referral.enterprise is None else referral.enterprise.credit_code,
        zone=referral.zone,
        need=referral.need,
        amount=referral.amount,
        term_months=referral.term_months,
    )


class WorkingDays(Protocol):
    """The official calendar."""

    def after(self, moment: datetime, days: int) -> tuple[datetime, bool]:
        """The end of the n-th working day after a moment, and whether that is provisional."""

    def between(self, moment: datetime, end: datetime) -> int:
        """How many working days lie after the moment's day, up to the day of `end`."""


class Outlook(Protocol):
    """The context of a decision."""

    @property
    def working_days(self) -> WorkingDays:
        """The official calendar."""

    def score(self, referral: Referral, on: date) -> Scoring:
        """What the policy in force on a day makes of a referral. Never fails: see the results of its rules."""

    def side_of_person(self, person: str, on: date) -> Side | None:
        """The side for which the directory names a person on a day; None where it does not know the person."""

    def deputy_of(self, person: str, on: date) -> str | None:
        """Who stands in for a person who is away on a day; None where the person is there."""
