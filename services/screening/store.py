"""State table of joint screening."""

from __future__ import annotations

from typing import Any

from services.kit.columns import StateRow, json_column


class ScreeningCaseRow(StateRow, table=True):
    """One case, by referral id. Times and codes stand as text, opinions and lists as JSON."""

    __tablename__ = "screening_case"

    status: str
    lane: str
    revision: int
    opened_at: str
    deadline: str
    deadline_provisional: bool
    score: int
    policy_version: str
    key_areas: list[str] = json_column()
    commerce: dict[str, Any] | None = json_column(nullable=True)
    bank: dict[str, Any] | None = json_column(nullable=True)
    holds: list[str] = json_column()
    days_left: int | None = None
    resumed_at: str | None = None
    pace: str
    remind_at: str | None = None
    grace_until: str | None = None
    extended: bool
    commerce_draft: dict[str, Any] | None = json_column(nullable=True)
    bank_draft: dict[str, Any] | None = json_column(nullable=True)
    conference: dict[str, Any] | None = json_column(nullable=True)
    asked: dict[str, Any] | None = json_column(nullable=True)
    chain: dict[str, Any] | None = json_column(nullable=True)
    raised: bool


class ScreeningChainRow(StateRow, table=True):
    """One supply chain, by `chain:` and its id. Its members stand as JSON."""

    __tablename__ = "screening_chain"

    chain_id: str
    links: list[dict[str, Any]] = json_column()
