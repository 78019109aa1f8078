"""Who may see what is said of no case: plans, questions, wishes of moving enterprises, bulletins.

- A zone plan or work plan is for those who may see what concerns the zone.
- A question to the bank may name an enterprise: it is for the zone, its province, whoever asks or answers, and the unit
  of the bank that has it, not for other branches.
- A wish names an enterprise that wants to move: a match is for the zones that it names, and their provinces. Once a
  zone takes the enterprise up, for the branches that serve it as well. Whoever submitted the wish sees all that comes
  of it. What names neither is for the headquarters.
- A bulletin that fits an enterprise is for the zone and its province; where the bank referred, for its branches there.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.bulletin import BulletinMatched
from schemas.matchmaking import MatchTakenUp
from schemas.values import Side
from services.gateway.places import Directory, unit_of

BESIDE_CASES: Final = frozenset({"plan", "work_plan", "advice", "matchmaking", "bulletin"})
"""First words of the types concerned."""


def units_beside_cases(data: Any, directory: Directory, day: str) -> frozenset[str]:
    """The units that may see it on a day (`2020-01-01`)."""
    area = data.TYPE.partition(".")[0]
    if area == "matchmaking":
        return _submitter(data) | _units_of_wish(data, directory, day)
    return _units_of_zone(data, area, directory, day)


def _submitter(data: Any) -> frozenset[str]:
    source = getattr(data, "submitted_from", None)
    return frozenset() if source is None else frozenset({unit_of(source)})


def _units_of_wish(data: Any, directory: Directory, day: str) -> frozenset[str]:
    if isinstance(data, MatchTakenUp):
        return directory.units_of_zone(data.zone, day)
    if hasattr(data, "zone"):
        return directory.commerce_of_zone(data.zone, day)
    matches = getattr(data, "matches", ())
    return frozenset(unit for match in matches for unit in directory.commerce_of_zone(match.zone, day))


def _units_of_zone(data: Any, area: str, directory: Directory, day: str) -> frozenset[str]:
    if area == "advice":
        speaker = {unit_of(data.source)} if hasattr(data, "source") else set()
        return directory.commerce_of_zone(data.zone, day) | {f"//bank/{data.routed_to}"} | speaker
    if area in ("plan", "work_plan") or (isinstance(data, BulletinMatched) and data.side is Side.BANK):
        return directory.units_of_zone(data.zone, day)
    return directory.commerce_of_zone(data.zone, day)
