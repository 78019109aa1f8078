"""State tables of the risk monitor."""

from __future__ import annotations

from typing import Any

from services.kit.columns import StateRow, json_column


class RiskCaseRow(StateRow, table=True):
    """One case, by referral id: what it counts in its zone, its grade and its warning."""

    __tablename__ = "risk_monitor_case"

    zone: str
    credit_code: str | None = None
    undecided: bool
    shortlisted: bool
    outstanding: str
    currency: str
    overdue_days: int
    grade: str
    level: str | None = None
    released_by: list[str] = json_column()


class RiskSubjectRow(StateRow, table=True):
    """One zone, enterprise or project, by its code: totals, undecided cases, figures and warning."""

    __tablename__ = "risk_monitor_subject"

    kind: str
    cny: str
    usd: str
    undecided: list[str] = json_column()
    figures: dict[str, Any] = json_column()
    level: str | None = None
    released_by: list[str] = json_column()
    limit_breached: bool
