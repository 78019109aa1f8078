"""Whose business a zone is: which units of the two sides may speak for it, by the directory of the day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from schemas.envelope import Event
from schemas.reference import Directory
from schemas.values import BANK_HQ, COMMERCE_HQ, PersonId, Side, place_of, side_of
from services.cooperation.domain.refusals import Code


def unit_of(source: str) -> str:
    """The unit that speaks: `15` of `//commerce/15/office`."""
    return place_of(source).partition("/")[0]


def is_concerned(event: Event[Any], zone: str, directory: Directory) -> bool:
    """Whether the event comes from the zone, its province, a branch that serves it, or a headquarters."""
    unit, side = unit_of(event.source), side_of(event.source)
    if side is Side.COMMERCE:
        return unit in (COMMERCE_HQ, zone, province_of(zone, directory, event.time))
    if side is Side.BANK:
        return unit == BANK_HQ or unit in branches_of(zone, directory, event.time)
    return False


def province_of(zone: str, directory: Directory, on: datetime) -> str | None:
    """The province of a zone; None where the directory does not know the zone on that day."""
    entry = directory.zone(zone, on)
    return None if entry is None else entry.province


def branches_of(zone: str, directory: Directory, on: datetime) -> tuple[str, ...]:
    """Codes of the branches that serve a zone's province on a day, in order."""
    province = province_of(zone, directory, on)
    return () if province is None else tuple(branch.code for branch in directory.branches_of(province, on))


def is_others_person(event: Event[Any], person: PersonId, directory: Directory) -> bool:
    """Whether the directory names a person for another side than the event's. Who is not in it may be anybody's."""
    entry = directory.person(person, event.time)
    return entry is not None and entry.side is not side_of(event.source)


def not_entitled(event: Event[Any], zone: str, person: PersonId, directory: Directory) -> Code | None:
    """Why the event's sender, or the person it names, may not speak of what is of this zone; None where they may."""
    if not is_concerned(event, zone, directory):
        return Code.NOT_CONCERNED
    return Code.WRONG_PERSON if is_others_person(event, person, directory) else None


def may_not_open(event: Event[Any], zone: str, person: PersonId, directory: Directory) -> Code | None:
    """The same of who would begin something for a zone, which has to exist on the day."""
    return (
        Code.UNKNOWN_ZONE if directory.zone(zone, event.time) is None else not_entitled(event, zone, person, directory)
    )
