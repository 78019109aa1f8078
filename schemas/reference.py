"""The directory as decisions see it: folded from its events, asked by date.

What stands in it is the same whatever the order in which the events arrived and however often: a key told more than
once keeps what was said last (by event time, then event id).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any, TypeVar

from schemas.directory import (
    AbsenceEntered,
    BranchEntered,
    DepartmentEntered,
    Entry,
    PartnerEntered,
    PersonEntered,
    PersonRole,
    ZoneEntered,
)
from schemas.envelope import Event
from schemas.values import Side, side_of
from schemas.zone_profile import ZoneProfileEntered

CHINA_TIME = timezone(timedelta(hours=8), "UTC+08:00")
"""China keeps one time zone and has had no summer time since 1991."""

E = TypeVar("E", bound=Entry)


def china_date(moment: date | datetime) -> date:
    """The calendar day in China of a moment with offset; a plain date is returned as it is."""
    return moment.astimezone(CHINA_TIME).date() if isinstance(moment, datetime) else moment


@dataclass(frozen=True, slots=True)
class _Version:
    said: tuple[datetime, str]
    entry: Entry


@dataclass(slots=True)
class _Shelf:
    """All versions of the entries of one kind, by code; of each code the latest `valid_from` first."""

    versions: dict[str, list[_Version]] = field(default_factory=dict)

    def put(self, version: _Version) -> None:
        kept = self.versions.setdefault(version.entry.entry_code, [])
        for position, known in enumerate(kept):
            if known.entry.valid_from == version.entry.valid_from:
                if version.said > known.said:
                    kept[position] = version
                return
        kept.append(version)
        kept.sort(key=lambda one: one.entry.valid_from, reverse=True)

    def at(self, code: str, day: date) -> Entry | None:
        for version in self.versions.get(code, ()):
            entry = version.entry
            if entry.valid_from <= day:
                return entry if entry.valid_to is None or day <= entry.valid_to else None
        return None

    def all_at(self, day: date) -> Iterable[Entry]:
        found = (self.at(code, day) for code in sorted(self.versions))
        return (entry for entry in found if entry is not None)


def _may_enter(side: Side | None, entry: Entry) -> bool:
    """Whether a side may enter this: zones and departments are of commerce, branches and partners of the bank."""
    if isinstance(entry, ZoneEntered | ZoneProfileEntered | DepartmentEntered):
        return side is Side.COMMERCE
    if isinstance(entry, PersonEntered | AbsenceEntered):
        return side is entry.side
    return side is Side.BANK


class Directory:
    """Zones, departments, branches, partners and persons, each as it stood on a day.

    `on` is a date in China, or a moment with offset, of which the day in China counts. What is not there, not yet
    there or no longer there is None, or missing from the tuple; tuples are in the order of codes.
    """

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}
        self._units: dict[tuple[Side, PersonRole, str], set[str]] = {}
        self.foreign: set[str] = set()
        """Ids of events in which a side entered what is not its own to enter; nothing of them is in the directory."""

    def learn(self, event: Event[Any]) -> None:
        """Take in one event of a directory topic; anything but a directory entry is left alone."""
        entry = event.data
        if not isinstance(entry, Entry):
            return
        if not _may_enter(side_of(event.source), entry):
            self.foreign.add(event.id)
            return
        self._shelf(entry.KIND).put(_Version((event.time, event.id), entry))
        if isinstance(entry, PersonEntered):
            self._units.setdefault(_unit(entry), set()).add(entry.code)

    def zone(self, code: str, on: date | datetime) -> ZoneEntered | None:
        """The zone with this code, if it exists on the day."""
        day = china_date(on)
        zone = self._one(ZoneEntered, code, day)
        return zone if zone is not None and _exists(zone, day) else None

    def zones(self, on: date | datetime) -> tuple[ZoneEntered, ...]:
        """All zones that exist on the day."""
        day = china_date(on)
        return tuple(zone for zone in self._all(ZoneEntered, day) if _exists(zone, day))

    def zone_profile(self, code: str, on: date | datetime) -> ZoneProfileEntered | None:
        """What the zone with this code offers to enterprises that move."""
        return self._one(ZoneProfileEntered, code, china_date(on))

    def department(self, province: str, on: date | datetime) -> DepartmentEntered | None:
        """The commerce department of a province."""
        return self._one(DepartmentEntered, province, china_date(on))

    def branch(self, code: str, on: date | datetime) -> BranchEntered | None:
        """The branch with this code."""
        return self._one(BranchEntered, code, china_date(on))

    def branches_of(self, province: str, on: date | datetime) -> tuple[BranchEntered, ...]:
        """The branches that serve a province."""
        return tuple(branch for branch in self._all(BranchEntered, china_date(on)) if province in branch.provinces)

    def partner(self, code: str, on: date | datetime) -> PartnerEntered | None:
        """The partner with this code."""
        return self._one(PartnerEntered, code, china_date(on))

    def partners(self, on: date | datetime) -> tuple[PartnerEntered, ...]:
        """All partners."""
        return tuple(self._all(PartnerEntered, china_date(on)))

    def person(self, code: str, on: date | datetime) -> PersonEntered | None:
        """The liaison person with this id."""
        return self._one(PersonEntered, code, china_date(on))

    def absence(self, person: str, on: date | datetime) -> AbsenceEntered | None:
        """The absence of the person with this id, and so who stands in; None on a day on which the person is there."""
        return self._one(AbsenceEntered, person, china_date(on))

    def persons(
        self,
        side: Side,
        on: date | datetime,
        *,
        zone: str | None = None,
        province: str | None = None,
        branch: str | None = None,
    ) -> tuple[PersonEntered, ...]:
        """The persons of a side who stand for any of the units named (zone, department of the province, branch)."""
        day = china_date(on)
        wanted = ((PersonRole.ZONE, zone), (PersonRole.DEPARTMENT, province), (PersonRole.BRANCH, branch))
        return self._standing_for([(side, role, code) for role, code in wanted if code is not None], day)

    def headquarters(self, side: Side, on: date | datetime) -> tuple[PersonEntered, ...]:
        """The persons at the headquarters of a side."""
        return self._standing_for([(side, PersonRole.HEADQUARTERS, "")], china_date(on))

    def _standing_for(self, units: list[tuple[Side, PersonRole, str]], day: date) -> tuple[PersonEntered, ...]:
        codes = sorted({code for unit in units for code in self._units.get(unit, ())})
        found = (self._one(PersonEntered, code, day) for code in codes)
        # The index knows where someone ever stood; only the version of the day says where they stand now.
        return tuple(person for person in found if person is not None and _unit(person) in units)

    def _shelf(self, kind: str) -> _Shelf:
        return self._shelves.setdefault(kind, _Shelf())

    def _one(self, kind: type[E], code: str, day: date) -> E | None:
        shelf = self._shelves.get(kind.KIND)
        entry = None if shelf is None else shelf.at(code, day)
        return entry if isinstance(entry, kind) else None

    def _all(self, kind: type[E], day: date) -> Iterable[E]:
        return (entry for entry in self._shelf(kind.KIND).all_at(day) if isinstance(entry, kind))


def _exists(zone: ZoneEntered, day: date) -> bool:
    return zone.exists_from is None or zone.exists_from <= day


def _unit(person: PersonEntered) -> tuple[Side, PersonRole, str]:
    return person.side, person.role, person.zone or person.province or person.branch or ""
