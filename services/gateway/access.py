"""Who may see which outcome: the one place where that is decided.

Each event has an *audience*: the units that may see it, written as the sources under which they publish. It is decided
once, when the event enters the feed, and everything that gives outcomes away (feed, streams, webhooks, cases) asks the
same rows. Both headquarters answer for the whole, so they see all that is in the feed.

- What is said of a case is for whoever referred it, its zone, the commerce department of its province, and the branch
  named in the referral. Other branches that serve the province have no part in the case.
- What is said of a zone is for the zone, its province's department, and the branches that serve the province that day.
- What is said of an enterprise or a project on its own is for the zone that the event names, and its province.
- A rejected or duplicate referral is for its referrer alone. It may bear the id of another party's case, so it neither
  shows that case to its sender nor makes anybody a party to it.
- A case that moves (an amendment names another zone, province or branch) shows its past to the new units. The old ones
  keep what they were told, are told of the move, and nothing after it.
- An event whose case is not known yet waits for it; what waited too long goes to the headquarters alone.

Left out of the gateway's database altogether: what is not an outcome but bookkeeping between services or within one,
and notices with names, mail addresses, or answers of mail servers, which may repeat addresses. That a notice reached
nobody is told by `notice.escalated`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from schemas.envelope import Event
from schemas.reference import CHINA_TIME
from services.client.receiving import Unknown

LEFT_OUT: Final = frozenset(
    {
        "risk.exposure_counted",
        "notice.file_opened",
        "notice.queued",
        "notice.delivered",
        "notice.failed",
    }
)
"""Types, without their version, that nobody is shown."""

_TO_REFERRER_ALONE: Final = frozenset({"referral.rejected", "referral.duplicate_found"})


@dataclass(frozen=True, slots=True)
class Case:
    """What decides who may see a case."""

    referrer: str
    zone: str
    province: str
    branch: str

    @property
    def units(self) -> frozenset[str]:
        """The units that take part in it."""
        return frozenset({unit_of(self.referrer), *self.places})

    @property
    def places(self) -> tuple[str, str, str]:
        """The units that an amendment may change: zone, department, branch."""
        return f"//commerce/{self.zone}", f"//commerce/{self.province}", f"//bank/{self.branch}"


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

    def _on(self, day: str) -> dict[tuple[str, str], Unit]:
        begun = {(unit.kind, unit.code): unit for unit in self._units if unit.valid_from <= day}
        return {name: unit for name, unit in begun.items() if unit.valid_to is None or unit.valid_to >= day}


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see an event, and the case whose time line it belongs to (None: none's)."""

    units: frozenset[str]
    case_id: str | None


def name_of(event_type: str) -> str:
    """An event type without its version."""
    return event_type.rpartition(".v")[0]


def unit_of(source: str) -> str:
    """The unit to which a source belongs: `//commerce/15` of `//commerce/15/office`."""
    return "/".join(source.split("/")[:4])


def case_from(event: Event[Any], known: Case | None) -> Case | None:
    """The case as it stands after this event; None where the event changes nothing about who takes part."""
    name, data = name_of(event.type), event.data
    if isinstance(data, Unknown):
        return None
    if name == "referral.registered":
        return Case(data.source, data.referral.zone, data.referral.province, data.referral.branch)
    if name == "referral.amended" and known is not None:
        return Case(known.referrer, data.referral.zone, data.referral.province, data.referral.branch)
    return None


def unit_from(event: Event[Any]) -> Unit | None:
    """The zone or branch that a directory event enters; None for all other events."""
    name, data = name_of(event.type), event.data
    if isinstance(data, Unknown) or name not in ("directory.zone_entered", "directory.branch_entered"):
        return None
    kind = "zone" if name == "directory.zone_entered" else "branch"
    provinces = (data.province,) if kind == "zone" else tuple(data.provinces)
    return Unit(kind, data.code, data.valid_from.isoformat(), data.valid_to and data.valid_to.isoformat(), provinces)


def audience_of(event: Event[Any], case: Case | None, directory: Directory, *, of_case: bool) -> Audience | None:
    """Who may see an event; None as long as that is not known.

    `case` is the case under the event's subject, where there is one; `of_case` says that the subject is always a case.
    """
    name, data, day = name_of(event.type), event.data, event.time.astimezone(CHINA_TIME).date().isoformat()
    if name in _TO_REFERRER_ALONE:
        return None if isinstance(data, Unknown) else Audience(frozenset({unit_of(data.source)}), event.subject)
    subject_kind = None if of_case else getattr(data, "subject_kind", None)
    if subject_kind in ("enterprise", "project"):
        zone = getattr(data, "zone", None)
        units = directory.units_of_zone(zone, day) if zone is not None else frozenset()
        return Audience(frozenset(unit for unit in units if unit.startswith("//commerce/")), None)
    # A referral may bear a zone's code as its id: on topics that know both, the code means the zone.
    if subject_kind == "zone" or (not of_case and subject_kind is None and directory.knows_zone(event.subject)):
        return Audience(directory.units_of_zone(event.subject, day), None)
    return None if case is None else Audience(case.units, event.subject)
