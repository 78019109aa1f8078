"""What decisions of intake look up: directory, calendar, limits, scopes of duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from schemas.envelope import Event
from schemas.reference import Directory
from services.referral_intake.domain.limits import Limits
from services.referral_intake.domain.scopes import Scope


class WorkingDays(Protocol):
    """The official calendar."""

    def after(self, moment: datetime, days: int) -> tuple[datetime, bool]:
        """The end of the n-th working day after a moment, and whether that is provisional."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The context of a decision."""

    directory: Directory
    working_days: WorkingDays
    limits: Limits
    scopes: tuple[Scope, ...]

    def learn(self, event: Event[Any]) -> None:
        """Take in one event of a directory topic."""
        self.directory.learn(event)
