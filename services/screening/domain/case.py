"""A case in joint screening: what is known of it, and how each event changes that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from schemas.envelope import Payload
from schemas.opinion import OpinionCode, Verdict
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningOpened,
    ScreeningOpinionRecorded,
    ScreeningReleased,
    ScreeningScored,
    ScreeningShortlisted,
    ScreeningWithdrawn,
)
from schemas.values import KeyArea, Lane, Side
from services.kit.door import Deadline


class Status(StrEnum):
    """Where a case stands. Holds stand beside it, on an open or a shortlisted case."""

    OPEN = "open"
    SHORTLISTED = "shortlisted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


CLOSED: Final = frozenset({Status.DECLINED, Status.EXPIRED, Status.WITHDRAWN})
DECISION: Final = "decision"
EXPIRY: Final = "expiry"


@dataclass(frozen=True, slots=True)
class Said:
    """One reason of an opinion."""

    code: OpinionCode
    text: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one side said of the case."""

    verdict: Verdict
    given_by: str
    given_at: datetime
    reasons: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One referral in joint screening. `days_left` are working days, while holds have stopped the clock."""

    status: Status
    lane: Lane
    revision: int
    opened_at: datetime
    deadline: datetime
    deadline_provisional: bool
    score: int
    policy_version: str
    key_areas: tuple[KeyArea, ...]
    commerce: Opinion | None
    bank: Opinion | None
    holds: tuple[str, ...]
    days_left: int | None
    resumed_at: datetime | None

    @property
    def held(self) -> bool:
        """Whether a hold stands on the case."""
        return bool(self.holds)

    @property
    def opinions(self) -> Mapping[Side, Opinion]:
        """The opinions on record, the commerce side's first."""
        both = {Side.COMMERCE: self.commerce, Side.BANK: self.bank}
        return {side: opinion for side, opinion in both.items() if opinion is not None}

    @property
    def opposed_by(self) -> tuple[Side, ...]:
        """The sides that oppose."""
        return tuple(side for side, opinion in self.opinions.items() if opinion.verdict is Verdict.OPPOSE)

    @property
    def complete_at(self) -> datetime | None:
        """When everything that a decision needs was there; None where a side has not spoken."""
        if self.commerce is None or self.bank is None:
            return None
        complete_at = max(self.opened_at, self.commerce.given_at, self.bank.given_at)
        return complete_at if self.resumed_at is None else max(complete_at, self.resumed_at)


def deadlines(case: Case | None) -> Iterator[Deadline]:
    """An open case that no hold stops waits for its decision, once both sides have spoken, or else for its expiry.

    The decision is a deadline of its own, due when the last thing that it needs was said. So the same opinions make
    the same event with the same id and time, whichever of the two topics brought its opinion first.
    """
    if case is None or case.status is not Status.OPEN or case.held:
        return
    complete_at = case.complete_at
    if complete_at is None:
        yield Deadline(EXPIRY, case.deadline)
    else:
        yield Deadline(DECISION, _whole_second(complete_at))


def _whole_second(moment: datetime) -> datetime:
    """The moment, or else the next whole second: due times are kept in milliseconds, rounded down, and a decision must
    not be dated before the opinions that it rests on.
    """
    return moment if not moment.microsecond else moment.replace(microsecond=0) + timedelta(seconds=1)


def evolve(case: Case | None, payload: Payload) -> Case:
    """The case after one of its own events, refusals excepted: they change nothing."""
    if isinstance(payload, ScreeningOpened):
        return _opened(payload)
    if case is None:
        raise ValueError(f"{payload.TYPE} of a case that was never opened")
    return _CHANGES[type(payload)](case, payload)


def _opened(opened: ScreeningOpened) -> Case:
    return Case(
        status=Status.OPEN,
        lane=opened.lane,
        revision=1,
        opened_at=opened.opened_at,
        deadline=opened.deadline,
        deadline_provisional=opened.deadline_provisional,
        score=0,
        policy_version="",
        key_areas=(),
        commerce=None,
        bank=None,
        holds=(),
        days_left=None,
        resumed_at=None,
    )


def _scored(case: Case, scored: ScreeningScored) -> Case:
    return replace(
        case,
        lane=scored.lane,
        revision=scored.revision,
        score=scored.score,
        policy_version=scored.policy_version,
        key_areas=scored.key_areas,
    )


def _opinion_recorded(case: Case, recorded: ScreeningOpinionRecorded) -> Case:
    reasons = tuple(Said(reason.code, reason.text) for reason in recorded.reasons)
    opinion = Opinion(recorded.verdict, recorded.given_by, recorded.given_at, reasons)
    return replace(case, commerce=opinion) if recorded.side is Side.COMMERCE else replace(case, bank=opinion)


def _held(case: Case, held: ScreeningHeld) -> Case:
    return replace(case, holds=held.holds, days_left=held.working_days_left)


def _released(case: Case, released: ScreeningReleased) -> Case:
    if released.deadline is None:
        return replace(case, holds=released.holds)
    return replace(
        case,
        holds=released.holds,
        deadline=released.deadline,
        deadline_provisional=released.deadline_provisional,
        days_left=None,
        resumed_at=released.released_at,
    )


def _becomes(status: Status) -> Callable[[Case, Any], Case]:
    return lambda case, _: replace(case, status=status)


_CHANGES: Final[Mapping[type[Payload], Callable[[Case, Any], Case]]] = {
    ScreeningScored: _scored,
    ScreeningOpinionRecorded: _opinion_recorded,
    ScreeningHeld: _held,
    ScreeningReleased: _released,
    ScreeningShortlisted: _becomes(Status.SHORTLISTED),
    ScreeningDeclined: _becomes(Status.DECLINED),
    ScreeningExpired: _becomes(Status.EXPIRED),
    ScreeningWithdrawn: _becomes(Status.WITHDRAWN),
}
