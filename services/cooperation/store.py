"""State tables of cooperation."""

from __future__ import annotations

from typing import Any

from services.kit.columns import StateRow, json_column


class PlanRow(StateRow, table=True):
    """One file by plan id: the columns are the fields of `domain.filing.Filed`, of which one is filled."""

    __tablename__ = "cooperation_plan"

    zone_plan: dict[str, Any] | None = json_column(nullable=True)
    work_plan: dict[str, Any] | None = json_column(nullable=True)
    wish: dict[str, Any] | None = json_column(nullable=True)


class AdviceRow(StateRow, table=True):
    """One question by advice id: the columns are the fields of `domain.advice.Advice`."""

    __tablename__ = "cooperation_advice"

    status: str
    zone: str
    routed_to: str
    round: int
    remind_at: str
    deadline: str
    reminded: bool
    closes_at: str | None = None
