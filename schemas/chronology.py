"""The order in which what was told of one matter is to be read: by time, and causes before what they caused.

What a service answers often bears the time of what it answers to, and what stands on different topics has no order of
its own: the ids of causes tell what came of what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something that was told stands: in time, in a chain of causes, on a topic.

    `aside`: it is no event that leads to others (a dead letter, an unreadable record); of one moment, it comes last.
    """

    time: datetime
    source: str
    id: str
    causation_id: str | None
    topic: str
    partition: int
    offset: int
    aside: bool = False


def in_order(told: Iterable[T], place_of: Callable[[T], Place]) -> list[T]:
    """Everything in the order in which it is to be read. Ids are expected to be there once."""
    placed = [(place_of(one), one) for one in told]
    chained = [place for place, _ in placed if not place.aside]
    depths = _depths({place.id: place.causation_id for place in chained})
    _follow_own_topic(depths, chained)

    def rank(step: tuple[Place, T]) -> tuple[datetime, bool, int, str, int, int]:
        at = step[0]
        return at.time, at.aside, 0 if at.aside else depths[at.id], at.topic, at.partition, at.offset

    return [one for _, one in sorted(placed, key=rank)]


def _depths(causes: Mapping[str, str | None]) -> dict[str, int]:
    """How many events led to each one: its distance from an event without a known cause."""
    depths: dict[str, int] = {}
    for id in causes:
        chain: list[str] = []
        at: str | None = id
        # Ids come from outside: two that name each other as their cause must not hang the reader.
        while at is not None and at in causes and at not in depths and at not in chain:
            chain.append(at)
            at = causes[at]
        base = depths[at] + 1 if at in depths else 0
        for distance, link in enumerate(reversed(chain)):
            depths[link] = base + distance
    return depths


def _follow_own_topic(depths: dict[str, int], places: Iterable[Place]) -> None:
    """Let what comes later on a service's own topic come no earlier in the time line.

    What a deadline or a sent mail led to has its cause on no topic, so that its distance from a cause says nothing.
    """
    deepest: dict[tuple[str, int, datetime], int] = {}
    for place in sorted(places, key=lambda place: (place.topic, place.partition, place.offset)):
        if place.source.startswith("//kouan/"):
            spot = (place.topic, place.partition, place.time)
            deepest[spot] = depths[place.id] = max(depths[place.id], deepest.get(spot, 0))
