"""Zones and branches by day, as far as the gateway has to know them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """One version of a zone (`provinces`: its one) or of a branch (those that it serves); days as `2020-01-01`."""

    kind: str
    code: str
    valid_from: str
    valid_to: str | None
    provinces: tuple[str, ...]


class Directory:
    """Zones and branches by day."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._units = sorted(units, key=lambda unit: unit.valid_from)

    def knows_zone(self, code: str) -> bool:
        """Whether there is, was or will be such a zone."""
        return any(unit.kind == "zone" and unit.code == code for unit in self._units)

    def units_of_zone(self, zone: str, day: str) -> frozenset[str]:
        """Who may see what concerns a zone as a whole."""
        held = self._on(day)
        provinces = held["zone", zone].provinces if ("zone", zone) in held else ()
        branches = (
            code for (kind, code), unit in held.items() if kind == "branch" and set(provinces) & set(unit.provinces)
        )
        return frozenset(
            {
                f"//commerce/{zone}",
                *(f"//commerce/{province}" for province in provinces),
                *(f"//bank/{code}" for code in branches),
            }
        )

    def commerce_of_zone(self, zone: str, day: str) -> frozenset[str]:
        """Those of them that are of the commerce side."""
        return frozenset(unit for unit in self.units_of_zone(zone, day) if unit.startswith("//commerce/"))

    def _on(self, day: str) -> dict[tuple[str, str], Unit]:
        begun = {(unit.kind, unit.code): unit for unit in self._units if unit.valid_from <= day}
        return {name: unit for name, unit in begun.items() if unit.valid_to is None or unit.valid_to >= day}


def unit_of(source: str) -> str:
    """The unit to which a source belongs: `//commerce/15` of `//commerce/15/office`."""
    return "/".join(source.split("/")[:4])


def withheld(headquarters: str) -> str:
    """The mark in the audience of an event that a headquarters may not see."""
    return f"!{headquarters}"
