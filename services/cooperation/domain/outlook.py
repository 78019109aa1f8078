"""What decisions look up: the calendar and the directory. Said as protocols; the adapters are outside."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from schemas.reference import Directory


class WorkingDays(Protocol):
    """The official calendar."""

    def after(self, moment: datetime, days: int) -> tuple[datetime, bool]:
        """The end of the n-th working day after a moment, and whether that is provisional."""

    def between(self, moment: datetime, end: datetime) -> int:
        """How many working days are left between two moments: the inverse of `after`."""


class Outlook(Protocol):
    """The context of a decision."""

    @property
    def working_days(self) -> WorkingDays:
        """The official calendar."""

    @property
    def directory(self) -> Directory:
        """Zones, departments, branches, partners and persons, by day."""
