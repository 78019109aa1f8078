"""A matchmaking wish: what is known of it, and how each event changes that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from schemas.envelope import Payload
from schemas.matchmaking import (
    MatchTakenUp,
    MatchTurnedDown,
    WishClosed,
    WishMatched,
    WishOpened,
    WishRoundHeld,
    WishUnmatched,
    ZoneAnswer,
)
from schemas.values import Side
from services.cooperation.domain.matching import Wanted
from services.kit.door import Deadline

ROUND: Final = "round"
"""Deadline: the next round is to be held, or the wish closed after the last one."""


class Status(StrEnum):
    """Where a wish stands."""

    OPEN = "open"
    TAKEN_UP = "taken_up"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Wish:
    """One enterprise that wants to move. `zones`: those named to it so far, with what they answered, if anything.

    `submitted_from` is the system to be told; None where a release recorded the wish that did not keep it.
    """

    status: Status
    side: Side
    enterprise: str
    wanted: Wanted
    round: int = 0
    next_round_at: datetime | None = None
    zones: Mapping[str, ZoneAnswer | None] | None = None
    submitted_from: str | None = None

    @property
    def named(self) -> Mapping[str, ZoneAnswer | None]:
        """The zones named so far."""
        return self.zones or {}


def deadlines(wish: Wish) -> Iterator[Deadline]:
    """The next round, while the wish is open."""
    if wish.status is Status.OPEN and wish.next_round_at is not None:
        yield Deadline(ROUND, wish.next_round_at)


def evolve(wish: Wish | None, payload: Payload) -> Wish:
    """The wish after one of its own events."""
    if isinstance(payload, WishOpened):
        return _opened(payload)
    if wish is None:
        raise ValueError(f"{payload.TYPE} of a wish that was never opened")
    return _CHANGES[type(payload)](wish, payload)


def _opened(opened: WishOpened) -> Wish:
    wanted = Wanted(opened.industry, opened.needs, opened.key_area, opened.provinces, opened.investment_10k_cny)
    return Wish(Status.OPEN, opened.side, opened.enterprise, wanted, submitted_from=opened.submitted_from)


def _matched(wish: Wish, matched: WishMatched) -> Wish:
    zones = {**wish.named, **{one.zone: None for one in matched.matches}}
    return replace(_round(wish, matched), zones=zones)


def _round(wish: Wish, held: WishMatched | WishUnmatched | WishRoundHeld) -> Wish:
    return replace(wish, round=held.round, next_round_at=held.next_round_at)


def _answered(wish: Wish, zone: str, answer: ZoneAnswer) -> Wish:
    status = Status.TAKEN_UP if answer is ZoneAnswer.TAKEN_UP else wish.status
    return replace(wish, status=status, zones={**wish.named, zone: answer})


_CHANGES: Final[Mapping[type[Payload], Callable[[Wish, Any], Wish]]] = {
    WishMatched: _matched,
    WishUnmatched: _round,
    WishRoundHeld: _round,
    MatchTakenUp: lambda wish, told: _answered(wish, told.zone, ZoneAnswer.TAKEN_UP),
    MatchTurnedDown: lambda wish, told: _answered(wish, told.zone, ZoneAnswer.TURNED_DOWN),
    WishClosed: lambda wish, _: replace(wish, status=Status.CLOSED),
}

RECORDS: Final[tuple[type[Payload], ...]] = (WishOpened, *_CHANGES)
