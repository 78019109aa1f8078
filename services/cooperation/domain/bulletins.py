"""Policy bulletins: which ones hold on a day, and whom they fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from schemas.bulletin import BulletinPublished, FitReason
from schemas.envelope import Event
from schemas.reference import china_date
from schemas.values import FinancingNeed, Industry, KeyArea, Ownership, Side, SizeClass


@dataclass(frozen=True, slots=True)
class Profile:
    """What a case says of its enterprise."""

    side: Side
    industry: Industry
    size_class: SizeClass
    ownership: Ownership
    province: str
    zone: str
    need: FinancingNeed
    key_area: KeyArea


@dataclass(frozen=True, slots=True)
class _Version:
    said: tuple[datetime, str]
    day: date
    bulletin: BulletinPublished


@dataclass(slots=True)
class Bulletins:
    """All bulletins that were published, in all their versions.

    A version counts from the day in China after it was published, so that two workers that read it at different moments
    of that day decide alike.
    """

    _versions: dict[str, list[_Version]] = field(default_factory=dict)

    def learn(self, event: Event[Any]) -> None:
        """Take in one event of a reference topic; anything but a bulletin is left alone."""
        if not isinstance(event.data, BulletinPublished):
            return
        version = _Version((event.time, event.id), china_date(event.time), event.data)
        kept = self._versions.setdefault(event.data.bulletin_id, [])
        if version not in kept:
            kept.append(version)
            kept.sort(key=lambda one: one.said, reverse=True)

    def in_force(self, at: datetime) -> tuple[BulletinPublished, ...]:
        """The bulletins that hold on the day of a moment, in the order of their ids."""
        day = china_date(at)
        newest = (
            next((one.bulletin for one in versions if one.day < day), None)
            for _, versions in sorted(self._versions.items())
        )
        return tuple(one for one in newest if one is not None and _holds(one, day))


def _holds(bulletin: BulletinPublished, day: date) -> bool:
    return bulletin.valid_from <= day and (bulletin.valid_to is None or day <= bulletin.valid_to)


def fit(bulletin: BulletinPublished, profile: Profile) -> tuple[FitReason, ...] | None:
    """Why a bulletin fits, None where it does not: every list that it has must hold what the case has."""
    fits = bulletin.fits
    looked_at: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("industry", fits.industries, profile.industry),
        ("size_class", fits.size_classes, profile.size_class),
        ("ownership", fits.ownership, profile.ownership),
        ("province", fits.provinces, profile.province),
        ("zone", fits.zones, profile.zone),
        ("need", fits.needs, profile.need),
        ("key_area", fits.key_areas, profile.key_area),
    )
    asked = [(code, value, value in allowed) for code, allowed, value in looked_at if allowed]
    if not all(holds for _, _, holds in asked):
        return None
    reasons = tuple(FitReason(code=code, value=str(value)) for code, value, _ in asked)
    return reasons or (FitReason(code="for_all", value="*"),)
