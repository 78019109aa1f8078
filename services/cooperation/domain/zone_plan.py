"""A zone plan: what is known of it, and how each event changes that."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.envelope import Payload
from schemas.plan import PlanPart, PlanPartRecorded


@dataclass(frozen=True, slots=True)
class Part:
    """The latest version of one part."""

    version: int


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """The plan of one zone."""

    zone: str
    parts: dict[PlanPart, Part]


def evolve(plan: ZonePlan | None, payload: Payload) -> ZonePlan:
    """The plan after one of its own events."""
    if isinstance(payload, PlanPartRecorded):
        parts = {} if plan is None else plan.parts
        return ZonePlan(payload.zone, {**parts, payload.part: Part(payload.version)})
    raise ValueError(f"{payload.TYPE} is no event of a zone plan")
