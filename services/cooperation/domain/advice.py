"""A question to the bank: what is known of it, and how each event changes that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from schemas.advice import (
    AdviceAnswered,
    AdviceClosed,
    AdviceEscalated,
    AdviceFurtherRouted,
    AdviceReminded,
    AdviceRouted,
    AdviceTerm,
)
from schemas.envelope import Payload
from services.kit.door import Deadline

REMINDER: Final = "reminder"
ESCALATION: Final = "escalation"
SILENCE: Final = "silence"


class Status(StrEnum):
    """Where a question stands."""

    AWAITING = "awaiting"
    ESCALATED = "escalated"
    ANSWERED = "answered"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Advice:
    """One question and its further rounds. `round` is the latest; `closes_at` is set while it is answered."""

    status: Status
    zone: str
    routed_to: str
    round: int
    remind_at: datetime
    deadline: datetime
    reminded: bool
    closes_at: datetime | None


def deadlines(advice: Advice | None) -> Iterator[Deadline]:
    """The reminder and the end of the time for an answer; after the answer, the end of the time to ask on."""
    if advice is None:
        return
    if advice.status is Status.AWAITING:
        if not advice.reminded:
            yield Deadline(REMINDER, advice.remind_at)
        yield Deadline(ESCALATION, advice.deadline)
    elif advice.status is Status.ANSWERED and advice.closes_at is not None:
        yield Deadline(SILENCE, advice.closes_at)


def evolve(advice: Advice | None, payload: Payload) -> Advice:
    """The question after one of its own events."""
    if isinstance(payload, AdviceRouted):
        return _routed(payload)
    if advice is None:
        raise ValueError(f"{payload.TYPE} of a question that was never routed")
    return _CHANGES[type(payload)](advice, payload)


def _routed(told: AdviceTerm) -> Advice:
    return Advice(
        status=Status.AWAITING,
        zone=told.zone,
        routed_to=told.routed_to,
        round=told.round,
        remind_at=told.remind_at,
        deadline=told.deadline,
        reminded=False,
        closes_at=None,
    )


def _answered(advice: Advice, told: AdviceAnswered) -> Advice:
    return replace(advice, status=Status.ANSWERED, closes_at=told.closes_at)


_CHANGES: Final[Mapping[type[Payload], Callable[[Advice, Any], Advice]]] = {
    AdviceFurtherRouted: lambda advice, told: _routed(told),
    AdviceReminded: lambda advice, told: replace(advice, reminded=True),
    AdviceEscalated: lambda advice, told: replace(advice, status=Status.ESCALATED),
    AdviceAnswered: _answered,
    AdviceClosed: lambda advice, told: replace(advice, status=Status.CLOSED, closes_at=None),
}
RECORDS: Final[tuple[type[Payload], ...]] = (AdviceRouted, *_CHANGES)
