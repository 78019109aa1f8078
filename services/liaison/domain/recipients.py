"""Whom a notice goes to: the named persons of the units that a rule addresses, as the directory knows them that day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from schemas.directory import PersonEntered, PersonRole
from schemas.reference import Directory
from schemas.values import BANK_HQ, COMMERCE_HQ, Side, place_of, side_of
from services.liaison.domain.state import CaseFacts


class Unit(StrEnum):
    """Units that a rule can address."""

    ZONE = "zone"
    """The zone; where it has named nobody, the commerce department of its province."""
    DEPARTMENT = "department"
    """The commerce department of the province."""
    BRANCH = "branch"
    """The branch of the case; for a zone, all branches that serve its province."""
    COMMERCE_HQ = "commerce_hq"
    BANK_HQ = "bank_hq"
    PARTY = "party"
    """Whoever referred, reported or is asked for something: the places that their sources name."""
    PARTNER = "partner"
    """The partner that is invited, or that answered; see `partners.py`."""
    NAMED = "named"
    """The persons whom the event itself names, as far as the directory knows them."""


class Address(NamedTuple):
    """One unit of one side: `code` is its zone, province or branch code, empty for the headquarters."""

    side: Side
    role: PersonRole
    code: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where something happened, as far as it is known; `parties` are CloudEvents sources of those whom it concerns,
    `partners` the codes of partners, `named` the ids of persons. `parties_alone`: nobody else may hear of it.
    """

    zone: str | None = None
    province: str | None = None
    branches: tuple[str, ...] = ()
    parties: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    parties_alone: bool = False


def place_of_case(case: CaseFacts, *parties: str) -> Place:
    """The place of a case: what registration said."""
    return Place(case.zone, case.province, (case.branch,), parties)


def place_of_zone(zone: str | None, on: datetime, directory: Directory) -> Place:
    """The place of something that belongs to a zone but to no case."""
    known = directory.zone(zone, on) if zone is not None else None
    if known is None:
        return Place(zone)
    branches = tuple(branch.code for branch in directory.branches_of(known.province, on))
    return Place(zone, known.province, branches)


def headquarters(side: Side) -> Address:
    """The headquarters of a side."""
    return Address(side, PersonRole.HEADQUARTERS, "")


def resolve(
    units: Iterable[Unit], place: Place, on: datetime, directory: Directory
) -> tuple[list[PersonEntered], list[Address]]:
    """The persons to tell, each once, and the addresses at which nobody is named."""
    persons: dict[str, PersonEntered] = {}
    missing: list[Address] = []
    for unit in units:
        if place.parties_alone and unit is not Unit.PARTY:
            continue
        if unit is Unit.NAMED:
            known = filter(None, (directory.person(code, on) for code in place.named))
            persons.update((person.code, person) for person in present(known, on, directory))
        for choices in _addresses(unit, place):
            found = next(filter(None, (_persons_at(address, on, directory) for address in choices)), ())
            persons.update((person.code, person) for person in present(found, on, directory))
            if not found and choices[0] not in missing:
                missing.append(choices[0])
    return list(persons.values()), missing


def present(persons: Iterable[PersonEntered], on: datetime, directory: Directory) -> list[PersonEntered]:
    """The same persons, but for each who is away that day the deputy, as far as the directory knows the deputy."""
    return [_stand_in(person, on, directory) or person for person in persons]


def _stand_in(person: PersonEntered, on: datetime, directory: Directory) -> PersonEntered | None:
    away = directory.absence(person.code, on)
    return directory.person(away.deputy, on) if away is not None else None


def _addresses(unit: Unit, place: Place) -> list[tuple[Address, ...]]:
    """The addresses of a unit; of each, what to try first and what next."""
    commerce_hq, bank_hq = headquarters(Side.COMMERCE), headquarters(Side.BANK)
    department = [Address(Side.COMMERCE, PersonRole.DEPARTMENT, place.province)] if place.province else []
    zone = [Address(Side.COMMERCE, PersonRole.ZONE, place.zone)] if place.zone else []
    match unit:
        case Unit.ZONE:
            return [tuple(zone + department) or (commerce_hq,)]
        case Unit.DEPARTMENT:
            return [tuple(department) or (commerce_hq,)]
        case Unit.BRANCH:
            return [(Address(Side.BANK, PersonRole.BRANCH, code),) for code in place.branches] or [(bank_hq,)]
        case Unit.COMMERCE_HQ:
            return [(commerce_hq,)]
        case Unit.BANK_HQ:
            return [(bank_hq,)]
        case Unit.PARTNER | Unit.NAMED:
            return []
        case Unit.PARTY:
            return [(_address_of_party(party),) for party in place.parties]


def _address_of_party(source: str) -> Address:
    side, code = side_of(source) or Side.COMMERCE, place_of(source)
    if code in ("", COMMERCE_HQ, BANK_HQ):
        return headquarters(side)
    if side is Side.BANK:
        return Address(side, PersonRole.BRANCH, code)
    return Address(side, PersonRole.DEPARTMENT if code.isdigit() else PersonRole.ZONE, code)


def _persons_at(address: Address, on: datetime, directory: Directory) -> tuple[PersonEntered, ...]:
    match address.role:
        case PersonRole.HEADQUARTERS:
            return directory.headquarters(address.side, on)
        case PersonRole.ZONE:
            return directory.persons(address.side, on, zone=address.code)
        case PersonRole.DEPARTMENT:
            return directory.persons(address.side, on, province=address.code)
        case PersonRole.BRANCH:
            return directory.persons(address.side, on, branch=address.code)
