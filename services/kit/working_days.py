"""Working days of the Chinese calendar, make-up workdays included, for deadlines.

The calendar library knows past years and the current one; years announced since, and corrections, stand in
`working_days_overrides.yaml`. Years that neither knows are counted Monday to Friday and marked as provisional.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path

import yaml
from chinese_calendar import constants
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.reference import CHINA_TIME

OVERRIDES = Path(__file__).with_name("working_days_overrides.yaml")

_END_OF_DAY = time(23, 59, 59, tzinfo=CHINA_TIME)
_ONE_DAY = timedelta(days=1)
_SATURDAY = 5


class OverridesError(ValueError):
    """The override file cannot be used; the text names the file and every fault in it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AnnouncedYear(_Strict):
    """A year whose calendar was announced after the library's release; `off` and `worked` list the exceptions."""

    year: int
    off: tuple[date, ...]
    worked: tuple[date, ...]
    source: str


class CorrectedDay(_Strict):
    """A single day on which the library is wrong."""

    day: date
    working: bool
    source: str


class Overrides(_Strict):
    """The content of an override file."""

    years: tuple[AnnouncedYear, ...] = ()
    days: tuple[CorrectedDay, ...] = ()


def load_overrides(path: Path = OVERRIDES) -> Overrides:
    """Read an override file. Raises OverridesError with all faults at once."""
    try:
        return Overrides.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except (OSError, yaml.YAMLError) as error:
        raise OverridesError(f"{path}: cannot be read as YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise OverridesError(f"{path}: {faults}") from error


class WorkingDays:
    """Counts working days. Days are days in China, wherever the moment's own offset is."""

    def __init__(self, overrides: Overrides | None = None) -> None:
        known = load_overrides() if overrides is None else overrides
        self._off: set[date] = set(constants.holidays)
        self._worked: set[date] = set(constants.workdays)
        self._official: set[int] = {day.year for day in self._off} | {year.year for year in known.years}
        for year in known.years:
            self._announce(year)
        for correction in known.days:
            self._correct(correction)
        # Cases of one day share their deadline, and a backlog spans months at most.
        self._after_day = lru_cache(maxsize=4096)(self._count)

    def is_working_day(self, day: date) -> bool:
        """Whether people work on this day, as far as known (see `is_official`)."""
        return day in self._worked or (day.weekday() < _SATURDAY and day not in self._off)

    def is_official(self, day: date) -> bool:
        """Whether the calendar of the day's year has been announced."""
        return day.year in self._official

    def after(self, moment: datetime, days: int) -> tuple[datetime, bool]:
        """The last second of the `days`-th working day after the moment's day, and whether that is provisional.

        The moment's own day never counts. `moment` has an offset, `days` is 1 or more; ValueError otherwise.
        Where the calendar of years ends the answer is its last day.
        """
        if days < 1:
            raise ValueError(f"days must be 1 or more, not {days}")
        return self._after_day(china_day(moment), days)

    def between(self, moment: datetime, end: datetime) -> int:
        """How many working days begin after the moment's day and up to the day of `end`: the inverse of `after`."""
        last = china_day(end)
        return sum(1 for day in _days_after(china_day(moment), last) if self.is_working_day(day))

    def _announce(self, year: AnnouncedYear) -> None:
        self._off = {day for day in self._off if day.year != year.year} | set(year.off)
        self._worked = {day for day in self._worked if day.year != year.year} | set(year.worked)

    def _correct(self, correction: CorrectedDay) -> None:
        added, removed = (self._worked, self._off) if correction.working else (self._off, self._worked)
        added.add(correction.day)
        removed.discard(correction.day)

    def _count(self, day: date, days: int) -> tuple[datetime, bool]:
        provisional = False
        left = days
        for later in _days_after(day, date.max - _ONE_DAY):
            day = later
            provisional = provisional or not self.is_official(day)
            left -= self.is_working_day(day)
            if not left:
                break
        return datetime.combine(day, _END_OF_DAY), provisional


def china_day(moment: datetime) -> date:
    """The day in China at this moment. ValueError where the moment has no offset."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no offset, so its day in China is unknown")
    try:
        return moment.astimezone(CHINA_TIME).date()
    except OverflowError:  # at the very edges of what a datetime holds
        return moment.date()


def _days_after(day: date, last: date) -> Iterator[date]:
    while day < last:
        day += _ONE_DAY
        yield day
