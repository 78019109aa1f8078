"""What decisions of liaison look up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from schemas.reference import Directory


class Pair(NamedTuple):
    """The same said in both languages."""

    zh: str
    en: str


class Texts(NamedTuple):
    """A rendered notice: subject lines and texts."""

    subject: Pair
    text: Pair


class Calendar(Protocol):
    """Counts working days."""

    def after(self, moment: datetime, days: int) -> tuple[datetime, bool]:
        """The end of the `days`-th working day after the moment, and whether that is provisional."""


class LiaisonContext(Protocol):
    """Directory, calendar, and the texts of notices."""

    @property
    def directory(self) -> Directory:
        """Who and what takes part, by date."""

    @property
    def working_days(self) -> Calendar:
        """The Chinese working days."""

    def render(self, template: str, values: Mapping[str, object]) -> Texts:
        """The texts of a template, filled in. Every template of the routing table exists."""
